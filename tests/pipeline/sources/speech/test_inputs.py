import io

import polars as pl
import pytest
import soundfile

from pipeline.core.errors import UsageError
from tests.pipeline.sources.helpers import archive, problems, write
from tests.pipeline.sources.speech.helpers import (
    CV_HEADER,
    DATA,
    SOURCE,
    is_unharmed,
    needs_data,
    pick_said,
    read_speech,
    recording,
    supervision,
    write_jsonl,
    write_reazonspeech,
)


def test_the_same_rows_from_a_server(tmp_path, server):
    root = write_reazonspeech(tmp_path, 5)
    here = pick_said(read_speech(root).rows)
    server.files = {"000.tar": (root / "v2" / "000.tar").read_bytes()}
    there, states = read_speech(f"{server.url}/000.tar", transcripts=str(root / "v2-tsv" / "*.tsv"))
    assert pick_said(there) == here and is_unharmed(states) and all(row["content_path"] is None for row in there)
    server.files = {"m.jsonl": b'{"audio_filepath": "a.wav"}\n'}
    with pytest.raises(UsageError, match="say with --audio which folder they are in"):
        read_speech(f"{server.url}/m.jsonl")
    write(tmp_path / "wav" / "a.wav", b"a")
    assert read_speech(f"{server.url}/m.jsonl", tmp_path / "wav").rows[0]["audio"] == b"a"


def test_identity_changes_with_everything_that_is_read(tmp_path, common_voice):
    root = write_reazonspeech(tmp_path / "reazon", 2)
    archive(root / "v2" / "001.tar", [])
    write_jsonl(tmp_path / "m_recordings.jsonl", recording("r", "a.flac"))
    write_jsonl(tmp_path / "m_supervisions.jsonl", supervision("s", "r", 0, 1, "x"))

    def identities():
        inputs = ([str(root)], [str(common_voice)], [str(common_voice / "dev.tsv")], [str(tmp_path / "m_*")])
        return [tuple(f.identity for f in SOURCE.find_inputs(one)) for one in inputs]

    before = identities()
    assert identities() == before
    for changed, change in (
        ({0}, lambda: write(root / "v2-tsv" / "tiny.tsv", "x/another.flac\tx\n")),
        ({0}, lambda: write(root / "v2" / "000.tar", b"another")),
        ({1, 2}, lambda: write(common_voice / "clips" / "common_voice_ja_0.mp3", b"another")),
        ({1}, lambda: write(common_voice / "validated.tsv", CV_HEADER)),
        ({3}, lambda: write_jsonl(tmp_path / "m_recordings.jsonl", recording("r", "b.flac"))),
    ):
        change()
        after = identities()
        assert {i for i, (a, b) in enumerate(zip(before, after)) if a != b} == changed
        before = after
    path = str(tmp_path / "m_supervisions.jsonl")
    assert SOURCE.find_inputs([path])[0].identity != SOURCE.find_inputs([path], audio=str(common_voice / "clips"))[0].identity


def test_inputs_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="neither tars, tables .* nor recordings"):
        SOURCE.find_inputs([str(tmp_path)])
    with pytest.raises(UsageError, match="--audio .*gone"):
        SOURCE.find_inputs([str(tmp_path)], audio=str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="no such file"):
        SOURCE.find_inputs([str(tmp_path / "gone.tar")])
    write(tmp_path / "a\nb" / "1.wav", b"x")
    with pytest.raises(UsageError, match="control characters"):
        SOURCE.find_inputs([str(tmp_path / "a\nb")])
    for name in ("a", "b"):
        write_reazonspeech(tmp_path / name, 1, tar="000.tar", listed=f"{name}.tsv")
    with pytest.raises(UsageError, match="two tars called 000 have the same lists"):
        SOURCE.find_inputs([str(tmp_path / "?" / "000.tar")], transcripts=str(tmp_path / "a" / "a.tsv"))
    assert [f.name for f in SOURCE.find_inputs([str(tmp_path / "?" / "000.tar")])] == ["a/000.tar", "b/000.tar"]
    with pytest.raises(UsageError, match="given twice"):
        SOURCE.find_inputs([str(tmp_path / "a"), str(tmp_path / "a" / "000.tar")])


@needs_data
def test_development_data():
    listed = pl.read_csv(
        DATA / "reazonspeech" / "v2-tsv" / "tiny.tsv",
        separator="\t",
        has_header=False,
        quote_char=None,
        new_columns=["name", "text"],
    )
    for place in (DATA / "reazonspeech", DATA / "reazonspeech" / "v2" / "*.tar"):
        result = read_speech(place, partition=2_000_000)
        assert is_unharmed(result.states) and len(result.rows) == 320 and not problems(result.rows)
        told = {row["locator"]: row["transcript"] for row in result.rows if row["transcript"] is not None}
        assert told == dict(listed.rows()) and len(told) == 312
    assert soundfile.info(io.BytesIO(result.rows[0]["audio"])).samplerate == 16000
