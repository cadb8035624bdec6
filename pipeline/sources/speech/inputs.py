"""Which files of a folder, a glob or a list of paths are inputs, and which are read along with them."""

from __future__ import annotations

import hashlib
import re
import shlex
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path

from pipeline.core.errors import UsageError
from pipeline.sources.folders import (
    add_note,
    describe_files_below,
    describe_folder,
    enter_built_corpus,
    explain_links,
    fingerprint_files,
    is_utf8,
    list_files,
)
from pipeline.sources.formats.lines import peek_stored_lines
from pipeline.sources.inputs import InputFile, describe_file, is_url, make_names_distinct, resolve
from pipeline.sources.speech import common_voice, kaldi, lhotse, manifests
from pipeline.sources.speech.columns import is_audio_name, match
from pipeline.sources.speech.file_index import FileIndex
from pipeline.sources.speech.tables import is_table, peek_path
from pipeline.sources.speech.tars import is_tar_name, tar_stem
from pipeline.sources.speech.transcript_lists import is_list_of_tar
from pipeline.sources.speech.unused_lists import find_unused, tell_unused

_MANIFESTS = (".jsonl", ".jsonl.gz", ".json", ".json.gz", ".ndjson", ".jsonl.zst")
_LISTS = (".tsv", ".tsv.gz", ".tsv.xz", ".tsv.zst")
_CSV = (".csv", ".csv.gz", ".csv.zst")
_TABLES = (*_LISTS, *_CSV, ".txt", ".psv")
_BRACES = re.compile(r"(?:_OP_|\{)(\d+)\.\.(\d+)(?:_CL_|\})")  # shards as NeMo writes them, so that no shell expands them

_MOST_SHARDS = 100_000


def find_inputs(patterns: list[str], audio: str | None = None, transcripts: str | None = None) -> list[InputFile]:
    """Return the input files of paths, globs, URLs and folders, each with the files that are read along with it.

    `transcripts` chooses among lists of transcripts, by a glob of their names or of paths. A change of a list, of Common Voice's clips
    or of the folder of recordings is a change of the input.
    """
    if audio and not Path(audio).is_dir():
        raise UsageError(f"--audio {audio}: there is no such folder")
    files: list[InputFile] = []
    folders: dict[str, Path] = {}  # that inputs were found in, by their URLs
    for pattern in [expanded for given in patterns for expanded in _expand_braces(given)]:
        path = Path(pattern)
        if not is_url(pattern) and path.is_dir():
            files_of_folder = add_note(_find_in_folder(path, transcripts), explain_links(enter_built_corpus(path)))
            folders |= {file.url: enter_built_corpus(path) for file in files_of_folder}
            files += files_of_folder
        else:
            files += resolve([pattern])
    if len({file.url for file in files}) < len(files):
        raise UsageError("an input is given twice")
    files = [_add_companions(_add_clips(_add_recordings(file))) for file in _add_lists(files, folders, transcripts)]
    files = _tell_unused(files, folders)
    recordings = {url for file in files if file.url.lower().endswith(_MANIFESTS) for url in file.companions}
    files = make_names_distinct([file for file in files if file.url not in recordings])
    if audio:
        files = add_note(files, explain_links(Path(audio)))
        audio_identity = fingerprint_files(list_files(Path(audio)), Path(audio))
        files = [replace(file, identity=f"{file.identity}+audio-{audio_identity}") for file in files]
    return files


