"""What cleaning changes, character by character, in real documents.

    python -m benchmarks.cleaning [--documents 20000]

Takes documents of `ja.txt.xz` at equal distances and all of `web.jsonl.gz`, cleans them as `ja-web` does and compares each with what it
was. Nothing of the code is asked which change it made: texts are aligned, and every change is a pair of what stood there and what stands
there now. It is counted under the reasons of `docs/cleaning.md` that allow it; one that no reason allows misses the bar. The second table
is about what has been changed harmfully once: none may be. The last one is junk, made of the same documents by a space after every letter.
"""

from __future__ import annotations

import random
import re
import sys
import time
import unicodedata
from collections import Counter
from collections.abc import Iterator

import polars as pl

from benchmarks.corpus import read_documents, read_jsonl
from benchmarks.harness import Bar, finish, format_table, make_parser, parse_options
from filters import normalise
from filters.text.changes import DASHES, changes

AFTER = 8  # characters that have to agree after a change
LONGEST = 40  # characters of one change
_BLANK = " \t\u3000\u00a0\u2002\u2003\u2009\u202f\u200b\u200e\ufeff\x00"
_CLUSTER = re.compile("[^\\W\\d][\u0300-\u036f\u0653-\u0655\u09bc\u09be\u09d7\u0bbe\u0bd7\u3099\u309a]+|\u09df")
# What stays as it is, by itself and in a sentence: kinds of harm that were found.
HARMFUL = {
    "vertical repeat marks": ("こい／＼と云ふ", "こゝろ／″＼に", "しば／＼"),
    "indents": ("\u3000吾輩は猫である。\n\u3000名前はまだ無い。", "\u3000\u3000\u3000附\u3000則"),
    "styles of symbols": ("ℝ ⊂ ℂ, ℤ, ℕ", "𝐱 と 𝑥 は違う", "ℓ と l"),
    "width that is spoken of": (
        *("「全角 Ａ」", "全角ＡＢＣと半角ABC", "半角ｶﾅを全角カナに", "full-width Ａ (U+FF21)"),
        *("２バイト文字のＡ", "NFKC は Ａ を A にする"),
    ),
    "full stops and commas": ("である．また，これは", "結果，次が得られる．", "しかし，それは．"),
    "emoji and wavy dashes": ("〰️", "A 〰 B", "❤️", "👨‍👩‍👧", "x ∼ N(0, 1)"),
    "dashes between words": (
        *("ベルリン―ロオマ行", "ミラー–ラビン", "フーリエ−モツキン", "ハーディ–ワインベルク", "セブン-イレブン"),
        *("チェビシェフ―マルコフ", "ロンドン‐パリ間", "クライアント-サーバー", "ガンマ―グルタミル", "ア－オ"),
        *("ドイツ–ポーランド国境", "リーブル-スー", "コーシー–リーマン", "ハートリー–フォック"),
    ),
    "signs": (
        *("ジャン＝ジャック・ルソー", "（￣▽￣）", "≪引用≫ ＜注＞", "“引用” ‘q’", "￥100", "10²、x₁、½、㍿、①、Ⅳ"),
        *("2010–2020、−5℃、― と —", "(╯°□°)╯︵ ┻━┻"),
    ),
    "names": ("葛\U000e0100城", "𠮷野家", "﨑"),
    "voicing marks": ("キタ゛゛゛゛", "ノ゛", "(゜∀゜)"),
    "letters spaced on purpose": (
        *("目 次", "第 一 章", "お わ り に", "月 火 水 木 金 土 日", "あ い う え お か き く け こ さ し す せ そ"),
        *("春 の 海 ひ ね も す の た り の た り か な", "一 右 雨 円 王 音 下 火 花 貝 学 気 九 休 玉 金 空 月 犬 見"),
    ),
}  # fmt: skip
MISTYPED = {
    "サ―バ―を": "サーバーを",
    "コンピュ−タ": "コンピュータ",
    "デ―タ": "データ",
    "ユ－ザ－の": "ユーザーの",
    "メ–ル": "メール",
    "ｻ-ﾋﾞｽ": "サービス",
}


