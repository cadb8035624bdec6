"""Which URL is requested next: bounds for each host, waits, and turns."""

import asyncio

from pipeline.fetch.outcomes import is_temporary
from pipeline.fetch.scheduler import QueuedUrl, Scheduler
from pipeline.fetch.settings import FetchSettings


def test_retry_after_holds_the_host(site, fetch_urls):
    urls = [f"{site.url}/wait/1?held", *(f"{site.url}/image/{i}?held" for i in range(30))]
    outcomes = fetch_urls(urls, FetchSettings(allow_private=True, per_host=1, timeout=5))
    assert all(outcome.status == "success" for outcome in outcomes.values())
    first, second = site.times["/wait/1?held"]
    assert second - first >= 1
    times = [time for url in urls for time in site.times[url.removeprefix(site.url)]]
    assert not [time for time in times if first + 0.2 < time < first + 0.95]


def test_a_host_that_asks_for_an_hour_is_left_alone(site, fetch_urls):
    url = f"{site.url}/wait/3600"
    assert fetch_urls([url])[url].reason == "HTTP 429" and is_temporary("HTTP 429")
    assert site.requests["/wait/3600"] == 1


def test_a_slow_host_delays_no_other(site):
    slow = [f"http://127.0.0.9:{site.port}/held?{i}" for i in range(12)]
    fast = [f"http://127.0.0.{10 + i % 5}:{site.port}/image/{i}?fast" for i in range(100)]
    outcomes = {}

    async def run():
        async with Scheduler(FetchSettings(allow_private=True, connections=8, per_host=4)) as scheduler:
            for url in slow + fast:
                scheduler.add(QueuedUrl(url, lambda outcome, url=url: outcomes.setdefault(url, outcome)))
            await scheduler.wait_until(lambda: scheduler.unfinished == len(slow))
            assert set(outcomes) == set(fast)
            site.release()
            await scheduler.wait_until(lambda: not scheduler.unfinished)

    asyncio.run(run())
    assert {outcome.status for outcome in outcomes.values()} == {"success"} and len(outcomes) == 112


def test_requests_at_once_are_bounded(site, fetch_urls):
    site.most_active = 0
    fetch_urls([f"{site.url}/slow/0.02?bound{i}" for i in range(40)], FetchSettings(allow_private=True, per_host=3))
    assert site.most_active == 3
    site.most_active = 0
    urls = [f"http://127.0.0.{i % 20 + 1}:{site.port}/slow/0.02?all{i}" for i in range(40)]
    fetch_urls(urls, FetchSettings(allow_private=True, connections=5))
    assert site.most_active == 5


def test_requests_per_second_are_bounded(site, fetch_urls):
    urls = [f"{site.url}/image/{i}?rate" for i in range(11)]
    fetch_urls(urls, FetchSettings(allow_private=True, per_host_rate=20))
    times = sorted(site.times[f"/image/{i}?rate"][0] for i in range(11))
    assert times[-1] - times[0] >= 0.45
