import bz2
import gzip
import hashlib
import io
import json
import os
import tarfile
import unicodedata

import pytest
import soundfile

from pipeline.core.errors import UsageError
from pipeline.sources.formats import lines as text_lines
from pipeline.sources.pointers import RowKind
from pipeline.sources.speech import columns, transcript_lists
from pipeline.sources.speech.source import SpeechSource
from tests.pipeline.sources.helpers import BOM, archive, pick, problems, write
from tests.pipeline.sources.speech.helpers import (
    NOT_LISTED,
    SOURCE,
    fake_audio,
    is_unharmed,
    pick_said,
    read_speech,
    tone,
    write_reazonspeech,
)


def test_reazonspeech_by_its_folder_its_tars_and_its_lists(tmp_path):
    root = write_reazonspeech(tmp_path / "reazonspeech", 4, lacking=(2,))
    expected = [
        (f"000/000{i}.flac", None if i == 2 else f"文000/000{i}.flac。", fake_audio(f"000/000{i}.flac")) for i in range(4)
    ]
    for place in (root, root / "v2" / "*.tar", root / "v2" / "000.tar", root / "v2", root / "*" / "*"):
        result = read_speech(place)
        assert pick_said(result.rows) == expected and is_unharmed(result.states)
        assert {row["name"] for row in result.rows} == {f"000{i}.flac" for i in range(4)}
    assert [f.name for f in SOURCE.find_inputs([str(root)])] == ["v2/000.tar"]
    assert {row["content_path"] for row in result.rows} == {str(root / "v2" / "000.tar")} and not problems(result.rows)


def test_lists_beside_the_tars_and_tars_that_are_compressed(tmp_path):
    root = write_reazonspeech(tmp_path / "a", 3, tar="000.tar", listed="tiny.tsv")
    expected = pick_said(read_speech(root).rows)
    assert len(expected) == 3 and all(transcript for _, transcript, _ in expected)
    raw = (root / "000.tar").read_bytes()
    (root / "000.tar").unlink()
    for name, packed in (
        ("000.tar.gz", gzip.compress(raw)),
        ("000.tgz", gzip.compress(raw)),
        ("000.tar.bz2", bz2.compress(raw)),
    ):
        path = write(root / name, packed)
        result = read_speech(root)
        assert (
            pick_said(result.rows) == expected
            and all(row["content_path"] is None for row in result.rows)
            and is_unharmed(result.states)
        )
        assert result.states[0].checksum == hashlib.sha256(packed).hexdigest()
        path.unlink()
    # Further from the tars the folder itself leads to them.
    far = write_reazonspeech(tmp_path / "b", 3, tar="audio/x/000.tar", listed="lists/tiny.tsv")
    assert pick_said(read_speech(far).rows) == expected
    assert pick_said(read_speech(far / "audio" / "x" / "*.tar", transcripts=str(far / "lists" / "tiny.tsv")).rows) == expected
    assert pick_said(read_speech([far / "audio" / "x" / "*.tar", far / "lists" / "tiny.tsv"]).rows) == expected
    # Without its list a tar is one of WebDataset's.
    assert pick(read_speech(far / "audio" / "x" / "*.tar").rows, "locator", "transcript") == [
        (f"000/000{i}", None) for i in range(3)
    ]


def test_transcripts_without_audio_are_records_with_a_problem(tmp_path):
    root = write_reazonspeech(tmp_path, 2, more="000/gone.flac\tどこ\n007/else.flac\tよそ\nno name at all\n")
    archive(root / "v2" / "001.tar", [("./001/a.flac", fake_audio("a")), ("./002/b.flac", fake_audio("b"))])
    (root / "v2-tsv" / "tiny.tsv").open("a").write("001/a.flac\tあ\n002/b.flac\tび\n002/c.flac\tし\n")
    result = read_speech(root)
    assert is_unharmed(result.states)
    assert pick(result.rows, "locator", "transcript") == [
        ("000/0000.flac", "文000/0000.flac。"), ("000/0001.flac", "文000/0001.flac。"), ("000/gone.flac", "どこ"),
        ("001/a.flac", "あ"), ("002/b.flac", "び"), ("002/c.flac", "し"), ("007/else.flac", "よそ"), ("no name at all", None),
    ]  # fmt: skip
    assert problems(result.rows) == dict.fromkeys(
        ["000/gone.flac", "002/c.flac", "007/else.flac", "no name at all"], NOT_LISTED
    )
    # A transcript whose recording is in a tar that is called otherwise is not left over, even where that tar came before.
    os.rename(root / "v2" / "000.tar", root / "v2" / "zero.tar.part")
    raw = (root / "v2" / "zero.tar.part").read_bytes()
    (root / "v2" / "aaa.tar.gz").write_bytes(gzip.compress(raw))
    again, states = read_speech(root)
    assert sorted(pick(again, "locator", "transcript")) == sorted(pick(result.rows, "locator", "transcript"))
    assert problems(again) == problems(result.rows)


