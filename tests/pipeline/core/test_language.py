"""Commands in Japanese: everything that they say has its Japanese, and what is quoted in it stays as it is."""

from __future__ import annotations

import re
from importlib import import_module

import click
import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import list_help, wrap_cells
from pipeline.core.language import choose_language, is_wordy, list_catalogue, translate, translate_message
from pipeline.core.terminal import Terminal
from pipeline.sources.text import sniffing
from seimai.command import COMMANDS as CONSOLE_COMMANDS
from seimai.command import TRAIN
from seimai.command import main as seimai
from tests.support.messages import collect_messages

COMMANDS = [
    "pipeline.build", "pipeline.fetch.command", "pipeline.verify", "pipeline.compare.command",
    "pipeline.explain.command", "pipeline.whatif.command", "pipeline.inspect.command",
    "tokenizer.train", "tokenizer.encode", "tokenizer.evaluate", "tokenizer.export",
    "trainers.gpt", "trainers.clip", "trainers.diffusion", "trainers.hubert", "trainers.ctc", "trainers.targets",
    "trainers.generate",
]  # fmt: skip


@pytest.fixture
def japanese(monkeypatch):
    monkeypatch.setenv("SEIMAI_LANG", "ja")


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "ja_JP.UTF-8"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": "C"}, "en"),
        ({"LANG": "C", "LC_MESSAGES": "ja"}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "LC_ALL": ""}, "ja"),
        ({"LANG": "ja_JP.UTF-8", "SEIMAI_LANG": "en"}, "en"),
        ({"SEIMAI_LANG": "JA"}, "ja"),
        ({"SEIMAI_LANG": "fr", "LANG": "ja_JP.eucJP"}, "ja"),
        ({"LANG": "jam"}, "en"),
    ],
)
def test_language_is_asked_for_or_the_locales(monkeypatch, variables, language):
    for name in ("SEIMAI_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert choose_language() == language


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("1 records could not be read", "1 record could not be read"),
        ("error: 1 more inputs have warnings like these", "error: 1 more input has warnings like these"),
        ("1 values of date are no text, such as 1 files: they became null", "1 value of date is no text, such as 1 files: it became null"),
        ("a: 1 records in the ledger, 12 in the shards. Ctrl-C ends this", "a: 1 record in the ledger, 12 in the shards. Ctrl-C ends this"),
        ("corpus  7 files, 9 KB: 1 differ; remove these files and build, encode or fetch again, which makes them anew",
         "corpus  7 files, 9 KB: 1 differs; remove these files and build, encode or fetch again, which makes them anew"),
        ("21 records could not be read", "21 records could not be read"),
        ("1,001 records could not be read", "1,001 records could not be read"),
        ("python -m pipeline.build a --input '1 records'", "python -m pipeline.build a --input '1 records'"),
    ],
)  # fmt: skip
def test_one_is_said_in_the_singular(monkeypatch, message, said):
    """By the words of the template alone: what it quotes stays as it is."""
    monkeypatch.setenv("SEIMAI_LANG", "en")
    assert translate_message(message) == said


# -- the catalogue is whole


def test_every_message_has_its_japanese():
    """Add what is missing to `pipeline/core/words/ja.toml`: the English as it is printed here, with {0}, {1} … for values."""
    catalogue = list_catalogue()
    missing = {text: place for text, place in collect_messages().items() if is_wordy(text) and text not in catalogue}
    assert not missing, "\n".join(f"{place}: {text!r}" for text, place in missing.items())


@pytest.mark.parametrize("module", COMMANDS)
def test_every_help_has_its_japanese(japanese, module):
    command = import_module(module).main
    missing = [text for text in list_help(command) if is_wordy(text) and translate_message(text) == text]
    assert not missing
    shown = CliRunner().invoke(command, ["--help"], terminal_width=80)
    assert shown.exit_code == 0 and "使い方:" in shown.output and "オプション:" in shown.output
    assert max(map(cell_len, shown.output.splitlines())) <= 80


def test_the_console_command_is_in_japanese(japanese):
    lines = [one.help for one in (*CONSOLE_COMMANDS.values(), *TRAIN.values())]
    assert not [line for line in lines if translate_message(line) == line]
    for words in ([], ["train"]):
        shown = CliRunner().invoke(seimai, [*words, "--help"], terminal_width=80).output
        assert "使い方:" in shown and "コマンド:" in shown and not re.search(r"[A-Za-z]+ [a-z]+ [a-z]+\.", shown)
    wrong = CliRunner().invoke(seimai, ["bild"])
    assert wrong.exit_code == 2 and "コマンド 'bild' はありません" in wrong.stderr


