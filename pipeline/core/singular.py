"""The singular of English messages, which are written for many: "{0} records were read" where {0} is 1."""

from __future__ import annotations

import re
from collections.abc import Mapping

ONE = re.compile(r"(?<![\w.,:/-])1 [a-zA-Z]")  # in a finished message; others have nothing to be made singular
_PLACEHOLDER = re.compile(r"(\{\d+\})")
_COUNTED = (
    "attributes bases bytes captions characters classes conditions configs copies dictionaries digits documents duplicates elements epochs "
    "figures files folders formats frames hours ids images inputs keys layers levels lines lists loops measures members minutes nouns "
    "packages pages pairs parts pictures pieces pixels places positions processes ranks recordings records rows rules samples scans "
    "seconds sequences shards sources steps tags texts tokens transcripts units URLs values views windows words workers zeros"
)
_NOUN = re.compile(rf"^( (?:more |other |further )?)({'|'.join(_COUNTED.split())})(?![\w-])")
_ENDS = {"copies": "copy", "dictionaries": "dictionary", "classes": "class", "processes": "process", "bases": "basis"}
_VERBS = {"are": "is", "were": "was", "do": "does", "have": "has"}
_VERBS |= {verb: f"{verb}s" for verb in ("differ", "end", "follow", "make", "stand")}
_VERB = re.compile(rf"(?<!to )(?<![\w-])({'|'.join(_VERBS)})(?![\w-])")
_VERB_FIRST = re.compile(rf"^ ({'|'.join(_VERBS)})(?![\w-])")
_SUBJECT = re.compile(r"(^|[.;:,] |[\n(]|\band )$")  # what stands before the number where it is of the subject
_SENTENCE_END = re.compile(r"[.;:](?= )|\)")


def make_singular(template: str, values: Mapping[str, str]) -> str:
    """Return a template whose numbers that are 1 stand before the singular, with the verbs that go with it. Values are not touched.

    >>> make_singular("{0} of {1} records were read; {2} files have no end", {"0": "1", "1": "9", "2": "1"})
    '{0} of {1} records was read; {2} file has no end'
    """
    pieces = _PLACEHOLDER.split(template)
    for at in range(1, len(pieces), 2):
        if values.get(pieces[at][1:-1]) != "1":
            continue
        noun = _NOUN.match(pieces[at + 1])
        if noun is not None:
            singular = _ENDS.get(noun[2], noun[2][:-1])
            pieces[at + 1] = f"{noun[1]}{singular}{pieces[at + 1][noun.end() :]}"
        if verb := _VERB_FIRST.match(pieces[at + 1]):
            pieces[at + 1] = f" {_VERBS[verb[1]]}{pieces[at + 1][verb.end() :]}"
            continue
        is_of_many = pieces[at + 1] == " of " and at + 3 < len(pieces) and _NOUN.match(pieces[at + 3])
        if (noun is not None or is_of_many) and _SUBJECT.search(pieces[at - 1]):
            _conjugate(pieces, at + 1)
    return "".join(pieces)


def _conjugate(pieces: list[str], first: int) -> None:
    """Make the first verb of the sentence that a piece begins in singular, and the pronoun that takes its subject up."""
    for number in range(first, len(pieces), 2):
        sentence_end = _SENTENCE_END.search(pieces[number])
        sentence = pieces[number] if sentence_end is None else pieces[number][: sentence_end.start()]
        if verb := _VERB.search(sentence):
            rest = pieces[number][verb.end() :].replace(": they became", ": it became")
            pieces[number] = f"{pieces[number][: verb.start()]}{_VERBS[verb[1]]}{rest}"
            for later in range(number + 2, len(pieces), 2):
                pieces[later] = pieces[later].replace(": they became", ": it became")
            return
        if sentence_end is not None:
            return
