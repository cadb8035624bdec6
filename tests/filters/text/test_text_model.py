"""Models of text: what they read of a document, their files, and the two that ship."""

from __future__ import annotations

import json
from io import BytesIO

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import filters
from filters.kernels import buffers
from filters.text.text_model import (
    BUCKETS,
    LEAST_CHARACTERS,
    WHOLE,
    TextModel,
    TextModelError,
    list_features,
    load_model,
    shipped_model,
)

PROSE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
    "吾輩はここで始めて人間というものを見た。しかもあとで聞くとそれは書生という人間中で一番獰悪な種族であったそうだ。"
)


def model(seed: int = 1) -> TextModel:
    weights = np.random.default_rng(seed).integers(-1000, 1000, BUCKETS).astype("<i2")
    return TextModel(weights, 0.001, 1.5, 0.1, trained_on="nothing")


def score(texts: list[str], of: TextModel | None = None) -> list[float | None]:
    return pl.Series((of or model()).score(*buffers(pl.Series(texts, dtype=pl.String)))).fill_nan(None).to_list()


def test_features_count_by_the_root_of_their_share():
    text = "あ" * LEAST_CHARACTERS
    buckets, values, ends = list_features(*buffers(pl.Series([text])), ["characters"])
    assert len(buckets) == 1 and ends.tolist() == [0, 1]
    assert values.tolist() == pytest.approx([1.0])
    buckets, values, _ = list_features(*buffers(pl.Series(["あ" * 30 + "い" * 20])), ["characters"])
    assert sorted(values.tolist()) == pytest.approx(sorted([(20 / 50) ** 0.5, (30 / 50) ** 0.5]))


@pytest.mark.parametrize(("a", "b"), [("x y", "x \n\t y"), ("1999年", "2026年"), ("x\u3000y", "x y")])
def test_white_space_and_digits_are_alike(a, b):
    assert score([PROSE + a]) == score([PROSE + b])


def test_short_texts_have_no_score():
    assert score(["", "猫" * (LEAST_CHARACTERS - 1), " ".join("猫" * (LEAST_CHARACTERS - 1))]) == [None] * 3
    assert score(["猫" * LEAST_CHARACTERS]) != [None]


def test_only_windows_of_a_long_document_are_read():
    """What lies between the windows changes nothing; what lies in them does."""
    head, tail = PROSE * 4, PROSE * 20
    between = len(head.encode()) // 3
    assert len((head + tail).encode()) > WHOLE
    changed = head[:100] + "豚" + head[101:]
    assert score([head + tail]) == score([changed + tail])
    assert score([head + tail]) != score(["豚" + head[1:] + tail])
    assert between > 100


@given(st.lists(st.text(), max_size=5), st.integers(1, 3))
@settings(max_examples=60, deadline=None)
def test_a_score_depends_on_the_text_alone(texts, copies):
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    alone = [score([text])[0] for text in texts]
    assert score(texts * copies) == alone * copies
    assert all(value is None or 0 <= value <= 1 for value in alone)


def test_a_file_says_what_the_model_is(tmp_path):
    path = tmp_path / "model.npz"
    path.write_bytes(model().to_bytes())
    assert path.read_bytes() == model().to_bytes()
    assert score([PROSE], load_model(path)) == score([PROSE])
    assert len(path.read_bytes()) < 1_000_000


def with_head(change) -> bytes:
    arrays = dict(np.load(BytesIO(model().to_bytes())))
    head = json.loads(arrays["head"].tobytes())
    change(head)
    out = BytesIO()
    np.savez(out, head=np.frombuffer(json.dumps(head).encode(), np.uint8), weights=arrays["weights"])
    return out.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no model of text"),
        (b"fastText", "is no model of text"),
        (model().to_bytes()[:5000], "is no model of text"),
        (with_head(lambda head: head.pop("format")), "is no model of text"),
        (with_head(lambda head: head.update(version=2)), "is a model of version 2; this Seimai reads version 1"),
        (with_head(lambda head: head.update(sha256="0")), "is damaged"),
        (with_head(lambda head: head.update(step=float("nan"))), "is damaged"),
        (with_head(lambda head: head.update(kinds=[])), "is damaged"),
    ],
)
def test_what_is_no_model_is_refused(tmp_path, content, words):
    path = tmp_path / "model.npz"
    path.write_bytes(content)
    with pytest.raises(TextModelError, match=words):
        load_model(path)


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "model.npz"
    np.savez(path, head=np.array([{"format": "x"}], object), weights=np.zeros(1))
    with pytest.raises(TextModelError, match="is no model of text"):
        load_model(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(TextModelError, match="cannot be read: No such file"):
        load_model(tmp_path / "none.npz")


# -- the models that ship


def measure(texts: list[str]) -> pl.DataFrame:
    return filters.measure_frame(pl.DataFrame({"text": texts}), ["quality_score", "fluency_score"])


def test_prose_passes_and_junk_does_not():
    junk = [
        "引越し 見積もり 格安 料金 業者 ランキング 口コミ 単身 東京 大阪 比較 おすすめ " * 3,
        "、".join(f"{a}{b}" for a in ("佐藤", "鈴木", "高橋", "田中") for b in ("翔太", "恵子", "健一", "美咲")) * 2,
        '<div class="nav"><ul><li><a href="/a.html">猫</a></li><li><a href="/b.html">犬</a></li></ul></div>' * 4,
        "".join(sorted(PROSE)),
        PROSE[::-1],
        "。".join(sentence[::-1] for sentence in PROSE.split("。")),
    ]
    frame = measure([PROSE, *junk])
    assert frame["fluency_score"][0] > 0.9 and frame["quality_score"][0] > 0.5
    assert (frame["fluency_score"][1:] < 0.02).all() and (frame["fluency_score"][-2:] < 0.01).all(), frame


def test_quality_of_advertising_is_that_of_texts_with_its_phrases():
    shop = "口コミで評判の車買取ランキング、査定は無料、今だけ特典付き。" * 3
    escort = "人妻と熟女のデリヘル、パンチラ動画を見放題。" * 3
    frame = filters.measure_frame(
        pl.DataFrame({"text": [PROSE, shop, escort, "送料無料。"]}), ["quality_score", "advertising_quality"]
    )
    assert frame["advertising_quality"].to_list() == [
        None,
        *frame["quality_score"][1:3],
        None,
    ]  # the last is too short for a score
    assert (frame["advertising_quality"][1:3] < 0.45).all()


def test_short_lines_of_a_table_beside_sentences_are_no_menu():
    table = "\n".join(["一級", "二級", "三級", "四級", "五級", "六級"])
    sentence = "この表の金額は月額とし、年の途中で改めたときは、その月から新しい額を用いる。"
    shares = filters.measure_frame(pl.DataFrame({"text": [table, f"{table}\n{sentence}"]}), ["short_line_share"])[
        "short_line_share"
    ]
    assert shares.to_list() == pytest.approx([1, 6 / 7 * 12 / (12 + len(sentence))])


def test_scores_are_missing_where_texts_are_short():
    assert measure(["短い。"]).row(0)[1:] == (None, None)
    assert measure([]).schema["quality_score"] == pl.Float32


def test_shipped_models_are_of_one_format():
    assert shipped_model("quality-ja").kinds == ("characters", "pairs")
    assert shipped_model("fluency-ja").kinds == ("pairs", "shapes")
