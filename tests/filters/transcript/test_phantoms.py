import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from filters import compute
from filters.kernels import buffers
from filters.text.phrases import phrases
from filters.transcript import phantoms

HYPOTHESES = Path(__file__).parents[4] / "shared" / "data" / "speech" / "asr_hypotheses.jsonl.gz"


def is_phantom(*texts: str) -> list[bool]:
    return phantoms.count(*buffers(pl.Series(texts, dtype=pl.String)))["is_phantom"].tolist()


def test_every_phrase_of_the_list_is_one_alone_and_again_and_again():
    listed = phrases("phantoms")
    assert len(listed) > 40 and all(is_phantom(*listed)) and all(is_phantom(*(f"{text}。{text}！" for text in listed)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ご視聴ありがとうございました。", True),
        ("最後までご視聴いただき、ありがとうございました! チャンネル登録をよろしくお願いいたします。", True),
        ("はい、ご視聴ありがとうございました", True),
        ("おやすみなさい…", True),
        ("ご視聴の際は、部屋を明るくしてください。", False),
        ("昨日の放送は最後までご視聴ありがとうございました、とお伝えください。", False),
        ("どうもありがとうございましたと先生は言いました。", False),
        ("チャンネルを変えることなく、テレビを見ていた。", False),
        ("", False),
        ("。。。", False),
    ],
)  # fmt: skip
def test_what_is_nearly_such_a_phrase(text, expected):
    assert is_phantom(text) == [expected]


@pytest.mark.parametrize(
    ("text", "seconds", "expected"),
    [
        ("ご視聴ありがとうございました", 2.0, 7.5),
        ("ご視聴ありがとうございました", 0.0, 1500.0),
        ("ご視聴ありがとうございました", np.nan, None),
        ("吾輩は猫である。", 0.0, None),
    ],
)
def test_morae_per_second_of_phantoms(text, seconds, expected):
    given = {"n_morae": np.array([15]), "speech_seconds": np.array([seconds], np.float32)}
    found = compute(*buffers(pl.Series([text])), ["phantom_morae_per_second"], given)
    assert found.item() == (expected if expected is None else pytest.approx(expected))


def test_no_transcripts_have_no_phantoms():
    assert is_phantom() == []


@pytest.mark.skipif(not HYPOTHESES.exists(), reason="no shared data")
def test_the_list_holds_what_whisper_made_up():
    with gzip.open(HYPOTHESES, "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    hypotheses, references = (is_phantom(*(row[name] for row in rows)) for name in ("hypothesis", "reference"))
    made_up = [row["model"] for row, one, other in zip(rows, hypotheses, references, strict=True) if one and not other]
    assert len(made_up) >= 8 and {"whisper-tiny", "whisper-large-v3"} <= set(made_up)
    # Said in earnest, and recognised: どうもありがとうございました.
    assert 0 < sum(one and other for one, other in zip(hypotheses, references, strict=True)) < len(made_up)
