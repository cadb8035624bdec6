import bz2
import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import InputError, UsageError
from pipeline.sources import CutState, held, speech
from pipeline.sources.speech import lines, manifests, rows, tables

DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "speech"
real = pytest.mark.skipif(not DATA.is_dir(), reason="needs the development data")

BOM = b"\xef\xbb\xbf"
NOT_LISTED = "no audio: the list of transcripts names it, the input does not have it"
NO_FILE = "no audio: there is no such file in the folder of the list"
OUTSIDE = "no audio: the path leads out of the folder of the list; name the folder of the recordings with --audio"


def tone(number=0, form="FLAC", seconds=0.05):
    """A short recording that only this number has."""
    out = io.BytesIO()
    at = np.arange(int(16000 * seconds))
    soundfile.write(out, 0.3 * np.sin(at * (number + 3) / 40).astype(np.float32), 16000, format=form)
    return out.getvalue()


def said(name):
    """Bytes that only this name has, where nothing depends on their being audio: nothing here decodes."""
    return b"fLaC" + str(name).encode() * 9


def archive(path, members, mode="w"):
    """A tar of (name, content), or of (TarInfo, content)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def of(file, audio=None, partition=32_000_000, max_document=64_000_000, first_index=0, number=2, **options):
    """Partitions, rows (with recordings as bytes) and state of one input file."""
    state = CutState(partition, max_document, content=audio and str(audio), **options)
    partitions, all_rows = [], []
    for made, body in speech.cut(file, number, first_index, state):
        here = speech.read(made, io.BytesIO(bytes(body)))
        assert here.frame.schema == rows.SCHEMA
        listed = [row | {"audio": here.content(i)} for i, row in enumerate(here.frame.iter_rows(named=True))]
        assert made.records == len(listed) > 0
        partitions.append(made)
        all_rows += listed
        here.close()
    return partitions, all_rows, state


def found(path, audio=None, transcripts=None, **options):
    """Rows of all input files of a path, and their states."""
    given = [str(p) for p in (path if isinstance(path, list) else [path])]
    files = speech.inputs(given, audio and str(audio), transcripts)
    results = [of(file, audio, **options) for file in files]
    everything = [row for _, all_rows, _ in results for row in all_rows]
    for _, all_rows, _ in results:
        assert len({row["locator"] for row in all_rows}) == len(all_rows)
        assert all(row["locator"].isprintable() for row in all_rows)
    assert all(row["audio"] is not None or row["problem"] for row in everything)
    return everything, [state for *_, state in results]


def brief(all_rows, *names):
    return [tuple(row[name] for name in names or ("locator", "transcript", "audio")) for row in all_rows]


def problems(all_rows):
    return {row["locator"]: row["problem"] for row in all_rows if row["problem"]}


def unharmed(states):
    return not any(state.damage or state.warning for state in states)


# -- ReazonSpeech


def reazon(root, count=3, lacking=(), more="", folder="000", tar="v2/000.tar", listed="v2-tsv/tiny.tsv"):
    """ReazonSpeech as it is distributed; members stand in the tar in no order."""
    names = [f"{folder}/{number:04x}.flac" for number in range(count)]
    archive(root / tar, [(f"./{name}", said(name)) for name in reversed(names)])
    text = "".join(f"{name}\t文{name}。\n" for i, name in enumerate(names) if i not in lacking)
    write(root / listed, text + more)
    return root


def test_reazonspeech_by_its_folder_its_tars_and_its_lists(tmp_path):
    root = reazon(tmp_path / "reazonspeech", 4, lacking=(2,))
    expected = [(f"000/000{i}.flac", None if i == 2 else f"文000/000{i}.flac。", said(f"000/000{i}.flac")) for i in range(4)]
    for place in (root, root / "v2" / "*.tar", root / "v2" / "000.tar", root / "v2", root / "*" / "*"):
        all_rows, states = found(place)
        assert brief(all_rows) == expected and unharmed(states)
        assert {row["name"] for row in all_rows} == {f"000{i}.flac" for i in range(4)}
    assert [f.name for f in speech.inputs([str(root)])] == ["v2/000.tar"]
    assert {row["place"] for row in all_rows} == {str(root / "v2" / "000.tar")} and not problems(all_rows)


def test_lists_beside_the_tars_and_tars_that_are_compressed(tmp_path):
    root = reazon(tmp_path / "a", 3, tar="000.tar", listed="tiny.tsv")
    expected = brief(found(root)[0])
    assert len(expected) == 3 and all(transcript for _, transcript, _ in expected)
    raw = (root / "000.tar").read_bytes()
    (root / "000.tar").unlink()
    for name, packed in (
        ("000.tar.gz", gzip.compress(raw)),
        ("000.tgz", gzip.compress(raw)),
        ("000.tar.bz2", bz2.compress(raw)),
    ):
        path = write(root / name, packed)
        all_rows, states = found(root)
        assert brief(all_rows) == expected and all(row["place"] is None for row in all_rows) and unharmed(states)
        assert states[0].checksum == hashlib.sha256(packed).hexdigest()
        path.unlink()
    # Further from the tars the folder itself leads to them.
    far = reazon(tmp_path / "b", 3, tar="audio/x/000.tar", listed="lists/tiny.tsv")
    assert brief(found(far)[0]) == expected
    assert brief(found(far / "audio" / "x" / "*.tar", transcripts=str(far / "lists" / "tiny.tsv"))[0]) == expected
    assert brief(found([far / "audio" / "x" / "*.tar", far / "lists" / "tiny.tsv"])[0]) == expected
    # Without its list a tar is one of WebDataset's.
    assert brief(found(far / "audio" / "x" / "*.tar")[0], "locator", "transcript") == [(f"000/000{i}", None) for i in range(3)]


def test_transcripts_without_audio_are_records_with_a_problem(tmp_path):
    root = reazon(tmp_path, 2, more="000/gone.flac\tどこ\n007/else.flac\tよそ\nno name at all\n")
    archive(root / "v2" / "001.tar", [("./001/a.flac", said("a")), ("./002/b.flac", said("b"))])
    (root / "v2-tsv" / "tiny.tsv").open("a").write("001/a.flac\tあ\n002/b.flac\tび\n002/c.flac\tし\n")
    all_rows, states = found(root)
    assert unharmed(states)
    assert brief(all_rows, "locator", "transcript") == [
        ("000/0000.flac", "文000/0000.flac。"), ("000/0001.flac", "文000/0001.flac。"), ("000/gone.flac", "どこ"),
        ("001/a.flac", "あ"), ("002/b.flac", "び"), ("002/c.flac", "し"), ("007/else.flac", "よそ"), ("no name at all", None),
    ]  # fmt: skip
    assert problems(all_rows) == dict.fromkeys(["000/gone.flac", "002/c.flac", "007/else.flac", "no name at all"], NOT_LISTED)
    # A transcript whose recording is in a tar that is called otherwise is not left over, even where that tar came before.
    os.rename(root / "v2" / "000.tar", root / "v2" / "zero.tar.part")
    raw = (root / "v2" / "zero.tar.part").read_bytes()
    (root / "v2" / "aaa.tar.gz").write_bytes(gzip.compress(raw))
    again, states = found(root)
    assert sorted(brief(again, "locator", "transcript")) == sorted(brief(all_rows, "locator", "transcript"))
    assert problems(again) == problems(all_rows)


def test_of_many_lists_the_largest_comes_first(tmp_path):
    root = reazon(tmp_path, 3)
    names = [f"000/000{i}.flac" for i in range(3)]
    rest = "".join(f"00{i}/x.flac\t-\n" for i in range(4))
    write(root / "v2-tsv" / "all.tsv", f"{names[0]}\tほかの文である。\n{names[1]}\t文{names[1]}。\n{rest}")
    write(root / "v2-tsv" / "readme.tsv", "column\tmeaning\nname\tpath\n")
    all_rows, states = found(root)
    assert brief(all_rows, "locator", "transcript")[:4] == [
        (names[0], "ほかの文である。"), (names[1], f"文{names[1]}。"), (names[2], f"文{names[2]}。"), ("000/x.flac", "-"),
    ]  # fmt: skip
    assert len(all_rows) == 7
    assert "tiny.tsv have different transcripts for 1 recordings, such as 000/0000.flac" in states[0].warning
    # The manifest may choose.
    all_rows, states = found(root, transcripts="tiny.tsv")
    assert brief(all_rows, "transcript") == [(f"文{name}。",) for name in names] and unharmed(states)
    with pytest.raises(UsageError, match="'big.tsv': no list of transcripts is called so. There are: all.tsv, tiny.tsv"):
        speech.inputs([str(root)], transcripts="big.tsv")


def test_two_transcripts_for_one_recording_in_one_list(tmp_path):
    root = reazon(
        tmp_path, 1, more="000/0000.flac\tふたつめ\n000/0000.flac\t文000/0000.flac。\n000/no.flac\t一\n000/no.flac\t二\n"
    )
    all_rows, states = found(root)
    assert unharmed(states)
    assert brief(all_rows) == [
        ("000/0000.flac", "文000/0000.flac。", said("000/0000.flac")), ("000/0000.flac~2", "ふたつめ", None),
        ("000/no.flac", "一", None), ("000/no.flac~2", "二", None),
    ]  # fmt: skip
    assert problems(all_rows) == {
        "000/0000.flac~2": "no audio: a second transcript for 000/0000.flac", "000/no.flac": NOT_LISTED,
        "000/no.flac~2": "no audio: a second transcript for 000/no.flac",
    }  # fmt: skip


def test_a_list_with_whatever_lines_can_hold(tmp_path):
    names = [f"000/{c}.flac" for c in "abcdefg"]
    archive(tmp_path / "000.tar", [(f"./{name}", said(name)) for name in names])
    told = [
        BOM + b'000/a.flac\t"\xe7\x8c\xab\r\n', "000/b.flac\tタブ\tと\"引用\"\r\n".encode(), b"000/c.flac\t\xe7\x8c!\n",
        b"\n\r\n000/d.flac\t\n", b"000/e.flac\n", ("000/f.flac\t" + "長" * 100_000 + "\n").encode(),
        "./000/g.flac\t終わり".encode(),
    ]  # fmt: skip
    write(tmp_path / "x.tsv", b"".join(told))
    all_rows, states = found(tmp_path)
    assert unharmed(states)
    assert [row["transcript"] for row in all_rows] == ['"猫', 'タブ\tと"引用"', "\ufffd!", "", None, "長" * 100_000, "終わり"]
    assert problems(all_rows) == {"000/c.flac": "line: invalid UTF-8: byte 0xE7 at 11 of 14"}


def test_lists_read_the_same_in_blocks_of_any_size(tmp_path, monkeypatch):
    root = reazon(tmp_path, 5, lacking=(1,), more="000/壊.flac\tおわり")
    whole = brief(found(root)[0], "locator", "transcript", "problem")
    for block in (1, 2, 3, 7, 50):
        lines.load.cache_clear()
        monkeypatch.setattr(lines, "_BLOCK", block)
        assert brief(found(root)[0], "locator", "transcript", "problem") == whole
    monkeypatch.setattr(lines, "_LONGEST", 20)
    lines.load.cache_clear()
    assert "a line of more than 20 bytes" in found(root)[1][0].damage


def test_a_transcript_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(rows, "LONGEST", 18)
    root = reazon(tmp_path, 1, more=f"000/x.flac\t{'x' * 21}\n")
    all_rows, _ = found(root)
    assert brief(all_rows, "transcript", "problem") == [(None, "transcript of 19 bytes, over 18"), (None, NOT_LISTED)]
    path = write(tmp_path / "m.jsonl", json.dumps({"audio_filepath": "a.wav", "text": "短い", "pred_text": "x" * 21}))
    write(tmp_path / "a.wav", said("a"))
    assert brief(found(path)[0], "transcript", "second", "problem") == [
        ("短い", None, "second transcript of 21 bytes, over 18")
    ]


def test_a_tar_may_be_damaged_and_a_list_too(tmp_path):
    root = reazon(tmp_path, 6)
    path = root / "v2" / "000.tar"
    raw = path.read_bytes()
    path.write_bytes(raw[: 512 * 7 + 30])
    all_rows, (state,) = found(root)
    # Of what the tar has lost its list still knows.
    assert [row["locator"] for row in all_rows] == [f"000/000{i}.flac" for i in range(6)]
    assert set(problems(all_rows).values()) == {NOT_LISTED, "the tar ends inside this audio"} and len(problems(all_rows)) == 3
    assert "ends inside the member './000/0002.flac'" in state.damage and "6 rows were read" in state.damage
    path.write_bytes(raw)
    packed = gzip.compress((root / "v2-tsv" / "tiny.tsv").read_bytes() * 400 + os.urandom(9000))
    (root / "v2-tsv" / "tiny.tsv").unlink()
    write(root / "v2-tsv" / "tiny.tsv.gz", packed[: len(packed) // 2])
    all_rows, (state,) = found(root)
    assert "tiny.tsv.gz ends too early" in state.damage and sum(row["audio"] is not None for row in all_rows) == 6


def test_a_list_of_other_recordings_is_warned_of(tmp_path):
    root = reazon(tmp_path, 2)
    write(root / "v2-tsv" / "tiny.tsv", "x/y.flac\tあ\n")
    all_rows, (state,) = found(root)
    assert len(all_rows) == 3 and state.warning.endswith("000.tar has no recording that its lists of transcripts name")


def test_empty_tars_and_lists(tmp_path):
    root = reazon(tmp_path / "a", 2)
    write(root / "v2-tsv" / "tiny.tsv", b"")
    all_rows, states = found(root)
    assert brief(all_rows, "locator", "transcript") == [("000/0000.flac", None), ("000/0001.flac", None)] and unharmed(states)
    root = reazon(tmp_path / "b", 0)
    assert found(root)[0] == [] and unharmed(found(root)[1])
    write(root / "v2" / "000.tar", b"")
    assert found(root)[1][0].damage.endswith("000.tar is empty")
    write(root / "v2" / "000.tar", b"<html>404</html>" * 99)
    assert "is not a tar" in found(root)[1][0].damage
    for name, content in (("a.tsv", b""), ("b.tsv", b"\n\r\n"), ("c.jsonl", b"")):
        assert found(write(tmp_path / name, content))[1][0].damage == f"{tmp_path / name} is empty"


def test_what_a_tar_may_hold_beside_recordings(tmp_path):
    kinds = {
        "link.flac": tarfile.SYMTYPE,
        "hard.flac": tarfile.LNKTYPE,
        "device.wav": tarfile.CHRTYPE,
        "folder.wav": tarfile.DIRTYPE,
    }
    special = []
    for name, kind in kinds.items():
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "/etc/hostname"
        special.append((info, b""))
    text = tarfile.TarInfo("linked.txt")
    text.type, text.linkname = tarfile.SYMTYPE, "/etc/hostname"
    hostile = [
        ("../../etc/passwd.flac", b"up"), ("/etc/shadow.wav", b"root"), ("./dot.mp3", b"dot"), ("改\n行.flac", b"line"),
        ("改\r行.flac", b"return"), ("same.ogg", b"one"), ("same.ogg", b"two"), ("linked.flac", b"L"), ("empty.OPUS", b""),
    ]  # fmt: skip
    other = [("cover.jpg", b"jpg"), ("README", b""), (".flac", b"-"), ("meta.json", b"{}"), ("alone.txt", "声なし".encode())]
    path = archive(tmp_path / "a.tar", [*special, (text, b""), *hostile, *other])
    all_rows, states = found(path)
    assert unharmed(states)
    assert {row["locator"]: row["audio"] for row in all_rows if not row["problem"]} == {
        "../../etc/passwd": b"up", "/etc/shadow": b"root", "dot": b"dot", "改\ufffd行": b"line", "改\ufffd行~2": b"return",
        "same": b"one", "same~2": b"two", "linked": b"L", "empty": b"",
    }  # fmt: skip
    assert problems(all_rows) == {
        "link": "the audio is a symbolic link, not a file", "hard": "the audio is a hard link, not a file",
        "device": "the audio is a device, not a file", "alone": "no audio: the tar has a transcript and nothing else under this key",
    }  # fmt: skip
    assert {row["transcript"] for row in all_rows} == {None, "声なし"}
    assert all("/" not in row["name"] and row["name"].isprintable() for row in all_rows)
    # With a list recordings go by their whole name, and names that are there twice have one transcript.
    write(tmp_path / "a.tsv", "same.ogg\t同じ\ndot.mp3\t点\n../../etc/passwd.flac\t上\n改\ufffd行.flac\t行\n")
    all_rows, states = found(path)
    listed = {row["locator"]: row["transcript"] for row in all_rows if row["transcript"]}
    assert listed == {
        "same.ogg": "同じ", "same.ogg~2": "同じ", "dot.mp3": "点", "../../etc/passwd.flac": "上", "改\ufffd行.flac": "行",
        "改\ufffd行.flac~2": "行", "alone.txt": "声なし",
    }  # fmt: skip


def test_tars_with_a_json_for_every_recording(tmp_path):
    def meta(number, **more):
        return json.dumps(
            {"id": f"JA_{number}", "wav": f"JA/{number}.mp3", "text": f"文{number}", "speaker": f"S{number}"} | more
        ).encode()

    members = [("JA/1.mp3", tone(1, "MP3")), ("JA/1.json", meta(1, duration=0.05, start=7, language="ja", dnsmos=3.2))]
    members += [("JA/2.mp3", said(2)), ("JA/2.json", meta(2, pred_text="ぶん")), ("JA/2.txt", "こちら".encode())]
    members += [("JA/3.wav", said(3)), ("JA/3.json", b"{broken"), ("JA/4.flac", said(4)), ("JA/4.json", b'["text"]')]
    members += [
        ("JA/5.flac", said(5)),
        ("JA/5.json", b'{"text": "\\ud83d", "speaker": {"a": 1}, "duration": NaN, "path": "/etc"}'),
    ]
    members += [("JA/6.flac", said(6)), ("JA/6.txt", b"\xe7\x8c")]
    path = archive(tmp_path / "JA-0.tar", members)
    for place in (path, write(tmp_path / "b" / "JA.tar.gz", gzip.compress(path.read_bytes()))):
        all_rows, states = found(place)
        assert unharmed(states)
        assert brief(all_rows, "locator", "transcript", "speaker", "second", "duration", "start") == [
            ("JA/1", "文1", "S1", None, 0.05, None), ("JA/2", "こちら", "S2", "ぶん", None, None), ("JA/3", None, None, None, None, None),
            ("JA/4", None, None, None, None, None), ("JA/5", "\ufffd", None, None, None, None), ("JA/6", "\ufffd", None, None, None, None),
        ]  # fmt: skip
        assert problems(all_rows) == {"JA/6": "transcript: invalid UTF-8: byte 0xE7 at 0 of 2"}
        assert soundfile.info(io.BytesIO(all_rows[0]["audio"])).samplerate == 16000
    all_rows, _ = found(path, columns={"transcript": "id"})
    assert brief(all_rows, "transcript")[:2] == [("JA_1",), ("こちら",)]


# -- Common Voice

CV = "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tage\tvariant\tlocale\n"


def spoken(number, text=None, fields="\tx\t2\t0\ttwenties\t\tja"):
    return f"client{number % 3}\tcommon_voice_ja_{number}.mp3{fields[:2]}\t{text or f'文{number}'}{fields[2:]}\n"


@pytest.fixture
def common_voice(tmp_path):
    folder = tmp_path / "cv-corpus-17.0-2024-03-15" / "ja"
    for number in range(9):
        write(folder / "clips" / f"common_voice_ja_{number}.mp3", tone(number, "MP3") if number == 0 else said(number))
    write(folder / "validated.tsv", CV + "".join(spoken(i) for i in range(6)))
    write(folder / "other.tsv", CV + spoken(7) + spoken(8))
    write(folder / "train.tsv", CV + spoken(0) + spoken(1))
    write(folder / "dev.tsv", CV + spoken(1) + spoken(2))
    write(folder / "test.tsv", CV + spoken(3) + spoken(0))
    write(folder / "clip_durations.tsv", "clip\tduration[ms]\ncommon_voice_ja_0.mp3\t50\n")
    write(folder / "reported.tsv", "sentence\tsentence_id\tlocale\treason\nx\ty\tja\tz\n")
    return folder


def test_common_voice(common_voice):
    for place in (common_voice, common_voice.parent, common_voice.parent.parent, common_voice / "validated.tsv"):
        all_rows, states = found(place)
        assert unharmed(states) and not problems(all_rows)
        assert brief(all_rows, "locator", "transcript", "speaker", "name") == [
            (f"common_voice_ja_{i}.mp3", f"文{i}", f"client{i % 3}", f"common_voice_ja_{i}.mp3") for i in range(6)
        ]
    assert soundfile.info(io.BytesIO(all_rows[0]["audio"])).frames >= 800
    assert brief(found(common_voice / "other.tsv")[0], "transcript") == [("文7",), ("文8",)]
    assert brief(found(common_voice, transcripts="o*.tsv")[0], "transcript") == [("文7",), ("文8",)]
    assert "has no column that Seimai knows" in found(common_voice / "reported.tsv")[1][0].damage


def test_common_voice_in_splits_has_every_clip_once(common_voice):
    (common_voice / "validated.tsv").unlink()
    assert [f.name for f in speech.inputs([str(common_voice)])] == ["train.tsv", "dev.tsv", "test.tsv"]
    all_rows, states = found(common_voice)
    assert [row["transcript"] for row in all_rows] == ["文0", "文1", "文2", "文3"] and unharmed(states)
    for name in ("train", "dev", "test"):
        (common_voice / f"{name}.tsv").unlink()
    with pytest.raises(UsageError, match="--set source.transcripts=NAME"):
        speech.inputs([str(common_voice)])


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_common_voice_as_it_comes(common_voice, tmp_path, mode):
    write(common_voice / "validated.tsv", CV + "".join(spoken(i) for i in (*range(6), 99)))
    packed = tmp_path / "packed" / ("cv.tar" if mode == "w" else "cv.tar.gz")
    packed.parent.mkdir()
    with tarfile.open(packed, mode) as tar:
        tar.add(common_voice.parent, common_voice.parent.name)
    names = ("locator", "transcript", "speaker", "name", "audio")
    all_rows, states = found(packed)
    assert brief(all_rows, *names) == brief(found(common_voice)[0], *names) and unharmed(states)
    assert [*problems(all_rows).values()] == ["no audio: the tar has no such file in clips/"]
    (common_voice / "validated.tsv").unlink()
    with tarfile.open(packed, mode) as tar:
        tar.add(common_voice, ".")
    assert brief(found(packed)[0], "transcript") == [("文0",), ("文1",), ("文2",), ("文3",)]


def test_lists_between_commas(tmp_path):
    write(tmp_path / "wav" / "a.wav", tone(1, "WAV"))
    write(tmp_path / "wav" / "b.wav", said("b"))
    listed = 'file_name,transcription,speaker_id\nwav/a.wav,"猫、""と""\n犬",S1\nwav/b.wav,鳥,S2\nwav/c.wav,馬,S2\nwav/b.wav\n'
    path = write(tmp_path / "metadata.csv", BOM + listed.encode())
    for place in (path, tmp_path):
        all_rows, states = found(place)
        assert unharmed(states)
        assert brief(all_rows, "locator", "transcript", "speaker")[:3] == [
            ("wav/a.wav", '猫、"と"\n犬', "S1"), ("wav/b.wav", "鳥", "S2"), ("wav/c.wav", "馬", "S2")
        ]  # fmt: skip
        assert [*problems(all_rows).values()] == [NO_FILE, "the row has 1 fields instead of 3"]
    write(path, 'file_name,sentence\nwav/a.wav,猫\nwav/b.wav,"鳥\n')
    assert brief(found(path)[0], "transcript")[0] == ("猫",)
    write(path, 'file_name,sentence\nwav/a.wav,猫\nwav/b.wav,"鳥\nwav/c.wav,馬\n')
    assert "has a quote that is not closed" in found(path)[1][0].damage
    renamed = write(tmp_path / "other.csv", "where,what\nwav/a.wav,猫\n")
    options = {"columns": {"path": "where", "transcript": "what"}}
    assert brief(found(renamed, **options)[0], "locator", "transcript") == [("wav/a.wav", "猫")]


def test_absolute_paths_of_another_machine(tmp_path):
    audio = tmp_path / "here"
    for name in ("b/c.wav", "c.wav", "d.wav"):
        write(audio / name, said(name))
    paths = ["/data/a/b/c.wav", "/other/c.wav", "/data/gone.wav", "/data/../../etc/d.wav", f"{audio}/d.wav"]
    path = jsonl(tmp_path / "list.jsonl", *({"audio_filepath": p, "text": "猫"} for p in paths))
    all_rows, _ = found(path, audio)
    assert [row["audio"] for row in all_rows] == [said("b/c.wav"), said("c.wav"), None, said("d.wav"), said("d.wav")]
    assert "nor an end of it" in [*problems(all_rows).values()][0]
    assert [*problems(found(path)[0]).values()][0] == OUTSIDE


def test_common_voice_with_whatever_lines_can_hold(common_voice):
    told = [
        BOM + CV.replace("\n", "\r\n").encode(), spoken(0, '"引用').replace("\n", "\r\n").encode(), spoken(1, '彼は"「').encode(),
        spoken(2, "タブ\tが").encode(), spoken(3, "@@").encode().replace(b"@@", b"\xe7\x8c"), b"\n\r\n", b"short\n",
        spoken(4).replace("_4.mp3", "_4").encode(), spoken(40).encode(), b"c\t../../../../etc/passwd\tx\tup\t\t\t\t\t\n",
        b"c\t/etc/passwd\tx\troot\t\t\t\t\t\n", b"c\t../../secret.mp3\tx\tout\t\t\t\t\t\n", b"c\tlink.mp3\tx\tlink\t\t\t\t\t\n",
        b"c\t../dev.tsv\tx\tinside\t\t\t\t\t\n", b"c\t.\tx\tdot\t\t\t\t\t\n", b"c\tclips\tx\tfolder\t\t\t\t\t\n",
        b"c\t\tx\tnone\t\t\t\t\t\n",
        f"c\t{'x' * 5000}.mp3\tx\tlong\t\t\t\t\t\n".encode(), b"c\ta\0b.mp3\tx\tnul\t\t\t\t\t\n",
        spoken(5).encode(), spoken(5, "また").rstrip().encode(),
    ]  # fmt: skip
    write(common_voice.parent / "secret.mp3", b"secret")
    (common_voice / "clips" / "link.mp3").symlink_to(common_voice.parent / "secret.mp3")
    path = write(common_voice / "validated.tsv", b"".join(told))
    all_rows, states = found(path)
    assert unharmed(states) and len(all_rows) == 19
    by_text = {row["transcript"]: row for row in all_rows}
    assert by_text['"引用']["audio"] and by_text['彼は"「']["audio"] and by_text["文4"]["audio"] == said(4)
    assert by_text["タブ"]["problem"] == "the line has 10 fields instead of 9"
    assert by_text["\ufffd"]["problem"].startswith("line: invalid UTF-8: byte 0xE7")
    for text, problem in {
        "文40": NO_FILE, "up": OUTSIDE, "root": OUTSIDE, "out": OUTSIDE, "link": OUTSIDE, "dot": NO_FILE, "long": NO_FILE,
        "folder": "no audio: what the path leads to is no file", "none": "no audio: the row names no file",
        "nul": "no audio: the path is none",
    }.items():  # fmt: skip
        assert by_text[text]["problem"] == problem, text
    assert by_text["inside"]["audio"] == (common_voice / "dev.tsv").read_bytes()  # what it is the decoder will say
    assert [row["locator"] for row in all_rows[-2:]] == ["common_voice_ja_5.mp3", "common_voice_ja_5.mp3~2"]
    assert not any(row["audio"] == b"secret" for row in all_rows)


def test_a_list_without_tars_finds_loose_recordings(tmp_path):
    path = write(tmp_path / "lists" / "x.tsv", "a.flac\tあ\nsub/b.flac\tび\n../audio/a.flac\tそと\n")
    write(tmp_path / "audio" / "a.flac", said("a"))
    write(tmp_path / "audio" / "sub" / "b.flac", said("b"))
    all_rows, states = found(path, tmp_path / "audio")
    assert brief(all_rows) == [
        ("a.flac", "あ", said("a")),
        ("sub/b.flac", "び", said("b")),
        ("../audio/a.flac", "そと", said("a")),
    ]
    assert unharmed(states)
    assert set(problems(found(path)[0]).values()) == {NO_FILE, OUTSIDE}


# -- folders


def test_jsut_and_jvs(tmp_path):
    jsut = tmp_path / "jsut_ver1.1"
    for name, count in (("basic5000", 3), ("travel1000", 1)):
        ids = [f"{name.upper()}_{i:04d}" for i in range(1, count + 1)]
        write(jsut / name / "transcript_utf8.txt", "".join(f"{key}:{key}：の文。\n" for key in ids))
        for key in ids:
            write(jsut / name / "wav" / f"{key}.wav", tone(count, "WAV"))
    write(jsut / "travel1000" / "wav" / "EXTRA_1.wav", said("extra"))
    (jsut / "basic5000" / "transcript_utf8.txt").open("a").write("BASIC5000_0009:声なし\nBASIC5000_0001:別の文\n")
    write(jsut / "README_ja.txt", "説明")
    all_rows, states = found(jsut)
    assert unharmed(states)
    assert brief(all_rows, "locator", "transcript", "speaker") == [
        ("BASIC5000_0001", "BASIC5000_0001：の文。", None), ("BASIC5000_0001~2", "別の文", None),
        ("BASIC5000_0002", "BASIC5000_0002：の文。", None), ("BASIC5000_0003", "BASIC5000_0003：の文。", None),
        ("BASIC5000_0009", "声なし", None), ("TRAVEL1000_0001", "TRAVEL1000_0001：の文。", None),
        ("travel1000/wav/EXTRA_1.wav", None, None),
    ]  # fmt: skip
    assert problems(all_rows) == {
        "BASIC5000_0001~2": "no audio: a second transcript for BASIC5000_0001", "BASIC5000_0009": NOT_LISTED,
    }  # fmt: skip
    jvs = tmp_path / "jvs_ver1"
    for speaker in ("jvs001", "jvs002"):
        for part in ("parallel100", "whisper10"):
            write(jvs / speaker / part / "transcripts_utf8.txt", "VOICEACTRESS100_001:また、東寺のように。\n")
            write(jvs / speaker / part / "wav24kHz16bit" / "VOICEACTRESS100_001.wav", said(speaker + part))
    all_rows, _ = found(jvs)
    assert brief(all_rows, "locator", "speaker", "audio") == [
        (f"{s}/{p}/VOICEACTRESS100_001", s, said(s + p)) for s in ("jvs001", "jvs002") for p in ("parallel100", "whisper10")
    ]
    assert {row["transcript"] for row in all_rows} == {"また、東寺のように。"}


def test_librispeech(tmp_path):
    for speaker, chapter in (("84", "121123"), ("84", "121550"), ("174", "50561")):
        here = tmp_path / "dev-clean" / speaker / chapter
        ids = [f"{speaker}-{chapter}-{i:04d}" for i in range(2)]
        write(here / f"{speaker}-{chapter}.trans.txt", "".join(f"{key} SAID {key}\n" for key in ids))
        for key in ids:
            write(here / f"{key}.flac", tone(int(chapter) % 7))
    all_rows, states = found(tmp_path / "dev-clean")
    assert unharmed(states) and len(all_rows) == 6 and not problems(all_rows)
    assert brief(all_rows, "locator", "transcript", "speaker", "programme")[:3] == [
        ("174-50561-0000", "SAID 174-50561-0000", "174", "50561"), ("174-50561-0001", "SAID 174-50561-0001", "174", "50561"),
        ("84-121123-0000", "SAID 84-121123-0000", "84", "121123"),
    ]  # fmt: skip


def test_a_folder_of_loose_recordings(tmp_path, monkeypatch):
    folder = tmp_path / "talks"
    for name in ("a.wav", "b.lab.wav", "c.mp3", "d.flac", "e.ogg", "f.wav", "sub/a.wav", "改\n行.wav", "g.wav"):
        write(folder / name, said(name))
    for name, text in {
        "a.txt": BOM + "猫".encode(), "b.lab.lab": "ラベル", "c.lab": "0 3125000 xx^xx-sil+k\n", "d.txt": b"\xff",
        "e.json": json.dumps({"text": "なか", "speaker": "S", "path": "/etc/passwd", "id": "other"}), "f.normalized.txt": "整えた",
        "g.json": "[1]", "notes.txt": "録音ではない", "transcript_utf8.txt": "/etc/passwd:x\n../up:y\n",
    }.items():  # fmt: skip
        write(folder / name, text)
    (folder / "link.wav").symlink_to("/etc/hostname")
    (folder / "sub" / "a.txt").symlink_to("/etc/hostname")
    all_rows, states = found(folder)
    assert unharmed(states)
    assert {row["locator"]: row["transcript"] for row in all_rows} == {
        "a.wav": "猫", "b.lab.wav": "ラベル", "c.mp3": None, "d.flac": "\ufffd", "e.ogg": "なか", "f.wav": "整えた", "g.wav": None,
        "sub/a.wav": None, "改\ufffd行.wav": None, "/etc/passwd": "x", "../up": "y",
    }  # fmt: skip
    assert problems(all_rows) == {
        "d.flac": "transcript: invalid UTF-8: byte 0xFF at 0 of 1", "/etc/passwd": NOT_LISTED, "../up": NOT_LISTED,
    }  # fmt: skip
    assert [row["locator"] for row in all_rows] == sorted(row["locator"] for row in all_rows)
    monkeypatch.setattr(rows, "LONGEST", 5)
    assert problems(found(folder)[0])["b.lab.wav"] == "transcript of 9 bytes, over 5"


def test_names_in_another_encoding(tmp_path):
    folder = os.fsencode(tmp_path / "old")
    os.mkdir(folder)
    for name in ("録音.wav".encode("cp932"), b"a.wav"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x")
    all_rows, _ = found(tmp_path / "old")
    assert list(problems(all_rows).values()) == ["the name of the file is not UTF-8: rename it"] and len(all_rows) == 2


# -- manifests


def jsonl(path, *values):
    text = "".join(f"{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n" for value in values)
    return write(path, gzip.compress(text.encode()) if path.suffix == ".gz" else text)


def test_nemo_s_manifests(tmp_path):
    write(tmp_path / "wav" / "a.wav", tone(1, "WAV"))
    write(tmp_path / "long.flac", said("long"))
    write(tmp_path / "elsewhere" / "c.wav", said("c"))
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
    path = jsonl(tmp_path / "train_manifest.json", *values)
    all_rows, states = found(path)
    assert unharmed(states) and len(all_rows) == len(values)
    assert brief(all_rows, "locator", "transcript", "second", "speaker", "duration", "start", "end", "programme")[:4] == [
        ("wav/a.wav", "猫", "ねこ", "S1", 0.05, None, None, None), ("long.flac", "一", None, None, 2.0, 1.5, 3.5, "long.flac"),
        (str(tmp_path / "long.flac"), "二", None, None, None, 3.5, None, str(tmp_path / "long.flac")),
        ("own-id", "12", None, None, 1.0, 4.0, 5.0, "long.flac"),
    ]  # fmt: skip
    assert [row["audio"] for row in all_rows[1:4]] == [said("long")] * 3
    assert [row["problem"] for row in all_rows[4:]] == [
        OUTSIDE, OUTSIDE, OUTSIDE, NO_FILE, "the line is not a JSON object", "the line is not a JSON object",
        "no audio: the row names no file", NO_FILE, None,
    ]  # fmt: skip
    assert all_rows[-1]["transcript"] is None and all_rows[-1]["locator"] == "wav/a.wav~2"
    # A folder of its own for the recordings is looked into first, and absolute paths may lead there.
    path = jsonl(
        tmp_path / "lists" / "m.jsonl",
        {"wav": "c.wav"},
        {"wav": str(tmp_path / "elsewhere" / "c.wav")},
        {"wav": "../long.flac"},
    )
    all_rows, _ = found(path, tmp_path / "elsewhere")
    assert [row["audio"] for row in all_rows] == [said("c"), said("c"), None] and all_rows[2]["problem"] == OUTSIDE


def test_links_in_folders_of_recordings_do_not_lead_out(tmp_path):
    write(tmp_path / "secret" / "a.wav", b"secret")
    write(tmp_path / "corpus" / "b.wav", said("b"))
    (tmp_path / "corpus" / "out").symlink_to(tmp_path / "secret")
    (tmp_path / "corpus" / "a.wav").symlink_to(tmp_path / "secret" / "a.wav")
    (tmp_path / "corpus" / "in.wav").symlink_to("b.wav")
    (tmp_path / "corpus-secret").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "corpus" / "pipe.wav")
    names = ["out/a.wav", "a.wav", "../corpus-secret/a.wav", "in.wav", "pipe.wav", "b.wav/", "./b.wav", "no/../b.wav"]
    all_rows, _ = found(jsonl(tmp_path / "corpus" / "m.jsonl", *({"path": name} for name in names)))
    assert [row["audio"] for row in all_rows] == [None, None, None, said("b"), None, None, said("b"), said("b")]
    assert [row["problem"] for row in all_rows][:5] == [OUTSIDE] * 3 + [None, "no audio: what the path leads to is no file"]


def recording(key, source, duration=10.0, kind="file"):
    sources = [{"type": kind, "channels": [0], "source": source}]
    return {"id": key, "sources": sources, "sampling_rate": 16000, "num_samples": int(duration * 16000), "duration": duration}


def supervision(key, of_recording, start, duration, text, speaker=None):
    found = {"id": key, "recording_id": of_recording, "start": start, "duration": duration, "channel": 0, "text": text}
    return found | ({"speaker": speaker} if speaker else {})


def cutting(key, source, start, duration, *supervisions, kind="MonoCut", **more):
    whole = {"id": key, "start": start, "duration": duration, "channel": 0, "supervisions": [*supervisions], "type": kind}
    return whole | {"recording": recording(f"r-{key}", source)} | more


def test_lhotse_s_cuts(tmp_path):
    write(tmp_path / "a.flac", said("a"))
    cuts = [
        cutting("c1", "a.flac", 0, 10.0, supervision("s1", "r", 0, 10.0, "全部", "S1")),
        cutting("c2", "a.flac", 2.0, 3.0, supervision("s2", "r", 0.0, 3.0, "一部", "S2")),
        cutting("c3", "a.flac", 5.0, 4.0, supervision("s3", "r", 0.5, 1.0, "前"), supervision("s4", "r", 2.0, 1.5, "後", "S4")),
        cutting("c4", "a.flac", 6.0, 1.0),
        cutting("c5", "rm -rf /", 0, 1.0, kind_="x") | {"recording": recording("r", "rm -rf / |", kind="command")},
        {"id": "c6", "type": "MixedCut", "tracks": []},
        cutting("c7", "../a.flac", 0, 10.0, supervision("s7", "r", float("nan"), True, None)),
        cutting("c8", "a.flac", 1, 2, "odd", supervisions={"a": 1}),
    ]
    for path in (jsonl(tmp_path / "cuts.jsonl", *cuts), jsonl(tmp_path / "z_cuts.jsonl.gz", *cuts)):
        all_rows, states = found(path)
        assert unharmed(states)
        assert brief(all_rows, "locator", "transcript", "speaker", "start", "end", "duration", "programme") == [
            ("c1", "全部", "S1", None, None, 10.0, None), ("c2", "一部", "S2", 2.0, 5.0, 3.0, "r-c2"),
            ("s3", "前", None, 5.5, 6.5, 1.0, "r-c3"), ("s4", "後", "S4", 7.0, 8.5, 1.5, "r-c3"), ("c4", None, None, 6.0, 7.0, 1.0, "r-c4"),
            ("c5", None, None, 0.0, 1.0, 1.0, "r"), ("c6", None, None, None, None, None, None), ("c7", None, None, None, None, 10.0, None),
            ("c8", None, None, 1.0, 3.0, 2.0, "r-c8"),
        ]  # fmt: skip
        assert problems(all_rows) == {
            "c5": "no audio: the source of the recording is no file but of type 'command'",
            "c6": "no audio: the manifest has no recording of this id", "c7": OUTSIDE,
        }  # fmt: skip


def test_lhotse_s_supervisions_with_their_recordings(tmp_path):
    write(tmp_path / "a.flac", said("a"))
    jsonl(
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
    path = jsonl(tmp_path / "jsut_supervisions_all.jsonl.gz", *said_)
    for place in (path, tmp_path / "*.jsonl.gz", tmp_path):
        all_rows, states = found(place)
        assert unharmed(states)
        assert brief(all_rows, "locator", "transcript", "speaker", "start", "end", "audio") == [
            ("s1", "全部", "S1", None, None, said("a")), ("s2", "一部", None, 2.0, 3.0, said("a")), ("s3", "無", None, 0.0, 1.0, None),
            ("r2", None, None, None, None, said("a")), ("r3", None, None, None, None, None),
        ]  # fmt: skip
        assert problems(all_rows) == {"s3": "no audio: the manifest has no recording of this id", "r3": NO_FILE}
    jsonl(tmp_path / "jsut_cuts_all.jsonl.gz", cutting("c", "a.flac", 0, 10.0))
    assert [f.name for f in speech.inputs([str(tmp_path)])] == ["jsut_cuts_all.jsonl.gz"]
    (tmp_path / "jsut_recordings_all.jsonl.gz").unlink()
    with pytest.raises(UsageError, match="no jsut_recordings_all.jsonl.gz"):
        speech.inputs([str(path)])


def test_stretches_of_one_recording_are_weighed_once(tmp_path):
    write(tmp_path / "long.flac", b"x" * 5000)
    write(tmp_path / "other.flac", b"y" * 100)
    values = [{"audio_filepath": "long.flac", "offset": i, "duration": 1} for i in range(30)] + [
        {"audio_filepath": "other.flac"}
    ] * 2
    file = speech.inputs([str(jsonl(tmp_path / "m.jsonl", *values))])[0]
    (whole,), all_rows, state = of(file)
    assert whole.end == state.size == 5000 + 100 + 32
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifests, "BATCH", 7)
        partitions, again, _ = of(file, partition=5010)
    assert again == all_rows and [p.records for p in partitions] == [10, 22]


# -- tables


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A dataset of real recordings as `datasets` saves it."""
    import datasets

    folder = tmp_path_factory.mktemp("saved")
    blobs = [tone(i, "WAV") for i in range(70)]
    columns = {
        "audio": [{"bytes": b, "path": f"x/{i}.wav"} for i, b in enumerate(blobs)],
        "transcription": [None if i == 5 else f"文{i}" for i in range(70)],
        "speaker_id": [i % 4 for i in range(70)],
        "start": [float(i) for i in range(70)],
    }
    made = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio())
    assert made.features["audio"].decode
    datasets.disable_progress_bars()
    made.save_to_disk(folder / "arrow", num_shards=2)
    made.to_parquet(folder / "parquet" / "train-00000-of-00001.parquet")
    return folder, [(None if i == 5 else f"文{i}", str(i % 4), blobs[i], f"{i}.wav") for i in range(70)]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_datasets_with_audio(saved, form):
    folder, expected = saved
    all_rows = [row for file in speech.inputs([str(folder / form)]) for row in of(file, partition=9000)[1]]
    assert brief(all_rows, "transcript", "speaker", "audio", "name") == expected
    assert all(row["start"] is None and not row["problem"] for row in all_rows)
    assert all_rows[3]["locator"] == "0000000003"