def find_changes(raw: str, cleaned: str) -> Iterator[tuple[str, str, int]]:
    """Yield what stood in `raw`, what stands in `cleaned` for it, and where: the shortest changes after which both agree again."""
    i = j = 0
    while i < len(raw) or j < len(cleaned):
        if i < len(raw) and j < len(cleaned) and raw[i] == cleaned[j]:
            i, j = i + 1, j + 1
            continue
        for size in range(1, LONGEST):
            for a in range(size, -1, -1):
                b = size - a
                x, y = raw[i + a : i + a + AFTER], cleaned[j + b : j + b + AFTER]
                if (x == y and (x or i + a >= len(raw) and j + b >= len(cleaned))) or (
                    a >= 1 and b >= 1 and x[:1] == y[:1] != "" and a == b
                ):
                    break
            else:
                continue
            break
        else:
            a, b = len(raw) - i, len(cleaned) - j
        yield raw[i : i + a], cleaned[j : j + b], i
        i, j = i + a, j + b


class Reasons:
    """The reasons of `docs/cleaning.md` for a change."""

    def __init__(self) -> None:
        self.by_character = {
            (chr(cp), change.becomes(chr(cp))): change.name for change in changes() for cp in change.characters
        }

    def find(self, old: str, new: str, raw: str, at: int) -> str | None:
        """Return the reason for `old` at `raw[at]` becoming `new`, or None."""
        if old in DASHES and new == "ー":
            return "mistyped ー"
        if not new and not old.strip(" \u3000"):
            return "letters spaced out" if re.search(r"\S$", raw[:at]) and re.match(r"\S", raw[at + len(old) :]) else None
        if (reason := self.by_character.get((old, new))) is not None:
            return reason
        if not new:
            return self.by_character.get((old[0], "")) if all((c, "") in self.by_character for c in old) else None
        if unicodedata.normalize("NFC", old) == new:
            return "canonical form (NFC)"
        if unicodedata.normalize("NFKC", old) == new and any(c in "ﾞﾟ゛゜" for c in old):
            return "voicing mark"
        parts = [self.by_character.get((c, d)) for c, d in zip(old, new, strict=False)]
        return parts[0] if len(old) == len(new) and parts and None not in parts else None


def compare(texts: list[str], cleaned: list[str]) -> tuple[Counter[tuple[str, str, str]], list[str]]:
    """Return how often which change was made for which reason, and examples of those without one."""
    reasons, counts, unexplained = Reasons(), Counter[tuple[str, str, str]](), list[str]()
    for raw, text in zip(texts, cleaned, strict=True):
        if raw == text:
            continue
        trimmed = trim(raw)
        counts["white space around lines", "(white space)", ""] += len(raw) - len(trimmed)
        before, after = trimmed.split("\n"), text.split("\n")
        if len(before) != len(after):
            counts["MISSED", "(lines)", "(lines)"] += 1
            unexplained.append(f"{len(before)} lines are {len(after)}: {raw[:40]!r}")
            continue
        for x, y in zip(before, after, strict=True):
            if x != y and (clusters := _CLUSTER.findall(x)):
                # Compared as they are composed: else whole words differ.
                counts.update(("canonical form (NFC)", c, d) for c in clusters if (d := unicodedata.normalize("NFC", c)) != c)
                x = _CLUSTER.sub(lambda found: unicodedata.normalize("NFC", found[0]), x)
            for old, new, at in find_changes(x, y) if x != y else ():
                steps = [(old, new, at)]
                if len(old) == len(new) > 1:
                    steps = [(c, d, at + k) for k, (c, d) in enumerate(zip(old, new, strict=True)) if c != d]
                for c, d, where in steps:
                    reason = reasons.find(c, d, x, where)
                    counts[reason or "MISSED", c, d] += 1
                    if reason is None:
                        unexplained.append(f"{x[max(0, where - 15) : where + 15]!r}: {c!r} → {d!r}")
    return counts, unexplained


def trim(raw: str) -> str:
    """Return text without white space at line ends and without empty lines but one between others: what has one reason alone."""
    lines = [line.rstrip(_BLANK) for line in re.split("\r*\n|[\r\x0b\x0c\x85\u2028\u2029]", raw)]
    lines = ["" if not line.strip(_BLANK) else line for line in lines]
    return "\n".join(line for i, line in enumerate(lines) if line or i and lines[i - 1]).strip("\n")


def show(text: str) -> str:
    """Return characters as code points, and as they look where they are seen."""
    if not text:
        return "gone"
    points = " ".join(f"U+{ord(c):04X}" for c in text[:4])
    return (
        f"{text.replace('|', chr(92) + '|')} {points}"
        if text.isprintable() and text.strip() and not unicodedata.combining(text[0])
        else points
    )


