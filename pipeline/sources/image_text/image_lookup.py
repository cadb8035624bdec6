"""The folder that a list's images are in: what was fetched (looked up by URL), or loose files (looked up by path or name)."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.core.names import make_printable
from pipeline.sources.folders import is_utf8, list_files
from pipeline.sources.formats.jsonl import parse_object
from pipeline.sources.formats.tar import list_members, map_tar
from pipeline.sources.image_text import columns, img2dataset
from pipeline.sources.rows import CONTENT_POINTERS

_LOCATION = pl.Schema(CONTENT_POINTERS | {"problem": pl.String, "name": pl.String})
_URL_AND_LOCATION = pl.Schema([("url", pl.String), *_LOCATION.items()])


class _LooseImage(NamedTuple):
    path: Path
    size: int


class ImageLookup:
    """Where every image of a folder is. `warnings` say what of it cannot be used. Raises UsageError where there is no such folder."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UsageError(f"--images {folder}: there is no such folder")
        self.warnings: list[str] = []
        files = [path for path in list_files(self.folder) if is_utf8(path)]
        images: dict[Path, list[Path]] = {}
        for path in files:
            if columns.is_image_name(path.name):
                images.setdefault(path.parent, []).append(path)
        tables = {path for path in files if path.suffix == ".parquet"}
        metadata = {path for path in files if path.suffix == ".json"}
        frames = []
        listed_folders: set[Path] = set()  # those with a sidecar beside them
        for path in files:
            try:
                if path.suffix == ".tar":
                    frames.append(self._read_tar(path, tables))
                elif path in tables and not path.with_suffix(".tar").is_file():
                    images_of_folder = images.get(path.with_suffix(""), [])
                    if (frame := self._read_folder_sidecar(path, images_of_folder)) is not None:
                        frames.append(frame)
                        listed_folders.add(path.with_suffix(""))
            except InputError as error:
                self.warnings.append(str(error))
        self._by_path: dict[str, _LooseImage] = {}
        for parent, images_of_folder in images.items():
            if parent not in listed_folders:
                loose = [_LooseImage(path, path.stat().st_size) for path in images_of_folder]
                self._by_path |= {str(image.path.relative_to(self.folder)): image for image in loose}
                frames.append(self._read_metadata(loose, metadata))
        self._by_name = _index_by_name([*self._by_path.values()])
        self._by_url = _index_by_url(frames)

    def __len__(self) -> int:
        return self._by_url["content_offset"].count() + len(self._by_path)

    def _read_tar(self, path: Path, tables: set[Path]) -> pl.DataFrame:
        data = map_tar(path)
        members, damage = list_members(data)
        if damage:
            self.warnings.append(f"{path} {damage}")
        frame = img2dataset.pair_images(members, len(data))
        sidecar_path = path.with_suffix(".parquet")
        sidecar = None
        try:
            sidecar = img2dataset.read_sidecar(sidecar_path, frame["key"]) if sidecar_path in tables else None
        except InputError as error:
            self.warnings.append(str(error))
        if sidecar is not None:
            frame, warnings = img2dataset.join_sidecar(frame, sidecar)
            self.warnings += [f"{path} has {warning}" for warning in warnings]
        else:
            urls = [
                _find_url(bytes(data[offset : offset + size]))
                if offset is not None and size <= columns.LONGEST_CAPTION
                else None
                for offset, size in frame.select("metadata_offset", "metadata_size").iter_rows()
            ]
            frame = frame.with_columns(url=pl.Series(urls, dtype=pl.String))
        frame = frame if "url" in frame.columns else frame.with_columns(url=pl.lit(None, pl.String))
        return frame.with_columns(content_path=pl.lit(str(path))).select(_URL_AND_LOCATION.names())

    def _read_folder_sidecar(self, path: Path, images: list[Path]) -> pl.DataFrame | None:
        """Return the rows of img2dataset's output format `files`, a folder of images beside a sidecar; None where it is another table."""
        sidecar = img2dataset.read_sidecar(path, pl.Series([image.stem for image in images], dtype=pl.String))
        if sidecar is None or "url" not in sidecar.columns:
            return None
        if not images and sidecar["failure"].null_count():
            raise UsageError(
                f"--images: {path} has neither a tar nor a folder of images beside it. "
                "img2dataset's Parquet mode is an input of its own: --input instead of --images"
            )
        by_stem = {image.stem: image for image in images}
        rows: list[tuple[str | None, str | None, int | None, int | None, str | None, str | None]] = []
        for key, url, failure in sidecar.select("key", "url", "failure").iter_rows():
            if image := by_stem.get(key):
                rows.append((url, str(image), 0, image.stat().st_size, None, image.name))
            else:
                rows.append((url, None, None, None, failure or "no image", None))
        return pl.DataFrame(rows, schema=_URL_AND_LOCATION, orient="row")

    def _read_metadata(self, images: list[_LooseImage], metadata: set[Path]) -> pl.DataFrame:
        """Return the loose images whose URL is in a KEY.json of their own, as img2dataset's format `files` leaves them."""
        rows = []
        for image in images:
            path = image.path.with_suffix(".json")
            if path in metadata and path.stat().st_size <= columns.LONGEST_CAPTION and (url := _find_url(path.read_bytes())):
                rows.append((url, str(image.path), 0, image.size, None, image.path.name))
        return pl.DataFrame(rows, schema=_URL_AND_LOCATION, orient="row")

    def locate(self, frame: pl.DataFrame, claims: dict[str, str]) -> pl.DataFrame:
        """Return `frame` (with `url`, `file` or both) with the columns that say where its images are, or why there is none.

        `claims` maps a file name to the first key of a list that was given that file by its name alone.
        """
        if "url" in frame.columns and len(self._by_url):
            by_hash = frame.with_columns(hash=pl.col("url").hash(0))
            frame = by_hash.join(self._by_url, on="hash", how="left", maintain_order="left").drop("hash")
        else:
            frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in _LOCATION.items())
        if self._by_path:
            wanted = frame["content_path"].is_null() & frame["problem"].is_null()
            keys = frame.select(pl.coalesce(*(name for name in ("file", "url") if name in frame.columns))).to_series()
            files = [
                self._find_loose(key, claims) if is_wanted and key else None
                for key, is_wanted in zip(keys, wanted, strict=True)
            ]
            rows = [
                (str(file.path), 0, file.size, make_printable(file.path.name)) if file else (None, None, None, None)
                for file in files
            ]
            loose = pl.DataFrame(rows, schema=CONTENT_POINTERS | {"name": pl.String}, orient="row")
            frame = frame.with_columns(pl.coalesce(frame[name], loose[name]).alias(name) for name in loose.columns)
        missing = pl.col("content_path").is_null() & pl.col("problem").is_null()
        return frame.with_columns(
            problem=pl.when(missing).then(pl.lit("no image: the folder of images has none for this row")).otherwise("problem")
        )

    def _find_loose(self, key: str, claims: dict[str, str]) -> _LooseImage | None:
        """Return a file of the folder, by its path in it or by its name. The key is looked up, never opened."""
        key = key.split("?", 1)[0].removeprefix("./")
        name = key.rpartition("/")[2]
        image = self._by_path.get(key) or self._by_name.get(name)
        if image is None:
            return None
        # Many a URL ends in image.jpg: a file is the image of one of them at most.
        first = claims.setdefault(name, key)
        return image if key in self._by_path or key == first else None


def _index_by_name(images: list[_LooseImage]) -> dict[str, _LooseImage]:
    """Return loose images by their names; ambiguous names are left out."""
    by_name: dict[str, list[_LooseImage]] = {}
    for image in images:
        by_name.setdefault(image.path.name, []).append(image)
    return {name: same_name[0] for name, same_name in by_name.items() if len(same_name) == 1}


def _index_by_url(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the location of every URL, preferring one with an image.

    By a hash of the URL: the strings of millions of rows would not fit into memory with everything else.
    """
    table = pl.concat([pl.DataFrame(schema=_URL_AND_LOCATION), *frames])
    table = table.filter(pl.col("url").is_not_null()).with_columns(hash=pl.col("url").hash(0)).drop("url")
    return table.sort(pl.col("problem").is_not_null(), maintain_order=True).unique("hash", keep="first")


def _find_url(metadata: bytes) -> str | None:
    value = (parse_object(metadata) or {}).get("url")
    return value if isinstance(value, str) else None