def test_a_corpus_that_seimai_built(tmp_path):
    struct = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    frame = pl.DataFrame(
        {
            "id": ["r/1", "r/2"],
            "audio": pl.Series([{"bytes": b"one", "path": "1.flac"}, {"bytes": b"two", "path": "2.flac"}], dtype=struct),
            "transcript": ["一", "二"], "duration": [1.0, 2.0], "speaker": ["S", None], "license": ["CC0", None],
        }
    )  # fmt: skip
    write(tmp_path / "manifest.lock.toml", "")
    (tmp_path / "data").mkdir()
    (tmp_path / "ledger").mkdir()
    frame.write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    frame.drop("audio").write_parquet(tmp_path / "ledger" / "part.parquet")
    all_rows, states = found(tmp_path)
    assert unharmed(states)
    assert brief(all_rows, "locator", "transcript", "audio", "duration", "speaker", "license") == [
        ("r/1", "一", b"one", 1.0, "S", "CC0"), ("r/2", "二", b"two", 2.0, None, None),
    ]  # fmt: skip


def test_tables_under_other_names_and_with_paths_only(tmp_path):
    struct = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    audio = pl.Series("声", [{"bytes": b"one", "path": "1.wav"}, {"bytes": None, "path": "2.wav"}, None], dtype=struct)
    path = tmp_path / "a.parquet"
    pl.DataFrame([audio, pl.Series("文", ["一", "二", "三"])]).write_parquet(path)
    columns = {"audio": "声", "transcript": "文"}
    write(tmp_path / "2.wav", b"two")
    all_rows, _ = found(path, columns=columns)
    assert brief(all_rows, "transcript", "audio") == [("一", b"one"), ("二", b"two"), ("三", None)]
    assert problems(all_rows) == {"0000000002": "no audio: the row names no file"}
    assert "has no column 'x', which source.columns names" in found(path, columns={"audio": "x"})[1][0].damage
    pl.DataFrame({"a": [1], "b": ["x"]}).write_parquet(path)
    assert "--set source.columns.path=NAME (or .audio)" in found(path)[1][0].damage
    pl.DataFrame({"file_name": ["2.wav", "../a.parquet"], "sentence": ["二", "外"]}).write_parquet(path)
    assert brief(found(path)[0]) == [("2.wav", "二", b"two"), ("../a.parquet", "外", None)]
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a whole Parquet file" in found(path)[1][0].damage
    assert "its first line is binary" in found(write(tmp_path / "x.tsv", b"\0\1\2" * 99))[1][0].damage


