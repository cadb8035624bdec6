"""A real browser, Debian's Chromium without a window, for pages that the project writes or serves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

_OPTIONS = (
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip


@contextmanager
def open_browser() -> Iterator[Any]:
    """Yield a browser of Playwright. Skips the test where there is no Chromium."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=chromium, args=[*_OPTIONS])
        yield browser
        browser.close()


@dataclass
class Watched:
    """A page, and what it did that it should not: messages of errors and warnings, requests, dialogs."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def overflow(self) -> int:
        """Pixels that the page is wider than its window."""
        return int(self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))


@contextmanager
def watch_page(browser: Any, width: int = 1280, height: int = 900) -> Iterator[Watched]:
    """Yield a page that is watched from its beginning."""
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US", color_scheme="light")
    watched = Watched(context.new_page())
    page = watched.page
    page.set_default_timeout(60_000)
    page.on("console", lambda message: watched.errors.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: watched.errors.append(str(error)))
    page.on("dialog", lambda dialog: (watched.errors.append(f"dialog {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: watched.requests.append(request.url) if not request.url.startswith("data:") else None)
    yield watched
    context.close()
