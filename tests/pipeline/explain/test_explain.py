"""`python -m pipeline.explain` on the samples, and on texts that are in no corpus."""

import json
import shutil

import polars as pl
import pytest

from pipeline.explain.command import main
from tests.support.builds import read_ledger
from tests.support.commands import CommandRunner

SAMPLES = ("cc100-ja", "image-text-ja", "speech-ja")


COMMAND = CommandRunner(main, columns=100)
run, as_json, refused = COMMAND.run, COMMAND.as_json, COMMAND.refused


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request, build_as_user):
    return build_as_user(request.param).out


@pytest.fixture(scope="module")
def text(build_as_user):
    return build_as_user("cc100-ja").out


def test_the_life_of_a_record_of_every_verdict(sample):
    ledger = read_ledger(sample)
    for verdict in ("kept", "dropped", "duplicate", "unreadable"):
        expected = ledger.filter((pl.col("verdict") == verdict) & (pl.col("step").is_null() | (pl.col("step") != "strip"))).row(
            0, named=True
        )
        found = as_json(sample, expected["id"])
        assert found["record"]["verdict"] == verdict and found["not_read_again"] is None
        assert found["cleaned"] is None or found["cleaned"].startswith(expected["excerpt"] or "")
        broken = [rule["rule"] for rule in found["rules"] if rule["broken"]]
        if expected["step"] == "decide":
            assert broken[0] == expected["rule"]  # the first in the manifest's order
        elif verdict in ("kept", "duplicate"):
            assert not broken
        for rule in found["rules"]:
            value = expected.get(rule["rule"])
            if isinstance(value, int | float) and verdict != "unreadable":
                assert rule["value"] == pytest.approx(float(value), nan_ok=True)
        if verdict == "duplicate":
            survivor = found["survivor"]
            assert survivor["record"]["id"] == expected["duplicate_of"] and not survivor["of_excerpts"]
            of_survivor = as_json(sample, expected["duplicate_of"])
            assert {"id": expected["id"], "similarity": expected["similarity"]} in of_survivor["duplicates"]
            assert of_survivor["duplicate_count"] == len(ledger.filter(duplicate_of=expected["duplicate_of"]))
        shown = run(sample, expected["id"])
        assert shown.exit_code == 0 and shown.stdout.startswith(expected["id"]), shown.output


def test_why_a_document_was_dropped_and_what_cleaning_took_out(text):
    row = read_ledger(text).filter(rule="boilerplate_share").row(0, named=True)
    shown = run(text, row["id"]).stdout
    assert f"dropped (step decide): boilerplate_share {row['value']:.6g} (<= 0.5)" in shown
    assert "what cleaning changed: [-…-] {+…+}" in shown and "[-" in shown
    assert "broken" in shown and "boilerplate_share: " in shown
    found = as_json(text, row["id"])
    taken = "".join(change["before"] for change in found["cleaning"])
    assert len(found["raw"]) - len(found["cleaned"]) == len(taken) - sum(len(change["after"]) for change in found["cleaning"])


def test_texts_of_no_corpus(text, tmp_path):
    found = as_json("--text", "今すぐ登録!")
    assert (found["verdict"], found["rule"], found["cleaned"]) == ("dropped", "chars", "今すぐ登録!")
    assert found["not_judged"] == ["recurring_line_share"]
    shown = run("--text", "今すぐ登録!").stdout
    assert shown.startswith("dropped: chars") and "at_least 20  broken" in shown
    assert "not judged without a corpus: recurring_line_share" in shown
    own = tmp_path / "own.toml"
    own.write_text("[chars]\nat_least = 3\n", "utf-8")
    assert as_json("--text", "今すぐ登録!", "--rules", own)["verdict"] == "kept"
    assert as_json(text, "--text", "今すぐ登録!")["rules"] == found["rules"]  # that corpus has the same rules
    page = tmp_path / "page.html"
    page.write_text(
        "<html><body><p>吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。</p></body></html>", "utf-8"
    )
    assert as_json("--file", page)["cleaned"] == "吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。"
    assert as_json("--text", "")["rule"] == "chars"


