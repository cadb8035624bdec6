"""The folder that a list's images are in: what was fetched (found by URL), or loose files (found by path or name)."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl

from pipeline.core.errors import InputError, UsageError
from pipeline.sources.folders import is_utf8, regular_files
from pipeline.sources.formats.tar import members
from pipeline.sources.formats.webdataset import mapped
from pipeline.sources.image_text import img2dataset, rows
from pipeline.sources.values import printable

_FOUND: dict[str, type[pl.DataType]] = {
    "place": pl.String,
    "at": pl.Int64,
    "size": pl.Int64,
    "problem": pl.String,
    "name": pl.String,
}
_WITH_URL: dict[str, type[pl.DataType]] = {"url": pl.String, **_FOUND}


class Pictures:
    """Where every image of a folder is. Raises UsageError where there is no such folder; `warnings` tell what cannot be used."""

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)
        if not self.folder.is_dir():
            raise UsageError(f"--images {folder}: there is no such folder")
        self.warnings: list[str] = []
        files = [path for path in regular_files(self.folder) if is_utf8(path)]
        images: dict[Path, list[Path]] = {}
        for path in files:
            if rows.is_image_name(path.name):
                images.setdefault(path.parent, []).append(path)
        tables = {path for path in files if path.suffix == ".parquet"}
        known = {path for path in files if path.suffix == ".json"}
        pieces = []
        in_shards: set[Path] = set()
        for path in files:
            try:
                if path.suffix == ".tar":
                    pieces.append(self._tar(path, tables))
                elif path in tables and not path.with_suffix(".tar").is_file():
                    beside = images.get(path.with_suffix(""), [])
                    found = self._files(path, beside)
                    pieces += found
                    in_shards |= {path.with_suffix("")} if found else set()
            except InputError as error:
                self.warnings.append(str(error))
        self.by_path: dict[str, tuple[Path, int]] = {}
        for parent, of_folder in images.items():
            if parent not in in_shards:
                self.by_path |= {str(path.relative_to(self.folder)): (path, path.stat().st_size) for path in of_folder}
                pieces += self._beside_metadata(of_folder, known)
        names: dict[str, tuple[Path, int] | None] = {}
        for path, size in self.by_path.values():
            names[path.name] = None if path.name in names else (path, size)  # two of a name: neither is meant
        self.by_name = {name: found for name, found in names.items() if found is not None}
        # By a hash of the URL: the strings of millions of rows would not fit beside everything else.
        whole = pl.concat(pieces) if pieces else pl.DataFrame(schema=_WITH_URL)
        whole = whole.filter(pl.col("url").is_not_null()).with_columns(hash=pl.col("url").hash(0)).drop("url")
        self.by_url = whole.sort(pl.col("problem").is_not_null(), maintain_order=True).unique("hash", keep="first")

    def __len__(self) -> int:
        return self.by_url["at"].count() + len(self.by_path)

    def _tar(self, path: Path, tables: set[Path]) -> pl.DataFrame:
        data = mapped(path)
        found, damage = members(data)
        if damage:
            self.warnings.append(f"{path} {damage}")
        tar = img2dataset.from_tar(found, len(data))
        beside = path.with_suffix(".parquet")
        sidecar = None
        try:
            sidecar = img2dataset.listed(beside, tar["key"]) if beside in tables else None
        except InputError as error:
            self.warnings.append(str(error))
        if sidecar is not None:
            frame, warnings = img2dataset.joined(tar, sidecar)
            self.warnings += [f"{path} has {warning}" for warning in warnings]
        else:
            urls = [
                _url(data[at : at + size].tobytes()) if at is not None and size <= rows.LONGEST_CAPTION else None
                for at, size in tar.select("meta_at", "meta_size").iter_rows()
            ]
            frame = tar.with_columns(url=pl.Series(urls, dtype=pl.String))
        frame = frame if "url" in frame.columns else frame.with_columns(url=pl.lit(None, pl.String))
        return frame.with_columns(place=pl.lit(str(path))).select("url", *_FOUND)

    def _files(self, path: Path, images: list[Path]) -> list[pl.DataFrame]:
        """img2dataset's output format `files`: a folder of images beside the sidecar."""
        frame = img2dataset.listed(path, pl.Series([image.stem for image in images], dtype=pl.String))
        if frame is None or "url" not in frame.columns:
            return []
        if not images and frame["failed"].null_count():
            raise UsageError(
                f"--images: {path} has neither a tar nor a folder of images beside it. "
                "img2dataset's Parquet mode is an input of its own: --input instead of --images"
            )
        there = {image.stem: image for image in images}
        found = [there.get(key) for key in frame["key"]]
        return [
            pl.DataFrame(
                {
                    "url": frame["url"],
                    "place": [p and str(p) for p in found],
                    "at": [p and 0 for p in found],
                    "size": [p and p.stat().st_size for p in found],
                    "problem": [None if p else f or "no image" for p, f in zip(found, frame["failed"], strict=True)],
                    "name": [p and p.name for p in found],
                },
                schema=_WITH_URL,
            )
        ]

    def _beside_metadata(self, images: list[Path], known: set[Path]) -> list[pl.DataFrame]:
        """Loose images with a KEY.json each that has the URL, as img2dataset's format `files` leaves them."""
        found = []
        for image in images:
            beside = image.with_suffix(".json")
            if beside in known and beside.stat().st_size <= rows.LONGEST_CAPTION and (url := _url(beside.read_bytes())):
                found.append((url, str(image), 0, image.stat().st_size, None, image.name))
        return [pl.DataFrame(found, schema=_WITH_URL, orient="row")] if found else []

    def locate(self, frame: pl.DataFrame, claims: dict[str, str]) -> pl.DataFrame:
        """`frame` (with `url`, `file` or both) with the columns that say where its images are.

        `claims` belongs to a list: which of its URLs or paths a file was found for by its name alone.
        """
        if "url" in frame.columns and len(self.by_url):
            frame = (
                frame.with_columns(hash=pl.col("url").hash(0))
                .join(self.by_url, on="hash", how="left", maintain_order="left")
                .drop("hash")
            )
        else:
            frame = frame.with_columns(pl.lit(None, kind).alias(name) for name, kind in _FOUND.items())
        if self.by_path:
            wanted = frame["place"].is_null() & frame["problem"].is_null()
            keys = frame.select(pl.coalesce(*(n for n in ("file", "url") if n in frame.columns))).to_series()
            there = [self._path(key, claims) if open_ and key else None for key, open_ in zip(keys, wanted, strict=True)]
            found = pl.DataFrame(
                {
                    "place": [p and str(p[0]) for p in there],
                    "at": [p and 0 for p in there],
                    "size": [p and p[1] for p in there],
                    "name": [p and printable(p[0].name) for p in there],
                },
                schema={k: v for k, v in _FOUND.items() if k != "problem"},
            )
            frame = frame.with_columns(pl.coalesce(frame[name], found[name]).alias(name) for name in found.columns)
        missing = pl.col("place").is_null() & pl.col("problem").is_null()
        return frame.with_columns(
            problem=pl.when(missing).then(pl.lit("no image: the folder of images has none for this row")).otherwise("problem")
        )

    def _path(self, key: str, claims: dict[str, str]) -> tuple[Path, int] | None:
        """A file of the folder, by its path in it or by its name. The key is looked up, never opened."""
        key = key.split("?", 1)[0].removeprefix("./")
        name = key.rpartition("/")[2]
        if (found := self.by_path.get(key)) or (found := self.by_name.get(name)):
            # Many a URL ends in image.jpg: a file is the image of one of them at most.
            first = claims.setdefault(name, key)
            return found if key in self.by_path or key == first else None
        return None


def _url(meta: bytes) -> str | None:
    try:
        found = json.loads(meta)
    except (ValueError, RecursionError):
        return None
    value = found.get("url") if isinstance(found, dict) else None
    return value if isinstance(value, str) else None
