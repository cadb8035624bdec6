"""Lists and transcripts that lie with recordings and are not read: they are named, since what they say would be missed by nobody."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path, PurePath

from pipeline.sources.folders import is_utf8
from pipeline.sources.speech.columns import is_audio_name, strip_audio_suffix

_SUFFIXES = re.compile(
    r"(?i)\.(tsv|csv|psv|jsonl?|ndjson|txt|list|lst|scp|trans|trn|lab|srt|vtt|ctm|stm|textgrid|eaf|trs|cha|ass|sbv|xml|ya?ml|parquet|arrow|xlsx?|ods|docx?)(\.cleaned)?(\.(gz|xz|zst|bz2))?$"
)
_KALDI = frozenset(("text", "segments", "utt2spk", "wav.scp"))
_ABOUT = re.compile(
    r"(?i)^(readme|licen[cs]e|copying|changelog|changes|notice|authors|citation|terms|requirements)([^a-z]|$)"
    r"|^(dataset_infos?|state)\.json$|_stats\.json$"
)
_MOST = 20  # names in a message


def is_list_name(name: str) -> bool:
    """Return whether a file may hold transcripts, by its name."""
    base = PurePath(name).name
    return bool(_SUFFIXES.search(base) or base in _KALDI) and not _ABOUT.search(base) and not base.startswith(".")


def find_unused(files: Iterable[Path], used: Collection[Path], folder: Path) -> list[str]:
    """Return the lists among `files` that are neither in `used` nor named as a recording in their folder is."""
    named = {str(path.relative_to(folder)): path for path in files if is_utf8(path)}
    return [name for name in find_unused_names(named) if named[name] not in used]


def find_unused_names(names: Iterable[str]) -> list[str]:
    """Return the names of lists among `names`, but those that are called as a recording in the same folder is."""
    paths = [PurePath(name) for name in names]
    stems = {path.with_name(strip_audio_suffix(path.name)) for path in paths if is_audio_name(path.name)}
    return [str(path) for path in paths if is_list_name(path.name) and not _is_companion(path, stems)]


def _is_companion(path: PurePath, stems: Collection[PurePath]) -> bool:
    """Return whether a recording is called so: a of a.txt, a.normalized.txt."""
    return path.with_suffix("") in stems or path.with_name(path.name.split(".")[0]) in stems


def tell_unused(names: list[str], where: str) -> list[str]:
    """Return a warning, in English and Japanese, that names lists which are not read."""
    if not names:
        return []
    shown = ", ".join(names[:_MOST])
    more = f" and {len(names) - _MOST:,} more" if len(names) > _MOST else ""
    more_ja = f" ほか{len(names) - _MOST:,}件" if len(names) > _MOST else ""
    return [
        f"not read in {where}: {shown}{more}: if transcripts are in there, give it as --input / "
        f"{where} の次のファイルは読んでいません: {shown}{more_ja}（書き起こしが含まれるなら --input に指定してください）"
    ]


def tell_unlisted(count: int, example: str, where: str) -> list[str]:
    """Return a warning, in English and Japanese, about recordings that no line of a list names."""
    if not count:
        return []
    return [
        f"{count:,} recordings, such as {example}, are named in no line of {where}, and left out / "
        f"{where} のどの行にもない録音が{count:,}件あり（例: {example}）、読んでいません"
    ]
