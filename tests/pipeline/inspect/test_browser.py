"""The pages in a real browser: what people do in them, and what hostile content cannot."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.support.browser import open_browser, watch_page
from tests.support.inspecting import Served, enter, serve_corpus

_CANARY = "window.ran=1;document.title='ran'"
HOSTILE = [
    f"<script>{_CANARY}</script>", f"</script><script>{_CANARY}</script>", f'<img src=x onerror="{_CANARY}">',
    f'"><svg onload="{_CANARY}">', f"javascript:{_CANARY}", "\u202ecod.exe\u202c と \u2066逆\u2069 と \x1b[31m赤",
    "{{ 7*7 }} {% raw %} ${7*7}",
    "長" * 1_000_000,
]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def text(reference: Path) -> Iterator[Served]:
    with serve_corpus(reference) as served:
        yield served


def test_search_filter_sort_and_copy(browser, text):
    ledger = text.watched.open().built.scan_ledger().collect()
    with watch_page(browser) as watched:
        page = watched.page
        enter(page, text)
        assert page.locator("h1").inner_text() == text.watched.open().built.manifest.title
        rules = page.locator("table").nth(1)
        rules.get_by_role("button", name="Rule").click()
        names = rules.locator("tbody tr td:first-child").all_inner_texts()
        assert names == sorted(names) and len(names) > 3
        page.fill("header input[name=q]", "。")
        page.click("header button")
        page.wait_for_load_state()
        assert "Searched: ends of all ids, the first 200 characters" in page.locator("main").inner_text()
        page.goto(f"{text.address}/records?with=chars")
        slider = page.locator(".slider input[type=range]").first
        assert page.locator(".slider input[type=range]").count() == 2
        slider.focus()
        with page.expect_navigation():
            slider.press("PageUp")  # a tenth of the records, whatever their values
        least = float(page.locator("input[name='min.chars']").input_value())
        assert page.locator("h1").inner_text() == f"{len(ledger.filter(pl.col('chars') >= least))} records" and least > 0
        page.context.grant_permissions(["clipboard-read", "clipboard-write"])

        def copy(summary: str) -> str:
            part = page.locator("details.code", has_text=summary)
            part.locator("summary").click()
            part.get_by_role("button", name="Copy").click()
            part.get_by_role("button", name="✓").wait_for()
            return str(page.evaluate("navigator.clipboard.readText()"))

        command = copy("What a build with these limits would keep")
        assert command == f"python -m pipeline.whatif {text.watched.open().built.shown} --set rules.chars.at_least={least:g}"
        names = {}
        exec(copy("This page in polars"), names)
        shown = page.locator(".records .id").all_inner_texts()
        assert names["page"]["id"].to_list() == shown and len(shown) > 10
        assert watched.errors == [] and all(url.startswith(text.address) for url in watched.requests)


def test_a_duplicate_stands_beside_its_survivor(browser, text):
    ledger = text.watched.open().built.scan_ledger().filter(rule="minhash").sort("similarity").collect()
    with watch_page(browser) as watched:
        page = watched.page
        enter(page, text)
        page.get_by_role("link", name="Duplicates").click()
        assert page.locator(".cluster").count() > 0
        page.goto(f"{text.address}/pair?id={ledger['id'][0]}")
        sides = page.locator(".comparison .text").all_inner_texts()
        assert len(sides) == 2 and page.locator("ins, del").count() > 0
        assert page.locator(".comparison .id").all_inner_texts() == [ledger["id"][0], ledger["duplicate_of"][0]]
        page.goto(f"{text.address}/rule?name=chars")
        assert page.locator(".histogram rect.keeps").count() == 40 and page.locator(".histogram line.limit").count() == 1
        assert watched.errors == []


@pytest.mark.parametrize("width", [1280, 390])
def test_no_page_is_wider_than_its_window(browser, text, width):
    ids = text.watched.open().built.scan_ledger().filter(verdict="duplicate").select("id").collect()["id"]
    with watch_page(browser, width) as watched:
        enter(watched.page, text)
        for path in (
            "/?lang=ja",
            "/records?with=chars&verdict=dropped",
            "/rule?name=chars",
            "/clusters",
            f"/pair?id={ids[0]}",
            f"/record?id={ids[0]}",
        ):
            watched.page.goto(text.address + path)
            assert watched.overflow <= 0, path
        assert watched.errors == []


def test_recordings_play(browser, build_as_user):
    with serve_corpus(build_as_user("speech-ja").out) as served, watch_page(browser) as watched:
        page = watched.page
        enter(page, served)
        page.goto(f"{served.address}/records?verdict=kept&verdict=dropped")
        seconds = page.evaluate(
            """async () => {
                const audio = document.querySelector("audio");
                audio.muted = true;
                await audio.play();
                await new Promise((done) => audio.addEventListener("timeupdate", done, { once: true }));
                audio.currentTime = audio.duration / 2;
                await new Promise((done) => audio.addEventListener("seeked", done, { once: true }));
                return [audio.duration, audio.currentTime];
            }"""
        )
        assert seconds[0] > 0.2 and 0 < seconds[1] <= seconds[0]
        assert watched.errors == []


@pytest.fixture(scope="module")
def hostile(build, tmp_path_factory) -> Iterator[Served]:
    """A corpus whose texts, titles and addresses are what attackers and accidents write."""
    folder = tmp_path_factory.mktemp("hostile")
    body = "これは普通の文章です。昨日は雨が降りましたが、今日はよく晴れています。明日もきっと晴れるでしょう。"
    rows = [
        {"text": f"{words}\n{body}{number}", "title": words[:300], "url": f"https://a.jp/{words[:100]}"}
        for number, words in enumerate(HOSTILE)
    ]
    rows += [{"text": words, "title": words[:300], "url": words[:300]} for words in HOSTILE]
    name = "<img src=x onerror=alert(1)>.jsonl"
    (folder / name).write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    (folder / "other.jsonl").write_text(json.dumps(rows[0]), "utf-8")
    options = (
        "--input",
        folder / name,
        "--input",
        folder / "other.jsonl",
        "--out",
        folder / "out",
        "--set",
        'rules.skip=["longest_letter_run"]',
    )
    done = build("jsonl", *options)
    assert done.returncode == 0, done.stderr
    with serve_corpus(folder / "out") as served:
        yield served


def test_nothing_of_hostile_content_runs(browser, hostile):
    ledger = hostile.watched.open().built.scan_ledger().collect()
    assert {"kept", "dropped"} <= set(ledger["verdict"])
    with watch_page(browser, 390) as watched:
        page = watched.page
        enter(page, hostile)
        addresses = [f"{hostile.address}{path}" for path in ("/", "/sources", "/clusters", "/cleaning", "/records?with=chars")]
        for words in HOSTILE[:7]:
            page.goto(f"{hostile.address}/records")
            page.fill("header input[name=q]", words[:80])
            page.click("header button")
            page.wait_for_load_state()
            assert page.evaluate("window.ran") is None and watched.overflow <= 0
        for id in ledger["id"]:
            addresses += [f"{hostile.address}/{kind}?id={id}" for kind in ("record", "changes")]
        for source in ledger["source"].unique():
            page.goto(hostile.address)
            page.get_by_role("link", name=source, exact=True).click()
            assert page.locator("h1").inner_text() == source
        for address in addresses:
            page.goto(address)
            assert page.evaluate("window.ran") is None and page.title() != "ran" and watched.overflow <= 0, address
            assert page.locator("main script, main [onerror], main [onload], main a[href^='javascript:']").count() == 0
        marked = ledger.filter(pl.col("excerpt").str.contains("cod.exe"))["id"]
        page.goto(f"{hostile.address}/changes?id={marked[0]}")
        assert "U+202E" in page.locator("main").inner_text()
        longest = ledger.filter(pl.col("chars") > 900_000)
        if len(longest.filter(verdict="kept")):
            page.goto(f"{hostile.address}/record?id={longest.filter(verdict='kept')['id'][0]}")
            assert page.get_by_role("link", name="show all").count() == 1
        assert watched.errors == [] and all(url.startswith(hostile.address) for url in watched.requests)
