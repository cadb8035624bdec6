import os

import pytest

from pipeline.core.errors import UsageError
from pipeline.sources.speech import manifests
from tests.pipeline.sources.helpers import pick, problems, write
from tests.pipeline.sources.speech.helpers import (
    NO_FILE,
    OUTSIDE,
    SOURCE,
    fake_audio,
    is_unharmed,
    lhotse_cut,
    read_file,
    read_speech,
    recording,
    supervision,
    tone,
    write_jsonl,
)


def test_nemo_s_manifests(tmp_path):
    write(tmp_path / "wav" / "a.wav", tone(1, "WAV"))
    write(tmp_path / "long.flac", fake_audio("long"))
    write(tmp_path / "elsewhere" / "c.wav", fake_audio("c"))
    values = [
        {"audio_filepath": "wav/a.wav", "duration": 0.05, "text": "猫", "pred_text": "ねこ", "speaker": "S1", "lang": {"a": 1}},
        {"audio_filepath": "long.flac", "offset": 1.5, "duration": 2.0, "text": "一"},
        {"audio_filepath": str(tmp_path / "long.flac"), "offset": 3.5, "duration": 1e400, "text": "二"},
        {"audio_filepath": "long.flac", "offset": 4, "duration": 1, "text": 12, "id": "own-id"},
        {"audio_filepath": str(tmp_path.parent / "x.wav"), "text": "外"},
        {"audio_filepath": "wav/../../../etc/passwd", "text": "上"},
        {"audio_filepath": "/etc/hostname", "text": "根"},
        {"audio_filepath": "gone.wav", "text": "無"},
        "{broken", "[1]", {"text": "道なし"}, {"audio_filepath": "a\ud800.wav", "text": "半"}, {"audio_filepath": "wav/a.wav"},
    ]  # fmt: skip
    values[11] = '{"audio_filepath": "a\\ud800.wav", "text": "半"}'
    path = write_jsonl(tmp_path / "train_manifest.json", *values)
    result = read_speech(path)
    assert is_unharmed(result.states) and len(result.rows) == len(values)
    assert pick(result.rows, "locator", "transcript", "second", "speaker", "duration", "start", "end", "programme")[:4] == [
        ("wav/a.wav", "猫", "ねこ", "S1", 0.05, None, None, None), ("long.flac", "一", None, None, 2.0, 1.5, 3.5, "long.flac"),
        (str(tmp_path / "long.flac"), "二", None, None, None, 3.5, None, str(tmp_path / "long.flac")),
        ("own-id", "12", None, None, 1.0, 4.0, 5.0, "long.flac"),
    ]  # fmt: skip
    assert [row["audio"] for row in result.rows[1:4]] == [fake_audio("long")] * 3
    assert [row["problem"] for row in result.rows[4:]] == [
        OUTSIDE, OUTSIDE, OUTSIDE, NO_FILE, "the line is not a JSON object", "the line is not a JSON object",
        "no audio: the row names no file", NO_FILE, None,
    ]  # fmt: skip
    assert result.rows[-1]["transcript"] is None and result.rows[-1]["locator"] == "wav/a.wav~2"
    # A folder of its own for the recordings is looked into first, and absolute paths may lead there.
    path = write_jsonl(
        tmp_path / "lists" / "m.jsonl",
        {"wav": "c.wav"},
        {"wav": str(tmp_path / "elsewhere" / "c.wav")},
        {"wav": "../long.flac"},
    )
    result = read_speech(path, tmp_path / "elsewhere")
    assert [row["audio"] for row in result.rows] == [fake_audio("c"), fake_audio("c"), None] and result.rows[2][
        "problem"
    ] == OUTSIDE


def test_links_in_folders_of_recordings_do_not_lead_out(tmp_path):
    write(tmp_path / "secret" / "a.wav", b"secret")
    write(tmp_path / "corpus" / "b.wav", fake_audio("b"))
    (tmp_path / "corpus" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "corpus" / "a.wav").symlink_to(tmp_path / "secret" / "a.wav")
    (tmp_path / "corpus" / "in.wav").symlink_to("b.wav")
    (tmp_path / "corpus-secret").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "corpus" / "pipe.wav")
    names = ["out/a.wav", "a.wav", "../corpus-secret/a.wav", "in.wav", "pipe.wav", "b.wav/", "./b.wav", "no/../b.wav"]
    result = read_speech(write_jsonl(tmp_path / "corpus" / "m.jsonl", *({"path": name} for name in names)))
    assert [row["audio"] for row in result.rows] == [
        None,
        None,
        None,
        fake_audio("b"),
        None,
        None,
        fake_audio("b"),
        fake_audio("b"),
    ]
    assert [row["problem"] for row in result.rows][:5] == [OUTSIDE] * 3 + [None, "no audio: what the path leads to is no file"]


