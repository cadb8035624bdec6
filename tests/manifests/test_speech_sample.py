"""The embedded sample of speech-ja: the generator writes it again."""

import io
import tarfile
from pathlib import Path

import pytest
import soundfile

SAMPLES = Path(__file__).parents[2] / "manifests/samples"
NAME = "speech-ja"


def members(path):
    with tarfile.open(path) as tar:
        return {info.name: tar.extractfile(info).read() for info in tar}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    from tests.samples.make_speech_ja import build

    folder = tmp_path_factory.mktemp("speech-sample")
    build(folder)
    return folder


def test_the_generator_writes_the_same_truth_again(written):
    name = f"{NAME}.truth.jsonl"
    assert (written / name).read_text("utf-8") == (SAMPLES / name).read_text("utf-8")


def test_the_generator_writes_the_same_recordings_again(written):
    embedded, again = members(SAMPLES / f"{NAME}.tar"), members(written / f"{NAME}.tar")
    assert list(again) == list(embedded)
    for name, content in embedded.items():
        # Encoders may change from one release of libsndfile to the next; lossless samples may not.
        if name.endswith((".flac", ".wav")) and content != again[name]:
            ours, theirs = soundfile.read(io.BytesIO(content)), soundfile.read(io.BytesIO(again[name]))
            assert ours[1] == theirs[1] and (ours[0] == theirs[0]).all(), name
        elif name.endswith(".json"):
            assert content == again[name], name