def test_japanese_has_the_values_of_the_english():
    for english, text in list_catalogue().items():
        assert set(re.findall(r"\{\d+\}", english)) == set(re.findall(r"\{\d+\}", text)), english
        assert text.strip(), english


# -- messages


def test_values_stay_and_messages_in_messages_are_translated(japanese):
    assert translate_message("--out a b is a file, not a folder") == "--out a b はフォルダではなくファイルです"
    assert translate_message("error: there is no text in records in") == "エラー: records in にテキストがありません"
    assert (
        translate_message("warning: 1 of 58 recordings have no transcript")
        == "警告: 録音 58 件のうち 1 件に書き起こしがありません"
    )
    warning = translate_message("warning: 5 of 17 records could not be read; 2 of them like this: x\nand 1 like this: y z")
    assert warning == "警告: 17 件のうち 5 件を読めませんでした。うち 2 件の例: x\nほか 1 件の例: y z"
    inner = translate_message('error: m.toml: shards.size: a size in bytes is expected, such as 32000000, "512 MB" or "1 GiB"')
    assert inner.startswith("エラー: m.toml: shards.size: 大きさ（バイト）")
    assert translate_message("\nnothing that the catalogue has, 3: x\n") == "\nnothing that the catalogue has, 3: x\n"
    known = translate_message("there is no manifest 'no.pe'; did you mean 'n'? Known: n. A path to a TOML file works too.")
    assert known.startswith("マニフェスト 'no.pe' はありません（'n' のことですか？） あるのは: n。")


@pytest.mark.parametrize(
    ("message", "japanese_words"),
    [
        ("error: --set rules.hiragana=3: expected bounds, such as { at_least = 0.1 }; did you mean 'hiragana_share'?",
         "エラー: --set rules.hiragana=3: 基準を指定してください（例: { at_least = 0.1 }）。'hiragana_share' のことですか？"),
        ("error: manifest ja-web has no embedded sample: name the raw corpus with --input",
         "エラー: マニフェスト ja-web には同梱サンプルがありません。--input で原データを指定してください"),
        ("error: --set source.format=x: there is no such wire format; did you mean 'files'? Known: text, files",
         "エラー: --set source.format=x: その形式はありません（'files' のことですか？） あるのは: text, files"),
        ("warning: 3 of 9 records could not be read; 2 of them like this: line 4: no text: 'text' is null",
         "警告: 9 件のうち 3 件を読めませんでした。うち 2 件の例: line 4: テキストがありません: 'text' が null です"),
        ("warning: site a.jp: 6 of 9 records are duplicates (67%); pages made from one template may be alike in all but what they are "
         "about: look at them in the ledger",
         "警告: サイト a.jp: 9 件のうち 6 件（67%）が重複です。同じひな形のページは、肝心なところ以外がそっくりなことがあります。"
         "台帳で確かめてください"),
    ],
)  # fmt: skip
def test_what_functions_return_is_translated_as_well(japanese, message, japanese_words):
    assert translate_message(message) == japanese_words


def test_what_is_said_of_a_file_is_translated_with_its_name_in_front(japanese):
    """Its columns are quoted; no shorter template takes the name of the file for a part of it."""
    said = translate_message(
        "error: my dir/a.jsonl has no column of text that is known by its name. Its columns: 'id' (a number), 'honbun' (a string). "
        "Say which one it is: --set source.columns.text=NAME"
    )
    assert (
        said.startswith("エラー: my dir/a.jsonl: 名前から本文と分かる列がありません。")
        and "'honbun' (文字列)。どれかを" in said
    )
    close = translate_message(
        "a.jsonl has no column 'x', which source.columns.text names; did you mean 'y'? Its columns: 'y' (a string)"
    )
    assert close == "a.jsonl: source.columns.text が指す列 'x' がありません（'y' のことですか？）。列: 'y' (文字列)"


def test_what_an_input_is_instead_is_told_in_japanese(japanese):
    """Its advice goes on in Japanese; commands in it stay."""
    for sniffed in (value for value in vars(sniffing).values() if isinstance(value, sniffing.Sniffed) and value.name is None):
        said = translate_message(f"/a b/c.txt is {sniffed.label}: {sniffed.advice.replace('FILE', 'c.txt')}")
        assert said.startswith("/a b/c.txt: ") and re.search("です。?", said), said


