"""Letters that are spaced out, 「日 本 語 の 文 書」, as PDFs give them: joined where they read as Japanese sentences.

People space letters out, too: 目 次, お わ り, 月 火 水 木 金, あ い う え お, lists of kanji, verse. A line is joined where it has a
long run of single characters, hiragana among others, in which the words of grammar are found. Where nearly every letter of a document
stands alone and all together read so, every line of it is joined, headings and short answers too.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import groupby
from typing import NamedTuple

_LETTER = "ぁ-ゖゝゞァ-ヺー々〆〇\u3400-\u4dbf\u4e00-\u9fff"
_OPENING, _CLOSING = "「『（(〔［【〈《", "」』）)〕］】〉》、。，．,.！？!?：；・…"
# One letter or sign, with the punctuation that clings to it.
_SINGLE = re.compile(rf"[{re.escape(_OPENING)}]*\S[{re.escape(_CLOSING)}]*")
_LATIN = re.compile(r"[\x21-\x7e]{2,}")
_GAP = re.compile("([ \u3000]+)")
_IS_LETTER, _IS_HIRAGANA = re.compile(f"[{_LETTER}]"), re.compile("[ぁ-ゖ]")
_GRAMMAR = re.compile(
    "です|ます|まし|した|して|てい|った|って|ない|なる|なっ|ある|あり|いる|から|こと|もの|ため|する|され|れる|られ|では|には|とは|との|への|での|"
    "など|まで|より|とい|であ|これ|それ|この|その|また|ので|のは|のが|れた|れて|せる|いて|よう|とし|にお|につ|によ|たち|だっ|だと|けれ|しか"
)
_RUN = 16  # letters of a run that shows by itself that it was spaced out; deliberate ones in the development text have up to 15
_LEAST = 7  # letters of a document that is nothing else
_CLUSTERS = 0.2  # of a run's letters: tokens of two or three, where a space is missing
_HIRAGANA = (0.2, 0.85)  # of a run's letters; kana charts have more, lists of kanji fewer
_DOCUMENT = 0.7  # of a document's letters: those that stand alone, where nearly every letter does
_PER_WORD = 25  # letters in which one word of grammar is found


class _Run(NamedTuple):
    """Tokens `first` to `last` of a line, which may have been spaced out, and how many letters stand alone in them."""

    first: int
    last: int
    letters: int


def _is_cluster(token: str) -> bool:
    return len(token) <= 5 and 2 <= len(_IS_LETTER.findall(token)) <= 3 and not _LATIN.search(token)


def _find_runs(tokens: list[str]) -> list[_Run]:
    """Return the runs of single characters, with Latin words, numbers and few clusters of letters among them."""
    runs = []
    at = 0
    for fits, group in groupby(
        tokens, lambda token: bool(_SINGLE.fullmatch(token) or _LATIN.fullmatch(token) or _is_cluster(token))
    ):
        members = list(group)
        if fits and len(members) > 1:
            letters = sum(1 for token in members if _SINGLE.fullmatch(token) and _IS_LETTER.search(token))
            clusters = sum(1 for token in members if _is_cluster(token))
            if clusters <= max(1, _CLUSTERS * letters):
                runs.append(_Run(at, at + len(members), letters))
        at += len(members)
    return runs


def _reads_as_text(tokens: list[str]) -> bool:
    """Return whether a run is Japanese sentences when it is joined."""
    joined = "".join(tokens)
    letters, hiragana = len(_IS_LETTER.findall(joined)), len(_IS_HIRAGANA.findall(joined))
    low, high = _HIRAGANA
    return low <= hiragana / max(letters, 1) <= high and len(_GRAMMAR.findall(joined)) >= letters / _PER_WORD


def _join(tokens: list[str], gaps: list[str], run: _Run, usual: str) -> None:
    """Take the usual gap out between the tokens of a run, and make wider ones single; those beside Latin words stay."""
    for i in range(run.first, run.last - 1):
        if _LATIN.fullmatch(tokens[i]) or _LATIN.fullmatch(tokens[i + 1]):
            gaps[i] = gaps[i][:1]
        else:
            gaps[i] = "" if len(gaps[i]) <= len(usual) else gaps[i][:1]


def join_spaced(text: str) -> str:
    """Take the spaces out between letters that were spaced out.

    >>> join_spaced("こ の 文 書 は 日 本 語 で 書 い て あ り ま す 。")
    'この文書は日本語で書いてあります。'
    >>> join_spaced("目 次")
    '目 次'
    """
    lines = text.split("\n")
    split = [(i, _GAP.split(line.strip(" \u3000"))) for i, line in enumerate(lines)]
    found = [(i, pieces[::2], pieces[1::2]) for i, pieces in split if len(pieces) > 2]
    runs = {i: _find_runs(tokens) for i, tokens, _ in found}
    certain = {
        i: [r for r in runs[i] if r.letters >= _RUN and _reads_as_text(tokens[r.first : r.last])] for i, tokens, _ in found
    }
    letters = sum(run.letters for listed in runs.values() for run in listed)
    if letters >= max(_LEAST, _DOCUMENT * len(_IS_LETTER.findall(text))) and _reads_as_text(
        [token for i, tokens, _ in found for run in runs[i] for token in tokens[run.first : run.last]]
    ):
        certain = runs
    gaps_found = Counter(gap for i, _, gaps in found for run in certain[i] for gap in gaps[run.first : run.last - 1])
    for i, tokens, gaps in found:
        for run in certain[i]:
            _join(tokens, gaps, run, gaps_found.most_common(1)[0][0])
        if certain[i]:
            line = lines[i]
            indent = line[: len(line) - len(line.lstrip(" \u3000"))]
            lines[i] = indent + "".join(token + gap for token, gap in zip(tokens, [*gaps, ""], strict=True))
    return "\n".join(lines)
