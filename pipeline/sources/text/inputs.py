"""What `--input` stands for where documents are wanted: files, folders, datasets that were saved, repositories of the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.core.names import make_printable
from pipeline.core.storage import read_json
from pipeline.sources.folders import (
    RENAME,
    add_note,
    describe_files_below,
    enter_built_corpus,
    explain_links,
    is_utf8,
    list_files,
)
from pipeline.sources.inputs import InputFile, find_version, is_url, make_names_distinct, open_filesystem, resolve
from pipeline.sources.names import decode_name
from pipeline.sources.text.data_files import choose_data_files

_HUB = "hf://"


def find_document_files(patterns: list[str]) -> list[InputFile]:
    """Return the input files that paths, globs, folders and URLs stand for. Raises UsageError where there is nothing to be read."""
    files: list[InputFile] = []
    for pattern in patterns:
        if pattern.startswith(_HUB):
            files += _find_on_hub(pattern)
        elif not is_url(pattern) and Path(pattern).is_dir():
            files += find_in_folder(Path(pattern))
        else:
            files += resolve([pattern])
    return make_names_distinct(files)


# -- folders


def find_in_folder(folder: Path) -> list[InputFile]:
    """Return the files of a folder that hold documents: those of a dataset that `datasets` saved in its order, else in order of name.

    A note at the first says what is left out.
    """
    folder = enter_built_corpus(folder)
    if (folder / "dataset_dict.json").is_file():
        return _find_in_splits(folder)
    if (folder / "state.json").is_file() and (saved := _find_saved(folder)) is not None:
        return saved
    every = list_files(folder)
    below = [path for path in every if is_utf8(path)]
    unnamed = _explain_names([path for path in every if not is_utf8(path)], folder)
    links = explain_links(folder)
    if (unnamed or links) and not below:
        raise UsageError("; ".join(filter(None, [unnamed, links])))
    readme = folder / "README.md"
    text = readme.read_text("utf-8", "replace") if readme.is_file() else None
    chosen = choose_data_files([path.relative_to(folder).as_posix() for path in below], text, str(folder))
    note = "; ".join(filter(None, [chosen.note, unnamed, links]))
    return add_note(describe_files_below([folder / path for path in chosen.paths], folder), note)


def _explain_names(paths: list[Path], folder: Path) -> str | None:
    """Return a sentence on files of a folder that are left out, since their names can stand in no id."""
    if not paths:
        return None
    first = make_printable(decode_name(str(paths[0].relative_to(folder))))
    files = f"{first} is" if len(paths) == 1 else f"{first} and {len(paths) - 1} more are"
    return f"of {folder} {files} not read: names that are not UTF-8 can stand in no id. {RENAME}"


def _find_in_splits(folder: Path) -> list[InputFile]:
    """Return the files of a DatasetDict that was saved: of its split `train`, or of the only one."""
    splits = (_read(folder / "dataset_dict.json") or {}).get("splits", [])
    there = [split for split in splits if isinstance(split, str) and (folder / split).is_dir()]
    chosen = "train" if "train" in there else there[0] if len(there) == 1 else None
    if chosen is None:
        raise UsageError(f"{folder} has the splits {', '.join(map(str, splits)) or 'none'}: name the folder of one of them")
    others = [split for split in there if split != chosen]
    note = f"of {folder} only the split {chosen} is read, not {', '.join(others)}: name the folder of another to read that"
    return add_note(find_in_folder(folder / chosen), note if others else None)


def _find_saved(folder: Path) -> list[InputFile] | None:
    """Return the Arrow files of a dataset that was saved, in its order; None where a file of that name is about something else."""
    state = _read(folder / "state.json") or {}
    names = [one.get("filename") for one in state.get("_data_files") or [] if isinstance(one, dict)]
    if not names:
        return None
    if state.get("_indices_files") or state.get("_indices_data_files"):
        raise UsageError(f"{folder} holds a selection of rows by their numbers: save dataset.flatten_indices() instead")
    paths = [folder / str(name) for name in names]
    if missing := [path for path in paths if path.parent != folder or not path.is_file()]:
        raise UsageError(
            f"{folder}/state.json names {missing[0].name}, which is not there: the dataset was not saved to its end"
        )
    return describe_files_below(paths, folder)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = read_json(path)
    except (ValueError, OSError):
        value = None
    return value if isinstance(value, dict) else None


# -- the Hugging Face Hub


def _find_on_hub(url: str) -> list[InputFile]:
    """Return the files of documents of a repository of the Hub, of a folder in it, or those that a glob or a path names.

    The repository is listed once; nothing is downloaded.
    """
    filesystem, path = open_filesystem(url)
    try:
        if any(c in path for c in "*?["):
            infos = filesystem.glob(path, detail=True)
            return [_describe_remote(info) for _, info in sorted(infos.items()) if info["type"] == "file"] or _refuse(url)
        infos = filesystem.find(path, detail=True)
        root = filesystem.resolve_path(path).unresolve()
        if [*infos] == [root]:
            return [_describe_remote(infos[root])]
        names = {name.removeprefix(f"{root}/"): info for name, info in infos.items()}
        readme = filesystem.read_text(f"{root}/README.md", errors="replace") if "README.md" in names else None
    except FileNotFoundError as error:
        raise UsageError(f"{url}: {error}") from None
    except (UsageError, InputError):
        raise
    except Exception as error:
        raise BuildError(f"{url} cannot be listed: {type(error).__name__}: {str(error).strip()[:300]}") from None
    if not names:
        _refuse(url)
    chosen = choose_data_files(names, readme, url.rstrip("/"))
    return add_note([_describe_remote(names[name]) for name in chosen.paths], chosen.note)


def _describe_remote(info: dict[str, Any]) -> InputFile:
    """Return a file of the Hub as an input; its identity is that of its content."""
    url = _HUB + info["name"]
    identity = f"{url}-{info['size']}-{info.get('blob_id', '')}"
    return InputFile(info["name"].rsplit("/", 1)[-1], url, info["size"], identity, version=find_version(info))


def _refuse(url: str) -> list[InputFile]:
    raise UsageError(f"--input {url}: nothing matches")
