import json
import os
from pathlib import Path

from pipeline.sources.folders import RENAME
from pipeline.sources.speech import columns
from tests.pipeline.sources.helpers import BOM, pick, problems, write
from tests.pipeline.sources.speech.helpers import (
    NOT_LISTED,
    fake_audio,
    is_unharmed,
    read_speech,
    tone,
)


def test_jsut_and_jvs(tmp_path):
    jsut = tmp_path / "jsut_ver1.1"
    for name, count in (("basic5000", 3), ("travel1000", 1)):
        ids = [f"{name.upper()}_{i:04d}" for i in range(1, count + 1)]
        write(jsut / name / "transcript_utf8.txt", "".join(f"{key}:{key}：の文。\n" for key in ids))
        for key in ids:
            write(jsut / name / "wav" / f"{key}.wav", tone(count, "WAV"))
    write(jsut / "travel1000" / "wav" / "EXTRA_1.wav", fake_audio("extra"))
    (jsut / "basic5000" / "transcript_utf8.txt").open("a").write("BASIC5000_0009:声なし\nBASIC5000_0001:別の文\n")
    write(jsut / "README_ja.txt", "説明")
    result = read_speech(jsut)
    assert is_unharmed(result.states)
    assert pick(result.rows, "locator", "transcript", "speaker") == [
        ("BASIC5000_0001", "BASIC5000_0001：の文。", None), ("BASIC5000_0001~2", "別の文", None),
        ("BASIC5000_0002", "BASIC5000_0002：の文。", None), ("BASIC5000_0003", "BASIC5000_0003：の文。", None),
        ("BASIC5000_0009", "声なし", None), ("TRAVEL1000_0001", "TRAVEL1000_0001：の文。", None),
        ("travel1000/wav/EXTRA_1.wav", None, None),
    ]  # fmt: skip
    assert problems(result.rows) == {
        "BASIC5000_0001~2": "no audio: a second transcript for BASIC5000_0001", "BASIC5000_0009": NOT_LISTED,
    }  # fmt: skip
    jvs = tmp_path / "jvs_ver1"
    for speaker in ("jvs001", "jvs002"):
        for part in ("parallel100", "whisper10"):
            write(jvs / speaker / part / "transcripts_utf8.txt", "VOICEACTRESS100_001:また、東寺のように。\n")
            write(jvs / speaker / part / "wav24kHz16bit" / "VOICEACTRESS100_001.wav", fake_audio(speaker + part))
    result = read_speech(jvs)
    assert pick(result.rows, "locator", "speaker", "audio") == [
        (f"{s}/{p}/VOICEACTRESS100_001", s, fake_audio(s + p))
        for s in ("jvs001", "jvs002")
        for p in ("parallel100", "whisper10")
    ]
    assert {row["transcript"] for row in result.rows} == {"また、東寺のように。"}


def test_librispeech(tmp_path):
    for speaker, chapter in (("84", "121123"), ("84", "121550"), ("174", "50561")):
        here = tmp_path / "dev-clean" / speaker / chapter
        ids = [f"{speaker}-{chapter}-{i:04d}" for i in range(2)]
        write(here / f"{speaker}-{chapter}.trans.txt", "".join(f"{key} SAID {key}\n" for key in ids))
        for key in ids:
            write(here / f"{key}.flac", tone(int(chapter) % 7))
    result = read_speech(tmp_path / "dev-clean")
    assert is_unharmed(result.states) and len(result.rows) == 6 and not problems(result.rows)
    assert pick(result.rows, "locator", "transcript", "speaker", "programme")[:3] == [
        ("174-50561-0000", "SAID 174-50561-0000", "174", "50561"), ("174-50561-0001", "SAID 174-50561-0001", "174", "50561"),
        ("84-121123-0000", "SAID 84-121123-0000", "84", "121123"),
    ]  # fmt: skip


def test_a_folder_of_loose_recordings(tmp_path, monkeypatch):
    folder = tmp_path / "talks"
    for name in ("a.wav", "b.lab.wav", "c.mp3", "d.flac", "e.ogg", "f.wav", "sub/a.wav", "改\n行.wav", "g.wav"):
        write(folder / name, fake_audio(name))
    for name, text in {
        "a.txt": BOM + "猫".encode(), "b.lab.lab": "ラベル", "c.lab": "0 3125000 xx^xx-sil+k\n", "d.txt": b"\xff",
        "e.json": json.dumps({"text": "なか", "speaker": "S", "path": "/etc/passwd", "id": "other"}), "f.normalized.txt": "整えた",
        "g.json": "[1]", "notes.txt": "録音ではない", "transcript_utf8.txt": "/etc/passwd:x\n../up:y\n",
    }.items():  # fmt: skip
        write(folder / name, text)
    (folder / "link.wav").symlink_to("/etc/hostname")
    (folder / "sub" / "a.txt").symlink_to("/etc/hostname")
    result = read_speech(folder)
    assert not result.states[0].damage and "not read in talks: notes.txt: " in result.states[0].warning
    assert {row["locator"]: row["transcript"] for row in result.rows} == {
        "a.wav": "猫", "b.lab.wav": "ラベル", "c.mp3": None, "d.flac": "\ufffd", "e.ogg": "なか", "f.wav": "整えた", "g.wav": None,
        "sub/a.wav": None, "改\ufffd行.wav": None, "/etc/passwd": "x", "../up": "y",
    }  # fmt: skip
    assert problems(result.rows) == {
        "d.flac": "transcript: invalid UTF-8: byte 0xFF at 0 of 1", "/etc/passwd": NOT_LISTED, "../up": NOT_LISTED,
    }  # fmt: skip
    assert [row["locator"] for row in result.rows] == sorted(row["locator"] for row in result.rows)
    monkeypatch.setattr(columns, "LONGEST_TRANSCRIPT", 5)
    assert problems(read_speech(folder).rows)["b.lab.wav"] == "transcript of 9 bytes, over 5"


def test_names_in_another_encoding(tmp_path):
    folder = os.fsencode(tmp_path / "old")
    os.mkdir(folder)
    for name in ("録音.wav".encode("cp932"), b"a.wav"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x")
    result = read_speech(tmp_path / "old")
    assert list(problems(result.rows).values()) == [f"the name of the file is not UTF-8. {RENAME}"] and len(result.rows) == 2
