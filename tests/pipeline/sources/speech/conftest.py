import pytest

from tests.pipeline.sources.helpers import write
from tests.pipeline.sources.speech.helpers import (
    CV_HEADER,
    cv_line,
    fake_audio,
    tone,
)


@pytest.fixture
def common_voice(tmp_path):
    folder = tmp_path / "cv-corpus-17.0-2024-03-15" / "ja"
    for number in range(9):
        write(folder / "clips" / f"common_voice_ja_{number}.mp3", tone(number, "MP3") if number == 0 else fake_audio(number))
    write(folder / "validated.tsv", CV_HEADER + "".join(cv_line(i) for i in range(6)))
    write(folder / "other.tsv", CV_HEADER + cv_line(7) + cv_line(8))
    write(folder / "train.tsv", CV_HEADER + cv_line(0) + cv_line(1))
    write(folder / "dev.tsv", CV_HEADER + cv_line(1) + cv_line(2))
    write(folder / "test.tsv", CV_HEADER + cv_line(3) + cv_line(0))
    write(folder / "clip_durations.tsv", "clip\tduration[ms]\ncommon_voice_ja_0.mp3\t50\n")
    write(folder / "reported.tsv", "sentence\tsentence_id\tlocale\treason\nx\ty\tja\tz\n")
    return folder
