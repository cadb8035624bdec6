"""`report.html` in a real browser: it opens without an error or a request, switches, sorts and tells; nothing hostile runs in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from pipeline.core.language import speak, translate, translate_message
from pipeline.report.page import embed_json, read_pictures, render_page
from tests.support.browser import open_browser, watch_page

pytestmark = pytest.mark.e2e
LABELS = Path(__file__).parents[3] / "pipeline" / "report" / "page_files" / "labels.json"
RULES = (
    "characters",
    "minhash",
    "phash",
    "acoustic",
    "exact",
    "corpus",
    "programme",
    "speaker",
)  # labels that the report names
SCRIPT = LABELS.with_name("report.js")


@pytest.fixture(scope="module")
def browser():
    with open_browser() as browser:
        yield browser


def open_report(watched, path: Path, query: str = "") -> None:
    watched.page.goto(path.as_uri() + query)
    watched.page.wait_for_selector("html[data-ready]", state="attached")


@pytest.mark.parametrize("name", ["cc100-ja", "image-text-ja", "speech-ja"])
def test_a_report_opens_switches_sorts_and_tells(browser, build_as_user, name):
    path = build_as_user(name).out / "report.html"
    report = json.loads(path.with_name("report.json").read_text("utf-8"))
    with watch_page(browser) as watched:
        page = watched.page
        open_report(watched, path)
        assert page.title().startswith(report["corpus"]["title"])
        assert page.inner_text(".tile.in b") == f"{report['totals']['records']:,}"
        # Every measure with a value has a chart, with a line for every bound.
        measured = [one for one in report["measures"] if one["records"] or one["inside"] is not None or one["fitted"]]
        assert page.locator(".card").count() == len(measured)
        drawn = [one for one in report["measures"] if one["bins"]]
        assert page.locator(".card svg").count() >= len(drawn)
        bounded = next(one for one in drawn if one["bounds"])
        lines = page.locator(f"#measure-{bounded['name']} svg g[aria-label=rule][stroke-dasharray] line")
        assert lines.count() == len(bounded["bounds"])
        # A chart tells of the bin under the pointer.
        chart = page.locator(f"#measure-{bounded['name']} svg")
        chart.locator("[aria-label=rect] rect").first.hover()
        chart.locator("[aria-label=tip] text").wait_for()
        assert re.search(r"kept \d", chart.locator("[aria-label=tip]").text_content())
        # Tables sort by the numbers, not by what is written.
        sort = page.locator("#reasons-table th button").nth(2)
        for order, reverse in (("descending", True), ("ascending", False)):
            sort.click()
            assert page.locator("#reasons-table th").nth(2).get_attribute("aria-sort") == order
            shown = [int(cell.replace(",", "")) for cell in page.locator("#reasons-table td:nth-child(3)").all_inner_texts()]
            assert shown == sorted((one["records"] for one in report["reasons"]), reverse=reverse)
        # A rule's examples are a click away.
        rule = next(one for one in report["reasons"] if one["examples"]["near"])
        page.click(f"#reasons-table a[href='#rule-{rule['rule']}']")
        assert page.locator(f"#rule-{rule['rule']}").get_attribute("open") is not None
        assert rule["examples"]["near"][0]["id"] in page.inner_text(f"#rule-{rule['rule']}")
        # Both languages, both themes.
        assert page.locator("h2").first.inner_text() == "From raw material to shards"
        page.click("#language")
        assert page.locator("h2").first.inner_text() == "原料からシャードまで"
        assert page.evaluate("document.documentElement.lang") == "ja"
        ground = "getComputedStyle(document.body).backgroundColor"
        before = page.evaluate(ground)
        page.click("#theme")
        assert page.evaluate(ground) != before
        if name != "cc100-ja":
            assert page.locator(".sheet img").count() >= 20
            assert page.evaluate("[...document.images].every((one) => one.naturalWidth > 0)")
        # What rules and measures are is told in Japanese, too: nothing of ours stays English.
        rule = next(one for one in report["reasons"] if one["reason"] and one["examples"]["near"])
        with speak("ja"):
            told = [translate(rule["description"]), translate(rule["reason"])]
        assert all(words in page.locator(f"#rule-{rule['rule']}").text_content() for words in told)
        assert page.locator(".card p[lang=en], details p span[lang=en]:not(:last-child)").count() == 0
        assert report["corpus"]["near_duplicate"] not in page.inner_text("#duplicates")
        with speak("ja"):
            warnings = [translate_message(warning) for warning in report["warnings"]]
        assert page.locator(".warnings li").all_text_contents()[: len(warnings)] == warnings
        # On a telephone every column of every table is seen without scrolling.
        for width in (390, 768):
            page.set_viewport_size({"width": width, "height": 844})
            for language in ("en", "ja"):
                open_report(watched, path, f"?lang={language}")
                assert watched.overflow == 0, width
                scrolled = "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth).length"
                assert page.evaluate(scrolled) == 0, (width, language)
        assert watched.errors == []
        assert {url.partition("?")[0] for url in watched.requests} == {path.as_uri()}


ATTACKS = [
    "<script>window.ran = 1</script>",
    "</script><script>window.ran = 2</script>",
    "<img src=x onerror='window.ran = 3'>",
    "<svg/onload=window.ran=4>",
    "<style>body { display: none }</style>",
    "<a href='javascript:window.ran = 5'>ここを押す</a>",
    "<!--<script>",
    "]]><iframe srcdoc='<script>top.ran = 6</script>'></iframe>",
    "\u202e逆から読む\u2066隔離\u2028行の区切り",
    "{{ 7 * 7 }} ${window.ran = 7}",
]


@pytest.fixture(scope="module")
def hostile(build, shared_folders) -> Path:
    """A corpus that wants to run something wherever it is shown."""

    def fill(folder: Path) -> None:
        rows = []
        for number, attack in enumerate(ATTACKS * 4):
            sentences = f"{number}番目の文書は、読む人に何かをさせようとします。しかし文字として現れるだけです。" * 3
            row = {
                "text": f"{attack} {sentences}",
                "url": f"javascript:window.ran=8//{attack}",
                "license": attack,
                "kind": attack,
            }
            rows += [row, row | {"url": f"https://example.com/\"onmouseover='window.ran=9'/{number}"}]
        rows += [{"text": "あ" * 1_000_000, "url": "https://a.jp/", "license": "x" * 100_000, "kind": "y" * 100_000}]
        rows += [{"text": attack, "url": None, "license": None, "kind": attack} for attack in ATTACKS]
        name = '<img src=x onerror=window.ran=10>".jsonl'
        (folder / name).write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
        attacks = json.dumps("".join(ATTACKS[:3]))
        sets = [
            f"title={attacks}",
            f"description={attacks}",
            'source.keep=["url","kind"]',
            'rules.kind.none_of=["<!--<script>"]',
        ]
        options = [part for one in sets for part in ("--set", one)]
        done = build("jsonl", "--input", folder / name, "--out", folder / "out", *options)
        assert done.returncode == 0, done.stdout + done.stderr

    return shared_folders.make("hostile-report", fill) / "out" / "report.html"


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_hostile_runs_or_breaks_the_layout(browser, hostile, width):
    with watch_page(browser, width) as watched:
        page = watched.page
        for language in ("en", "ja"):
            open_report(watched, hostile, f"?lang={language}")
            assert "<script>window.ran = 1</script>" in page.inner_text("h1")
            page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
            shown = page.inner_text("main")
            assert "<img src=x onerror" in shown and "\u202e" not in shown and "\u2028" not in shown
            assert page.locator("main script, main iframe, main style:not(svg style), main a[href^='javascript']").count() == 0
            for link in page.locator("main a").all():
                assert re.match(r"#|https?://", link.get_attribute("href"))
            page.mouse.move(300, 400)
            assert watched.overflow == 0
            assert page.evaluate("window.ran === undefined")
        assert watched.errors == []
        assert {url.partition("?")[0] for url in watched.requests} == {hostile.as_uri()}
    assert hostile.stat().st_size < 5_000_000


def test_a_script_that_is_not_the_pages_own_is_refused(browser, hostile, tmp_path):
    """The policy holds even where text became markup: it is what is left if a line of ours were wrong."""
    content = hostile.read_text("utf-8")
    broken = tmp_path / "broken.html"
    markup = "".join(ATTACKS[:5]) + "<link rel=stylesheet href=http://127.0.0.1:9/x>"
    broken.write_text(content.replace("<body>", f"<body><div>{markup}</div>"), "utf-8")
    with watch_page(browser) as watched:
        open_report(watched, broken)
        assert watched.page.evaluate("window.ran === undefined")
        assert len([error for error in watched.errors if "Content Security Policy" in error]) >= 4
        assert not [url for url in watched.requests if url.startswith("http")]


def test_every_label_is_in_both_languages_and_is_used():
    labels, script = json.loads(LABELS.read_text("utf-8")), SCRIPT.read_text("utf-8")
    assert all(len(words) == 2 and all(words) for words in labels.values())
    said = set(re.findall(r'\bsay\("(\w+)"', script))
    assert said <= set(labels)
    for key, (english, japanese) in labels.items():
        assert sorted(re.findall(r"\{\d\}", english)) == sorted(re.findall(r"\{\d\}", japanese))
        assert key in RULES or key.startswith("step_") or f'"{key}"' in script, key


def test_json_in_a_page_cannot_end_its_element():
    value = {"text": "</script><!--\u2028\u202e&", "more": [1, None]}
    text = embed_json(value)
    assert not set("<>&\u2028\u202e") & set(text)
    assert json.loads(text) == value


def test_pictures_are_read_back_from_a_page(build_as_user):
    out = build_as_user("cc100-ja").out
    report = json.loads((out / "report.json").read_text("utf-8"))
    pictures = {"a/</script>": "data:image/webp;base64,AA=="}
    assert read_pictures(render_page(report, pictures)) == pictures
    with pytest.raises(ValueError):
        read_pictures("<html></html>")