@pytest.mark.parametrize(
    ("english", "expected"),
    [
        (
            "/a b/c.txt is text with empty lines between documents; source.format = 'jsonl' reads JSON lines. Let the format be known by "
            "content: python -m pipeline.build ja-web --input c.txt (or keep this manifest and add --set source.format=cc100)",
            "/a b/c.txt: 文書を空行で区切ったテキストです。source.format = 'jsonl' が読むのは JSON Lines です。"
            "形式を中身から判断させるには: python -m pipeline.build ja-web --input c.txt"
            "（このマニフェストのままなら --set source.format=cc100 を付けます）",
        ),
        ("… and 2 more files", "…… ほか 2 ファイル"),
        (
            "error: rules.chars.at_least: Input should be a finite number",
            "エラー: rules.chars.at_least: 有限の数にしてください",
        ),
        (
            "warning: o/README.md was changed since Seimai wrote it: what is in it will be kept in o/README.kept.md",
            "警告: o/README.md は Seimai が書いたあとで変更されました。中身は o/README.kept.md に残します",
        ),
        (
            "error: m: [[mixture]] a and b are both called jsonl, so that ids would stand for two documents: build one of them under "
            "another name, with --set name=OTHER",
            "エラー: m: [[mixture]] a と b はどちらも名前が jsonl で、id が二つの文書を指してしまいます。"
            "--set name=OTHER で一方を別の名前で構築してください",
        ),
        (
            "warning: cc100-ja is built from its embedded sample, not from the corpus itself",
            "警告: cc100-ja は本物のコーパスではなく同梱サンプルから構築したものです",
        ),
        (
            "no raw corpus at hand: building the embedded sample (1 MB). For the real thing: --input PATH|URL, or --download to fetch x",
            "手元に原データがありません。同梱サンプル（1 MB）を構築します。本物を使うには: --input PATH|URL",
        ),
        (
            "error: a.txt has changed since the build began (from 10,980,000 to 3,000,000 bytes). Nothing was published from it. Let "
            "whatever writes it finish, or build from a copy, and run the same command again",
            "エラー: a.txt は構築を始めたあとで変わりました （10,980,000 バイトから 3,000,000 バイトへ）。何も公開していません",
        ),
        ("no record is called 'x'", "'x' というレコードはありません"),
        ("書き出し failed: No such file or directory", "書き出しに失敗しました: No such file or directory"),
    ],
)
def test_what_is_put_together_is_translated(japanese, english, expected):
    assert translate_message(english).startswith(expected)


def test_english_stays_english(monkeypatch):
    monkeypatch.setenv("SEIMAI_LANG", "en")
    assert translate("records in") == "records in" and translate_message("--out a is a file, not a folder").startswith(
        "--out a is"
    )


def test_terminal_translates_what_it_prints_and_breaks_no_line(japanese, capsys):
    Terminal(width=20).print("corpora/a is up to date: nothing to do")
    assert capsys.readouterr().out.splitlines() == ["corpora/a は最新です。することはありません"]


def test_errors_and_complaints_are_in_japanese(japanese):
    from pipeline.core.help import command

    @command()
    @click.argument("name")
    @click.option("--size", type=int)
    def main(name: str, size: int | None) -> None:
        with report_errors("building"):
            raise UsageError(f"{name} is a file, not a folder")

    run = CliRunner().invoke
    assert run(main, ["a"]).stderr == "エラー: a はフォルダではなくファイルです\n"
    assert run(main, ["a"]).exit_code == 2
    wrong = run(main, ["a", "--size", "x"])
    assert wrong.exit_code == 2 and "エラー: '--size' の値が正しくありません: 'x' は整数ではありません。" in wrong.stderr
    assert "使い方:" in wrong.stderr and "Usage" not in wrong.stderr
    assert "'NAME' を指定してください" in run(main, []).stderr


# -- lines of wide characters


def test_lines_break_between_wide_characters_as_typography_allows():
    text = "コーパス「甲」を構築します。--keep-going なら壊れた入力の読めた部分だけで構築します。"
    for width in range(16, 50):
        lines = wrap_cells(text, width)
        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert all(cell_len(line) <= width + 2 for line in lines)
        assert not any(line[0] in "。、」ー" or line[-1] in "「" for line in lines)
        assert any("--keep-going" in line for line in lines)
