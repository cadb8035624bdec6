"""The folder that a list's images are in: what was fetched (looked up by URL), or loose files (see `loose_images`)."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.core.names import make_printable
from pipeline.sources.folders import RENAME, is_utf8, list_files
from pipeline.sources.formats.jsonl import parse_object
from pipeline.sources.formats.pairing import choose_texts, match_names
from pipeline.sources.formats.tar import list_members, map_tar
from pipeline.sources.image_text import columns, img2dataset
from pipeline.sources.image_text.loose_images import Claims, LooseImage, LooseImages
from pipeline.sources.rows import CONTENT_POINTERS

_LOCATION = pl.Schema(CONTENT_POINTERS | {"problem": pl.String, "name": pl.String})
_URL_AND_LOCATION = pl.Schema([("url", pl.String), *_LOCATION.items()])


class ImageLookup:
    """Where every image of a folder is. `warnings` say what of it cannot be used. Raises UsageError where there is no such folder."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UsageError(f"--images {folder}: there is no such folder")
        self.warnings: list[str] = []
        all_files = list_files(self.folder)
        files = [path for path in all_files if is_utf8(path)]
        if count := sum(columns.is_image_name(path.name) and not is_utf8(path) for path in all_files):
            self.warnings.append(f"{folder} has {count:,} images that no list finds: their names are not UTF-8. {RENAME}")
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
        by_path: dict[str, LooseImage] = {}
        for parent, images_of_folder in images.items():
            if parent not in listed_folders:
                loose = [LooseImage(path, path.stat().st_size) for path in images_of_folder]
                by_path |= {str(image.path.relative_to(self.folder)): image for image in loose}
                frames.append(self._read_metadata(loose, metadata))
        self.loose = LooseImages(by_path)
        self._by_url = _index_by_url(frames)

    def __len__(self) -> int:
        return self._by_url["content_offset"].count() + len(self.loose)

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
        by_stem: dict[str, list[Path]] = {}
        for image in images:
            by_stem.setdefault(image.stem, []).append(image)
        rows: list[tuple[str | None, str | None, int | None, int | None, str | None, str | None]] = []
        for key, url, failure in sidecar.select("key", "url", "failure").iter_rows():
            named = by_stem.get(key, [])
            if len(named) > 1:
                problem = f"no image: {len(named)} images have this row's key {make_printable(key)}"
                rows.append((url, None, None, None, problem, None))
            elif named:
                (image,) = named
                rows.append((url, str(image), 0, image.stat().st_size, None, image.name))
            else:
                rows.append((url, None, None, None, failure or "no image", None))
        return pl.DataFrame(rows, schema=_URL_AND_LOCATION, orient="row")

    def _read_metadata(self, images: list[LooseImage], metadata: set[Path]) -> pl.DataFrame:
        """Return the loose images whose URL is in a KEY.json of their own, as img2dataset's format `files` leaves them."""
        names = [str(image.path) for image in images]
        texts = [str(path) for path in metadata if path.parent == images[0].path.parent]
        rows = []
        for image, choice in zip(images, choose_texts(match_names(names, texts), names, texts), strict=True):
            path = None if choice.text is None else Path(texts[choice.text])
            if path and path.stat().st_size <= columns.LONGEST_CAPTION and (url := _find_url(path.read_bytes())):
                rows.append((url, str(image.path), 0, image.size, None, image.path.name))
        return pl.DataFrame(rows, schema=_URL_AND_LOCATION, orient="row")

    def claim(self, frame: pl.DataFrame, claims: Claims, origin: str) -> None:
        """Note in `claims` which loose files the rows of a list in the folder `origin` mean."""
        if {"url", "file"} & set(frame.columns):
            self.loose.claim(_choose_names(frame), claims, origin)

    def locate(self, frame: pl.DataFrame, claims: Claims, origin: str) -> pl.DataFrame:
        """Return `frame` (with `url`, `file` or both) with the columns that say where its images are, or why there is none.

        `claims` says which loose files all lists mean; this one is in the folder `origin`.
        """
        if "url" in frame.columns and len(self._by_url):
            by_hash = frame.with_columns(hash=pl.col("url").hash(0))
            frame = by_hash.join(self._by_url, on="hash", how="left", maintain_order="left").drop("hash")
        else:
            frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in _LOCATION.items())
        if len(self.loose):
            wanted = frame["content_path"].is_null() & frame["problem"].is_null()
            rows: list[tuple[str | None, int | None, int | None, str | None, str | None]] = []
            for key, is_wanted in zip(_choose_names(frame), wanted, strict=True):
                file = self.loose.find(key, claims, origin) if is_wanted and key else None
                if isinstance(file, LooseImage):
                    rows.append((str(file.path), 0, file.size, make_printable(file.path.name), None))
                else:
                    rows.append((None, None, None, None, file))
            schema = CONTENT_POINTERS | {"name": pl.String, "problem": pl.String}
            loose = pl.DataFrame(rows, schema=schema, orient="row")
            frame = frame.with_columns(pl.coalesce(frame[name], loose[name]).alias(name) for name in loose.columns)
        missing = pl.col("content_path").is_null() & pl.col("problem").is_null()
        return frame.with_columns(
            problem=pl.when(missing).then(pl.lit("no image: the folder of images has none for this row")).otherwise("problem")
        )


def _choose_names(frame: pl.DataFrame) -> pl.Series:
    """Return what each row calls its image: a file, or else a URL."""
    return frame.select(pl.coalesce(*(name for name in ("file", "url") if name in frame.columns))).to_series()


def _index_by_url(frames: list[pl.DataFrame]) -> pl.DataFrame:
    """Return the location of every URL, preferring one with an image.

    By a hash of the URL: the strings of millions of rows would not fit into memory with everything else.
    """
    table = pl.concat([pl.DataFrame(schema=_URL_AND_LOCATION), *frames])
    table = table.filter(pl.col("url").is_not_null()).with_columns(hash=pl.col("url").hash(0)).drop("url")
    return table.sort(pl.col("problem").is_not_null(), maintain_order=True).unique("hash", keep="first")


def _find_url(metadata: bytes) -> str | None:
    return columns.mend_url((parse_object(metadata) or {}).get("url"))
