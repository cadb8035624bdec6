"""Training: what is drawn, what comes out, and what is refused."""

from __future__ import annotations

import ast
import io
import json
import shlex
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from tokenizer import evaluate, train
from tokenizer.fitting import compute_text_budget
from tokenizer.model import Tokenizer
from tokenizer.sample import LONGEST, WeightedCorpus, divide_budget, draw_sample, find_most, split_lines
from tokenizer.settings import Training
from tokenizer.texts import Texts
from tokenizer.token_shards import suggest_encoding
from tokenizer.words import DELIMITER, make_splitter


def run(command: Any, *arguments: object) -> Result:
    return CliRunner().invoke(command, [str(a) for a in arguments], env={"COLUMNS": "600"})


# -- what is drawn


@settings(max_examples=200, deadline=None)
@given(
    texts=st.lists(
        st.text(alphabet=st.sampled_from("あ漢a1。！ \u3000\n\t\0\u2581\u2585\ue000"), max_size=40) | st.text(max_size=9)
    )
)
def test_lines_are_the_text_without_what_is_reserved(texts: list[str]) -> None:
    kept = "".join(texts).translate(dict.fromkeys(map(ord, "\0\u2581\u2585\ue000\n\t")))
    assert "".join(split_lines(pl.DataFrame({"text": texts}, {"text": pl.String}))["text"]) == kept


@pytest.mark.parametrize("body", ["あ" * 5000, "文。" * 3000, "😀" * 4000, "x" * 9999 + "。", "行。\n" + "長" * 1201])
def test_long_lines_are_cut_and_nothing_is_lost(body: str) -> None:
    lines = split_lines(pl.DataFrame({"text": [body]}))["text"]
    longest = lines.str.len_bytes().max()
    assert isinstance(longest, int) and longest <= LONGEST
    assert "".join(lines) == body.replace("\n", "")
    assert "文。" not in body or all(line.endswith("。") for line in lines)


def test_a_sample_is_the_same_by_any_row_groups_and_spread_over_the_corpus(tmp_path: Path) -> None:
    rows = [f"{i}番目の文書の一行目。\nそして{i}番目の二行目。" for i in range(20_000)]
    frame = pl.DataFrame({"text": rows})
    for name, size in (("a", 100), ("b", 7777)):
        (tmp_path / name).mkdir()
        frame.write_parquet(tmp_path / name / "x.parquet", row_group_size=size)
    drawn = []
    for name in ("a", "b"):
        sample = draw_sample([WeightedCorpus(name, Texts.find(tmp_path / name))], 150_000, 1, tmp_path / "text")
        drawn.append((tmp_path / "text").read_bytes())
        assert 0.85 < sample.bytes / 150_000 < 1.15
        assert sample.lines == drawn[-1].count(b"\n") and sample.characters == len(drawn[-1].decode()) - sample.lines
    documents = [int(line.removeprefix("そして").split("番")[0]) for line in drawn[0].decode().splitlines()]
    tenths = [sum(first <= number < first + 2000 for number in documents) for first in range(0, 20_000, 2000)]
    assert min(tenths) > 0.6 * max(tenths)
    assert len(set(drawn[0].splitlines()) ^ set(drawn[1].splitlines())) < 0.1 * len(documents)  # shares differ by the footers
    draw_sample([WeightedCorpus("a", Texts.find(tmp_path / "a"))], 150_000, 2, tmp_path / "text")
    assert (tmp_path / "text").read_bytes() != drawn[0]