def _find_in_folder(path: Path, transcripts: str | None) -> list[InputFile]:
    """Return what a folder as an input stands for: Common Voice, tars, tables of recordings, manifests, or the recordings in it."""
    path = enter_built_corpus(path)
    if folders := common_voice.find_folders(path):
        return [
            replace(file, name=str(Path(file.url).relative_to(path.resolve())))
            for folder in folders
            for file in _find_common_voice_lists(folder, transcripts)
        ]
    files = list_files(path)
    if data_folders := [p for p in files if p.name == kaldi.WAV_SCP]:
        return describe_files_below(data_folders, path)
    found = _choose_manifests(files) or _choose_tables(files)
    all_tars = [p for p in files if is_tar_name(p.name)]
    for inputs in (
        found if all_tars and _lead_into_tars(found) else [],
        all_tars,
        [p for p in files if p.suffix == ".parquet"],
        [p for p in files if p.suffix == ".arrow"],
        found,
    ):
        if inputs:
            described = describe_files_below(inputs, path)
            return _add_folders(described, path) if inputs is found else described
    if not any(is_audio_name(p.name) for p in files):
        raise UsageError(
            f"{path} holds neither tars, tables (Parquet, Arrow, CSV), manifests (JSON lines) nor recordings; symbolic links in it are not "
            f"followed, but a glob such as {shlex.quote(f'{path}/*.tar')} takes them"
        )
    return [describe_folder(path, files, "audio")]


def _add_folders(files: list[InputFile], folder: Path) -> list[InputFile]:
    """Return lists with the folder that each alone is about as a companion: recordings in it that no line names are told.

    That is the folder of the input for its only list, else the one that a list is in without another: train/ of train/metadata.csv.
    """
    parents = [Path(file.url).parent for file in files]
    return [
        _add_folder(file, folder.resolve() if len(files) == 1 else parent)
        if len(files) == 1 or sum(other.is_relative_to(parent) for other in parents) == 1
        else file
        for file, parent in zip(files, parents, strict=True)
    ]


def _add_folder(file: InputFile, folder: Path) -> InputFile:
    identity = f"{file.identity}+folder-{fingerprint_files(list_files(folder), folder)}"
    return replace(file, companions=(*file.companions, str(folder)), identity=identity)


def _expand_braces(pattern: str) -> list[str]:
    """Return the paths that NeMo's pattern of shards stands for: manifest__OP_0..1_CL_.json is manifest_0.json and manifest_1.json."""
    found = _BRACES.search(pattern)
    if not found or int(found.group(2)) - int(found.group(1)) > _MOST_SHARDS or Path(pattern).exists():
        return [pattern]
    first, last = found.groups()
    numbers = (str(number).zfill(len(first)) for number in range(int(first), int(last) + 1))
    return [pattern[: found.start()] + number + pattern[found.end() :] for number in numbers]


def _choose_tables(files: list[Path]) -> list[Path]:
    """Return the lists of a folder whose paths lead to recordings."""
    audio = {path.with_suffix("") for path in files if is_audio_name(path.name)}
    named = [
        path for path in files if path.name.lower().endswith(_TABLES) and path.with_suffix("") not in audio and is_utf8(path)
    ]
    return [path for path in named if is_table(peek_stored_lines(path))]


def _lead_into_tars(lists: list[Path]) -> bool:
    """Return whether the recordings of lists, beside which there are tars, are in these: NeMo's tarred manifests, lhotse's Shar."""
    for path in lists:
        value = manifests.peek_object(path)
        name = peek_path(path) if value is None else value.get(match(value).get("path", ""))
        if value is not None and ("shard_id" in value or lhotse.is_shar(value)):
            return True
        if isinstance(name, str) and FileIndex([path.parent]).find(name):
            return True
    return False