# -- cutting


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
    jsonl(folder / "loose" / "m.jsonl", *({"path": name, "text": text} for name, text in texts.items()))
    write(folder / "loose" / "list.tsv", "path\tsentence\n" + listed)
    held_ = {"id": [*texts], "text": [*texts.values()], "audio": [bodies.get(name) for name in texts]}
    pl.DataFrame(held_).write_parquet(folder / "held.parquet", row_group_size=13)
    places = {
        "tar": "tar", "tar.gz": "gz", "webdataset": "webdataset", "folder": "loose/000", "jsonl": "loose/m.jsonl",
        "tsv": "loose/list.tsv", "table": "held.parquet",
    }  # fmt: skip
    files = {name: speech.inputs([str(folder / place)]) for name, place in places.items()}
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
        whole = of(file)[1]
        names = ("locator", "transcript", "audio", "problem")
        assert len(whole) == 60 - 7 * (form == "webdataset") and sum(row["problem"] is None for row in whole) == 53
        patch.setattr(held, "MANY", many)
        plain, _, _ = of(file, partition=partition)
        for module, name in ((tables, "BATCH"), (tables, "_BATCH_WITH_AUDIO"), (manifests, "BATCH"), (lines, "_BLOCK")):
            patch.setattr(module, name, batch)
        partitions, all_rows, state = of(file, partition=partition, first_index=4)
        assert brief(all_rows, *names) == brief(whole, *names)
        assert [p.start for p in partitions] == [0, *(p.end for p in partitions[:-1])]
        assert [(p.start, p.end) for p in partitions] == [(p.start, p.end) for p in plain]
        assert [p.index for p in partitions] == [*range(4, 4 + len(partitions))] and {p.file for p in partitions} == {2}
        assert partitions[-1].end == state.size == sum(len(row["audio"] or b"") + 1 for row in all_rows)
        assert all(p.records <= many for p in partitions)
        assert all(p.end - p.start >= partition or p.records == many for p in partitions[:-1])
        if form != "folder":
            assert state.checksum == hashlib.sha256(Path(file.url).read_bytes()).hexdigest()
        # Going on after any partition gives the rest, and with a limit its beginning.
        done = data.draw(st.integers(0, len(partitions)))
        start, before = (partitions[done - 1].end, sum(p.records for p in partitions[:done])) if done else (0, 0)
        rest, rest_rows, rest_state = of(file, partition=partition, first_index=4 + done, start=start)
        assert rest == partitions[done:] and brief(rest_rows, *names) == brief(whole, *names)[before:]
        assert (rest_state.size, rest_state.checksum) == (state.size, state.checksum)
        limit = data.draw(st.integers(0, 70))
        _, few, limited = of(file, partition=partition, first_index=4 + done, start=start, limit=limit)
        assert brief(few, *names) == brief(whole, *names)[before : before + limit] and limited.limit == limit - len(few)