def test_weights_say_how_much_of_each_is_drawn(tmp_path: Path) -> None:
    for name, count in (("large", 4000), ("small", 500)):
        (tmp_path / f"{name}.txt").write_text(f"{name}の文章の一行。\n" * count, "utf-8")
    large, small = (Texts.find(tmp_path / f"{name}.txt") for name in ("large", "small"))
    by_size = divide_budget([WeightedCorpus("l", large), WeightedCorpus("s", small)], 20_000)
    assert by_size[0] / by_size[1] == pytest.approx(large.bytes / small.bytes, rel=0.01)
    assert divide_budget([WeightedCorpus("l", large, 1), WeightedCorpus("s", small, 1)], 20_000) == [10_000, 10_000]
    # What the small one cannot fill goes to the large one.
    shares = divide_budget([WeightedCorpus("l", large, 1), WeightedCorpus("s", small, 9)], 60_000)
    assert shares == [60_000 - small.bytes, small.bytes]
    # As much as all can give by their weights.
    weighted = [WeightedCorpus("l", large, 1), WeightedCorpus("s", small, 9)]
    most = find_most(weighted)
    assert most is not None and most == pytest.approx(small.bytes * 10 / 9, abs=1)
    assert [share / most for share in divide_budget(weighted, most)] == pytest.approx([0.1, 0.9], abs=0.001)
    assert find_most([WeightedCorpus("l", large), WeightedCorpus("s", small)]) is None
    drawn = draw_sample([WeightedCorpus("l", large, 1), WeightedCorpus("s", small, 1)], 20_000, 1, tmp_path / "out")
    text = (tmp_path / "out").read_text("utf-8")
    assert 0.7 < text.count("large") / text.count("small") < 1.4
    assert [c.name for c in drawn.corpora] == ["l", "s"] and sum(c.drawn for c in drawn.corpora) == drawn.bytes


@pytest.mark.parametrize("words", ["mecab", "sudachi"])
def test_words_lose_nothing_of_a_line(words: Any, texts: list[str]) -> None:
    lines = [
        "  今日は　いい天気 です。  ",
        "　",
        " ",
        "abc  def\u3000\u3000",
        "😀😀 と\u2028改",
        "Apple Inc. は 12.5%",
        *"\n".join(texts[:40]).split("\n"),
    ]
    lines = [line for line in lines if line]
    split = list(make_splitter(words)(lines))
    assert [line.replace(DELIMITER, "") for line in split] == lines
    assert split[0].replace(DELIMITER, "|").strip("| ").startswith("今日|は|")


# -- what comes out


