"""One request: misbehaving servers, headers, and the bytes that are kept."""

import pytest

from pipeline.fetch.outcomes import is_temporary
from pipeline.fetch.requests import find_disallowed
from pipeline.fetch.settings import FetchSettings


def test_every_misbehaviour_has_its_reason(misbehaviour, outcomes):
    outcome = outcomes[misbehaviour.path]
    reason = misbehaviour.reason
    assert outcome.reason == reason
    assert (outcome.status == "success") == (reason is None) == bool(outcome.body)
    assert (outcome.status == "failed_to_resize") == ((reason or "").startswith(("not an image", "empty body")))


def test_only_temporary_failures_are_tried_again(site, outcomes):
    for path in ("status/500", "slow/9", "drip", "reset", "short"):
        assert is_temporary(outcomes[path].reason) and site.requests[f"/{path}"] >= 2
    for path in ("nothing", "status/403", "endless", "declared", "bomb", "garbage", "robots?tag=noai", "loop/0"):
        assert site.requests[f"/{path}"] == 1


def test_bytes_are_those_of_the_server(site, outcomes):
    png = outcomes["kind/PNG"]
    assert png.body == site.picture(kind="PNG") and png.extension == "png" and (png.width, png.height) == (40, 30)
    assert outcomes["coded/gzip"].body == site.picture()


def test_a_refused_connection_has_its_reason(fetch_urls, closed_port):
    url = f"http://127.0.0.1:{closed_port}/x"
    assert fetch_urls([url])[url].reason == "connection refused"


def test_user_agent_is_sent(site, fetch_urls):
    url = f"{site.url}/agent/mine-1.0"
    assert fetch_urls([url], FetchSettings(allow_private=True, user_agent="mine-1.0"))[url].status == "success"
    assert fetch_urls([url])[url].reason == "empty body"


def test_a_proxy_from_the_environment_is_not_used(site, fetch_urls, closed_port, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{closed_port}")
    url = f"{site.url}/image/5"
    assert fetch_urls([url])[url].status == "success"


@pytest.mark.parametrize(
    ("values", "directive"),
    [
        (["noai"], "noai"),
        (["index, NoImageAI"], "noimageai"),
        (["nofollow", "all, noindex"], "noindex"),
        (["none"], "none"),
        (["seimai: noai"], "noai"),
        (["Seimai: nofollow, noimageindex"], "noimageindex"),
        (["googlebot: noai"], None),
        (["googlebot: noindex, nofollow, noai"], None),
        (["googlebot: noindex, seimai: noai"], "noai"),
        (["max-snippet: -1, noindex"], "noindex"),
        (["unavailable_after: 25 Jun 2030 15:00:00 PST"], None),
        (["nofollow, noarchive, all"], None),
        ([""], None),
        ([], None),
    ],
)
def test_robots_tag(values, directive):
    assert find_disallowed(values, FetchSettings().user_agent, FetchSettings().directives) == directive