@pytest.mark.parametrize("form", FORMS)
def test_recordings_that_are_too_large_keep_their_transcripts(forms, form):
    all_rows, few = of(forms[form])[1], of(forms[form], max_document=500)[1]
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
    _, all_rows, state = of(speech.inputs([str(path)])[0])
    assert len({row["locator"] for row in all_rows}) == len(all_rows)
    assert state.damage is None or str(path) in state.damage


# -- inputs


def test_the_same_rows_from_a_server(tmp_path, server):
    root = reazon(tmp_path, 5)
    here = brief(found(root)[0])
    server.files = {"000.tar": (root / "v2" / "000.tar").read_bytes()}
    there, states = found(f"{server.url}/000.tar", transcripts=str(root / "v2-tsv" / "*.tsv"))
    assert brief(there) == here and unharmed(states) and all(row["place"] is None for row in there)
    server.files = {"m.jsonl": b'{"audio_filepath": "a.wav"}\n'}
    with pytest.raises(UsageError, match="say with --audio which folder they are in"):
        found(f"{server.url}/m.jsonl")
    write(tmp_path / "wav" / "a.wav", b"a")
    assert found(f"{server.url}/m.jsonl", tmp_path / "wav")[0][0]["audio"] == b"a"


def test_identity_changes_with_everything_that_is_read(tmp_path, common_voice):
    root = reazon(tmp_path / "reazon", 2)
    archive(root / "v2" / "001.tar", [])
    jsonl(tmp_path / "m_recordings.jsonl", recording("r", "a.flac"))
    jsonl(tmp_path / "m_supervisions.jsonl", supervision("s", "r", 0, 1, "x"))

    def identities():
        inputs = ([str(root)], [str(common_voice)], [str(common_voice / "dev.tsv")], [str(tmp_path / "m_*")])
        return [tuple(f.identity for f in speech.inputs(one)) for one in inputs]

    before = identities()
    assert identities() == before
    for changed, change in (
        ({0}, lambda: write(root / "v2-tsv" / "tiny.tsv", "x/another.flac\tx\n")),
        ({0}, lambda: write(root / "v2" / "000.tar", b"another")),
        ({1, 2}, lambda: write(common_voice / "clips" / "common_voice_ja_0.mp3", b"another")),
        ({1}, lambda: write(common_voice / "validated.tsv", CV)),
        ({3}, lambda: jsonl(tmp_path / "m_recordings.jsonl", recording("r", "b.flac"))),
    ):
        change()
        after = identities()
        assert {i for i, (a, b) in enumerate(zip(before, after)) if a != b} == changed
        before = after
    path = str(tmp_path / "m_supervisions.jsonl")
    assert speech.inputs([path])[0].identity != speech.inputs([path], str(common_voice / "clips"))[0].identity


