"""What lists and headers promise of recordings, and what was decoded: a whole build, looked at record by record."""

import io
import json

import numpy as np
import pytest
import soundfile

from tests.pipeline.sources.speech.helpers import lhotse_cut, recording, supervision
from tests.support.builds import read_keyed_ledger, read_shards
from tests.support.recordings import RATE, SENTENCES, encode_audio, make_voice


def line(path, text, **more):
    return {"audio_filepath": path, "text": text} | more


def stereo_cut(key, channel, *supervisions, kind="MonoCut"):
    call = recording("call", "call.wav", 4.0)
    call["sources"][0]["channels"] = [0, 1]
    return lhotse_cut(key, "", 0, 4.0, *supervisions, kind=kind) | {"channel": channel, "recording": call}


def said_in(channel, text):
    return supervision(f"s{channel}", "call", 0, 4.0, text, f"speaker {channel}") | {"channel": channel}


@pytest.fixture(scope="module")
def voices():
    return [make_voice(8000 + i, 4.0) for i in range(6)]


def test_what_is_promised_is_compared_with_what_is_there(build, tmp_path, voices):
    first, second, left, right, other, quiet = voices
    files = {
        "chained.ogg": encode_audio(first, "OGG") + encode_audio(second, "OGG"),
        "two.flac": encode_audio(second) + encode_audio(other),
        "half.flac": encode_audio(quiet[: 2 * RATE]),
        "call.wav": encode_audio(np.stack([left, right], 1), "WAV"),
        "slow.wav": encode_audio(other[::-1], "WAV"),
        "long.wav": encode_audio(quiet, "WAV"),
    }
    for name, blob in files.items():
        (tmp_path / name).write_bytes(blob)
    lines = [
        line("chained.ogg", SENTENCES[0], duration=8.0),
        line("two.flac", SENTENCES[1], duration=4.0),  # as who believes the first header
        line("half.flac", SENTENCES[2], duration=4.0),
        line("slow.wav", SENTENCES[3], sampling_rate=8000),
        line("long.wav", SENTENCES[4], offset=1.0, duration=1.0),
        line("long.wav", SENTENCES[4], offset=3.5, duration=1.0),
        line("half.flac", None, duration=2.08, sampling_rate=RATE),
        stereo_cut("both", [0, 1], said_in(0, SENTENCES[5]), said_in(1, SENTENCES[6]), kind="MultiCut"),
        stereo_cut("third", 2, said_in(2, SENTENCES[7])),
        line("half.flac", SENTENCES[8], channel=1),
    ]
    lines[7]["supervisions"][0]["duration"] = 4.0
    path = tmp_path / "list.jsonl"
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in lines), "utf-8")
    done = build(
        "speech-ja",
        "--input",
        path,
        "--out",
        tmp_path / "o",
        "--set",
        "rules.preset=audio",
        "--set",
        "deduplicate.enabled=false",
    )
    assert done.returncode == 0, done.stderr
    assert "warning: 1 of 5 recordings has no transcript" in " ".join(done.stdout.split())
    ledger = read_keyed_ledger(tmp_path / "o")
    reasons = [row["value_text"] if row["verdict"] == "unreadable" else row["verdict"] for row in ledger.iter_rows(named=True)]
    assert reasons == [
        "kept",
        "the list says 4.00 s, the recording has 8.00 s",
        "the list says 4.00 s, the recording has 2.00 s",
        "the list says 8,000 Hz, the recording has 16,000 Hz",
        "kept",
        "the recording ends before the stretch from 3.5 to 4.5 s does",
        "kept",
        "kept",
        "kept",
        "no channel 2: the recording has 0, 1",
        "no channel 1: the recording has 1 channel, numbered from 0",
    ]
    rows = {row["transcript"]: row for row in read_shards(tmp_path / "o").iter_rows(named=True)}
    for text, voice in ((SENTENCES[5], left), (SENTENCES[6], right)):
        samples, rate = soundfile.read(io.BytesIO(rows[text]["audio"]["bytes"]))
        assert rate == RATE and np.abs(samples - voice).max() < 1e-4
    assert [rows[SENTENCES[i]]["speaker"] for i in (5, 6)] == ["speaker 0", "speaker 1"]
    assert rows[SENTENCES[0]]["duration"] == pytest.approx((len(first) + len(second)) / RATE, abs=1e-4)
    samples, _ = soundfile.read(io.BytesIO(rows[SENTENCES[0]]["audio"]["bytes"]))
    assert len(samples) == len(first) + len(second) and rows[SENTENCES[4]]["duration"] == 1.0


def test_the_lists_of_a_folder_that_are_not_read_are_named(build, tmp_path, voices):
    folder = tmp_path / "corpus"
    (folder / "wavs").mkdir(parents=True)
    for i, voice in enumerate(voices[:3]):
        (folder / "wavs" / f"U{i}.wav").write_bytes(encode_audio(voice, "WAV"))
    (folder / "metadata.csv").write_text(f"U0|{SENTENCES[0]}|x\nU1|{SENTENCES[1]}|x\n", "utf-8")
    (folder / "alignment.ctm").write_text("U0 1 0.0 0.1 あ\n", "utf-8")
    done = build("speech-ja", "--input", folder, "--out", tmp_path / "o", "--set", "rules.preset=audio")
    assert done.returncode == 0, done.stderr
    card = (tmp_path / "o" / "README.md").read_text("utf-8")
    for shown in (done.stdout, card):
        shown = " ".join(shown.replace("\\", "").split())
        assert "not read in corpus: alignment.ctm" in shown and "読んでいません: alignment.ctm" in shown
        assert "1 of 3 recordings has no transcript" in shown
    assert {*read_shards(tmp_path / "o")["transcript"]} == {SENTENCES[0], SENTENCES[1], None}