def test_of_many_lists_the_largest_comes_first(tmp_path):
    root = write_reazonspeech(tmp_path, 3)
    names = [f"000/000{i}.flac" for i in range(3)]
    rest = "".join(f"00{i}/x.flac\t-\n" for i in range(4))
    write(root / "v2-tsv" / "all.tsv", f"{names[0]}\tほかの文である。\n{names[1]}\t文{names[1]}。\n{rest}")
    write(root / "v2-tsv" / "readme.tsv", "column\tmeaning\nname\tpath\n")
    result = read_speech(root)
    assert pick(result.rows, "locator", "transcript")[:4] == [
        (names[0], "ほかの文である。"), (names[1], f"文{names[1]}。"), (names[2], f"文{names[2]}。"), ("000/x.flac", "-"),
    ]  # fmt: skip
    assert len(result.rows) == 7
    assert "tiny.tsv have different transcripts for 1 recordings, such as 000/0000.flac" in result.states[0].warning
    # The manifest may choose.
    result = read_speech(root, transcripts="tiny.tsv")
    assert pick(result.rows, "transcript") == [(f"文{name}。",) for name in names]
    assert f"not read in {root.name}: v2-tsv/all.tsv: " in result.states[0].warning
    with pytest.raises(UsageError, match="'big.tsv': no list of transcripts is called so. There are: all.tsv, tiny.tsv"):
        SOURCE.find_inputs([str(root)], transcripts="big.tsv")


def test_two_transcripts_for_one_recording_in_one_list(tmp_path):
    root = write_reazonspeech(
        tmp_path, 1, more="000/0000.flac\tふたつめ\n000/0000.flac\t文000/0000.flac。\n000/no.flac\t一\n000/no.flac\t二\n"
    )
    result = read_speech(root)
    assert is_unharmed(result.states)
    assert pick_said(result.rows) == [
        ("000/0000.flac", "文000/0000.flac。", fake_audio("000/0000.flac")), ("000/0000.flac~2", "ふたつめ", None),
        ("000/no.flac", "一", None), ("000/no.flac~2", "二", None),
    ]  # fmt: skip
    assert problems(result.rows) == {
        "000/0000.flac~2": "no audio: a second transcript for 000/0000.flac", "000/no.flac": NOT_LISTED,
        "000/no.flac~2": "no audio: a second transcript for 000/no.flac",
    }  # fmt: skip


def test_a_list_with_whatever_lines_can_hold(tmp_path):
    names = [f"000/{c}.flac" for c in "abcdefg"]
    archive(tmp_path / "000.tar", [(f"./{name}", fake_audio(name)) for name in names])
    told = [
        BOM + b'000/a.flac\t"\xe7\x8c\xab\r\n', "000/b.flac\tタブ\tと\"引用\"\r\n".encode(), b"000/c.flac\t\xe7\x8c!\n",
        b"\n\r\n000/d.flac\t\n", b"000/e.flac\n", ("000/f.flac\t" + "長" * 100_000 + "\n").encode(),
        "./000/g.flac\t終わり".encode(),
    ]  # fmt: skip
    write(tmp_path / "x.tsv", b"".join(told))
    result = read_speech(tmp_path)
    assert is_unharmed(result.states)
    assert [row["transcript"] for row in result.rows] == [
        '"猫',
        'タブ\tと"引用"',
        "\ufffd!",
        "",
        None,
        "長" * 100_000,
        "終わり",
    ]
    assert problems(result.rows) == {"000/c.flac": "line: invalid UTF-8: byte 0xE7 at 11 of 14"}


def test_lists_read_the_same_in_blocks_of_any_size(tmp_path, monkeypatch):
    root = write_reazonspeech(tmp_path, 5, lacking=(1,), more="000/壊.flac\tおわり")
    whole = pick(read_speech(root).rows, "locator", "transcript", "problem")
    for block in (1, 2, 3, 7, 50):
        transcript_lists.load_lists.cache_clear()
        monkeypatch.setattr(text_lines, "_BLOCK", block)
        assert pick(read_speech(root).rows, "locator", "transcript", "problem") == whole
    monkeypatch.setattr(text_lines, "_LONGEST", 20)
    transcript_lists.load_lists.cache_clear()
    assert "a line of more than 20 bytes" in read_speech(root).states[0].damage


