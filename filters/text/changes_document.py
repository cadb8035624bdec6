"""The document on what cleaning changes, docs/cleaning.md, from the tables that the code goes by.

python -m filters.text.changes_document > docs/cleaning.md
"""

from __future__ import annotations

from collections.abc import Sequence

from filters.text.changes import ALWAYS, CANONICAL, FOLD, LETTERS, SIGNS, WIDTH_TERMS, changes

# What neighbours decide: the kernel and the modules beside it do these.
CONTEXTUAL = (
    ("voicing mark", "か゛ は゜ → が ぱ", "゛ and ゜ that stand alone after a kana that takes them; ｷﾀ゛゛゛ stays"),
    (
        "mistyped ー",
        "サ―バ―, デ–タ, コンピュ−タ → サーバー, データ, コンピュータ",
        "UniDic has the word with ー and not the words beside the dash, or the document writes it with ー, or a small kana follows; "
        "ベルリン―ロオマ and ミラー–ラビン stay",
    ),
    (
        "letters spaced out",
        "こ れ は 日 本 語 で す → これは日本語です",
        "from PDFs: long runs of single characters that read as sentences; 目 次, あ い う え お, tables stay",
    ),
    (
        "white space around lines",
        "spaces at line ends; empty lines at both ends, and all but one between others",
        "nobody sees them",
    ),
    ("marks in a row", "more than 30 combining marks: gone", "UAX #15's stream-safe text; it takes a forger to write them"),
)
KEPT = (
    ("U+3000", "indents of paragraphs, the gap after ！ and ？, columns, and code that names it"),
    ("／＼ ／″＼", "くの字点: vertical repeat marks"),
    ("。、 ．， ！？ （） ：； ＝ ＆ ％ ￥ ￣", "signs of Japanese typography: ．， end clauses, ＝ is in names, ￣ in faces"),
    ("Ａ １ ｶﾅ in documents that speak of 全角, 半角, full width …", "there the width is what is said"),
    ("‐ − – — ― ─ ━", "hyphen, minus, dashes and rules are different signs"),
    ("〜 〰 〰️ ∼ ∾", "a wavy dash, an emoji and two signs of mathematics"),
    ("ℝ ℂ ℤ 𝐱 𝑥 𝔤 ℓ", "styles that tell one symbol from another"),
    ("① Ⅳ ² ½ ㍿ ㈱ ㍻ ㌔ ™ ª", "`compatibility = \"expand\"` makes NFKC of them; by default 10² does not become 102"),
    ("… ‥ “ ” ‘ ’ ≪ ≫ ＜ ＞", "signs of their own"),
    ("︵ ︶ ﹏ ﻌ ￪ ﾡ ﹪", "forms for layouts and other scripts, which are rare in text and common in faces"),
    ("葛󠄀 👨‍👩‍👧 ❤️ می‌خواهم", "variation selectors and joiners: names, emoji, Persian"),
    ("゛ ゜ ゝ ゞ 々 〻 ヷ ゟ ヿ", "marks and kana of their own"),
)  # fmt: skip


def format_changes() -> str:
    """Return `docs/cleaning.md`."""
    rows = [(change.name, change.shown, change.reason) for change in (*ALWAYS, *LETTERS, SIGNS, CANONICAL)]
    folded = [(change.name, change.shown, change.reason) for change in (*FOLD, changes("expand")[-2])]

    def table(header: tuple[str, ...], lines: Sequence[tuple[str, ...]]) -> str:
        return "\n".join("| " + " | ".join(line) + " |" for line in [header, ("---",) * len(header), *lines])

    header = ("what", "changes", "why nobody reads anything else afterwards")
    return f"""# What cleaning changes

Made by `python -m filters.text.changes_document > docs/cleaning.md` from the table that the code goes by; a test holds the two together.
[benchmarks/cleaning.md](benchmarks/cleaning.md) has what it does to 20,000 documents. The result is in Unicode NFC, and cleaning it again
changes nothing. What changes the meaning is not done by default.

{table(header, rows)}

What the neighbours decide:

{table(header, list(CONTEXTUAL))}

What stays as it is written:

{table(("what", "why"), list(KEPT))}

On request, in the table `[clean]` of a manifest. `width` is `"letters"` for documents: full-width letters and digits, half-width kana and
～ are folded, but in documents that speak of widths. These hold one of {", ".join(WIDTH_TERMS[:10])},
full-width. It is `"fold"` for captions and transcripts, whose rules are written for folded text, and which are compared as
spoken. `"keep"` folds nothing.

{table(header, folded)}
"""


if __name__ == "__main__":
    print(format_changes(), end="")
