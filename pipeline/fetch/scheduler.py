"""Asking many hosts for images at once: whose turn it is."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from pipeline.fetch.addresses import Failure, Resolver, parse
from pipeline.fetch.requests import Answer, Settings, ask, explain, may_pass

_REDIRECTS = 5
_BACK_OFF = 0.5  # seconds before the second try; doubles, and is drawn from half to one and a half of that
_LONGEST_WAIT = 60.0  # seconds that Retry-After may hold a host


@dataclass(slots=True)
class Job:
    """A URL to fetch, and who is told what came of it."""

    url: str
    take: Callable[[Answer], None]
    at: URL | None = None  # the hop that is next
    hops: list[URL] = field(default_factory=list)
    tries: int = 0
    spent: float = 0.0  # seconds of this try, waiting for turns not counted


@dataclass(slots=True, eq=False)
class _Host:
    queue: deque[Job] = field(default_factory=deque)
    active: int = 0
    in_line: bool = False
    next_at: float = 0.0  # of the loop's clock: not asked before
    timer: asyncio.TimerHandle | None = None


class Fetcher:
    """Asks for jobs' URLs, many at once and few at a host. Every request, each hop of a redirect too, waits for its host's turn.

    Hosts take turns, so one with many URLs, or a slow one, holds up none but itself. Nothing here blocks: what is not due
    waits in queues, and `unfinished` counts it. An error that is not a URL's (a full disk in `take`) is raised by `until`.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.unfinished = 0
        self._hosts: dict[str, _Host] = {}
        self._line: deque[_Host] = deque()
        self._active = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Fetcher:
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver(self.settings.allow_private)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=self._resolver, ttl_dns_cache=300, keepalive_timeout=5),
            headers={"User-Agent": self.settings.user_agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,  # a proxy would look names up itself
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self._resolver.close()

    def add(self, job: Job) -> None:
        self.unfinished += 1
        self._begin(job)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`, which is looked at when a job is finished or `wake` is called."""
        while self._error is None and not condition():
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    def wake(self, error: BaseException | None = None) -> None:
        """Have conditions looked at again, or `error` raised where they are waited for."""
        self._error = self._error or error
        self._changed.set()

    def _begin(self, job: Job) -> None:
        """Start a try of `job`."""
        job.hops, job.spent = [], 0.0
        try:
            job.at = parse(job.url, self.settings.allow_private)
        except Failure as failure:
            self._finish(job, failure)
        else:
            self._queue(job)

    def _queue(self, job: Job) -> None:
        assert job.at is not None
        name = job.at.raw_host or ""
        host = self._hosts.setdefault(name, _Host())
        if job.tries or job.hops:
            host.queue.appendleft(job)  # what was begun is ended first, so that shards become whole
        else:
            host.queue.append(job)
        self._line_up(name, host)
        self._start()

    def _line_up(self, name: str, host: _Host) -> None:
        """Put a host in line whose turn it may be, or forget it where nothing is left to know."""
        wait = host.next_at - self._loop.time()
        if wait > 0:
            if host.timer is None:
                host.timer = self._loop.call_later(wait, self._due, name, host)
        elif host.queue:
            if not host.in_line and host.active < self.settings.per_host:
                host.in_line = True
                self._line.append(host)
        elif not host.active and self._hosts.get(name) is host:
            del self._hosts[name]

    def _due(self, name: str, host: _Host) -> None:
        host.timer = None
        self._line_up(name, host)
        self._start()

    def _start(self) -> None:
        """Start requests while connections are free and a host has its turn."""
        while self._line and self._active < self.settings.connections:
            host = self._line.popleft()
            host.in_line = False
            job = host.queue[0]
            assert job.at is not None
            name = job.at.raw_host or ""
            if host.next_at > self._loop.time():  # told to wait since it joined the line
                self._line_up(name, host)
                continue
            host.queue.popleft()
            host.active += 1
            self._active += 1
            if self.settings.per_host_rate:
                host.next_at = max(host.next_at, self._loop.time()) + 1 / self.settings.per_host_rate
            task = self._loop.create_task(self._run(job, host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self._line_up(name, host)

    async def _run(self, job: Job, host: _Host) -> None:
        assert job.at is not None
        began, name = self._loop.time(), job.at.raw_host or ""
        try:
            outcome: Answer | URL | Failure
            try:
                async with asyncio.timeout(self.settings.timeout - job.spent):
                    outcome = await ask(self._session, job.at, self.settings, keep=bool(host.queue))
            except Failure as failure:
                outcome = failure
            except Exception as error:
                outcome = Failure(explain(error))
            job.spent += self._loop.time() - began
            host.active -= 1
            self._active -= 1
            if isinstance(outcome, URL):
                self._follow(job, outcome)
            elif isinstance(outcome, Failure) and may_pass(outcome.reason):
                self._try_again(job, host, outcome)
            else:
                self._finish(job, outcome)
            self._line_up(name, host)
            self._start()
        except Exception as error:
            self.wake(error)

    def _follow(self, job: Job, to: URL) -> None:
        assert job.at is not None
        job.hops.append(job.at)
        if to in job.hops:
            self._finish(job, Failure("redirect loop"))
        elif len(job.hops) > _REDIRECTS:
            self._finish(job, Failure(f"more than {_REDIRECTS} redirects"))
        else:
            job.at = to
            self._queue(job)

    def _try_again(self, job: Job, host: _Host, failure: Failure) -> None:
        if failure.wait:
            host.next_at = max(host.next_at, self._loop.time() + min(failure.wait, _LONGEST_WAIT))
        job.tries += 1
        if job.tries > self.settings.retries or failure.wait > _LONGEST_WAIT:
            self._finish(job, failure)
        else:
            # Where Retry-After holds the host, the queue is the wait.
            pause = 0.0 if failure.wait else _BACK_OFF * 2 ** (job.tries - 1) * random.uniform(0.5, 1.5)
            self._loop.call_later(pause, self._begin, job)

    def _finish(self, job: Job, outcome: Answer | Failure) -> None:
        self.unfinished -= 1
        self._changed.set()
        job.take(outcome if isinstance(outcome, Answer) else Answer(outcome.status, outcome.reason))
