"""Which blocks of a page are its main text: navigation, headers, footers and lists of links are not.

Three kinds of evidence, in this order: what elements are called (`nav`, `footer`, `class="breadcrumb"`), the share of their text that is
links, and what a heading is left with. Names lie now and then: an element is not left out by its name alone where it holds most of the
page's text.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from filters.html.blocks import HEADINGS, NEWLINE, TAB, VERBATIM, Block, Container, Page

LISTS = frozenset(("dl", "menu", "ol", "table", "ul"))
FURNITURE_TAGS = frozenset(("aside", "footer", "menu", "nav"))
# A header within these is that of a text, and has its title; elsewhere it is that of the site.
SECTIONING = frozenset(("article", "main", "section"))
FURNITURE_ROLES = frozenset(("banner", "complementary", "contentinfo"))

# Words in `id` and `class` that name furniture, whatever it holds.
_FURNITURE = re.compile(
    r"(?:^|\s)(?:[a-z]+[_-])?(?:[gls]?nav|[gls]?navi|navbar|navigation|nav-?header|nav-?footer|docnav|globalnav|localnav|sidenav|subnav"
    r"|breadcrumbs?|crumbs?|topic[_-]?path|pankuzu|foot|footer|footer-?nav|copyrights?|pagination|pager|paging|page[_-]?top|go[_-]?top"
    r"|cat-?links|skip|skip-?links?|skip-?to-?\w+|sns|share|social|sitemap|cookies?|popup|modal|no-?print|(?:mw-)?editsection|sr-only"
    r"|screen-reader-text|visually-?hidden)(?:[_-]?(?:\d+|area|bar|block|bottom|box|buttons?|container|inner|left|links?|list|menu|outer"
    r"|right|section|table|top|wrap|wrapper))?(?=\s|$)"
)
_HEADER = re.compile(
    r"(?:^|\s)(?:(?:g|global|page|site|top)[_-]?)?(?:header|head)(?:[_-]?(?:area|bar|box|container|inner|wrap|wrapper))?(?=\s|$)"
)
# Words that often name furniture, and often something else: it counts only where the text is links or short.
_PERHAPS_FURNITURE = re.compile(
    r"side[_-]?bar|side[_-]?menu|(?:^|[\s_-])(?:(?:g|global|local|side|sub|site|main|page)?[_-]?(?:menu|header|head)|banner|ads?|advert\w*|adsense"
    r"|sponsor\w*|search\w*|login|comment\w*|related\w*|recommend\w*|ranking|tags?|widget\w*|toc|contents?[_-]list|toolbar|lang(?:uage)?s?"
    r"|top[_-]?lang|bottom[_-]?lang|see[_-]?also|archives?|categor(?:y|ies)|recent\w*|prev\w*|next\w*|path|meta|info)(?=$|[\s_-])"
)
_SENTENCE = re.compile(r"[。．！？!?｡]|[.:：;]$|、.*、")
_COPYRIGHT = re.compile(r"^\W*(?:copyright|\(c\)|©|all rights reserved)|all rights reserved\W*$", re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s|｜/／>＞»›<＜«‹・•:：,、\[\]［］()（）【】\-–—]+")

ONLY_LINKS_SHARE = 0.8  # of the characters: whatever else is there, it is a link
LINK_SHARE = 0.5  # of the characters; boilerpipe (Kohlschütter et al. 2010) divides at 0.33 to 0.56
LIST_LINK_SHARE = 0.65
PROSE_LINK_SHARE = 0.33  # a link on a line of its own among such text belongs to it
LABEL_SHARE = 0.25  # of what a container had, in characters
FURNITURE_CHARS = 300  # what a footer may say, even where it is most of the page
LINE_CHARS = 150  # a longer line is no copyright line
LONG_CHARS = 60  # a block of so many characters says something, even without the end of a sentence
OUTSIDE_CHARS = 5  # between links: "en | fr | ja" after 翻訳済み言語


class _Sums(NamedTuple):
    """Of every container with all that is in it: characters, characters of links, and of prose."""

    chars: list[int]
    link_chars: list[int]
    prose_chars: list[int]


def choose_main_text(page: Page) -> list[Block]:
    """Return the blocks that are main text, in order."""
    blocks = page.blocks
    if not blocks:
        return []
    links = [block.links > 0 and _is_links(block) for block in blocks]
    prose = [not link and _is_prose(block) for block, link in zip(blocks, links, strict=True)]
    kept = [True] * len(blocks)
    removed = _find_furniture(page.containers, _sum_containers(page, prose, kept))
    kept = [not removed[block.container] for block in blocks]
    _keep_title(page, kept)
    sums = _sum_containers(page, prose, kept)  # the rest is judged by what is left
    _remove_links(page, sums, links, kept)
    _remove_labels(page, sums, prose, kept)
    _remove_outer_lines(blocks, links, prose, kept)
    _remove_empty_headings(blocks, kept)
    chosen: list[Block] = []
    begins = True  # whether a line begins between the last chosen block and this one
    for block, keep in zip(blocks, kept, strict=True):
        begins |= block.separator == NEWLINE
        if keep:
            block.separator, begins = NEWLINE if begins else TAB, False
            chosen.append(block)
    return chosen


def _is_links(block: Block) -> bool:
    """Whether a block is links rather than text with links in it."""
    if block.tag in VERBATIM:
        return False
    share = block.link_chars / len(block.text)
    if share >= ONLY_LINKS_SHARE:
        return True
    if share < LINK_SHARE and block.links < 3:
        return False
    return len(_SEPARATORS.sub("", block.text)) - block.link_chars <= OUTSIDE_CHARS * block.links


def _is_prose(block: Block) -> bool:
    return len(block.text) >= LONG_CHARS or block.tag in VERBATIM or _SENTENCE.search(block.text) is not None


def _sum_containers(page: Page, prose: list[bool], kept: list[bool]) -> _Sums:
    sizes = [len(block.text) if keep else 0 for block, keep in zip(page.blocks, kept, strict=True)]
    link_sizes = [min(size, block.link_chars) for block, size in zip(page.blocks, sizes, strict=True)]
    prose_sizes = [size if of_prose else 0 for size, of_prose in zip(sizes, prose, strict=True)]
    # The blocks of a container follow one another: their sum is a difference of running sums.
    running = [list(accumulate(column, initial=0)) for column in (sizes, link_sizes, prose_sizes)]
    return _Sums(*([sums[container.end] - sums[container.first] for container in page.containers] for sums in running))


def _find_furniture(containers: list[Container], sums: _Sums) -> list[bool]:
    """Return for every container whether it, or one that it lies in, is furniture by its name."""
    removed = [False] * len(containers)
    in_section = [False] * len(containers)
    most = max(sums.prose_chars[0] / 2, FURNITURE_CHARS)
    for i, container in enumerate(containers):
        parent = container.parent
        in_section[i] = in_section[parent] or container.tag in SECTIONING
        if i == 0 or not sums.chars[i]:
            continue
        if removed[parent]:
            removed[i] = True
            continue
        if sums.prose_chars[i] > most:
            continue
        certain, perhaps, header = _judge_names(container.names) if container.names else (False, False, False)
        certain |= container.tag in FURNITURE_TAGS or container.role in FURNITURE_ROLES
        if certain or (header or container.tag == "header") and not in_section[parent]:
            removed[i] = True
        elif perhaps and 2 * sums.prose_chars[i] <= sums.prose_chars[0]:
            is_short = not sums.prose_chars[i] and sums.chars[i] < LONG_CHARS
            removed[i] = is_short or sums.link_chars[i] >= PROSE_LINK_SHARE * sums.chars[i]
    return removed


@lru_cache(maxsize=1 << 14)
def _judge_names(names: str) -> tuple[bool, bool, bool]:
    """Whether an element's names are those of furniture, perhaps of furniture, and of a header."""
    return bool(_FURNITURE.search(names)), bool(_PERHAPS_FURNITURE.search(names)), bool(_HEADER.search(names))


