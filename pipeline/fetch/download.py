"""Download a manifest's raw corpus, resumable."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from pipeline.core.errors import BuildError
from pipeline.core.names import strip_secrets
from pipeline.core.progress import ProgressDisplay
from pipeline.core.storage import read_json, sync_file, sync_folder, write_json
from pipeline.sources.inputs import resolve
from pipeline.sources.streams import CHUNK, ResumingReader


def download(url: str, target: Path, console: Console) -> None:
    """Download `url` to `target`, going on from what an interrupted run has fetched.

    The unfinished file is `<target>.part`; `<target>.json` says which version of the file it is of. Raises BuildError where the
    network or the server is away after some tries.
    """
    part = target.with_name(target.name + ".part")
    version_file = target.with_name(target.name + ".json")
    version = read_json(version_file) or {}
    if target.is_file():
        if version.get("url", strip_secrets(url)) != strip_secrets(url):
            raise BuildError(f"{target} was fetched from another address; move it away to fetch {strip_secrets(url)}")
        if target.stat().st_size != (version.get("size") or target.stat().st_size):
            raise BuildError(
                f"{target} has {target.stat().st_size:,} bytes, and {version['size']:,} were fetched: remove it, and it is fetched again"
            )
        return
    file = resolve([url])[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    if part.exists() and "identity" not in version:
        raise BuildError(f"{part} was not begun by Seimai, which would replace it: move it elsewhere")
    if version_file.exists() and "identity" not in version:
        raise BuildError(f"{version_file} was not written by Seimai, which would replace it: move it elsewhere")
    if version.get("identity") != file.identity:
        part.unlink(missing_ok=True)
    write_json(version_file, file.describe())
    start = part.stat().st_size if part.is_file() else 0
    if file.size is not None and start > file.size:
        part.unlink()
        start = 0
    with ProgressDisplay(console) as progress, open(part, "ab") as out:
        step = progress.step("download", total=file.size)
        step.bytes = start
        step.restart_clock()
        if file.size is None or start < file.size:
            reader = ResumingReader(file, start)
            while block := reader.read(CHUNK):
                out.write(block)
                step.advance(len(block))
        step.finish()
    size = part.stat().st_size
    if file.size is not None and size != file.size:
        raise BuildError(f"{url}: {size:,} of {file.size:,} bytes arrived. Run the same command again to go on.")
    sync_file(part)
    part.replace(target)
    sync_folder(target.parent)
