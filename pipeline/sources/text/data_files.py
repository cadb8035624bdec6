"""Which files of a folder, or of a repository of the Hugging Face Hub, are its documents.

As `datasets` has it: what the README's `configs` say, else the files of the split `train`, known by their names. Code that a repository
brings along is never run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml

from pipeline.core.errors import UsageError

_SPLITS = {"train": "train|training", "validation": "validation|valid|val|dev", "test": "test|testing|eval|evaluation"}
_NO_DATA = re.compile(
    r"(?i)^(readme|license|licence|notice|citation|changelog|contributing|datasheet|card)\b"
    r"|^(dataset_infos?|state|dataset_dict|croissant|metadata)\.json$"
    r"|\.(md|rst|py|ipynb|yaml|yml|toml|cfg|sh|crc|md5|sha1|sha256|lock|png|jpe?g|gif|svg|pdf|bib|gitignore|gitattributes)$"
)  # fmt: skip


class DataFiles(NamedTuple):
    """Paths of documents below a folder, in order, and what is to be said of those that are left out."""

    paths: list[str]
    note: str | None = None


def choose_data_files(paths: Iterable[str], readme: str | None, where: str) -> DataFiles:
    """Return which of the `paths` below the folder `where` are read. Raises UsageError where only the user can tell."""
    names = [path for path in paths if not _is_hidden(path)]
    data = [path for path in names if not _NO_DATA.search(PurePosixPath(path).name)]
    if configs := _read_configs(readme):
        splits = _resolve_config(configs, data, where)
    else:
        splits = _guess_splits(data)
    if not any(splits.values()):
        raise UsageError(_explain_nothing(names, where))
    chosen = _choose_split(splits, where)
    others = [f"{name} ({len(files):,}: {_shorten(files)})" for name, files in splits.items() if name != chosen and files]
    note = f"of {where} only the split {chosen} is read ({len(splits[chosen]):,} files), not {', '.join(others)}: name the files of those"
    return DataFiles(splits[chosen], note if others else _note_left_out(names, data, splits[chosen], where))


def _note_left_out(names: list[str], data: list[str], chosen: list[str], where: str) -> str | None:
    left_out = [name for name in names if name not in {*chosen}]
    return f"of {where} {len(chosen):,} files are read, not {_shorten(left_out)}" if left_out else None


def _shorten(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _is_hidden(path: str) -> bool:
    return any(part.startswith((".", "_")) for part in PurePosixPath(path).parts)


def _guess_splits(paths: list[str]) -> dict[str, list[str]]:
    """Return files by the split that their paths name. What names none is of `train`.

    Where none names `train` and some name no split, all are `train`: then a word such as `test` says nothing.
    """
    named = [_find_split(path) for path in paths]
    if None in named and "train" not in named:
        return {"train": paths}
    splits: dict[str, list[str]] = {split: [] for split in _SPLITS}
    for path, split in zip(paths, named, strict=True):
        splits[split or "train"].append(path)
    return splits


def _find_split(path: str) -> str | None:
    return next((split for split, words in _SPLITS.items() if re.search(rf"(?i)(?:^|[^a-z])(?:{words})(?![a-z])", path)), None)


def _choose_split(splits: dict[str, list[str]], where: str) -> str:
    filled = [split for split, files in splits.items() if files]
    if "train" in filled:
        return "train"
    if len(filled) == 1:
        return filled[0]
    raise UsageError(
        f"{where} has the splits {', '.join(filled)}, and none is called train: name the files of the one to be read"
    )


# -- what the README says


def _read_configs(readme: str | None) -> list[dict[str, Any]]:
    """Return the `configs` of a dataset card's YAML that name data files."""
    if readme is None or not (header := re.match(r"---\s*\n(.*?)\n---\s*(\n|$)", readme, re.DOTALL)):
        return []
    try:
        card = yaml.safe_load(header[1])
    except yaml.YAMLError:
        return []
    configs = card.get("configs") if isinstance(card, dict) else None
    return [one for one in configs if isinstance(one, dict) and one.get("data_files")] if isinstance(configs, list) else []


def _resolve_config(configs: Sequence[dict[str, Any]], paths: list[str], where: str) -> dict[str, list[str]]:
    """Return the files of the default config by their split. Raises UsageError where there are several and none is the default."""
    named = {str(one.get("config_name", "default")): one for one in configs}
    default = [one for one in configs if one.get("default") is True]
    config = default[0] if default else named.get("default") or (configs[0] if len(configs) == 1 else None)
    if config is None:
        examples = "; ".join(f"{name}: {where}/{_patterns_of(one)[0][1]}" for name, one in [*named.items()][:5])
        raise UsageError(f"{where} has {len(named):,} configs: {', '.join([*named][:40])}. Name the files of one ({examples})")
    from fsspec.utils import glob_translate  # late, as in `pipeline.sources.inputs`

    splits: dict[str, list[str]] = {}
    for split, pattern in _patterns_of(config):
        matches = re.compile(glob_translate(pattern.removeprefix("./")))
        splits.setdefault(split, []).extend(path for path in paths if matches.match(path) and path not in splits.get(split, []))
    return splits


def _patterns_of(config: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the splits of a config and the patterns of their files."""
    folder = f"{config['data_dir']}/" if isinstance(config.get("data_dir"), str) else ""
    entries = config["data_files"]
    patterns: list[tuple[str, str]] = []
    for entry in entries if isinstance(entries, list) else [entries]:
        split, path = (entry.get("split", "train"), entry.get("path")) if isinstance(entry, dict) else ("train", entry)
        patterns += [(str(split), folder + str(one)) for one in (path if isinstance(path, list) else [path])]
    return patterns


def _explain_nothing(names: list[str], where: str) -> str:
    if scripts := [name for name in names if name.endswith(".py")]:
        return (
            f"{where} has no files of documents but a script, {scripts[0]}, which is never run. The Hub may have its data as Parquet: "
            f"{where}@refs/convert/parquet"
        )
    listed = f"in it are {', '.join(names[:10])}" if names else "it is empty"
    return f"{where} has no files of documents; {listed}. Symbolic links are not followed, but a glob takes them"
