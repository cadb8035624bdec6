"""What recognisers make up is dropped by text and sound together, in a build as users run it."""

import numpy as np
import pytest

from tests.support.builds import read_ledger_rows
from tests.support.recordings import RATE, Recording, encode_audio, write_recordings
from tests.support.sounds import make_speech, pad_with_silence

PHRASE, SUBSCRIBE = "ご視聴ありがとうございました", "チャンネル登録よろしくお願いします"


def make_silence(seconds: float, seed: int) -> np.ndarray:
    """A quiet room: noise, in which nobody speaks."""
    return np.random.default_rng(seed).normal(0, 1e-3, int(seconds * RATE)).astype(np.float32)


def make_click(seed: int) -> np.ndarray:
    """A quiet room with a short knock in it."""
    return pad_with_silence(make_speech(0.3, seed), 2.0, 2.0, noise=1e-3)


@pytest.fixture(scope="module")
def ledger(build, tmp_path_factory):
    """The ledger of a corpus of phantoms, of the same phrases said in earnest, and of other sentences."""
    folder = tmp_path_factory.mktemp("phantoms")
    sounds = {
        "silence": (make_silence(5.0, 1), PHRASE),
        "knock": (make_click(2), f"{PHRASE}。"),
        "music": (make_speech(12.0, 3), f"最後まで{PHRASE}"),
        "subscribe-silence": (make_silence(3.0, 4), SUBSCRIBE),
        "said": (pad_with_silence(make_speech(2.0, 5)), PHRASE),
        "said-in-a-long-silence": (pad_with_silence(make_speech(2.0, 6), 10.0, 10.0), PHRASE),
        "subscribe-said": (pad_with_silence(make_speech(2.5, 7)), SUBSCRIBE),
        "good-night": (pad_with_silence(make_speech(1.0, 8)), "おやすみなさい"),
        "sentence": (pad_with_silence(make_speech(2.0, 9)), "吾輩は猫である、名前はまだ無い。"),
        "sentence-over-silence": (make_silence(5.0, 10), "吾輩は猫である、名前はまだ無い。"),
    }
    recordings = {key: Recording(encode_audio(sound), {"text": text}) for key, (sound, text) in sounds.items()}
    write_recordings(folder / "0.tar", recordings)
    done = build("speech-ja", "--input", folder / "0.tar", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return read_ledger_rows(folder / "out")


@pytest.mark.parametrize("key", ["silence", "knock", "music", "subscribe-silence"])
def test_a_phantom_is_dropped(ledger, key):
    assert (ledger[key]["verdict"], ledger[key]["rule"]) == ("dropped", "phantom_morae_per_second")


@pytest.mark.parametrize("key", ["said", "said-in-a-long-silence", "subscribe-said", "good-night", "sentence"])
def test_who_says_it_in_earnest_is_kept(ledger, key):
    assert ledger[key]["verdict"] == "kept", ledger[key]


def test_silence_under_another_sentence_is_dropped_for_the_silence(ledger):
    assert (ledger["sentence-over-silence"]["verdict"], ledger["sentence-over-silence"]["rule"]) == (
        "dropped",
        "speech_duration",
    )
