"""The command that trains a model of quality, from texts of all kinds, and what it refuses."""

from __future__ import annotations

import gzip
import json
import lzma
import random

import numpy as np
import polars as pl
import pytest

from filters import train_quality
from filters.kernels import buffers
from filters.model_training import HeldOut, Texts, train_model
from filters.text.text_model import load_model
from filters.train_quality import area_under_curve

GOOD_WORDS = (
    "朝 早く 起き て 庭 に 水 を やり 、 新聞 を 読み ながら 茶 を 飲ん だ 。 それ から 友人 の 家 へ 歩い て 行っ た".split()
)
BAD_WORDS = "激安 通販 送料無料 人気 ランキング 口コミ 最安値 公式 お試し 限定 セール 楽天 特価 在庫あり クーポン".split()


def make_texts(words: list[str], seed: int, number: int = 60) -> list[str]:
    draw = random.Random(seed)
    return ["".join(draw.choices(words, k=60)) for _ in range(number)]


GOOD, BAD = make_texts(GOOD_WORDS, 1), make_texts(BAD_WORDS, 2)


def run(*arguments: object) -> int:
    return train_quality.main([*map(str, arguments)])


def write_jsonl(path, rows):
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (gzip.open(path, "wt", encoding="utf-8") if path.suffix == ".gz" else open(path, "w", encoding="utf-8")).write(text)
    return path


def write_labelled(path, good=GOOD, bad=BAD):
    return write_jsonl(path, [{"text": t, "label": "good"} for t in good] + [{"text": t, "label": "bad"} for t in bad])


def test_a_model_tells_texts_it_has_not_seen(tmp_path, capsys):
    assert run(write_labelled(tmp_path / "a.jsonl"), "--out", tmp_path / "model.npz") == 0
    assert "60 good and 60 bad texts; area under the curve 1.000" in capsys.readouterr().out
    scores = load_model(tmp_path / "model.npz").score(
        *buffers(pl.Series([*make_texts(GOOD_WORDS, 3), *make_texts(BAD_WORDS, 4)]))
    )
    assert (scores[:60] > 0.5).all() and (scores[60:] < 0.5).all()


def test_every_form_of_the_same_texts_gives_the_same_model(tmp_path):
    sides = {"good": GOOD, "bad": BAD}
    for side, texts in sides.items():
        write_jsonl(tmp_path / f"{side}.jsonl", [{"text": text} for text in texts])
        (tmp_path / f"{side}.txt").write_text("\n\n".join(texts), "utf-8")
        with lzma.open(tmp_path / f"{side}.txt.xz", "wt", encoding="utf-8") as file:
            file.write("\n".join(reversed(texts)) + "\n")
        (tmp_path / side / "data").mkdir(parents=True)
        frame = pl.DataFrame({"id": range(len(texts)), "text": texts})
        frame[:20].write_parquet(tmp_path / side / "data" / "train-00000-of-00002.parquet")
        frame[20:].write_parquet(tmp_path / side / "data" / "train-00001-of-00002.parquet")
    models = []
    for form in ("{}.jsonl", "{}.txt", "{}.txt.xz", "{}"):
        out = tmp_path / "model.npz"
        assert run(tmp_path / form.format("good"), tmp_path / form.format("bad"), "--out", out, "--overwrite") == 0
        models.append(load_model(out))
    labelled = write_labelled(tmp_path / "labelled.jsonl.gz")
    assert run(labelled, "--out", out, "--overwrite") == 0
    models.append(load_model(out))
    for model in models:
        assert (model.weights == models[0].weights).all() and model.slope == models[0].slope


def test_the_order_of_the_texts_changes_nothing():
    texts, good = pl.Series([*GOOD, *BAD]), np.arange(120) < 60
    order = np.random.default_rng(1).permutation(120)
    first, _ = train_model(Texts(texts, good, np.ones(120)), "x")
    second, _ = train_model(Texts(texts.gather(order), good[order], np.ones(120)), "x")
    assert first.to_bytes() == second.to_bytes()


def test_weights_count():
    """A text of weight 3 is as three of it, but for the fold that they are in."""
    texts, good = pl.Series([*GOOD, *BAD]), np.arange(120) < 60
    model, _ = train_model(Texts(texts, good, np.ones(120)), "x")
    heavy, _ = train_model(Texts(texts, good, np.where(np.arange(120) == 0, 30.0, 1.0)), "x")
    assert (model.weights != heavy.weights).any()


