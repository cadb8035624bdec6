"""What the build does to ReazonSpeech's layout with real utterances; skipped where the development data is absent."""

import hashlib
import io
import tarfile
import tomllib
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.support.builds import read_ledger

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "speech" / "reazonspeech"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="needs the development data")


@pytest.fixture(scope="module")
def recognition(build, shared_folders):
    def fill(folder):
        done = build("reazonspeech", "--input", DATA, "--out", folder / "out")
        assert done.returncode == 0, done.stderr

    return shared_folders.make("speech-development", fill) / "out"


@pytest.fixture(scope="module")
def audio(build, shared_folders):
    def fill(folder):
        done = build("reazonspeech", "--input", DATA, "--out", folder / "out", "--set", "rules.preset=audio")
        assert done.returncode == 0, done.stderr

    return shared_folders.make("audio-development", fill) / "out"


@pytest.fixture(scope="module")
def members():
    with tarfile.open(DATA / "v2" / "000.tar") as tar:
        return {m.name.removeprefix("./"): tar.extractfile(m).read() for m in tar if m.name.endswith(".flac")}


def test_every_recording_is_in_the_ledger_once(recognition, members):
    ledger = read_ledger(recognition)
    assert sorted(i.removeprefix("reazonspeech/") for i in ledger["id"]) == sorted(members) and len(ledger) == 320


def test_lists_of_transcripts_are_among_the_inputs(recognition):
    digest = hashlib.sha256((DATA / "v2-tsv" / "tiny.tsv").read_bytes()).hexdigest()
    inputs = tomllib.loads((recognition / "manifest.lock.toml").read_text("utf-8"))["lock"]["inputs"]
    assert [i["name"] for i in inputs] == ["v2/000.tar", "tiny.tsv"] and inputs[1]["sha256"] == digest
    assert digest in (recognition / "README.md").read_text("utf-8")


def test_recordings_without_transcript_are_for_audio_alone(recognition, audio):
    listed = {line.split("\t")[0] for line in (DATA / "v2-tsv" / "tiny.tsv").read_text("utf-8").splitlines()}
    rows = read_ledger(recognition).with_columns(name=pl.col("id").str.strip_prefix("reazonspeech/"))
    without = rows.filter(~pl.col("name").is_in(list(listed)))
    assert len(without) == 8 and set(without["verdict"]) == {"dropped"} and set(without["rule"]) == {"chars"}
    others = read_ledger(audio).filter(pl.col("id").is_in(without["id"].to_list()))
    assert set(others["verdict"]) == {"kept"} and len(others) == 8
    # Of sound utterances hardly any is dropped.
    assert (rows.filter(pl.col("name").is_in(list(listed)))["verdict"] == "kept").mean() > 0.97


def test_samples_come_through_as_they_were(recognition, audio, members):
    for out in (recognition, audio):
        for path in (out / "data").glob("*.parquet"):
            for row in pq.read_table(path, columns=["id", "audio", "duration", "sampling_rate"]).to_pylist():
                there, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
                source, source_rate = soundfile.read(
                    io.BytesIO(members[row["id"].removeprefix("reazonspeech/")]), dtype="int16"
                )
                assert rate == source_rate == row["sampling_rate"] == 16000
                assert np.array_equal(there, source) and row["duration"] == pytest.approx(len(source) / rate, abs=1e-3)


def test_shards_load_as_a_data_set(recognition, tmp_path):
    import datasets  # late: takes a second in every worker

    corpus = datasets.load_dataset(str(recognition), cache_dir=str(tmp_path))
    assert isinstance(corpus["train"].features["audio"], datasets.Audio)
    row = corpus["train"].cast_column("audio", datasets.Audio(decode=False))[0]
    assert soundfile.info(io.BytesIO(row["audio"]["bytes"])).samplerate == 16000 and row["transcript"] and row["reading"]
    columns = pl.scan_parquet(recognition / "data" / "*.parquet").select("transcript", "duration").collect()
    assert columns["duration"].min() > 0.3
