"""Built corpora, read again: the samples of all modalities, each as a user built it."""

import json
import lzma
import random
import shutil

import polars as pl
import pytest

from pipeline.core.errors import UsageError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.corpus.built import open_corpus
from pipeline.corpus.content import SHARD_TEXTS, read_content
from pipeline.corpus.records import find_record, read_record, read_shard_rows
from pipeline.manifest.shipped import manifest_folder
from tests.support.builds import read_ledger, read_shards

SAMPLES = ("cc100-ja", "image-text-ja", "speech-ja")


@pytest.fixture(scope="module", params=SAMPLES)
def sample(request, build_as_user):
    return open_corpus(build_as_user(request.param).out)


@pytest.fixture(scope="module")
def text(build_as_user):
    return open_corpus(build_as_user("cc100-ja").out)


def draw(corpus, count):
    """Draw records of every verdict."""
    verdicts = corpus.scan_ledger().select("verdict").collect()["verdict"]
    chosen = random.Random(1)
    return [
        read_record(corpus, number)
        for verdict in ("kept", "dropped", "duplicate", "unreadable")
        for number in chosen.sample(range(len(verdicts)), len(verdicts))
        if verdicts[number] == verdict
    ][:: max(1, len(verdicts) // count)]


def test_a_record_is_found_by_its_id_and_by_a_unique_ending(sample):
    ledger = read_ledger(sample.folder)
    for number in (0, len(ledger) // 2, len(ledger) - 1):
        expected = ledger.row(number, named=True)
        found = find_record(sample, expected["id"])
        assert (found.number, found.row) == (number, expected)
        assert find_record(sample, expected["id"].rpartition("/")[2]) == found


def test_text_as_it_came_and_as_it_is_kept(sample):
    shards = read_shards(sample.folder)
    texts = dict(shards.select("id", SHARD_TEXTS[sample.manifest.modality]).iter_rows())
    for record in draw(sample, 12):
        content = read_content(sample, record)
        assert content.reason is None and content.raw is not None, content.reason
        if record.row["verdict"] == "kept":
            assert content.cleaned == (texts[record.id] or "")
        if record.row["verdict"] != "unreadable":
            assert content.cleaned is not None and content.cleaned.startswith(record.row["excerpt"])


def test_the_raw_text_is_what_stands_at_its_offset(text):
    stream = lzma.decompress((manifest_folder() / "samples" / "cc100-ja.txt.xz").read_bytes())
    for record in draw(text, 12):
        content = read_content(text, record)
        raw = content.raw.encode() if record.row["verdict"] != "unreadable" else b""
        start = int(content.locator)
        assert stream[start:].startswith(raw) and stream[start - 2 : start] in (b"\n\n", b"")
        assert stream[start + len(raw) : start + len(raw) + 1] in (b"", b"\n") or not raw


def test_without_intermediates_the_input_is_cleaned_again(sample, tmp_path):
    shutil.copytree(sample.folder, tmp_path / "corpus", ignore=shutil.ignore_patterns("work"))
    inputs = tmp_path / "corpus" / STATE_FOLDER / "inputs.json"
    (described,) = json.loads(inputs.read_text("utf-8"))
    where = str(manifest_folder() / "samples" / described["name"])
    inputs.write_text(json.dumps([described | {"url": where}]), "utf-8")
    bare = open_corpus(tmp_path / "corpus")
    for record in draw(bare, 6):
        whole = read_content(sample, record)
        assert read_content(bare, record) == whole


def test_what_is_not_read_again_says_why(text, tmp_path):
    copy = tmp_path / "corpus"
    shutil.copytree(text.folder, copy, ignore=shutil.ignore_patterns("work"))
    inputs = copy / STATE_FOLDER / "inputs.json"
    described = json.loads(inputs.read_text("utf-8"))[0]
    state = json.loads((copy / STATE_FOLDER / "state.json").read_text("utf-8"))
    mine = tmp_path / "mine.txt"
    mine.write_text("吾輩は猫である。\n", "utf-8")
    dropped = next(record for record in draw(text, 400) if record.row["verdict"] == "dropped")

    def explain(**changes):
        changed = [described | changes]
        inputs.write_text(json.dumps(changed), "utf-8")
        (copy / STATE_FOLDER / "state.json").write_text(json.dumps(state | {"inputs": changed}), "utf-8")
        content = read_content(open_corpus(copy), dropped)
        assert content.raw is None and dropped.row["excerpt"] in (content.excerpt, content.text)
        return content.reason

    assert "its input is gone" in explain(url=str(tmp_path / "x.xz"))
    assert "its input has changed since the corpus was built" in explain(url=str(mine))
    assert "its input has changed" in explain(url=str(mine), identity="1-2-3")
    assert "is remote and is not fetched again (https://a.jp/x.xz)" in explain(url="https://a.jp/x.xz")
    inputs.write_text(json.dumps([described | {"identity": "other"}]), "utf-8")
    assert "another build with other input was begun" in read_content(open_corpus(copy), dropped).reason
    inputs.unlink()
    assert "which says where the input is" in read_content(open_corpus(copy), dropped).reason
    content = read_content(text, read_record(text, 451), most_before=1000)
    assert "MB of cc100-ja.txt.xz have to be decompressed before it; --raw does that" in content.reason
    assert content.cleaned is not None


def test_shard_rows_by_id(text):
    shards = read_shards(text.folder)
    ids = sorted(shards["id"].sample(3, seed=1))
    found = read_shard_rows(text, ids, ["text", "chars"]).sort("id")
    assert found.equals(shards.filter(pl.col("id").is_in(ids)).select("id", "text", "chars").sort("id"))


def test_names_that_no_record_has(text):
    ids = read_ledger(text.folder)["id"]
    with pytest.raises(UsageError) as error:
        find_record(text, f"{int(ids[40][-10:]) + 1}")  # a byte in the middle of a document: that document
    assert str(error.value).index(ids[40]) < str(error.value).index(ids[41])
    with pytest.raises(UsageError, match="The nearest ids: .*cc100-ja/0000000000"):
        find_record(text, "cc100ja/0000000000")
    with pytest.raises(UsageError, match=r"ids end in '0': .* and \d+ more. Give more of the id"):
        find_record(text, "0")
    for reference in ("", "漢", "\x1b[31m", "a" * 100_000):
        with pytest.raises(UsageError):
            find_record(text, reference)


def test_what_is_no_corpus(text, tmp_path):
    (tmp_path / "file").touch()
    for folder, words in (
        (tmp_path / "x", "there is no such folder"),
        (tmp_path / "file", "is a file"),
        (tmp_path, "was not made"),
    ):
        with pytest.raises(UsageError, match=words):
            open_corpus(folder)
    copy = tmp_path / "copy"
    shutil.copytree(text.folder, copy, ignore=shutil.ignore_patterns("work"))
    state = copy / STATE_FOLDER / "state.json"
    summary = json.loads(state.read_text("utf-8"))
    state.write_text(json.dumps(summary | {"versions": summary["versions"] | {"write": 1}}), "utf-8")
    with pytest.raises(UsageError, match=r"another version of Seimai \(step write 1; this one: .*Build it again: python -m"):
        open_corpus(copy)
    state.unlink()
    with pytest.raises(UsageError, match="is not built to its end"):
        open_corpus(copy)