def _tell_unused(files: list[InputFile], folders: dict[str, Path]) -> list[InputFile]:
    """Return inputs, the first of which has a note about lists in the folders of `--input`, or beside tars, that are not read."""
    used = {Path(url) for file in files for url in (file.url, *file.companions) if not is_url(url)}
    used |= {durations for path in used if (durations := path.with_name(common_voice.DURATIONS)).is_file()}
    whole = {Path(file.url) for file in files if not is_url(file.url) and Path(file.url).is_dir()}  # which say it themselves
    roots = {folder.resolve() for folder in folders.values()} - whole
    beside = {Path(file.url).parent for file in files if is_tar_name(file.url) and not is_url(file.url)}
    unused: dict[Path, list[str]] = {root: find_unused(list_files(root), used, root) for root in sorted(roots)}
    for folder in sorted(beside):
        if not any(folder.is_relative_to(root) for root in roots):
            unused[folder] = find_unused([path for path in sorted(folder.iterdir()) if path.is_file()], used, folder)
    notes = [note for folder, names in unused.items() for note in tell_unused(names, folder.name)]
    if not notes or not files:
        return files
    note = "; ".join(filter(None, [files[0].note, *notes]))
    return [replace(files[0], note=note), *files[1:]]


def _add_companions(file: InputFile) -> InputFile:
    """Return Kaldi's wav.scp with the files of its folder."""
    path = Path(file.url)
    if is_url(file.url) or path.name != kaldi.WAV_SCP:
        return file
    described = tuple(describe_file(str(companion)) for companion in kaldi.find_companions(path))
    identity = f"{file.identity}+kaldi-{_fingerprint(described)}"
    return replace(file, companions=tuple(one.url for one in described), identity=identity)


def _find_common_voice_lists(folder: Path, transcripts: str | None) -> list[InputFile]:
    """Return the lists to read of a Common Voice folder. Each names those before it, whose clips it leaves out."""
    lists = [describe_file(str(path)) for path in sorted(folder.glob("*.tsv")) if path.is_file()]
    if transcripts is not None:
        chosen = _choose_lists(lists, transcripts)
    else:
        by_name = {file.name: file for file in lists}
        chosen = [by_name[name] for name in common_voice.choose_lists(by_name)]
        if not chosen:
            raise UsageError(
                f"{folder} has neither validated.tsv nor train.tsv, dev.tsv or test.tsv but {', '.join(by_name)}: "
                "say which lists to read with --set source.transcripts=NAME"
            )
    return [replace(file, companions=tuple(earlier.url for earlier in chosen[:i])) for i, file in enumerate(chosen)]


def _choose_manifests(files: list[Path]) -> list[Path]:
    """Return the manifests of a folder. lhotse's cuts say what its recordings and supervisions say, so these are left out."""
    stems = {path.with_suffix("") for path in files if is_audio_name(path.name)}
    named = [path for path in files if path.name.lower().endswith(_MANIFESTS) and path.with_suffix("") not in stems]
    types = {path: kind for path in named if (kind := manifests.find_type(path))}
    for best in ("row", "cut", "supervision"):
        if best in types.values():
            return [path for path, kind in types.items() if kind == best]
    return [*types]


# -- files that are read along


def _add_recordings(file: InputFile) -> InputFile:
    """Return lhotse's supervisions with the recordings in their folder."""
    path = Path(file.url)
    if is_url(file.url) or "supervisions" not in path.name or manifests.find_type(path) != "supervision":
        return file
    recordings = path.with_name(path.name.replace("supervisions", "recordings"))
    if not recordings.is_file():
        raise UsageError(
            f"{path} has no recordings beside it: there is no {recordings.name}. Give lhotse's cuts, or put it there"
        )
    described = describe_file(str(recordings))
    return replace(
        file, companions=(*file.companions, described.url), identity=f"{file.identity}+recordings-{described.identity}"
    )


def _add_clips(file: InputFile) -> InputFile:
    """Return a list of Common Voice with an identity that changes with its clips and the lists that come before it."""
    path = Path(file.url)
    clips = path.parent / "clips"
    if is_url(file.url) or not file.url.lower().endswith((*_LISTS, *_CSV)) or not clips.is_dir():
        return file
    earlier = "".join(f"+{describe_file(url).identity}" for url in file.companions)
    durations = path.with_name(common_voice.DURATIONS)
    earlier += f"+{describe_file(str(durations)).identity}" if durations.is_file() else ""
    return replace(file, identity=f"{file.identity}+clips-{fingerprint_files(list_files(clips), clips)}{earlier}")