def test_a_transcript_that_is_too_long_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "LONGEST_TRANSCRIPT", 18)
    monkeypatch.setattr(SpeechSource, "row_kind", RowKind("audio", "transcript", 18, shared=True))
    root = write_reazonspeech(tmp_path, 1, more=f"000/x.flac\t{'x' * 21}\n")
    result = read_speech(root)
    assert pick(result.rows, "transcript", "problem") == [(None, "transcript of 19 bytes, over 18"), (None, NOT_LISTED)]
    path = write(tmp_path / "m.jsonl", json.dumps({"audio_filepath": "a.wav", "text": "短い", "pred_text": "x" * 21}))
    write(tmp_path / "a.wav", fake_audio("a"))
    assert pick(read_speech(path).rows, "transcript", "second", "problem") == [
        ("短い", None, "second transcript of 21 bytes, over 18")
    ]


def test_a_tar_may_be_damaged_and_a_list_too(tmp_path):
    root = write_reazonspeech(tmp_path, 6)
    path = root / "v2" / "000.tar"
    raw = path.read_bytes()
    path.write_bytes(raw[: 512 * 7 + 30])
    all_rows, (state,) = read_speech(root)
    # Of what the tar has lost its list still knows.
    assert [row["locator"] for row in all_rows] == [f"000/000{i}.flac" for i in range(6)]
    assert set(problems(all_rows).values()) == {NOT_LISTED, "the tar ends inside this audio"} and len(problems(all_rows)) == 3
    assert "ends inside the member './000/0002.flac'" in state.damage and "6 rows were read" in state.damage
    path.write_bytes(raw)
    packed = gzip.compress((root / "v2-tsv" / "tiny.tsv").read_bytes() * 400 + os.urandom(9000))
    (root / "v2-tsv" / "tiny.tsv").unlink()
    write(root / "v2-tsv" / "tiny.tsv.gz", packed[: len(packed) // 2])
    all_rows, (state,) = read_speech(root)
    assert "tiny.tsv.gz ends too early" in state.damage and sum(row["audio"] is not None for row in all_rows) == 6


def test_a_list_of_other_recordings_is_warned_of(tmp_path):
    root = write_reazonspeech(tmp_path, 2)
    write(root / "v2-tsv" / "tiny.tsv", "x/y.flac\tあ\n")
    all_rows, (state,) = read_speech(root)
    assert len(all_rows) == 3 and state.warning.endswith("000.tar has no recording that its lists of transcripts name")


def test_empty_tars_and_lists(tmp_path):
    root = write_reazonspeech(tmp_path / "a", 2)
    write(root / "v2-tsv" / "tiny.tsv", b"")
    result = read_speech(root)
    assert pick(result.rows, "locator", "transcript") == [("000/0000.flac", None), ("000/0001.flac", None)] and is_unharmed(
        result.states
    )
    root = write_reazonspeech(tmp_path / "b", 0)
    assert read_speech(root).rows == [] and is_unharmed(read_speech(root).states)
    write(root / "v2" / "000.tar", b"")
    assert read_speech(root).states[0].damage.endswith("000.tar is empty")
    write(root / "v2" / "000.tar", b"<html>404</html>" * 99)
    assert "is not a tar" in read_speech(root).states[0].damage
    for name, content in (("a.tsv", b""), ("b.tsv", b"\n\r\n"), ("c.jsonl", b"")):
        assert read_speech(write(tmp_path / name, content)).states[0].damage == f"{tmp_path / name} is empty"


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
    result = read_speech(path)
    assert is_unharmed(result.states)
    assert {row["locator"]: row["audio"] for row in result.rows if not row["problem"]} == {
        "../../etc/passwd": b"up", "/etc/shadow": b"root", "dot": b"dot", "改\ufffd行": b"line", "改\ufffd行~2": b"return",
        "same": b"one", "same~2": b"two", "linked": b"L", "empty": b"",
    }  # fmt: skip
    assert problems(result.rows) == {
        "link": "the audio is a symbolic link, not a file", "hard": "the audio is a hard link, not a file",
        "device": "the audio is a device, not a file", "alone": "no audio: the tar has a transcript and nothing else under this key",
    }  # fmt: skip
    assert {row["transcript"] for row in result.rows} == {None, "声なし"}
    assert all("/" not in row["name"] and row["name"].isprintable() for row in result.rows)
    # With a list recordings go by their whole name; whose transcript a name that is there twice has cannot be told.
    write(tmp_path / "a.tsv", "same.ogg\t同じ\ndot.mp3\t点\n../../etc/passwd.flac\t上\n改\ufffd行.flac\t行\n")
    result = read_speech(path)
    listed = {row["locator"]: row["transcript"] for row in result.rows if row["transcript"]}
    assert listed == {
        "same.ogg": "同じ", "same.ogg~2": "同じ", "dot.mp3": "点", "../../etc/passwd.flac": "上", "改\ufffd行.flac~3": "行",
        "alone.txt": "声なし",
    }  # fmt: skip
    several = "the tar has several recordings of this name: it cannot be told whose transcript the list has"
    found_problems = problems(result.rows)
    assert found_problems["same.ogg"] == found_problems["same.ogg~2"] == several
    assert found_problems["改\ufffd行.flac~3"] == NOT_LISTED


def test_tars_with_a_json_for_every_recording(tmp_path):
    def meta(number, **more):
        return json.dumps(
            {"id": f"JA_{number}", "wav": f"JA/{number}.mp3", "text": f"文{number}", "speaker": f"S{number}"} | more
        ).encode()

    members = [("JA/1.mp3", tone(1, "MP3")), ("JA/1.json", meta(1, duration=0.05, start=7, language="ja", dnsmos=3.2))]
    members += [("JA/2.mp3", fake_audio(2)), ("JA/2.json", meta(2, pred_text="ぶん")), ("JA/2.txt", "こちら".encode())]
    members += [
        ("JA/3.wav", fake_audio(3)),
        ("JA/3.json", b"{broken"),
        ("JA/4.flac", fake_audio(4)),
        ("JA/4.json", b'["text"]'),
    ]
    members += [
        ("JA/5.flac", fake_audio(5)),
        ("JA/5.json", b'{"text": "\\ud83d", "speaker": {"a": 1}, "duration": NaN, "path": "/etc"}'),
    ]
    members += [("JA/6.flac", fake_audio(6)), ("JA/6.txt", b"\xe7\x8c")]
    path = archive(tmp_path / "JA-0.tar", members)
    for place in (path, write(tmp_path / "b" / "JA.tar.gz", gzip.compress(path.read_bytes()))):
        result = read_speech(place)
        assert is_unharmed(result.states)
        assert pick(result.rows, "locator", "transcript", "speaker", "second", "duration", "start") == [
            ("JA/1", "文1", "S1", None, 0.05, None), ("JA/2", "こちら", "S2", "ぶん", None, None), ("JA/3", None, None, None, None, None),
            ("JA/4", None, None, None, None, None), ("JA/5", "\ufffd", None, None, None, None), ("JA/6", "\ufffd", None, None, None, None),
        ]  # fmt: skip
        assert problems(result.rows) == {"JA/6": "transcript: invalid UTF-8: byte 0xE7 at 0 of 2"}
        assert soundfile.info(io.BytesIO(result.rows[0]["audio"])).samplerate == 16000
    result = read_speech(path, columns={"transcript": "id"})
    assert pick(result.rows, "transcript")[:2] == [("JA_1",), ("こちら",)]


def test_transcripts_go_with_the_recordings_that_they_are_named_after(tmp_path):
    def cp932(name):
        return os.fsdecode(name.encode("cp932"))

    names = ["x.seg_1.wav", "x.seg_2.wav", "x.seg_2.txt", "Track 2.0.mp3", "Track 2.1.mp3", "Track 2.1.json"]
    names += [cp932("犬.wav"), cp932("猫.wav"), cp932("猫.txt"), "a.wav", "a.wav.txt", "b.1.wav", "b.2.txt"]
    content = {"Track 2.1.json": b'{"text": "Track 2.1.json"}', cp932("猫.txt"): "猫.txt".encode()}
    path = archive(tmp_path / "a.tar", [(name, content.get(name) or name.encode("utf-8", "replace")) for name in names])
    result = read_speech(path)
    assert {row["locator"]: row["transcript"] for row in result.rows} == {
        "x.seg_1": None, "x.seg_2": "x.seg_2.txt", "Track 2.0": None, "Track 2.1": "Track 2.1.json", "犬": None, "猫": "猫.txt",
        "a": "a.wav.txt", "b.1": None, "b.2": "b.2.txt",
    }  # fmt: skip
    assert set(problems(result.rows)) == {"b.2"} and is_unharmed(result.states)


def test_lists_and_tars_of_another_unicode_form(tmp_path):
    nfd, nfc = (unicodedata.normalize(form, "が") for form in ("NFD", "NFC"))
    members = [f"{nfd}/1.flac", f"{nfd}/{nfd}.flac", f"{nfd}/{nfc}.flac", os.fsdecode(f"{nfc}/犬.flac".encode("cp932"))]
    archive(tmp_path / "a.tar", [(name, fake_audio(i)) for i, name in enumerate(members)])
    listed = {f"{nfc}/1.flac": "一", f"{nfd}/{nfd}.flac": "二", f"{nfc}/{nfc}.flac": "三", f"{nfc}/犬.flac": "四"}
    write(tmp_path / "a.tsv", "".join(f"{name}\t{text}\n" for name, text in listed.items()))
    result = read_speech(tmp_path)
    assert {row["audio"]: row["transcript"] for row in result.rows if row["audio"]} == {
        fake_audio(0): "一", fake_audio(1): "二", fake_audio(2): None, fake_audio(3): "四",
    }  # fmt: skip
    assert problems(result.rows) == {f"{nfc}/{nfc}.flac": NOT_LISTED}