def test_inputs_that_are_none(tmp_path):
    with pytest.raises(UsageError, match="neither tars, tables .* nor recordings"):
        speech.inputs([str(tmp_path)])
    with pytest.raises(UsageError, match="--audio .*gone"):
        speech.inputs([str(tmp_path)], str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="no such file"):
        speech.inputs([str(tmp_path / "gone.tar")])
    write(tmp_path / "a\nb" / "1.wav", b"x")
    with pytest.raises(UsageError, match="printable"):
        speech.inputs([str(tmp_path / "a\nb")])
    for name in ("a", "b"):
        reazon(tmp_path / name, 1, tar="000.tar", listed=f"{name}.tsv")
    with pytest.raises(UsageError, match="two tars called 000 have the same lists"):
        speech.inputs([str(tmp_path / "?" / "000.tar")], transcripts=str(tmp_path / "a" / "a.tsv"))
    assert [f.name for f in speech.inputs([str(tmp_path / "?" / "000.tar")])] == ["a/000.tar", "b/000.tar"]
    with pytest.raises(UsageError, match="given twice"):
        speech.inputs([str(tmp_path / "a"), str(tmp_path / "a" / "000.tar")])


def test_a_recording_that_changes_under_a_partition_is_noticed(tmp_path):
    path = write(tmp_path / "a" / "a.wav", said("a"))
    file = speech.inputs([str(tmp_path / "a")])[0]
    ((made, body),) = speech.cut(file, 0, 0, CutState(1_000_000, 1_000_000))
    here = speech.read(made, io.BytesIO(bytes(body)))
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="has changed since the build began"):
        here.content(0)
    here.close()


# -- the development data


@real
def test_development_data():
    listed = pl.read_csv(
        DATA / "reazonspeech" / "v2-tsv" / "tiny.tsv",
        separator="\t",
        has_header=False,
        quote_char=None,
        new_columns=["name", "text"],
    )
    for place in (DATA / "reazonspeech", DATA / "reazonspeech" / "v2" / "*.tar"):
        all_rows, states = found(place, partition=2_000_000)
        assert unharmed(states) and len(all_rows) == 320 and not problems(all_rows)
        told = {row["locator"]: row["transcript"] for row in all_rows if row["transcript"] is not None}
        assert told == dict(listed.rows()) and len(told) == 312
    assert soundfile.info(io.BytesIO(all_rows[0]["audio"])).samplerate == 16000
