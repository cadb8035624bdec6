"""What commands add to a corpus after its build, a tokenizer and token shards: card, lock file and sums tell of it at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tomli_w

from pipeline.core.card import CARD_FILE, update_card
from pipeline.core.checksums import (
    ADDED,
    LOCK_FILE,
    PUBLISHED_FILE,
    SUMS_FILE,
    FileEntry,
    find_edited,
    find_sha256,
    keep_edited,
    make_entry,
    read_lock_entries,
    read_sums,
    sizes_differ,
    write_sums,
)
from pipeline.core.identity import identify_corpus
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.publication import replace_folder
from pipeline.core.storage import read_json, write_atomically, write_json
from pipeline.core.vouching import read_checked


def list_added_files(corpus: Path) -> list[FileEntry]:
    """Return the entries of what commands have added to a corpus: token shards and a tokenizer."""
    entries: list[FileEntry] = []
    for name, description in ADDED.items():
        if (content := _read_sound(corpus / name, description)) is not None:
            entries += [entry | {"path": f"{name}/{entry['path']}"} for entry in content["files"]]
            entries.append(make_entry(corpus / name / description, f"{name}/{description}"))
    return entries


def read_added(corpus: Path, identity: str | None) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return `training.json` and `tokens.json` of what is sound of a corpus's tokenizer and token shards; of its shards (`identity`)."""
    training, tokens = (_read_sound(corpus / name, ADDED[name]) for name in ("tokenizer", "tokens"))
    if training is not None and not {"settings", "sample", "figures"} <= set(
        training
    ):  # a tokenizer that was trained elsewhere
        training = None
    return training, tokens if tokens is not None and tokens.get("corpus") == identity else None


def _read_sound(folder: Path, description: str) -> dict[str, Any] | None:
    content = read_checked(folder / description)
    listed = content.get("files") if content is not None else None
    return content if listed and not sizes_differ(folder, listed) else None


def replace_added(folder: Path, staged: Path, known: Iterable[str], markers: Iterable[Path] = ()) -> None:
    """Replace a folder as `replace_folder` does; where it is one that was added to a corpus, list it there.

    `folder` is the path in the corpus, which may be a link to where the folder lies.
    """
    withdraw_added(folder)
    try:
        replace_folder(folder.resolve(), staged, known, markers)
    finally:  # of the old folder, too, where something was in the way of the new one
        list_added(folder)


def withdraw_added(folder: Path) -> None:
    """Take a folder that is about to be replaced, and lock file and card, which tell of it, out of `SHA256SUMS` of its corpus.

    So the sums are true at every moment: whoever is killed before `list_added` leaves a list that is too short, not one that is wrong.
    """
    corpus, sums = folder.parent, read_sums(folder.parent)
    if folder.name in ADDED and sums is not None:
        published = read_json(corpus / STATE_FOLDER / PUBLISHED_FILE)
        if isinstance(published, dict):
            recorded = [name for name in (LOCK_FILE, SUMS_FILE) if name in published]
            keep_edited(corpus, recorded, published)
        kept = [
            {"path": name, "sha256": digest}
            for name, digest in sums.items()
            if name not in (LOCK_FILE, CARD_FILE) and not name.startswith(f"{folder.name}/")
        ]
        _record_published(corpus, is_known=False)
        write_sums(corpus, kept)


def list_added(folder: Path) -> None:
    """List a folder that was added to a corpus, such as `tokens`, in the corpus's card, lock file and `SHA256SUMS`."""
    corpus, entries = folder.parent, read_lock_entries(folder.parent)
    if folder.name not in ADDED or entries is None:
        return
    added = list_added_files(corpus)
    own = [entry for entry in entries if entry["path"].split("/")[0] not in ADDED]
    card = _find_new_card(corpus)
    if card is not None or [*own, *added] != entries:
        if LOCK_FILE in (read_sums(corpus) or {}):
            withdraw_added(folder)
        if card is not None:
            with write_atomically(corpus / CARD_FILE) as temporary:
                temporary.write_text(card, "utf-8")
            own = [make_entry(corpus / CARD_FILE, CARD_FILE) if entry["path"] == CARD_FILE else entry for entry in own]
        lock = tomllib.loads((corpus / LOCK_FILE).read_text("utf-8"))
        lock["lock"]["files"] = [*own, *added]
        with write_atomically(corpus / LOCK_FILE) as temporary:
            temporary.write_bytes(tomli_w.dumps(lock, multiline_strings=True).encode())
    expected = {entry["path"] for entry in [*own, *added]} | {LOCK_FILE}
    if (read_sums(corpus) or {}).keys() != expected:
        write_sums(corpus)
        _record_published(corpus, is_known=True)


def _find_new_card(corpus: Path) -> str | None:
    """Return the card with what is added to the corpus now; None where it tells of that already, or there is none."""
    try:
        card = (corpus / CARD_FILE).read_text("utf-8")
        new = update_card(card, *read_added(corpus, identify_corpus(corpus)))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # no card, or a description that is nobody's we know
        return None
    return new if new != card else None


def _record_published(corpus: Path, is_known: bool) -> None:
    """Record that card, lock file and sums are Seimai's as they are now; not `is_known`: that they are about to change.

    A card that somebody has edited stays known as that.
    """
    record = corpus / STATE_FOLDER / PUBLISHED_FILE
    published = read_json(record)
    if isinstance(published, dict):
        is_edited = bool(find_edited(corpus, [CARD_FILE], published))
        names = [
            name
            for name in (CARD_FILE, LOCK_FILE, SUMS_FILE)
            if (corpus / name).is_file() and not (name == CARD_FILE and is_edited)
        ]
        digests = {name: find_sha256(corpus / name) if is_known else "" for name in names}
        write_json(record, published | {name: digest for name, digest in digests.items() if name in published})