def space_out(text: str, gap: str, share: float, generator: random.Random) -> str:
    return "\n".join(
        "".join(c + gap * (generator.random() < share) for c in re.sub("[ \u3000]", "", line)).rstrip()
        for line in text.split("\n")
    )


def print_spaced(texts: list[str]) -> float:
    """Print how many documents of which a space follows every letter are joined; returns the share for single spaces."""
    generator, rows, shares = random.Random(1), [], []
    for name, gap, share in (
        ("one space", " ", 1.0),
        ("two spaces", "  ", 1.0),
        ("U+3000", "\u3000", 1.0),
        ("one, 5 % missing", " ", 0.95),
    ):
        junk = [space_out(text, gap, share, generator) for text in texts]
        spaces = [sum(c in " \u3000" for c in one) for one in junk]
        left = [sum(c in " \u3000" for c in one) for one in normalise(pl.Series(junk))]
        joined = sum(b < 0.1 * a for a, b in zip(spaces, left, strict=True))
        shares.append(joined / max(1, len(texts)))
        rows.append([name, f"{len(texts):,}", f"{joined:,}", f"{shares[-1]:.1%}", f"{1 - sum(left) / max(1, sum(spaces)):.1%}"])
    print("\n" + format_table(["a space after every letter", "documents", "joined", "share", "spaces gone"], rows))
    return shares[0]


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--documents", type=int, default=20_000, help="documents in all (default: %(default)s)")
    options = parse_options(parser, "cleaning", {"documents": 200})
    web = [row["text"] for row in read_jsonl(options.data / "text" / "web.jsonl.gz")] if not options.smoke else []
    every = read_documents(options.data).texts()
    wanted = min(max(1, options.documents - len(web)), len(every))
    texts = [every[i * len(every) // wanted] for i in range(wanted)] + web
    column = pl.Series(texts)
    began = time.process_time()
    cleaned = normalise(column).to_list()
    seconds = time.process_time() - began
    counts, unexplained = compare(texts, cleaned)
    size = sum(len(text.encode()) for text in texts)
    print(
        f"{len(texts):,} documents, {size / 1e6:.0f} MB; {sum(counts.values()):,} changes; {seconds / size * 1e9:.1f} ns per byte\n"
    )
    totals = Counter[str]()
    for (reason, _, _), count in counts.items():
        totals[reason] += count
    order = {name: i for i, (name, _) in enumerate(totals.most_common())}
    rows = [
        [reason, show(old), show(new), f"{n:,}"]
        for (reason, old, new), n in sorted(counts.items(), key=lambda item: (order[item[0][0]], -item[1]))
    ]
    print(format_table(["reason", "from", "to", "times"], rows))
    for line in unexplained[:40]:
        print(f"  no reason: {line}", file=sys.stderr)
    harmed, checked = [], []
    for kind, cases in HARMFUL.items():
        # Also within prose that has every width, so that no rule about documents hides one about characters.
        framed = [*cases, *(f"吾輩は猫である。\n{case}\n名前はまだ無い。" for case in cases)]
        changed = [before for before, after in zip(framed, normalise(pl.Series(framed)), strict=True) if before != after]
        checked.append([kind, f"{len(framed)}", f"{len(changed)}"])
        harmed += changed
    mistyped = normalise(pl.Series(list(MISTYPED))).to_list()
    print("\n" + format_table(["harm", "texts", "changed"], checked))
    japanese = [text[:1500] for text in texts if len(re.findall("[ぁ-ゖ]", text[:1500])) > 0.2 * len(text[:1500])]
    joined = print_spaced(japanese[:: max(1, len(japanese) // 1000)])
    again = normalise(pl.Series(cleaned)).to_list()
    bars = [
        Bar(not unexplained, f"every change has a reason: {len(unexplained):,} of {sum(counts.values()):,} have none"),
        Bar(not harmed, f"harmful changes: {len(harmed)} of {sum(int(row[1]) for row in checked)} {harmed or ''}"),
        Bar(
            mistyped == list(MISTYPED.values()),
            f"mistyped ー: {sum(a == b for a, b in zip(mistyped, MISTYPED.values(), strict=True))} of {len(MISTYPED)}",
        ),
        Bar(again == cleaned, "cleaning again changes nothing"),
        Bar(
            totals["letters spaced out"] == 0,
            f"letters joined in documents that nobody spaced out: {totals['letters spaced out']}",
        ),
        Bar(joined >= 0.9, f"documents with a space after every letter that are joined: {joined:.1%} (bar 90 %)"),
    ]
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