def _keep_title(page: Page, kept: list[bool]) -> None:
    """Keep the title of the text where it stands in the site's header: the first h1, where no other heading is the page's title."""
    title = page.title or ""
    for block, keep in zip(page.blocks, kept, strict=True):
        if keep and block.tag in ("h1", "h2") and (not title or block.text in title):
            return
    has_heading = any(keep and block.tag in ("h1", "h2") for block, keep in zip(page.blocks, kept, strict=True))
    for i, block in enumerate(page.blocks):
        if block.tag == "h1":
            kept[i] |= not has_heading or block.text in title
            return


def _remove_links(page: Page, sums: _Sums, links: list[bool], kept: list[bool]) -> None:
    """Remove lists of links, and lines of links outside prose."""
    containers = page.containers
    # Of every container: the outermost list of links that it lies in.
    in_links = [False] * len(containers)
    for i, container in enumerate(containers):
        if i and in_links[container.parent]:
            in_links[i] = True
        elif i and container.tag in LISTS and sums.chars[i]:
            in_links[i] = sums.link_chars[i] >= LIST_LINK_SHARE * sums.chars[i]
    for i, block in enumerate(page.blocks):
        if not kept[i]:
            continue
        if in_links[block.container]:
            kept[i] = not links[i] and len(block.text) >= LONG_CHARS
        elif links[i] and block.tag not in HEADINGS and not _is_between_text(page.blocks, links, i):
            c = block.container
            while c and sums.chars[c] == len(block.text):  # the innermost container with anything else in it
                c = containers[c].parent
            share = LIST_LINK_SHARE if containers[c].tag in LISTS else PROSE_LINK_SHARE
            kept[i] = sums.link_chars[c] <= share * sums.chars[c]


