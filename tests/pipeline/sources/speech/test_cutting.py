import gzip
import hashlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import ChangedInputError
from pipeline.sources import pointers
from pipeline.sources.base import CutState, Fields
from pipeline.sources.formats import lines as text_lines
from pipeline.sources.speech import manifests, tables
from tests.pipeline.sources.helpers import archive, pick, write
from tests.pipeline.sources.speech.helpers import (
    SOURCE,
    fake_audio,
    read_file,
    write_jsonl,
)


@pytest.fixture(scope="module")
def forms(tmp_path_factory):
    """Sixty rows with recordings of 0 to 900 bytes in every form that is cut in its own way."""
    folder = tmp_path_factory.mktemp("forms")
    bodies = {f"000/{i:04d}.flac": b"i" * (i * 37 % 900) for i in range(60) if i % 9}
    texts = {f"000/{i:04d}.flac": f"文{i}" for i in range(60)}
    listed = "".join(f"{name}\t{text}\n" for name, text in texts.items())
    for name in ("tar", "gz"):
        write(folder / name / "x.tsv", listed)
    archive(folder / "tar" / "000.tar", [(f"./{name}", body) for name, body in bodies.items()])
    write(folder / "gz" / "000.tar.gz", gzip.compress((folder / "tar" / "000.tar").read_bytes()))
    members = [
        m for name, body in bodies.items() for m in ((name, body), (name.replace(".flac", ".txt"), texts[name].encode()))
    ]
    archive(folder / "webdataset" / "a.tar", members)
    for name, body in bodies.items():
        write(folder / "loose" / name, body)
    write(folder / "loose" / "000" / "transcript_utf8.txt", listed.replace(".flac\t", ":").replace("000/", ""))
    write_jsonl(folder / "loose" / "m.jsonl", *({"path": name, "text": text} for name, text in texts.items()))
    write(folder / "loose" / "list.tsv", "path\tsentence\n" + listed)
    held_ = {"id": [*texts], "text": [*texts.values()], "audio": [bodies.get(name) for name in texts]}
    pl.DataFrame(held_).write_parquet(folder / "held.parquet", row_group_size=13)
    places = {
        "tar": "tar", "tar.gz": "gz", "webdataset": "webdataset", "folder": "loose/000", "jsonl": "loose/m.jsonl",
        "tsv": "loose/list.tsv", "table": "held.parquet",
    }  # fmt: skip
    files = {name: SOURCE.find_inputs([str(folder / place)]) for name, place in places.items()}
    assert all(len(found) == 1 for found in files.values())
    return {name: found[0] for name, found in files.items()}


SIZES = st.one_of(st.integers(1, 3000), st.just(1_000_000))
FORMS = ["tar", "tar.gz", "webdataset", "folder", "jsonl", "tsv", "table"]


@pytest.mark.parametrize("form", FORMS)
@given(partition=SIZES, many=st.integers(1, 70), batch=st.integers(1, 70), data=st.data())
@settings(max_examples=6, deadline=None)
def test_rows_are_the_same_however_they_are_cut(forms, form, partition, many, batch, data):
    file = forms[form]
    with pytest.MonkeyPatch.context() as patch:
        whole = read_file(file).rows
        names = ("locator", "transcript", "audio", "problem")
        assert len(whole) == 60 - 7 * (form == "webdataset") and sum(row["problem"] is None for row in whole) == 53
        patch.setattr(pointers, "MOST_ROWS", many)
        plain = read_file(file, partition=partition).ranges
        for module, name in ((tables, "BATCH"), (tables, "_BATCH_WITH_AUDIO"), (manifests, "BATCH"), (text_lines, "_BLOCK")):
            patch.setattr(module, name, batch)
        result = read_file(file, partition=partition)
        assert pick(result.rows, *names) == pick(whole, *names)
        assert [p.start for p in result.ranges] == [0, *(p.end for p in result.ranges[:-1])]
        assert [(p.start, p.end) for p in result.ranges] == [(p.start, p.end) for p in plain]
        assert {p.file for p in result.ranges} == {2}
        assert result.ranges[-1].end == result.state.size == sum(len(row["audio"] or b"") + 1 for row in result.rows)
        assert all(p.records <= many for p in result.ranges)
        assert all(p.end - p.start >= partition or p.records == many for p in result.ranges[:-1])
        if form != "folder":
            assert result.state.checksum == hashlib.sha256(Path(file.url).read_bytes()).hexdigest()
        # Going on after any range gives the rest, and with a limit its beginning.
        done = data.draw(st.integers(0, len(result.ranges)))
        start, before = (result.ranges[done - 1].end, sum(p.records for p in result.ranges[:done])) if done else (0, 0)
        rest, rest_rows, rest_state = read_file(file, partition=partition, start=start)
        assert rest == result.ranges[done:] and pick(rest_rows, *names) == pick(whole, *names)[before:]
        assert (rest_state.size, rest_state.checksum) == (result.state.size, result.state.checksum)
        limit = data.draw(st.integers(0, 70))
        _, few, limited = read_file(file, partition=partition, start=start, limit=limit)
        assert pick(few, *names) == pick(whole, *names)[before : before + limit] and limited.limit == limit - len(few)


@pytest.mark.parametrize("form", FORMS)
def test_recordings_that_are_too_large_keep_their_transcripts(forms, form):
    all_rows, few = read_file(forms[form]).rows, read_file(forms[form], max_document=500).rows
    for large, row in zip(all_rows, few, strict=True):
        size = len(large["audio"] or b"")
        assert (row["locator"], row["transcript"]) == (large["locator"], large["transcript"])
        assert row["audio"] == (large["audio"] if size <= 500 else None)
        assert row["problem"] == (large["problem"] if size <= 500 else f"audio of {size} bytes, over source.max_document = 500")


@given(data=st.data(), name=st.sampled_from(["a", "a.tar", "a.tsv", "a.jsonl"]), whole=st.booleans())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_damage_anywhere_is_told_in_words(forms, tmp_path_factory, data, name, whole):
    source = forms[data.draw(st.sampled_from([form for form in FORMS if form != "folder"]))]
    raw = bytearray(Path(source.url).read_bytes())
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=6)):
        raw[at] = data.draw(st.one_of(st.sampled_from(b'\0\n\t\r",{}[]\xff'), st.integers(0, 255)))
    raw = raw if whole else raw[: data.draw(st.integers(0, len(raw)))]
    path = tmp_path_factory.getbasetemp() / "damage" / name
    write(path, bytes(raw))
    result = read_file(SOURCE.find_inputs([str(path)])[0])
    assert len({row["locator"] for row in result.rows}) == len(result.rows)
    assert result.state.damage is None or str(path) in result.state.damage


def test_a_recording_that_changes_under_a_range_is_noticed(tmp_path):
    path = write(tmp_path / "a" / "a.wav", fake_audio("a"))
    file = SOURCE.find_inputs([str(tmp_path / "a")])[0]
    ((made, body),) = SOURCE.cut(file, 0, CutState(1_000_000, 1_000_000))
    here = SOURCE.read(made, file, np.frombuffer(body, np.uint8), Fields())
    path.write_bytes(b"x")
    with pytest.raises(ChangedInputError, match="has changed since the build began"):
        here.content(0)
    here.close()
