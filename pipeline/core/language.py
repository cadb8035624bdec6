"""The language that commands speak: English, or Japanese where SEIMAI_LANG or the locale asks for it.

Code, logs, ledgers, locks and JSON are in English. `words/ja.toml` has the Japanese of what a user reads, by the English, with {0}, {1} …
for values in the order of the English. What is printed is translated as it is printed: whoever raises an error writes English, and a
test (`tests/pipeline/core/test_language.py`) finds what the catalogue lacks.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import NamedTuple

from pipeline.core.singular import ONE, make_singular

LANGUAGES = ("en", "ja")
_PLACEHOLDER = re.compile(r"\{(\d+)\}")
_WORDS = ("activities", "steps", "tables", "units", "inspect")  # tables of the catalogue
_spoken: ContextVar[str | None] = ContextVar("spoken", default=None)
_LABELS = ("error: ", "warning: ")
_VERBS = ("has ", "is ")  # templates that begin so are also told of a file: "a.jsonl has no column …"
_SUBJECT = 99  # the number of its name there
_KINDS = re.compile(r"(?<=' \()((?:an? [a-z]+|null)(?: or (?:an? [a-z]+|null))*)(?=\))")  # what columns hold, in a list of them
_FEWEST_LETTERS = 5  # of a template's own words: with fewer it could be meant by anything that quotes others


@contextmanager
def speak(language: str) -> Iterator[None]:
    """Speak a language in the block, whatever the environment says: that of whoever reads a page."""
    token = _spoken.set(language)
    try:
        yield
    finally:
        _spoken.reset(token)


def choose_language() -> str:
    """Return the language of commands, "en" or "ja": as SEIMAI_LANG says, else as POSIX reads the locale's variables."""
    if (spoken := _spoken.get()) is not None:
        return spoken
    asked = os.environ.get("SEIMAI_LANG", "").lower()[:2]
    if asked in LANGUAGES:
        return asked
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((value for name in names if (value := os.environ.get(name))), "")
    return "ja" if locale.lower().split("_")[0].split(".")[0] == "ja" else "en"


def translate(text: str) -> str:
    """Return a text of the code, such as a heading or a template, in the language of the user; in English where there is no other.

    A template keeps its {0}, {1} …
    """
    return _load_catalogue().get(text, text) if choose_language() == "ja" else text


def translate_message(message: str) -> str:
    """Return a finished message in the language of the user, with the values that are in it. What the catalogue lacks stays as it is.

    English is written in the plural: where a number is 1, the template's own words are made singular.

    >>> with speak("en"):
    ...     translate_message("1 values of 'date' are no text, such as 5: they became null")
    "1 value of 'date' is no text, such as 5: it became null"
    """
    if not message or choose_language() != "ja" and not ONE.search(message):
        return message
    body = message.strip("\n ")
    start = message.index(body) if body else 0
    return message[:start] + _translate_body(body) + message[start + len(body) :]


def translate_text(text: str) -> str:
    """Return a text that may be one of the code, such as what a measure is, or a finished message, in the language of the user."""
    return translated if (translated := translate(text)) != text else translate_message(text)


def is_wordy(template: str) -> bool:
    """Return whether a template has enough words of its own to be recognised in a finished message."""
    return len(re.findall(r"[A-Za-z]", _PLACEHOLDER.sub("", template))) >= _FEWEST_LETTERS


def list_catalogue() -> dict[str, str]:
    """Return the Japanese by the English."""
    return dict(_load_catalogue())


class _Template(NamedTuple):
    """A template as finished messages are compared with it. `longest`: its longest run of own words."""

    pattern: re.Pattern[str]
    numbers: tuple[str, ...]  # of its values, in their order
    longest: str
    english: str
    japanese: str


@cache
def _load_tables() -> dict[str, dict[str, str]]:
    return tomllib.loads((files("pipeline") / "core" / "words" / "ja.toml").read_text("utf-8"))


@cache
def _load_catalogue() -> dict[str, str]:
    return {english: japanese for table in _load_tables().values() for english, japanese in table.items()}


@cache
def _load_sentences() -> dict[str, str]:
    """Return the catalogue without words that only `translate` is asked for, which values of a message may happen to be."""
    return {
        english: japanese for name, table in _load_tables().items() if name not in _WORDS for english, japanese in table.items()
    }


@cache
def _load_templates() -> list[_Template]:
    """Return the templates with values, those with most words of their own first.

    What a template that begins with a verb says is also said of a file, whose name then comes first.
    """
    templates = []
    sentences = _load_sentences()
    of_files = {
        f"{{{_SUBJECT}}} {english}": f"{{{_SUBJECT}}}: {japanese}"
        for english, japanese in sentences.items()
        if english.startswith(_VERBS)
    }
    for english, japanese in (sentences | of_files).items():
        pieces = _PLACEHOLDER.split(english.strip("\n "))[::2]
        if len(pieces) > 1 and is_wordy(english):
            pattern = re.compile(_make_pattern(pieces), re.DOTALL)
            numbers = tuple(_PLACEHOLDER.findall(english))
            both = english.strip("\n "), japanese.strip("\n ")
            templates.append((sum(map(len, pieces)), _Template(pattern, numbers, max(pieces, key=len), *both)))
    return [template for _, template in sorted(templates, key=lambda one: -one[0])]


def _make_pattern(pieces: list[str]) -> str:
    """Return the expression of a template, given what stands around its values. Of two values side by side the second begins with a sign,
    as "; did you mean …?" does, or is empty.
    """
    pattern = re.escape(pieces[0])
    for before, after in zip(pieces, pieces[1:], strict=False):
        is_second = not before and pattern
        is_first = not after and after is not pieces[-1]
        value = r"((?:[.,;:( ].*?)?)" if is_second else r"('[^']*'|\"[^\"]*\"|.+?)" if is_first else "(.+?)"
        pattern += value + re.escape(after)
    return pattern


def _translate_body(body: str) -> str:
    is_japanese = choose_language() == "ja"
    if (" " in body or body == ".") and (exact := _load_sentences().get(body)) is not None:
        return exact if is_japanese else body
    if body.startswith(_LABELS):  # templates that begin with a value would take it for one
        label, _, problem = body.partition(": ")
        return translate(f"{label}: {{0}}").replace("{0}", _translate_value(problem))
    for template in _load_templates():
        if template.longest in body and (match := template.pattern.fullmatch(body)):
            values = dict(zip(template.numbers, map(_translate_value, match.groups()), strict=True))
            words = template.japanese if is_japanese else make_singular(template.english, values)
            return _PLACEHOLDER.sub(lambda place, values=values: values[place[1]], words)  # type: ignore[misc]
    if is_japanese and _KINDS.search(body):
        body = _KINDS.sub(lambda kinds: " か ".join(_load_sentences().get(one, one) for one in kinds[1].split(" or ")), body)
    if "\n" in body:
        return "\n".join(map(_translate_value, body.split("\n")))
    if ": " in body:  # where something is wrong, and what
        place, _, problem = body.partition(": ")
        return f"{place}: {_translate_value(problem)}"
    if "; " in body:  # warnings of one file, side by side
        return "; ".join(map(_translate_value, body.split("; ")))
    return body


def _translate_value(value: str) -> str:
    """Return a value of a message, which may be a message itself. A single word may be a name, and stays."""
    return translate_message(value) if " " in value.strip() or value == "." else value