def test_scores_are_calibrated():
    """Of texts that get a score about p a share of about p is good, where kinds overlap."""
    draw = random.Random(5)
    mixed = ["".join(draw.choices(GOOD_WORDS + BAD_WORDS, k=60)) for _ in range(600)]
    good = np.array([sum(text.count(word) for word in BAD_WORDS) + draw.gauss(0, 5) < 21 for text in mixed])
    _, held_out = train_model(Texts(pl.Series(mixed), good, np.ones(600)), "x")
    low, high = held_out.scores < 0.3, held_out.scores > 0.7
    share_of_good = good.mean()
    assert area_under_curve(held_out) > 0.6
    assert held_out.good[low].mean() < share_of_good < held_out.good[high].mean()


def test_area_under_the_curve():
    scores, good = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    assert area_under_curve(HeldOut(scores, good, np.ones(4))) == pytest.approx(3.5 / 4)
    assert area_under_curve(HeldOut(scores, good, np.array([1.0, 3, 1, 1]))) == pytest.approx((1 * 1 + 3 * 0.75) / 4)


# -- what is refused


@pytest.fixture
def refused(tmp_path, capsys):
    def refuse(*sources: object) -> str:
        assert run(*sources, "--out", tmp_path / "model.npz") == 2
        assert not (tmp_path / "model.npz").exists()
        message = capsys.readouterr().err.strip()
        assert "\n" not in message and "Traceback" not in message
        return message

    return refuse


def test_a_file_without_both_labels(tmp_path, refused):
    message = refused(write_labelled(tmp_path / "a.jsonl", bad=[]))
    assert "no text has the label 'bad'; found 'good'" in message and "--bad" in message
    assert "found None" in refused(write_jsonl(tmp_path / "b.jsonl", [{"text": GOOD[0]}]))


@pytest.mark.parametrize("name", ["empty.jsonl", "empty.txt"])
def test_an_empty_list(tmp_path, refused, name):
    (tmp_path / name).write_text("")
    assert f"{tmp_path / name} holds no texts" in refused(tmp_path / name, write_labelled(tmp_path / "a.jsonl"))


def test_an_empty_folder(tmp_path, refused):
    (tmp_path / "corpus" / "data").mkdir(parents=True)
    assert "there are no Parquet files" in refused(tmp_path / "corpus", write_labelled(tmp_path / "a.jsonl"))


def test_a_text_that_is_good_and_bad(tmp_path, refused):
    message = refused(write_labelled(tmp_path / "a.jsonl", bad=[*BAD, GOOD[3].replace("、", "､")]))
    assert "1 texts are both good and bad" in message and GOOD[3][:20] in message


def test_texts_that_are_too_short(tmp_path, refused):
    assert "0 bad texts of 50 characters or more" in refused(write_labelled(tmp_path / "a.jsonl", bad=["短い"] * 9))


def test_lines_that_are_not_right(tmp_path, refused):
    (tmp_path / "a.jsonl").write_text('{"text": "猫"}\n{"text"')
    assert "a.jsonl, line 2: not JSON" in refused(tmp_path / "a.jsonl")
    assert "line 1: no key 'text'. Name another with --text" in refused(write_jsonl(tmp_path / "b.jsonl", [{"body": "猫"}]))
    assert "line 1: text is 3, expected a text" in refused(write_jsonl(tmp_path / "c.jsonl", [{"text": 3}]))
    wrong = write_jsonl(tmp_path / "d.jsonl", [{"text": GOOD[0], "label": "good", "weight": -1}])
    assert "weight is -1, expected a number above 0" in refused(wrong)


def test_files_that_are_no_texts(tmp_path, refused):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    assert "a.parquet cannot be read" in refused(tmp_path / "a.parquet")
    (tmp_path / "a.txt.xz").write_bytes(b"no xz")
    assert "a.txt.xz cannot be read" in refused(tmp_path / "a.txt.xz", tmp_path / "a.txt.xz")
    (tmp_path / "a.bin").write_bytes(b"x")
    assert "of what kind are its texts?" in refused(tmp_path / "a.bin")
    assert "does not exist" in refused(tmp_path / "none.txt", tmp_path / "none.txt")
    pl.DataFrame({"body": ["猫"]}).write_parquet(tmp_path / "b.parquet")
    assert "no column 'text'; its columns: body" in refused(tmp_path / "b.parquet")


def test_a_model_is_not_replaced_unasked(tmp_path, capsys):
    (tmp_path / "model.npz").write_bytes(b"mine")
    with pytest.raises(SystemExit):
        run(write_labelled(tmp_path / "a.jsonl"), "--out", tmp_path / "model.npz")
    assert "is there already" in capsys.readouterr().err
    assert (tmp_path / "model.npz").read_bytes() == b"mine"