def test_hostile_text_is_not_obeyed(tmp_path):
    hostile = "\x1b[31m赤い\x07文字\u202eで書かれた、とても長い文章がここにあります。\n" * 3
    for arguments in (["--text", hostile], ["--text", hostile, "--json"]):
        shown = run(*arguments).stdout
        assert not {"\x1b", "\x07", "\u202e"} & set(shown)


def test_what_makes_no_sense(text, tmp_path):
    assert "expected a corpus and the id of a record" in refused()
    assert "expected a corpus and the id of a record" in refused(text)
    offsets = [int(id.rpartition("/")[2]) for id in read_ledger(text)["id"]]
    between = (offsets[40] + 1 + offsets[41]) // 2  # a byte of a document: its id comes first, others by their distance
    others = sorted((one for one in offsets if one != offsets[40]), key=lambda one: abs(one - between))[:2]
    nearest = ", ".join(f"cc100-ja/{one:010}" for one in (offsets[40], *others))
    for reference in (f"cc100-ja/{between:010}", str(between), f"{between:016}"):
        assert f"The nearest ids: {nearest}" in refused(text, reference)
    assert "no record is called '\ufffd'. The nearest ids: " in refused(text, "\udcff")  # a byte that is not UTF-8
    assert "--text and --file exclude one another" in refused("--text", "a", "--file", "b")
    assert "--rules and CORPUS exclude one another" in refused(text, "--text", "a", "--rules", "ja-web")
    assert "leave the id out" in refused(text, "0000000000", "--text", "a")
    assert "--rules is for --text and --file" in refused(text, "0000000000", "--rules", "ja-web")
    assert "there is no preset or manifest 'ja-wep'; did you mean 'ja-web'?" in refused("--text", "a", "--rules", "ja-wep")
    (tmp_path / "iqr.toml").write_text("[chars]\niqr = 1.5\n", "utf-8")
    assert "Leave it out: name a file with the same rules but that one with --rules" in refused(
        "--text", "猫", "--rules", tmp_path / "iqr.toml"
    )
    assert "has rules for speech records: here texts are judged" in refused("--text", "a", "--rules", "speech-ja")
    assert "there is no such file" in refused("--file", tmp_path / "x")
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("吾輩は猫である。", "utf-8")
    for several in (tmp_path, tmp_path / "*.txt"):
        assert "expected a file, which is one document" in refused("--file", several)
    copy = tmp_path / "copy"
    shutil.copytree(text, copy, ignore=shutil.ignore_patterns("work", "data"))
    kept = read_ledger(text).filter(verdict="kept")["id"][0]
    assert "is gone. Build it again" in refused(copy, kept)
    shutil.rmtree(copy / ".cache")
    message = refused(copy, kept)  # where its input is nobody knows, so that no command is suggested
    assert "cp -a ORIGINAL COPY takes it along" in message and "from its input (cc100-ja.txt.xz)" in message
    assert "python -m" not in message


def test_what_a_source_says_is_cut(build, tmp_path):
    title, url = "題" * 5000, f"https://a.jp/{'b' * 5000}"
    row = {
        "text": "吾輩は猫である。名前はまだ無い。どこで生れたか頓と見当がつかぬ。",
        "url": url,
        "title": f"{title}\n\x1b[31m",
    }
    (tmp_path / "a.jsonl").write_text(json.dumps(row), "utf-8")
    done = build("jsonl", "--input", tmp_path / "a.jsonl", "--out", tmp_path / "out", "--set", 'source.keep=["url","title"]')
    assert done.returncode == 0, done.stderr
    shown = run(tmp_path / "out", read_ledger(tmp_path / "out")["id"][0]).stdout
    assert f"title: {title[:200]} …\n" in shown and f"url: {url[:200]} …\n" in shown
    assert max(map(len, shown.splitlines())) < 300 and "\x1b" not in shown
