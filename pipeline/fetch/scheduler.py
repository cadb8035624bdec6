"""Which URL is requested next: hosts take turns, with bounds for each, redirects and retries."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from pipeline.fetch.addresses import PublicResolver, parse_url
from pipeline.fetch.outcomes import FetchError, Outcome, is_temporary
from pipeline.fetch.requests import explain_error, request_image
from pipeline.fetch.settings import FetchSettings

_MAX_REDIRECTS = 5
_FIRST_PAUSE = 0.5  # seconds before the second try; doubles each time, and is multiplied by a random 0.5 to 1.5
_LONGEST_WAIT = 60.0  # seconds: a Retry-After beyond this is not waited for


@dataclass(slots=True)
class QueuedUrl:
    """A URL to fetch. `on_outcome` is called once, with what became of it."""

    url: str
    on_outcome: Callable[[Outcome], None]
    next_url: URL | None = None  # the parsed URL, then the target of each redirect
    requested: list[URL] = field(default_factory=list)  # in this try
    tries: int = 0
    seconds: float = 0.0  # spent on this try, without waiting in queues


@dataclass(slots=True, eq=False)
class _Host:
    queue: deque[QueuedUrl] = field(default_factory=deque)
    active: int = 0  # requests under way
    is_ready: bool = False  # stands in the scheduler's queue of ready hosts
    not_before: float = 0.0  # on the loop's clock: no request earlier
    timer: asyncio.TimerHandle | None = None


class Scheduler:
    """Fetch queued URLs, many at once and few at each host. Every request, also each hop of a redirect, waits for its host's turn.

    Hosts take turns, so one with many URLs, or a slow one, delays only itself. Nothing here blocks: what is not due waits in a queue,
    and `unfinished` counts it. An error that is not a URL's (a full disk in `on_outcome`) is raised by `wait_until`.
    """

    def __init__(self, settings: FetchSettings) -> None:
        self.settings = settings
        self.unfinished = 0
        self._hosts: dict[str, _Host] = {}
        self._ready: deque[_Host] = deque()
        self._active = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Scheduler:
        self._loop = asyncio.get_running_loop()
        self._resolver = PublicResolver(self.settings.allow_private)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, resolver=self._resolver, ttl_dns_cache=300, keepalive_timeout=5),
            headers={"User-Agent": self.settings.user_agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
            trust_env=False,  # a proxy would look up names itself
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self._resolver.close()

    def add(self, item: QueuedUrl) -> None:
        """Queue a URL."""
        self.unfinished += 1
        self._start_try(item)

    async def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for `condition`, which is evaluated when a URL is finished and when `notify` is called."""
        while self._error is None and not condition():
            self._changed.clear()
            await self._changed.wait()
        if self._error is not None:
            raise self._error

    def notify(self, error: BaseException | None = None) -> None:
        """Have `wait_until` evaluate its condition again, or raise `error`."""
        self._error = self._error or error
        self._changed.set()

    def _start_try(self, item: QueuedUrl) -> None:
        item.requested, item.seconds = [], 0.0
        try:
            item.next_url = parse_url(item.url, self.settings.allow_private)
        except FetchError as error:
            self._finish(item, error)
        else:
            self._enqueue(item)

    def _enqueue(self, item: QueuedUrl) -> None:
        name = _host_of(item)
        host = self._hosts.setdefault(name, _Host())
        if item.tries or item.requested:
            host.queue.appendleft(item)  # what was begun is finished first, so that shards become complete
        else:
            host.queue.append(item)
        self._update_host(name, host)
        self._start_requests()

    def _update_host(self, name: str, host: _Host) -> None:
        """Make a host ready if its turn may have come; forget it once it has nothing to do."""
        wait = host.not_before - self._loop.time()
        if wait > 0:
            if host.timer is None:
                host.timer = self._loop.call_later(wait, self._end_wait, name, host)
        elif host.queue:
            if not host.is_ready and host.active < self.settings.per_host:
                host.is_ready = True
                self._ready.append(host)
        elif not host.active and self._hosts.get(name) is host:
            del self._hosts[name]

    def _end_wait(self, name: str, host: _Host) -> None:
        host.timer = None
        self._update_host(name, host)
        self._start_requests()

    def _start_requests(self) -> None:
        """Start requests while connections are free and hosts are ready."""
        while self._ready and self._active < self.settings.connections:
            host = self._ready.popleft()
            host.is_ready = False
            item = host.queue[0]
            name = _host_of(item)
            if host.not_before > self._loop.time():  # asked to wait after it became ready
                self._update_host(name, host)
                continue
            host.queue.popleft()
            host.active += 1
            self._active += 1
            if self.settings.per_host_rate:
                host.not_before = max(host.not_before, self._loop.time()) + 1 / self.settings.per_host_rate
            task = self._loop.create_task(self._request(item, host))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            self._update_host(name, host)

    async def _request(self, item: QueuedUrl, host: _Host) -> None:
        assert item.next_url is not None
        began, name = self._loop.time(), _host_of(item)
        result: Outcome | URL | FetchError
        try:
            try:
                async with asyncio.timeout(self.settings.timeout - item.seconds):
                    result = await request_image(self._session, item.next_url, self.settings, keep_alive=bool(host.queue))
            except FetchError as error:
                result = error
            except Exception as error:
                result = FetchError(explain_error(error))
            item.seconds += self._loop.time() - began
            host.active -= 1
            self._active -= 1
            if isinstance(result, URL):
                self._follow_redirect(item, result)
            elif isinstance(result, FetchError) and is_temporary(result.reason):
                self._retry(item, host, result)
            else:
                self._finish(item, result)
            self._update_host(name, host)
            self._start_requests()
        except Exception as error:
            self.notify(error)

    def _follow_redirect(self, item: QueuedUrl, target: URL) -> None:
        assert item.next_url is not None
        item.requested.append(item.next_url)
        if target in item.requested:
            self._finish(item, FetchError("redirect loop"))
        elif len(item.requested) > _MAX_REDIRECTS:
            self._finish(item, FetchError(f"more than {_MAX_REDIRECTS} redirects"))
        else:
            item.next_url = target
            self._enqueue(item)

    def _retry(self, item: QueuedUrl, host: _Host, error: FetchError) -> None:
        if error.wait:
            host.not_before = max(host.not_before, self._loop.time() + min(error.wait, _LONGEST_WAIT))
        item.tries += 1
        if item.tries > self.settings.retries or error.wait > _LONGEST_WAIT:
            self._finish(item, error)
        else:
            # A host that sent Retry-After gets no request meanwhile, so no further pause is needed.
            pause = 0.0 if error.wait else _FIRST_PAUSE * 2 ** (item.tries - 1) * random.uniform(0.5, 1.5)
            self._loop.call_later(pause, self._start_try, item)

    def _finish(self, item: QueuedUrl, result: Outcome | FetchError) -> None:
        self.unfinished -= 1
        self._changed.set()
        item.on_outcome(result if isinstance(result, Outcome) else Outcome(result.status, result.reason))


def _host_of(item: QueuedUrl) -> str:
    assert item.next_url is not None
    return item.next_url.raw_host or ""