def _is_between_text(blocks: list[Block], links: list[bool], i: int) -> bool:
    """Whether a block with a link stands alone between blocks of text, as an address or a heading with a reference does."""
    if blocks[i].link_chars >= ONLY_LINKS_SHARE * len(blocks[i].text) and "://" not in blocks[i].text:
        return False
    return not (i and links[i - 1]) and not (i + 1 < len(links) and links[i + 1])


def _remove_labels(page: Page, before: _Sums, prose: list[bool], kept: list[bool]) -> None:
    """Remove what is left of containers that were links: the label above a list, separators."""
    after = _sum_containers(page, prose, kept)
    labels = [
        not of_prose and left < LABEL_SHARE * chars
        for chars, left, of_prose in zip(before.chars, after.chars, after.prose_chars, strict=True)
    ]
    for i, block in enumerate(page.blocks):
        if kept[i] and labels[block.container] and block.tag not in HEADINGS:
            kept[i] = False


def _remove_outer_lines(blocks: list[Block], links: list[bool], prose: list[bool], kept: list[bool]) -> None:
    """Remove copyright lines, and links that are no addresses, after the last prose."""
    for i in range(len(blocks) - 1, -1, -1):
        if not kept[i]:
            continue
        text = blocks[i].text
        only_links = links[i] and (blocks[i].links > 1 or blocks[i].link_chars >= ONLY_LINKS_SHARE * len(text))
        if len(text) < LINE_CHARS and (only_links and "://" not in text or _COPYRIGHT.search(text)):
            kept[i] = False
        elif prose[i]:
            break


def _remove_empty_headings(blocks: list[Block], kept: list[bool]) -> None:
    """Remove headings all of whose text was removed."""
    follows = 9  # level of the first heading after the block, 0 where text comes first
    removed = False
    first = next((i for i, block in enumerate(blocks) if kept[i] and block.tag in HEADINGS), -1)
    for i in range(len(blocks) - 1, -1, -1):
        block = blocks[i]
        if not kept[i]:
            removed = True
        elif block.tag in HEADINGS:
            level = int(block.tag[1])
            if follows and level >= follows or follows == 9:
                if removed and i != first:
                    kept[i] = False
                    continue
            follows, removed = level, False
        else:
            follows, removed = 0, False