def _add_lists(files: list[InputFile], folders: dict[str, Path], transcripts: str | None) -> list[InputFile]:
    """Return tars with their lists of transcripts; lists that are given with tars are no inputs of their own.

    The last tar that has the same lists also has the names of all these tars: what is in no tar follows it.
    """
    tars = [file for file in files if is_tar_name(file.url)]
    if not tars:
        return files
    given = [file for file in files if not is_url(file.url) and _find_lists([Path(file.url)])]
    lists_by_origin: dict[tuple[Path | None, Path | None], list[InputFile]] = {}
    tars_by_lists: dict[tuple[InputFile, ...], list[InputFile]] = {}
    for tar in tars:
        origin = (None if is_url(tar.url) else Path(tar.url).parent, folders.get(tar.url))
        if origin not in lists_by_origin:
            lists_by_origin[origin] = _choose_lists(given or _find_lists_near(*origin), transcripts)
        tars_by_lists.setdefault(tuple(lists_by_origin[origin]), []).append(tar)
    with_lists: dict[str, InputFile] = {}
    for lists, tars_of_lists in tars_by_lists.items():
        if lists:
            with_lists |= {tar.url: tar for tar in _attach_lists(tars_of_lists, lists)}
    used = {file.url for lists in tars_by_lists for file in lists}
    return [with_lists.get(file.url, file) for file in files if file.url not in used]


def _attach_lists(tars: list[InputFile], lists: tuple[InputFile, ...]) -> list[InputFile]:
    stems = [tar_stem(tar.url) for tar in tars]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise UsageError(f"two tars called {twice} have the same lists of transcripts: build from one of them at a time")
    urls = tuple(file.url for file in lists)
    attached = [replace(tar, companions=urls, identity=f"{tar.identity}+transcripts-{_fingerprint(lists)}") for tar in tars]
    last = attached[-1]
    attached[-1] = replace(
        last, companions=(*urls, *(tar.url for tar in tars)), identity=f"{last.identity}-{_fingerprint(tuple(tars))}"
    )
    return attached


def _fingerprint(files: tuple[InputFile, ...]) -> str:
    return hashlib.blake2b("\n".join(f"{f.name}\0{f.identity}" for f in files).encode(), digest_size=8).hexdigest()


# -- lists of transcripts


def _choose_lists(lists: list[InputFile], transcripts: str | None) -> list[InputFile]:
    """Return those lists that the manifest names. It may name others altogether, by a path."""
    if transcripts is None:
        return lists
    named = [file for file in lists if fnmatch(file.name, transcripts)]
    if named:
        return named
    if "/" not in transcripts and not Path(transcripts).is_file():
        names = ", ".join(file.name for file in lists[:20]) or "none"
        raise UsageError(f"source.transcripts = {transcripts!r}: no list of transcripts is called so. There are: {names}")
    files = resolve([transcripts])
    if others := [file.url for file in files if not _find_lists([Path(file.url)])]:
        raise UsageError(f"source.transcripts = {transcripts!r}: {others[0]} is no list of transcripts (TSV: name, transcript)")
    return files


def _find_lists_near(parent: Path | None, root: Path | None) -> list[InputFile]:
    """Return the lists in the folder of a tar, or in the folder NAME-tsv beside it, or else anywhere in the folder that is the input."""
    if parent is None:
        return []
    folders = [folder for folder in (parent, parent.with_name(f"{parent.name}-tsv")) if folder.is_dir()]
    paths = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    return _find_lists(paths) or (_find_lists(list_files(root)) if root else [])


def _find_lists(files: list[Path]) -> list[InputFile]:
    named = [path for path in files if path.name.lower().endswith(_LISTS)]
    lists = [path for path in named if not path.stat().st_size or is_list_of_tar(peek_stored_lines(path))]
    return [describe_file(str(path)) for path in lists]
