"""Bounds in words: as manifests and ledgers have them, "at_least 0.25" and ">= 0.25", and as a Japanese sentence has them."""

from __future__ import annotations

import re

from pipeline.core.language import choose_language, translate_message

_NUMBER = r"(-?(?:[0-9]+(?:,[0-9]{3})*(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|inf|nan))"
# A key of a manifest stands beside its Japanese, since `--set` takes it. Words may have commas, so they go up to the next key or the end.
_SENTENCES = tuple(
    (re.compile(pattern), sentence)
    for pattern, sentence in (
        (rf"at_least {_NUMBER}", r"\1 以上 (at_least)"),
        (rf"at_most {_NUMBER}", r"\1 以下 (at_most)"),
        (rf">= {_NUMBER}", r"\1 以上"),
        (rf"<= {_NUMBER}", r"\1 以下"),
        (rf"< {_NUMBER}", r"\1 未満"),
        (rf"> {_NUMBER}", r"\1 より大"),
        (r"^any_of (.+?)(?=, none_of |$)", r"\1 のどれか (any_of)"),
        (r"(?:^|(?<=, ))none_of (.+)$", r"\1 以外 (none_of)"),
        (r"^one of (.+)$", r"\1 のどれか"),
        (r"^none of (.+)$", r"\1 以外"),
        (rf"^{_NUMBER} to {_NUMBER}$", r"\1 から \2"),
    )
)


def translate_bound(words: str) -> str:
    """Return a bound in the language of the user. English has it as the manifest does.

    >>> from pipeline.core.language import speak
    >>> with speak("ja"):
    ...     [translate_bound(words) for words in ("at_least 0.1, at_most 0.5", "<= 0.025", "any_of ja, en")]
    ['0.1 以上 (at_least), 0.5 以下 (at_most)', '0.025 以下', 'ja, en のどれか (any_of)']
    """
    if choose_language() != "ja":
        return words
    if (whole := translate_message(words)) != words:
        return whole
    head, opening, fitted = words.partition(" (fitted ")
    for pattern, sentence in _SENTENCES:
        head = pattern.sub(sentence, head)
    return f"{head} ({translate_message(f'fitted {fitted[:-1]}')})" if opening else head
