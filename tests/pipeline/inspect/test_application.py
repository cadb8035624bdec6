"""The application over real corpora, asked over HTTP as a browser asks it: who gets in, what is served, what is refused."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from pipeline.core.language import list_catalogue
from pipeline.core.ownership import STATE_FOLDER
from pipeline.inspect import application
from pipeline.inspect.command import main
from pipeline.inspect.media import find_type
from pipeline.inspect.view import VERDICTS
from pipeline.whatif.command import main as whatif
from tests.support.builds import build_environment
from tests.support.commands import CommandRunner
from tests.support.inspecting import TOKEN, Served, serve_corpus


@pytest.fixture(scope="module")
def text(reference: Path) -> Iterator[Served]:
    with serve_corpus(reference) as served:
        yield served


@pytest.fixture(scope="module")
def ledger(text: Served) -> pl.DataFrame:
    return text.watched.open().built.scan_ledger().collect()


# -- who gets in


def test_only_the_token_lets_in(text):
    assert text.ask("/", has_token=False).status == 403
    assert text.ask("/?token=wrong", has_token=False).status == 403
    assert text.ask("/media?id=x", has_token=False, Cookie=f"seimai-inspect-{text.port}=").status == 403
    entrance = text.ask(f"/?token={quote(TOKEN)}", has_token=False)
    cookie = entrance.headers["set-cookie"].lower()
    assert entrance.status == 200 and "httponly" in cookie and "samesite=strict" in cookie and "cc100" not in entrance.text
    assert text.ask("/").status == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "[::1]:{port}", "127.0.0.1.evil:{port}", ""]
)
def test_other_hosts_are_refused(text, host):
    assert text.ask("/", Host=host.format(port=text.port)).status == 400
    assert text.ask("/", Host=f"localhost:{text.port}").status == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"])
@pytest.mark.parametrize("path", ["/", "/records", "/nothing"])
def test_nothing_can_be_written(text, method, path):
    answer = text.ask(path, method)
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD"


def test_other_pages_on_this_machine_are_refused(text):
    assert text.ask("/", Sec_Fetch_Site="same-site").status == text.ask("/", Sec_Fetch_Site="cross-site").status == 403
    assert text.ask("/", Sec_Fetch_Site="same-origin").status == text.ask("/", Sec_Fetch_Site="none").status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/static/../command.py", "/static/%2e%2e/command.py", "/static/..%2f..%2fcommand.py", "/static//etc/passwd", "/static/",
        "/media?id=/etc/passwd", "/media?id=../../README.md", "/record?id=/etc/passwd", "/README.md", "/data/", "/../../etc/passwd",
        "/nothing", "/source?name=../ledger",
    ],
)  # fmt: skip
def test_no_path_is_opened(text, path):
    answer = text.ask(path)
    assert answer.status == 404 and b"root:" not in answer.body and b"import " not in answer.body


def test_every_answer_has_headers_that_forbid_what_is_not_ours(text):
    for path, has_token in (("/", True), ("/records", True), ("/static/inspect.js", True), ("/nothing", True), ("/", False)):
        headers = text.ask(path, has_token=has_token).headers
        assert "default-src 'none'" in headers["content-security-policy"] and "unsafe" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "no-store" and "server" not in headers
    assert text.ask("/", "HEAD").body == b""


# -- pages


def test_pages_of_every_kind_are_there_in_both_languages(text, ledger):
    rules = ["language", "chars", "minhash", "exact", "unreadable", "advertising_share", "recurring_line_share"]
    ids = [ledger.filter(verdict=verdict)["id"][0] for verdict in ("kept", "dropped", "duplicate", "unreadable")]
    paths = ["/", "/sources", "/records", "/records?q=の", "/clusters", "/clusters?page=99", "/cleaning"]
    paths += [f"/source?name={quote(ledger['source'][0])}", *(f"/rule?name={rule}" for rule in rules)]
    paths += [f"/{page}?id={quote(id)}" for page in ("record", "changes") for id in ids] + [f"/pair?id={quote(ids[2])}"]
    for path in paths:
        for language, words in (("en", "Overview"), ("ja", "概要")):
            answer = text.ask(quote(path, safe="/?=&%") + ("&" if "?" in path else "?") + f"lang={language}")
            assert answer.status == 200 and words in answer.text, path
            assert f'lang="{language}"' in answer.text and "None" not in answer.text


def test_a_source_is_two_clicks_from_its_losses(text, ledger):
    source = ledger["source"][0]
    link = f"/source?name={quote(source, safe='')}"
    assert f'href="{link}"' in text.ask("/").text
    dropped = ledger.filter(rule="language")
    assert f"/records?source={quote(source, safe='')}&amp;verdict=dropped&amp;rule=language" in text.ask(link).text
    assert f"<h1>{len(dropped)} records</h1>" in text.ask(f"/records?source={quote(source)}&verdict=dropped&rule=language").text


def test_what_is_unknown_or_wrong_is_said(text, ledger):
    missing = text.ask("/record?id=cc100-ja/0000000001")
    nearest = quote(ledger["id"][0], safe="")
    assert missing.status == 404 and f'href="/record?id={nearest}"' in missing.text
    several = text.ask("/record?id=0")
    assert several.status == 404 and "ids end in" in several.text and several.text.count('class="id"') == 20
    folder = text.watched.open().built.folder
    told = text.ask("/media?id=none", Accept_Language="ja")
    assert told.status == 404 and "というレコードはありません" in told.text
    for path in ("/record?id=none", "/record?id=0", "/rule?name=none", "/source?name=none", "/pair?id=x", "/media?id=none"):
        answer = text.ask(path)
        assert answer.status == 404 and str(folder) not in answer.text and str(folder.parent) not in answer.text, path
    assert text.ask("/record").status == text.ask("/records?min.chars=x").status == text.ask("/clusters?page=x").status == 400
    assert "数を指定してください" in text.ask("/records?min.chars=x&lang=ja").text


def test_an_end_of_an_id_is_enough(text, ledger):
    id = ledger["id"][5]
    assert f"<bdi>{id}</bdi>" in text.ask(f"/record?id={id.rpartition('/')[2]}").text


def test_a_search_finds_ids_and_their_ends(text, ledger):
    id = ledger["id"][5]
    for searched in (id, id.rpartition("/")[2]):
        found = text.ask(f"/records?q={quote(searched, safe='')}").text
        assert "<h1>1 records</h1>" in found and f"<bdi>{id}</bdi>" in found or f">{id}</a>" in found


def test_the_language_is_the_browsers_until_another_is_chosen(text):
    for accepted, language in (("ja,en-US;q=0.9,en;q=0.8", "ja"), ("fr, en;q=0.5, ja;q=0.4", "en"), ("en;q=0,ja;q=0.1", "ja")):
        assert f'lang="{language}"' in text.ask("/", Accept_Language=accepted).text.partition("<body>")[0], accepted
        assert f'lang="{language}"' in text.ask("/none", Accept_Language=accepted).text
    assert '<html lang="en"' in text.ask("/?lang=en", Accept_Language="ja").text
    chosen = f'seimai-inspect-{text.port}="{TOKEN}"; seimai-language=en'
    assert '<html lang="en"' in text.ask("/", has_token=False, Accept_Language="ja", Cookie=chosen).text


def test_a_chosen_bound_is_a_command_of_whatif_with_its_answer(text, ledger):
    """The page counts, and prints the command that says, what a build would keep of what reaches the rule."""
    built = text.watched.open().built
    values = ledger.filter(pl.col("verdict") != "unreadable")["hiragana_share"].drop_nulls()
    page = text.ask("/rule?name=hiragana_share&min.hiragana_share=0.25").text
    command = f"python -m pipeline.whatif {built.shown} --set rules.hiragana_share.at_least=0.25"
    assert f'<code id="whatif">{command}</code>' in page
    assert f"{int((values >= 0.25).sum())} of {len(ledger)} records are within" in page
    both = text.ask("/records?min.hiragana_share=0.25&max.chars=500&max.cluster_size=3").text
    assert f'<code id="whatif">{command} --set rules.chars.at_most=500</code>' in both
    assert "pipeline.whatif" not in text.ask("/rule?name=hiragana_share").text
    found = CommandRunner(whatif).as_json(*shlex.split(command)[3:], "--no-replay")
    kept = ledger.filter(pl.col("verdict") == "kept")["hiragana_share"]
    assert found["kept"]["lost"]["records"] == int((kept < 0.25).sum())


def test_a_step_of_a_slider_is_a_value(text, ledger):
    """What a slider sets is a value of the column with all its digits, so that the record that has it stays within."""
    quantiles = text.watched.open().totals.find_quantiles("hiragana_share")
    assert set(np.float32(quantiles)) <= set(ledger["hiragana_share"].drop_nulls().to_numpy())


def test_every_word_of_the_pages_has_its_japanese():
    """Add what is missing to the table `inspect` of `pipeline/core/words/ja.toml`."""
    templates = Path(application.__file__).parent / "templates"
    said = {
        words for path in templates.glob("*.j2") for words in re.findall(r"""\bt\(["'](.+?)["']\)""", path.read_text("utf-8"))
    }
    said |= {words for _, words in application.PAGES} | set(VERDICTS)
    assert len(said) > 60 and not said - set(list_catalogue())


# -- images and recordings


def test_a_record_that_is_no_duplicate_has_no_pair(text, ledger):
    kept = ledger.filter(verdict="kept")["id"][0]
    answer = text.ask(f"/pair?id={kept}")
    assert answer.status == 404 and "is no duplicate" in answer.text


def test_images_come_from_shards_and_input(build_as_user):
    built = build_as_user("image-text-ja")
    with serve_corpus(built.out) as served:
        ledger = served.watched.open().built.scan_ledger().collect()
        kept = ledger.filter(verdict="kept")["id"][0]
        shards = served.watched.open().built.scan_shards().filter(pl.col("id") == kept).select("image").collect()
        answer = served.ask(f"/media?id={kept}")
        assert answer.body == shards["image"][0]["bytes"] and answer.headers["content-type"].startswith("image/")
        for verdict in ("dropped", "duplicate"):
            answer = served.ask(f"/media?id={ledger.filter(verdict=verdict)['id'][0]}")
            assert answer.status == 200 and answer.headers["content-type"].startswith("image/"), verdict
        assert "<img" in served.ask("/clusters").text and served.ask("/rule?name=phash").status == 200


def test_recordings_are_served_in_ranges(build_as_user):
    built = build_as_user("speech-ja")
    with serve_corpus(built.out) as served:
        id = served.watched.open().built.scan_ledger().filter(verdict="kept").select("id").collect()["id"][0]
        complete = served.ask(f"/media?id={id}")
        assert complete.headers["content-type"] == "audio/flac" and complete.headers["accept-ranges"] == "bytes"
        size = len(complete.body)
        for asked, start, stop in (("0-99", 0, 100), ("100-", 100, size), ("-10", size - 10, size), (f"0-{size * 9}", 0, size)):
            part = served.ask(f"/media?id={id}", Range=f"bytes={asked}")
            assert part.status == 206 and part.body == complete.body[start:stop]
            assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert served.ask(f"/media?id={id}", Range=f"bytes={size}-").status == 416
        for odd in ("bytes=5-1,7-8", "items=0-1", "bytes=-", "bytes=x"):
            assert served.ask(f"/media?id={id}", Range=odd).body == complete.body


def test_a_corpus_of_text_has_no_media(text, ledger):
    answer = text.ask(f"/media?id={ledger['id'][0]}")
    assert answer.status == 404 and "neither images nor recordings" in answer.text and "<audio" not in text.ask("/records").text


@pytest.mark.parametrize("data", [b"<svg onload=alert(1)>", b"<html>", b"%PDF-1.7", b"", b"RIFF\0\0\0\0AVI "])
def test_what_is_no_image_is_not_served_as_one(data):
    assert find_type(data) == "application/octet-stream"


# -- the command


def test_a_corpus_that_is_rebuilt_is_noticed(build, tmp_path, mixed):
    options = ("cc100-ja", "--input", mixed, "--out", tmp_path / "out", "--limit", 60)
    assert build(*options).returncode == 0
    with serve_corpus(tmp_path / "out") as served:
        before = served.ask("/records?verdict=kept").text
        assert "was rebuilt" not in before
        assert build(*options, "--set", "rules.chars.at_least=300").returncode == 0
        after = served.ask("/records?verdict=kept")
        assert after.status == 200 and "This corpus was rebuilt while it was open" in after.text
        assert before.partition("<h1>")[2][:20] != after.text.partition("<h1>")[2][:20]
        (tmp_path / "out" / STATE_FOLDER / "state.json").write_text("{", "utf-8")
        gone = served.ask("/")
        assert gone.status == 503 and "not built to its end" in gone.text


def test_shards_that_are_moved_away_are_told_and_found_again(reference, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(reference, copy, ignore=shutil.ignore_patterns("work"))
    paths = ("/", "/records", "/records?q=の", "/clusters", "/cleaning", "/rule?name=chars", f"/media?id={0:010}")
    with serve_corpus(copy) as served:
        assert served.ask("/").status == 200
        shard = sorted((copy / "data").iterdir())[0]
        for place, named in ((copy / "data", "data/"), (shard, f"data/{shard.name}"), (copy / "ledger", "ledger/"), (copy, "")):
            place.rename(tmp_path / "elsewhere")
            for path in paths:
                answer = served.ask(quote(path, safe="/?=&"))
                assert answer.status == (404 if path.startswith("/media") else 503), (place, path, answer.text)
                assert named in answer.text and "fault of Seimai" not in answer.text
            (tmp_path / "elsewhere").rename(place)
            assert served.ask("/").status == 200, place


def test_what_cannot_be_browsed_is_refused(reference, tmp_path):
    run = CliRunner().invoke
    assert run(main, [str(tmp_path / "none")]).exit_code == 2
    (tmp_path / "foreign").mkdir()
    assert "was not made by Seimai" in run(main, [str(tmp_path / "foreign")]).stderr
    old = tmp_path / "old"
    shutil.copytree(reference, old, ignore=shutil.ignore_patterns("work"))
    state = json.loads((old / STATE_FOLDER / "state.json").read_text("utf-8"))
    (old / STATE_FOLDER / "state.json").write_text(json.dumps(state | {"versions": state["versions"] | {"write": 1}}), "utf-8")
    told = run(main, [str(old)])
    assert told.exit_code == 2 and "by another version of Seimai" in told.stderr and "python -m pipeline.build" in told.stderr


def test_a_port_in_use_is_said(reference):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        told = CliRunner().invoke(main, [str(reference), "--port", str(taken.getsockname()[1])])
    assert told.exit_code == 2 and "is in use by another program" in told.stderr


def test_without_the_extra_it_is_named(reference, monkeypatch):
    monkeypatch.setattr("pipeline.core.libraries.find_spec", lambda name: None)
    told = CliRunner().invoke(main, [str(reference)])
    assert told.exit_code == 2 and "pip install 'seimai[inspect]'" in told.stderr


@pytest.mark.e2e
def test_the_command_prints_an_address_and_ends_quietly(reference):
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.inspect", str(reference)],
        env=build_environment() | {"PYTHONUNBUFFERED": "1"}, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        process.stdout.readline()
        address = process.stdout.readline().strip()
        with urllib.request.urlopen(address) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("", "") and process.returncode == 0
    finally:
        process.kill()
