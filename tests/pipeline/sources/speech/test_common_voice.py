import io
import tarfile

import pytest
import soundfile

from pipeline.core.errors import UsageError
from tests.pipeline.sources.helpers import BOM, pick, problems, write
from tests.pipeline.sources.speech.helpers import (
    CV_HEADER,
    NO_FILE,
    OUTSIDE,
    SOURCE,
    cv_line,
    fake_audio,
    is_unharmed,
    read_speech,
)


def test_common_voice(common_voice):
    for place in (common_voice, common_voice.parent, common_voice.parent.parent, common_voice / "validated.tsv"):
        result = read_speech(place)
        others = "dev.tsv, other.tsv, reported.tsv, test.tsv, train.tsv"
        told = result.states[0].warning or ""
        assert not result.states[0].damage and not problems(result.rows)
        assert all(name in told for name in others.split(", ")) != (place.suffix == ".tsv")
        assert pick(result.rows, "locator", "transcript", "speaker", "name") == [
            (f"common_voice_ja_{i}.mp3", f"文{i}", f"client{i % 3}", f"common_voice_ja_{i}.mp3") for i in range(6)
        ]
    assert [row["duration"] for row in result.rows] == [0.05, *[None] * 5]  # of clip_durations.tsv
    assert soundfile.info(io.BytesIO(result.rows[0]["audio"])).frames >= 800
    assert pick(read_speech(common_voice / "other.tsv").rows, "transcript") == [("文7",), ("文8",)]
    assert pick(read_speech(common_voice, transcripts="o*.tsv").rows, "transcript") == [("文7",), ("文8",)]
    assert "has no column that Seimai knows" in read_speech(common_voice / "reported.tsv").states[0].damage


def test_common_voice_in_splits_has_every_clip_once(common_voice):
    (common_voice / "validated.tsv").unlink()
    assert [f.name for f in SOURCE.find_inputs([str(common_voice)])] == ["train.tsv", "dev.tsv", "test.tsv"]
    result = read_speech(common_voice)
    assert [row["transcript"] for row in result.rows] == ["文0", "文1", "文2", "文3"]
    assert [bool(state.warning) for state in result.states] == [True, False, False] and "other.tsv" in result.states[0].warning
    for name in ("train", "dev", "test"):
        (common_voice / f"{name}.tsv").unlink()
    with pytest.raises(UsageError, match="--set source.transcripts=NAME"):
        SOURCE.find_inputs([str(common_voice)])


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_common_voice_as_it_comes(common_voice, tmp_path, mode):
    write(common_voice / "validated.tsv", CV_HEADER + "".join(cv_line(i) for i in (*range(6), 99)))
    packed = tmp_path / "packed" / ("cv.tar" if mode == "w" else "cv.tar.gz")
    packed.parent.mkdir()
    with tarfile.open(packed, mode) as tar:
        tar.add(common_voice.parent, common_voice.parent.name)
    names = ("locator", "transcript", "speaker", "name", "audio")
    result = read_speech(packed)
    assert pick(result.rows, *names) == pick(read_speech(common_voice).rows, *names) and is_unharmed(result.states)
    assert [*problems(result.rows).values()] == ["no audio: the tar has no such file in clips/"]
    (common_voice / "validated.tsv").unlink()
    with tarfile.open(packed, mode) as tar:
        tar.add(common_voice, ".")
    assert pick(read_speech(packed).rows, "transcript") == [("文0",), ("文1",), ("文2",), ("文3",)]


def test_common_voice_with_whatever_lines_can_hold(common_voice):
    told = [
        BOM + CV_HEADER.replace("\n", "\r\n").encode(), cv_line(0, '"引用').replace("\n", "\r\n").encode(), cv_line(1, '彼は"「').encode(),
        cv_line(2, "タブ\tが").encode(), cv_line(3, "@@").encode().replace(b"@@", b"\xe7\x8c"), b"\n\r\n", b"short\n",
        cv_line(4).replace("_4.mp3", "_4").encode(), cv_line(40).encode(), b"c\t../../../../etc/passwd\tx\tup\t\t\t\t\t\n",
        b"c\t/etc/passwd\tx\troot\t\t\t\t\t\n", b"c\t../../secret.mp3\tx\tout\t\t\t\t\t\n", b"c\tlink.mp3\tx\tlink\t\t\t\t\t\n",
        b"c\t../dev.tsv\tx\tinside\t\t\t\t\t\n", b"c\t.\tx\tdot\t\t\t\t\t\n", b"c\tclips\tx\tfolder\t\t\t\t\t\n",
        b"c\t\tx\tnone\t\t\t\t\t\n",
        f"c\t{'x' * 5000}.mp3\tx\tlong\t\t\t\t\t\n".encode(), b"c\ta\0b.mp3\tx\tnul\t\t\t\t\t\n",
        cv_line(5).encode(), cv_line(5, "また").rstrip().encode(),
    ]  # fmt: skip
    write(common_voice.parent / "secret.mp3", b"secret")
    (common_voice / "clips" / "link.mp3").symlink_to(common_voice.parent / "secret.mp3")
    path = write(common_voice / "validated.tsv", b"".join(told))
    result = read_speech(path)
    assert is_unharmed(result.states) and len(result.rows) == 19
    by_text = {row["transcript"]: row for row in result.rows}
    assert by_text['"引用']["audio"] and by_text['彼は"「']["audio"] and by_text["文4"]["audio"] == fake_audio(4)
    assert by_text["タブ"]["problem"] == "the line has 10 fields instead of 9"
    assert by_text["\ufffd"]["problem"].startswith("line: invalid UTF-8: byte 0xE7")
    for text, problem in {
        "文40": NO_FILE, "up": OUTSIDE, "root": OUTSIDE, "out": OUTSIDE, "link": OUTSIDE, "dot": NO_FILE, "long": NO_FILE,
        "folder": "no audio: what the path leads to is no file", "none": "no audio: the row names no file",
        "nul": "no audio: the path is none",
    }.items():  # fmt: skip
        assert by_text[text]["problem"] == problem, text
    assert by_text["inside"]["audio"] == (common_voice / "dev.tsv").read_bytes()  # what it is the decoder will say
    assert [row["locator"] for row in result.rows[-2:]] == ["common_voice_ja_5.mp3", "common_voice_ja_5.mp3~2"]
    assert not any(row["audio"] == b"secret" for row in result.rows)
