"""Junk of the web, made by a seeded script from documents: what a pipeline should drop. Templates are in `benchmarks/junk_templates.py`.

A maker takes the text of a document and a `random.Random`, and returns a page of its kind. Words come from the document, so that junk and
good text have the same topics.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import lru_cache

import fugashi

from benchmarks import junk_templates as t

Maker = Callable[[str, random.Random], str]
_NOUN = re.compile("[一-龥々]{2,6}|[ァ-ヺー]{3,10}|[一-龥々]{1,3}[ァ-ヺー]{2,8}")
_SENTENCE = re.compile("[^。！？\n]+[。！？]?")


def find_nouns(text: str, most: int = 400) -> list[str]:
    """Return runs of kanji and katakana, each once, in the order of the text."""
    return list(dict.fromkeys(_NOUN.findall(text[:20_000])))[:most] or ["一覧", "案内", "検索"]


@lru_cache(maxsize=1)
def _tagger() -> fugashi.GenericTagger:
    return fugashi.Tagger("-Owakati")


def split_words(text: str) -> list[str]:
    """Return the words of a text by UniDic, without white space."""
    return [word for line in text.split("\n") for word in _tagger().parse(line).split()]


def _draw_length(draw: random.Random) -> int:
    """Return a length in characters, from a paragraph's to a page's."""
    return int(120 * 12 ** draw.random())


def make_keyword_line(text: str, draw: random.Random) -> str:
    """Keywords on one line, as in meta tags and at the foot of shops."""
    words = find_nouns(text)
    pool = draw.sample(words, min(len(words), draw.choice([4, 8, 30, 200])))
    mark = draw.choice([" ", " ", "、", ",", "|", "｜", " / ", "・", "，", "　", " > "])
    size, line = _draw_length(draw) // 2, ""
    more = draw.random() < 0.5
    while len(line) < size:
        word = draw.choice(pool)
        if more and draw.random() < 0.4:
            word += draw.choice(["", " ", ""]) + draw.choice(t.COMMERCE)
        line += word + mark
    return line


def make_word_salad(text: str, draw: random.Random) -> str:
    """Words of a document in any order, without the ends of sentences."""
    words = [word for word in split_words(text[:6000]) if word not in "。、！？「」（）"]
    draw.shuffle(words)
    line = "".join(words)[: _draw_length(draw)]
    if draw.random() < 0.5:
        step = draw.randint(20, 90)
        line = "\n".join(line[i : i + step] for i in range(0, len(line), step))
    return line


def make_noun_salad(text: str, draw: random.Random) -> str:
    """Nouns of a document joined by particles at random."""
    words = find_nouns(text)
    line = "".join(
        draw.choice(words) + draw.choice(["の", "を", "に", "が", "と", "で", "は", "や", "から", ""])
        for _ in range(_draw_length(draw) // 5)
    )
    return line


def make_names(text: str, draw: random.Random) -> str:
    """A list of people, with or without titles and readings."""
    return list_names(draw, t.SURNAMES, t.GIVEN_NAMES)


def list_names(draw: random.Random, surnames: list[str], given_names: list[str]) -> str:
    gap = draw.choice(["", "", " ", "　"])
    title = draw.choice(["", "", "", "様", "さん", "（東京都）", "教授", " 選手", "君"])
    mark = draw.choice(["\n", "\n", "、", " ", "，", " / ", "・", "\t"])
    number = draw.random() < 0.2
    names = [
        (f"{i + 1}. " if number else "") + draw.choice(surnames) + gap + draw.choice(given_names) + title
        for i in range(draw.randint(20, 200))
    ]
    return mark.join(names)


def make_shuffled_characters(text: str, draw: random.Random) -> str:
    """A text whose characters stand in any order, within lines or over all."""
    part = _take_part(text, draw)
    if draw.random() < 0.5:
        return "\n".join("".join(draw.sample(line, len(line))) for line in part.split("\n"))
    return "".join(draw.sample(part, len(part)))


def make_shuffled_words(text: str, draw: random.Random) -> str:
    """A text in whose sentences the words stand in any order."""
    sentences = _SENTENCE.findall(_take_part(text, draw))
    shuffled = []
    for sentence in sentences:
        words = split_words(sentence)
        end = [words.pop()] if words and words[-1] in "。！？" else []
        draw.shuffle(words)
        shuffled.append("".join(words + end))
    return "".join(shuffled)


def _take_part(text: str, draw: random.Random) -> str:
    size = _draw_length(draw)
    start = draw.randrange(max(1, len(text) - size + 1))
    return text[start : start + size]


def make_reversed_text(text: str, draw: random.Random) -> str:
    """A text written backwards: as a whole, by lines, by sentences, or its words in reverse order."""
    part = _take_part(text, draw)
    way = draw.randrange(4)
    if way == 0:
        return part[::-1]
    if way == 1:
        return "\n".join(line[::-1] for line in part.split("\n"))
    if way == 2:
        return "\n".join("。".join(sentence[::-1] for sentence in line.split("。")) for line in part.split("\n"))
    return "\n".join("".join(reversed(split_words(line))) for line in part.split("\n"))


def make_html(text: str, draw: random.Random) -> str:
    """The source of a page, as a crawler without extraction keeps it."""
    part = _take_part(text, draw)
    words = find_nouns(text)
    lines = list(draw.choice(t.HTML_HEADS))
    for _ in range(draw.randint(1, 8)):
        lines.append(draw.choice(t.HTML_LINKS))
    for paragraph in part.split("\n"):
        for piece in re.findall(".{1,60}", paragraph) if draw.random() < 0.5 else [paragraph]:
            lines += [draw.choice(t.HTML_BLOCKS).replace("{text}", piece)]
            if draw.random() < 0.4:
                lines.append(draw.choice(t.HTML_LINKS))
            if draw.random() < 0.15:
                lines.append(draw.choice(t.HTML_SCRIPTS))
    lines.append("</div></body></html>")
    filled = [line.replace("{word}", draw.choice(words)).replace("{n}", str(draw.randrange(1, 9999))) for line in lines]
    source = draw.choice(["\n", "\n", ""]).join(filled)
    size = _draw_length(draw) * 2
    start = draw.randrange(max(1, len(source) - size + 1)) if draw.random() < 0.7 else 0
    return source[start : start + size]


def fill(template: str, slots: dict[str, list[str]], draw: random.Random) -> str:
    """Fill the slots `{name}` of a template, and choose among the alternatives in `[a|b]`."""
    while (found := re.search(r"\[([^\[\]]*)\]", template)) is not None:
        template = template[: found.start()] + draw.choice(found[1].split("|")) + template[found.end() :]
    return re.sub(r"\{(\w+)\}", lambda slot: draw.choice(slots[slot[1]]), template)


def draw_sentences(sentences: list[str], slots: dict[str, list[str]], size: int, draw: random.Random) -> list[str]:
    """Return filled templates of `size` characters together, each drawn once before any is drawn again."""
    parts: list[str] = []
    deck: list[str] = []
    while sum(map(len, parts)) < size:
        deck = deck or draw.sample(sentences, len(sentences))
        parts.append(fill(deck.pop(), slots, draw))
    return parts


def make_page(sentences: list[str], slots: dict[str, list[str]], draw: random.Random) -> str:
    """Return a page of filled templates, in lines or run together."""
    size = _draw_length(draw)
    mark = draw.choice(["", "", "\n", " "])
    return mark.join(draw_sentences(sentences, slots, size, draw))


def make_doorway(text: str, draw: random.Random) -> str:
    """A page made for a search engine: one keyword and one place again and again in sentences that fit everything."""
    topic = draw.choice(t.TOPICS)
    place = draw.choice(t.PLACES)
    key = draw.choice(
        [f"{place} {topic.service}", f"{topic.service} {place}", topic.service, f"{topic.service} {draw.choice(t.COMMERCE)}"]
    )
    slots = {"key": [key], "place": [place], "service": [topic.service], "word": [*topic.words, *find_nouns(text, 10)]}
    sentences = t.DOORWAY + (t.SPUN if draw.random() < 0.5 else [])
    page = make_page(sentences, slots | {"any": t.COMMERCE}, draw)
    return f"{key}{draw.choice([' | ', '｜', '', ' - ', '。'])}{page}" if draw.random() < 0.6 else page


def make_affiliate(text: str, draw: random.Random) -> str:
    """A page that recommends goods whose maker pays for it."""
    topic = draw.choice(t.TOPICS)
    name = draw.choice(topic.products)
    slots = {
        "name": [name], "service": [topic.service], "word": topic.words, "any": t.COMMERCE,
        "price": [f"{draw.randrange(1, 60) * 980:,}円" for _ in range(5)],
        "year": [str(draw.randrange(2014, 2026))], "n": [str(n) for n in (3, 5, 7, 10, 15, 30, 50, 98)],
    }  # fmt: skip
    return make_page(t.AFFILIATE, slots, draw)


def make_adult(text: str, draw: random.Random) -> str:
    """A page of dating and adult sites."""
    slots = {"place": t.PLACES, "word": t.ADULT_WORDS, "any": t.COMMERCE, "n": [str(n) for n in (18, 20, 24, 30, 60, 90)]}
    return make_page(t.ADULT, slots, draw)


def make_menu(text: str, draw: random.Random) -> str:
    """Menus, month archives, lists of prefectures, notices and link lists around a page."""
    words = find_nouns(text)
    parts: list[str] = []
    size = _draw_length(draw)
    mark = draw.choice([" ", "\n", " | ", " > ", "", " · ", " / "])
    while sum(map(len, parts)) < size:
        kind = draw.randrange(5)
        if kind == 0:
            year, count = draw.randrange(2005, 2026), draw.randrange(1, 40)
            form = draw.choice(["{y}年{m}月", "{y}年{m}月 ({n})", "{y}/{m:02}", "{m}月 {y}"])
            parts += [form.format(y=year - i // 12, m=12 - i % 12, n=draw.randrange(1, 60)) for i in range(count)]
        elif kind == 1:
            start = draw.randrange(len(t.PLACES) - 8)
            parts += t.PLACES[start : start + draw.randint(8, 47)]
        elif kind == 2:
            parts += draw.sample(t.MENU, draw.randint(4, 16))
        elif kind == 3:
            parts += [
                f"{draw.choice(words)}{draw.choice(['', f'（{draw.randrange(1, 99)}）', '一覧', 'とは'])}"
                for _ in range(draw.randint(5, 25))
            ]
        else:
            parts += [fill(draw.choice(t.NOTICES), {"n": [str(draw.randrange(1, 999))], "word": words}, draw)]
    return mark.join(parts)


# Kinds of the issue; the others are what people call bad, and train the model.
KINDS: dict[str, Maker] = {
    "html": make_html,
    "keyword line": make_keyword_line,
    "word salad": make_word_salad,
    "noun salad": make_noun_salad,
    "names": make_names,
    "shuffled characters": make_shuffled_characters,
    "shuffled words": make_shuffled_words,
    "reversed text": make_reversed_text,
    "doorway": make_doorway,
    "affiliate": make_affiliate,
    "adult": make_adult,
    "menu": make_menu,
}