def test_the_command_trains_a_folder_that_others_load(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "tokenizer"
    done = run(train.main, corpus, "--vocab-size", 3200, "--out", out, "--memory", "700MB", "--symbol", "<|x|>")
    assert done.exit_code == 0, done.output
    training = json.loads((out / "training.json").read_text())
    assert training["settings"]["vocab_size"] == 3200 and training["peak_memory"] < 700e6
    assert training["figures"]["round_trip"] == 1 and training["figures"]["characters_per_token"] > 1.2
    assert training["tokenizer"] == Tokenizer.load(out).fingerprint and len(Tokenizer.load(out)) == 3200
    (hint,) = [line for line in done.output.splitlines() if "seimai.Tokenizer(" in line]  # without what only trainers need
    shown = io.StringIO()
    with redirect_stdout(shown):
        exec(shlex.split(hint)[2], {})
    assert "".join(ast.literal_eval(shown.getvalue())) == "吾輩は猫である。"
    assert suggest_encoding(corpus).endswith(" --sequence-length 256") and "256" not in suggest_encoding(corpus, is_small=False)
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(out)
    assert (loaded.bos_token_id, loaded.eos_token_id, loaded.pad_token_id, loaded.mask_token_id) == (1, 2, 3, 4)
    assert loaded.decode(loaded("吾輩は\n猫 である。")["input_ids"]) == "吾輩は\n猫 である。"
    model = (out / "tokenizer.model").read_bytes()
    again = run(train.main, corpus, "--vocab-size", 3200, "--out", out, "--memory", "700MB", "--symbol", "<|x|>")
    assert again.exit_code == 0 and (out / "tokenizer.model").read_bytes() == model
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tokenizer"]


def test_an_evaluation_has_the_same_figures_for_both_formats(
    trained: Callable[..., Tokenizer], corpus: Path, tmp_path: Path
) -> None:
    from tokenizer.export import export

    for kind in ("unigram", "bpe"):
        export(trained(kind), tmp_path / kind)
    names = [
        tmp_path / "unigram",
        tmp_path / "unigram" / "tokenizer.json",
        tmp_path / "bpe" / "tokenizer.model",
        tmp_path / "bpe" / "tokenizer.json",
    ]
    hard = tmp_path / "hard.jsonl"
    hard.write_text(
        "".join(json.dumps({"text": t}) + "\n" for t in ["吾輩😀は鱻である", "\u2581 x", "ｱ𠮟١٢", "普通の文。"]), "utf-8"
    )
    done = run(evaluate.main, *names, "--on", corpus, "--on", hard, "--out", tmp_path / "e.json")
    assert done.exit_code == 0, done.output
    results = json.loads((tmp_path / "e.json").read_text())
    assert len(results) == 8 and "常用漢字" in done.output
    for a, b in zip(results[::2], results[1::2]):
        different = {key for key in a if a[key] != b[key]}
        assert different <= {"tokenizer"}, {key: (a[key], b[key]) for key in different}
    on_corpus, on_hard = results[0], results[4]
    assert on_corpus["round_trip"] == on_hard["round_trip"] == 1
    assert on_corpus["texts"] == 20 and 1 < on_corpus["characters_per_token"] < 3
    # 😀 鱻 ▁ and so on have no pieces in so small a model; Arabic digits are spelled by bytes.
    assert on_hard["fallback"]["digits"] == 1 and on_hard["fallback"]["hiragana"] == 0 and on_hard["fallback_share"] > 0.1
    assert 0 < on_corpus["renyi_efficiency"] < 1 and 0.2 < on_corpus["joyo_share"] < 1 and on_corpus["unused_share"] < 0.9
    assert len(evaluate.list_joyo_kanji()) == len(set(evaluate.list_joyo_kanji())) == 2136


# -- what is refused


def read_error(done: Result, code: int = 2) -> str:
    """The output of a command that fails with a sentence."""
    assert done.exit_code == code, done.output
    assert "Traceback" not in done.output
    return " ".join(done.output.split())


def test_a_vocabulary_that_the_text_does_not_support_is_refused_with_the_largest(corpus: Path, tmp_path: Path) -> None:
    out = tmp_path / "t"
    large = read_error(run(train.main, corpus, "--vocab-size", 200_000, "--out", out))
    assert "vocab_size = 200,000 is more than this text supports: the largest possible is" in large
    largest = int(large.split("largest possible is ")[1].replace(",", "").split()[0])
    assert run(train.main, corpus, "--vocab-size", largest, "--out", out).exit_code == 0
    assert "at least" in read_error(run(train.main, corpus, "--vocab-size", 300, "--out", out))
    assert len(Tokenizer.load(out)) == largest  # what was there stays


def test_a_vocabulary_of_bpe_that_the_text_does_not_support_is_refused_with_the_largest(corpus: Path, tmp_path: Path) -> None:
    error = read_error(run(train.main, corpus, "--model", "bpe", "--vocab-size", 200_000, "--out", tmp_path / "t"))
    assert "the largest possible is" in error and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--vocab-size", 0], "--vocab-size: Input should be greater than or equal to 300, found 0"),
        (
            ["--memory", "lots"],
            "'--memory': a size in bytes is expected, such as 32000000, \"512 MB\" or \"1 GiB\", found 'lots'",
        ),
        (["--memory", "100MB"], "not enough to train a tokenizer: give it at least 600 MB"),
        (["--character-coverage", 1.5], "--character-coverage:"),
        (["--symbol", "\n"], "is a piece of every tokenizer already"),
        (["--symbol", "xy", "--symbol", "xy"], "named twice"),
        (["--symbol", " "], "--symbol: ' ' cannot be a piece: expected 2 to 64 printable characters"),
        (["--symbol", "<0x41>"], "is a piece of every tokenizer already"),
        (["--symbol", "東京都", "--symbol", "京都府"], "overlap"),
        (["--symbol", "<x>", "--special", "<x>"], "cannot be symbols and special tokens at once"),
        (["--column", "body"], "has no column 'body'; its columns: id, text"),
    ],
)
def test_bad_options_are_refused(options: list[Any], expected: str, corpus: Path, tmp_path: Path) -> None:
    assert expected in read_error(run(train.main, corpus, "--out", tmp_path / "t", *options))
    assert not list(tmp_path.iterdir())