def test_lhotse_s_cuts(tmp_path):
    write(tmp_path / "a.flac", fake_audio("a"))
    cuts = [
        lhotse_cut("c1", "a.flac", 0, 10.0, supervision("s1", "r", 0, 10.0, "全部", "S1")),
        lhotse_cut("c2", "a.flac", 2.0, 3.0, supervision("s2", "r", 0.0, 3.0, "一部", "S2")),
        lhotse_cut(
            "c3",
            "a.flac",
            5.0,
            4.0,
            supervision("s3", "r", 0.5, 1.0, "前"),
            supervision("s4", "r", 2.0, 1.5, "後", "S4"),
        ),
        lhotse_cut("c4", "a.flac", 6.0, 1.0),
        lhotse_cut("c5", "rm -rf /", 0, 1.0, kind_="x") | {"recording": recording("r", "rm -rf / |", kind="command")},
        {"id": "c6", "type": "MixedCut", "tracks": []},
        lhotse_cut("c7", "../a.flac", 0, 10.0, supervision("s7", "r", float("nan"), True, None)),
        lhotse_cut("c8", "a.flac", 1, 2, "odd", supervisions={"a": 1}),
    ]
    for path in (write_jsonl(tmp_path / "cuts.jsonl", *cuts), write_jsonl(tmp_path / "z_cuts.jsonl.gz", *cuts)):
        result = read_speech(path)
        assert is_unharmed(result.states)
        assert pick(result.rows, "locator", "transcript", "speaker", "start", "end", "duration", "programme") == [
            ("c1", "全部", "S1", None, None, 10.0, None), ("c2", "一部", "S2", 2.0, 5.0, 3.0, "r-c2"),
            ("s3", "前", None, 5.5, 6.5, 1.0, "r-c3"), ("s4", "後", "S4", 7.0, 8.5, 1.5, "r-c3"), ("c4", None, None, 6.0, 7.0, 1.0, "r-c4"),
            ("c5", None, None, 0.0, 1.0, 1.0, "r"), ("c6", None, None, None, None, None, None), ("c7", None, None, None, None, 10.0, None),
            ("c8", None, None, 1.0, 3.0, 2.0, "r-c8"),
        ]  # fmt: skip
        assert problems(result.rows) == {
            "c5": "no audio: the source of the recording is no file but of type 'command'",
            "c6": "no audio: a MixedCut is no stretch of a recording", "c7": OUTSIDE,
        }  # fmt: skip


def test_lhotse_s_supervisions_with_their_recordings(tmp_path):
    write(tmp_path / "a.flac", fake_audio("a"))
    write_jsonl(
        tmp_path / "jsut_recordings_all.jsonl.gz",
        recording("r1", "a.flac"),
        recording("r2", "a.flac", 5.0),
        recording("r3", "b.flac"),
    )
    said_ = [
        supervision("s1", "r1", 0, 10.0, "全部", "S1"),
        supervision("s2", "r1", 2.0, 1.0, "一部"),
        supervision("s3", "r9", 0, 1, "無"),
    ]
    path = write_jsonl(tmp_path / "jsut_supervisions_all.jsonl.gz", *said_)
    for place in (path, tmp_path / "*.jsonl.gz", tmp_path):
        result = read_speech(place)
        assert is_unharmed(result.states)
        assert pick(result.rows, "locator", "transcript", "speaker", "start", "end", "audio") == [
            ("s1", "全部", "S1", None, None, fake_audio("a")), ("s2", "一部", None, 2.0, 3.0, fake_audio("a")),
            ("s3", "無", None, 0.0, 1.0, None),
            ("r2", None, None, None, None, fake_audio("a")), ("r3", None, None, None, None, None),
        ]  # fmt: skip
        assert problems(result.rows) == {"s3": "no audio: the manifest has no recording of this id", "r3": NO_FILE}
    write_jsonl(tmp_path / "jsut_cuts_all.jsonl.gz", lhotse_cut("c", "a.flac", 0, 10.0))
    assert [f.name for f in SOURCE.find_inputs([str(tmp_path)])] == ["jsut_cuts_all.jsonl.gz"]
    (tmp_path / "jsut_recordings_all.jsonl.gz").unlink()
    with pytest.raises(UsageError, match="no jsut_recordings_all.jsonl.gz"):
        SOURCE.find_inputs([str(path)])


def test_stretches_of_one_recording_are_weighed_once(tmp_path):
    write(tmp_path / "long.flac", b"x" * 5000)
    write(tmp_path / "other.flac", b"y" * 100)
    values = [{"audio_filepath": "long.flac", "offset": i, "duration": 1} for i in range(30)] + [
        {"audio_filepath": "other.flac"}
    ] * 2
    file = SOURCE.find_inputs([str(write_jsonl(tmp_path / "m.jsonl", *values))])[0]
    (whole,), all_rows, state = read_file(file)
    assert whole.end == state.size == 5000 + 100 + 32
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifests, "BATCH", 7)
        partitions, again, _ = read_file(file, partition=5010)
    assert again == all_rows and [p.records for p in partitions] == [10, 22]