def test_what_is_no_corpus_is_refused(corpus: Path, tmp_path: Path) -> None:
    pl.DataFrame({"text": ["", None, "\n\t"]}, schema={"text": pl.String}).write_parquet(tmp_path / "empty.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and nothing else")
    (tmp_path / "folder").mkdir()
    (tmp_path / "x.csv").write_text("text\n")
    out = ("--out", tmp_path / "t")
    assert "there is no text in empty.parquet" in read_error(run(train.main, tmp_path / "empty.parquet", *out))
    assert "does not exist" in read_error(run(train.main, tmp_path / "nowhere", *out))
    assert "there are no Parquet files" in read_error(run(train.main, tmp_path / "folder", *out))
    assert "broken.parquet cannot be read" in read_error(run(train.main, tmp_path / "broken.parquet", *out), 1)
    assert "of what kind" in read_error(run(train.main, tmp_path / "x.csv", *out))
    assert "give every corpus a weight, or none" in read_error(run(train.main, f"{corpus}=2", corpus, *out))
    assert "a weight is above 0" in read_error(run(train.main, f"{corpus}=-1", *out))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    assert "choose another --out" in read_error(run(train.main, corpus, "--out", tmp_path / "mine"))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_what_is_no_tokenizer_is_refused(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "x.model").write_bytes(b"nothing")
    (tmp_path / "x.json").write_text("{}")
    for path, expected in (
        ("x.model", "not a SentencePiece model"),
        ("x.json", "not a tokenizer.json"),
        ("y", "there is no tokenizer in"),
    ):
        assert expected in read_error(run(evaluate.main, tmp_path / path, "--on", corpus, "--out", tmp_path / "e.json"))
    assert not (tmp_path / "e.json").exists()


def test_memory_decides_how_much_is_drawn() -> None:
    amounts = [compute_text_budget(Training(memory=m)) for m in (1_000_000_000, 2_000_000_000, 4_000_000_000)]
    assert amounts == sorted(amounts) and amounts[0] > 10_000_000
    assert compute_text_budget(Training(memory=4_000_000_000, words="mecab")) < amounts[2]
    with pytest.raises(UsageError, match="not enough"):
        compute_text_budget(Training(memory=500_000_000))


class HostileFile(NamedTuple):
    """A Parquet file whose column `text` is not text."""

    path: Path
    error: str
    exit_code: int


def write_hostile_files(folder: Path) -> list[HostileFile]:
    raw = pa.array([b"\xf7\xbf\xbf\xbf" * 50 + b"\xff\xf8\xf0", b"abc"], pa.binary())
    columns = {
        "bytes.parquet": (pa.Array.from_buffers(pa.string(), 2, raw.buffers()), "is not valid UTF-8", 1),
        "list.parquet": (pa.array([["a"], ["b"]]), "holds no text but list", 2),
        "struct.parquet": (pa.array([{"a": "b"}]), "holds no text but struct", 2),
        "numbers.parquet": (pa.array([1, 2]), "holds no text but int64", 2),
    }
    files = []
    for name, (column, error, exit_code) in columns.items():
        pq.write_table(pa.table({"text": column}), folder / name)
        files.append(HostileFile(folder / name, error, exit_code))
    return files


def test_columns_that_hold_no_text_are_refused_by_every_command(trained: Callable[..., Tokenizer], tmp_path: Path) -> None:
    from tokenizer import encode
    from tokenizer.export import export

    export(trained(), tmp_path / "tokenizer")
    for path, error, code in write_hostile_files(tmp_path):
        assert error in read_error(run(train.main, path, "--out", tmp_path / "t"), code)
        assert error in read_error(run(evaluate.main, tmp_path / "tokenizer", "--on", path, "--out", tmp_path / "e.json"), code)
        where = ("--tokenizer", tmp_path / "tokenizer", "--out", tmp_path / "tokens", "--workers", 0)
        assert error in read_error(run(encode.main, path, *where), code)
    (tmp_path / "late.jsonl").write_text('{"id": 1}\n' * 3000 + '{"text": "遅れて来た文章。"}\n' * 3)
    assert Texts.find(tmp_path / "late.jsonl").column == "text"
    assert sum(len(batch) for batch in Texts.find(tmp_path / "late.jsonl").batches()) == 3


def test_a_link_stays_a_link(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "large")
    assert run(train.main, corpus, "--vocab-size", 2600, "--model", "bpe", "--out", tmp_path / "link").exit_code == 0
    assert (tmp_path / "link").is_symlink() and (tmp_path / "large" / "tokenizer.json").is_file()


def test_one_training_at_a_time(corpus: Path, tmp_path: Path) -> None:
    from pipeline.core.locks import hold_lock

    with hold_lock(tmp_path / "t"):
        assert "another process is making" in read_error(run(train.main, corpus, "--out", tmp_path / "t"), 1)
