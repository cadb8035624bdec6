"""Tables of image-text pairs: Parquet, Arrow, TSV and CSV with or without a header, JSON lines; with images in them or beside them.

Without a header a column is told by what is in it, since CC12M has `url caption` and CC3M `caption url`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Set
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from pipeline.core.errors import InputError, UsageError
from pipeline.sources.folders import is_utf8
from pipeline.sources.formats import columnar
from pipeline.sources.formats import csv as commas
from pipeline.sources.formats.columnar import PROBLEM, called, distinct_names, no_column
from pipeline.sources.image_text import img2dataset, rows
from pipeline.sources.values import UNFINISHED, all_printable, decoded, distinct, printable, scalars, texts

BATCH = 20_000  # rows at a time
_BATCH_WITH_IMAGES = 64
_BLOCK = 16 << 20  # bytes of lines at a time
_LONGEST = 64 << 20  # bytes of a line
_LOOK = 1000  # lines that say which column is which
_BOM = b"\xef\xbb\xbf"
_URL = r"(?i)^\s*https?://"
_IMAGES = {"image", "img", "jpg", "jpeg", "png", "webp", "image_bytes", "bytes", "data", "content"}


def image_column(schema: Mapping[str, pl.DataType]) -> str | None:
    """The column that holds encoded images: binary, or the struct of bytes and path of Hugging Face's Image feature.

    img2dataset's Parquet mode names it after the format that it encoded to.
    """
    structs = [
        n for n, kind in schema.items() if isinstance(kind, pl.Struct) and dict(kind).get("bytes") in (pl.Binary, pl.Null)
    ]
    binaries = [n for n, kind in schema.items() if kind == pl.Binary]
    # A list of URLs may have hashes in binary.
    named = [name for name in structs + binaries if name.lower() in _IMAGES]
    binaries = [] if {"url", "file"} & set(rows.matched([*schema])) else binaries
    return next(iter(named or structs or binaries), None)


def frames(
    path: Path, whole: bool = True, columns: Mapping[str, str] | None = None, every: bool = False
) -> Iterator[pl.DataFrame]:
    """The table in a file, in frames with its own column names; where it has no header they are `url` or `file`, and `caption`.

    `columns` says what it calls some of the standard ones, which are renamed. A row with a list of captions becomes a row for each.
    Of Parquet and Arrow only what pairs are made of is read, unless `every` column is wanted; the others are null.

    A line that is not what the others are has its reason in the column `PROBLEM`, and so has the last line of text that is not
    `whole` where it has no end. Raises InputError where no column holds URLs or file names, or where the file is not what its
    beginning says.
    """
    with open(path, "rb") as file:
        head = file.read(8)
    theirs: dict[str, str] = {}
    for name, value in (columns or {}).items():
        if value in theirs:
            raise InputError(
                f"cannot be read: source.columns names {value!r} as {theirs[value]} and as {name}; it is one of them"
            )
        theirs[value] = name

    def needed(schema: pa.Schema) -> Set[str]:
        return _needed(schema, theirs) | (columnar.readable(schema) if every else set())

    found: Iterator[pl.DataFrame]
    if columnar.is_parquet(head):
        found = (called(frame, theirs) for frame in columnar.parquet(path, BATCH, _BATCH_WITH_IMAGES, needed))
    elif columnar.is_arrow(head):
        found = (called(frame, theirs) for frame in columnar.arrow(path, _BATCH_WITH_IMAGES, needed))
    else:
        found = _text(path, whole, theirs)
    for frame in found:
        yield _one_caption_a_row(frame, "caption" in theirs.values())


def _needed(schema: pa.Schema, theirs: Mapping[str, str]) -> set[str]:
    """Names of the columns that may be a standard one or hold images."""
    standard = {field.name: theirs.get(field.name, field.name) for field in schema}
    words = {word for synonyms in rows.SYNONYMS.values() for word in synonyms} | _IMAGES
    found = {ours for ours, name in standard.items() if ours in theirs or name.strip().lower() in words}
    found |= {field.name for field in schema if pa.types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0}
    if not {"url", "file"} & set(rows.matched(standard.values())):
        found |= {field.name for field in schema if columnar.is_binary(field.type)}
    return found


def _one_caption_a_row(frame: pl.DataFrame, named: bool) -> pl.DataFrame:
    """`frame` with a row for each of a list of captions; `named`: the user said which column has them."""
    column = rows.matched(frame.columns, frame.schema).get("caption")
    if not named and column not in (None, "captions") and rows.is_texts(frame.schema.get("captions")):
        # All of them, of which the column beside may have the first.
        several, kind = pl.col("captions").cast(pl.List(pl.String)), frame.schema["captions"]
        if frame.schema[column or ""] == pl.String and kind.inner != pl.Binary:  # type: ignore[attr-defined]
            alone = pl.concat_list(column)
            frame = frame.with_columns(captions=pl.when(several.list.len() > 0).then(several).otherwise(alone))
        frame, column = frame.drop(column or ""), "captions"
    if column is None or not rows.is_texts(frame.schema[column]):
        return frame
    lists = pl.List(frame.schema[column].inner)  # type: ignore[attr-defined]
    return frame.with_columns(pl.col(column).cast(lists)).explode(column)  # a row without a caption stays one


def _line_end(beginning: bytes) -> bytes:
    """What ends the lines of a text: \\r where its first megabyte has nothing else."""
    return b"\r" if b"\r" in beginning and b"\n" not in beginning else b"\n"


def _beginning(path: Path) -> Iterator[bytes]:
    """Lines, a megabyte of each at most; where \\r ends them those of the first megabyte."""
    with open(path, "rb") as file:
        line = file.readline(1 << 20).removeprefix(_BOM)
        if _line_end(line) == b"\r":
            yield from line.split(b"\r")
            return
        while line:
            yield line
            line = file.readline(1 << 20)


def first_line(path: Path) -> bytes:
    """The first line that is not empty, or its first megabyte."""
    return next((line for line in _beginning(path) if line.strip()), b"")


def _text(path: Path, whole: bool, theirs: Mapping[str, str]) -> Iterator[pl.DataFrame]:
    known = set(theirs)
    first = first_line(path)
    if b"\0" in first:
        raise InputError("is neither a table nor an archive of images: its first line is binary")
    head = first.decode("utf-8", "replace").rstrip("\r\n")
    if re.match(r"\s*\[\s*(\{|$)", head):
        raise InputError("is a JSON array: write it as JSON lines, one object in each line (jq -c '.[]')")
    columns: list[str] = []
    titled = False
    if head.lstrip().startswith("{"):
        told: set[str] = set()

        def reader(lines: pl.Series) -> pl.DataFrame:
            return _json(lines, theirs, told)

    elif "\t" not in head and "," in head and _is_header(_cells(head, ","), {"url", "caption", "file"}, known):
        yield from (called(frame, theirs) for frame in commas.frames(path, whole, rows.LONGEST_CAPTION, BATCH))
        return
    else:
        columns, titled = _columns(path, head, known)

        def reader(lines: pl.Series) -> pl.DataFrame:
            return called(_tab_separated(lines, columns), theirs)

    for lines, finished in _lines(path):
        lines, titled = lines[titled:], False
        for at in range(0, len(lines), BATCH):
            frame = reader(lines[at : at + BATCH])
            yield frame if finished or whole else frame.with_columns(pl.lit(UNFINISHED).alias(PROBLEM))


def _lines(path: Path) -> Iterator[tuple[pl.Series, bool]]:
    """Lines that are not empty, without their ends, and whether they have them: the last may not."""
    with open(path, "rb") as file:
        end = _line_end(file.readline(1 << 20))
        file.seek(0)
        rest, beginning = b"", True
        while True:
            block = file.read(_BLOCK)
            if beginning:
                block, beginning = block.removeprefix(_BOM), False
            cut = block.rfind(end) + 1
            finished, rest = (rest + block[:cut], block[cut:]) if cut else (b"", rest + block)
            if len(rest) > _LONGEST:
                raise InputError(f"has a line of more than {_LONGEST:,} bytes: it is not a list of images")
            last = not block
            for text in (finished, rest if last else b""):
                lines = pl.Series(text.decode("utf-8", "replace").split(end.decode()), dtype=pl.String).str.strip_chars_end(
                    "\r"
                )
                lines = lines.filter(lines.str.strip_chars() != "")
                if len(lines):
                    yield lines, text is finished
            if last:
                return


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(separator)]


def _is_header(cells: list[str], standard: set[str], known: set[str]) -> bool:
    return bool(standard & set(rows.matched(cells)) or known & set(cells))


def _columns(path: Path, head: str, known: set[str]) -> tuple[list[str], bool]:
    """Names of the columns of tab-separated lines, and whether a header tells them. Where there is none, what they hold does."""
    cells = _cells(head, "\t")
    if _is_header(cells, {"url", "file"}, known) and not any(cell.startswith("http") for cell in cells):
        return distinct_names(cells), True
    lines = [line.decode("utf-8", "replace").rstrip("\r\n") for line in islice(_beginning(path), _LOOK)]
    table = [line.split("\t") for line in lines if line.strip()]
    if not table:
        raise InputError("is empty")
    width = Counter(map(len, table)).most_common(1)[0][0] if table else 1
    kinds = {str(i): pl.String for i in range(width)}
    whole = pl.DataFrame([row for row in table if len(row) == width], schema=kinds, orient="row")
    for name, pattern in (("url", _URL), ("file", rows.IMAGE_NAME.pattern)):
        shares = [float(whole[column].str.contains(pattern).mean() or 0) for column in whole.columns]  # type: ignore[arg-type]
        best = max(range(width), key=shares.__getitem__)
        if shares[best] > 0.5:
            named = [f"column_{i}" for i in range(width)]
            named[best] = name
            if width > 1:
                named[1 if best == 0 else 0] = "caption"
            return named, False
    raise InputError(
        "has neither a header that Seimai knows (url or file_name, and caption) nor a column of URLs or image file names; "
        f"its first line is {head[:80]!r}"
    )


def _tab_separated(lines: pl.Series, columns: list[str]) -> pl.DataFrame:
    width = len(columns)
    parts = pl.DataFrame({"line": lines}).with_columns(cells=pl.col("line").str.split("\t"))
    count = pl.col("cells").list.len()
    wrong = pl.when(count != width).then(pl.format("the line has {} fields instead of " + str(width), count))
    return parts.select(
        *(pl.col("cells").list.get(i, null_on_oob=True).alias(name) for i, name in enumerate(columns)), wrong.alias(PROBLEM)
    )


def _json(lines: pl.Series, theirs: Mapping[str, str], told: set[str]) -> pl.DataFrame:
    """JSON lines, each on its own: one that is broken costs itself alone. Values that are no scalars, nor captions, are left out.

    `theirs` as in `called`, but lines may lack what others have: the first lines that can be read are to have all of it between them.
    `told` are the names in the lines so far.
    """
    found: list[dict[str, str]] = []
    lists: list[list[str]] = []
    keys: dict[str, None] = {}
    named = set(theirs.values())
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            found.append({PROBLEM: "the line is not a JSON object"})
            lists.append([])
            continue
        value.pop(PROBLEM, None)
        if not keys.keys() >= value.keys():
            keys |= dict.fromkeys(scalars(dict.fromkeys(value, "")))
        if named:
            value = {theirs.get(key, key): held for key, held in value.items() if key in theirs or key not in named}
        several: list[object] = []
        if any(isinstance(held, list) for held in value.values()):
            held = None if "caption" in named else value.get("captions")
            held = held if isinstance(held, list) else value.get(rows.matched(value).get("caption", ""))
            several = held if isinstance(held, list) else []
        lists.append([*scalars({str(i): text for i, text in enumerate(several) if isinstance(text, str)}).values()])
        found.append(scalars(value))
    if keys and not told and (missing := [name for name in theirs if name not in keys]):
        raise no_column(missing[0], [*keys])
    told |= set(keys)
    names = list(dict.fromkeys([PROBLEM, *named, *(name for row in found for name in row)]))
    frame = pl.DataFrame({name: [row.get(name) for row in found] for name in names}, schema=dict.fromkeys(names, pl.String))
    if not any(lists):
        return frame
    column = rows.matched(name for name in names if name != "captions").get("caption", "captions")
    captions: list[list[Any]] = [texts or [row.get(column)] for texts, row in zip(lists, found, strict=True)]
    return frame.with_columns(pl.Series(column, captions, pl.List(pl.String)))


def standard(table: pl.DataFrame, first: int, seen: set[str]) -> pl.DataFrame:
    """Standard columns of one of `frames`, with `file` where there is one. Locators are row numbers from `first`, or img2dataset's keys.

    `seen` are the locators of the file so far.
    """
    image = image_column(table.schema)
    frame = rows.with_problems(table)
    frame = frame.with_columns(locator=pl.int_range(first, first + pl.len()).cast(pl.String).str.zfill(10))
    if image is None:
        return frame
    column = table[image]
    if column.dtype == pl.Binary:
        frame = frame.with_columns(blob=column)
    else:
        frame = frame.with_columns(blob=column.struct.field("bytes").cast(pl.Binary))
        path = column.struct.field("path") if "path" in column.struct.fields else None
        if path is not None and path.dtype == pl.Binary:
            path, wrong = texts(path, "path")
            path = path.set(wrong.is_not_null(), None)
        if path is not None and path.dtype in (pl.String, pl.Null):
            frame = frame.with_columns(file=path.cast(pl.String))
    if "status" in frame.columns:
        frame = frame if "error_message" in frame.columns else frame.with_columns(error_message=pl.lit(None, pl.String))
        frame = frame.with_columns(problem=pl.coalesce("problem", img2dataset.failure()))
    if "key" in frame.columns:
        frame = frame.with_columns(locator=all_printable(frame.select(pl.coalesce("key", "locator")).to_series()))
        frame = frame.with_columns(distinct(frame["locator"], seen).alias("locator"))
    return frame


def is_coco(path: Path, named: bool) -> bool:
    """Whether a file is one JSON object with annotations, and not a line of JSON for each row; `named` says that its name is .json."""
    line = first_line(path)
    if not line.lstrip().startswith(b"{"):
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return named or line.strip() == b"{" or b'"annotations"' in line or b'"images"' in line
    return isinstance(value, dict) and "annotations" in value


def coco(path: Path) -> pl.DataFrame:
    """Annotations of a COCO JSON file (STAIR Captions, COCO captions): a row for each, `file` the image's name.

    Raises InputError where it is something else.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            found = json.load(file)
        images = {i["id"]: i for i in found["images"]}
        licenses = {entry["id"]: entry.get("url") or entry.get("name") for entry in found.get("licenses", [])}
        table = []
        for number, annotation in enumerate(found["annotations"]):
            image = images.get(annotation["image_id"], {})
            row = {
                "locator": annotation.get("id", number),
                "caption": annotation.get("caption"),
                "file": image.get("file_name"),
                "url": image.get("flickr_url") or image.get("coco_url"),
                "license": licenses.get(image.get("license")),
            }
            table.append(scalars(row))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"is JSON, but not of COCO's form (images, annotations with image_id and caption): {error!r}"
        ) from None
    names = ("locator", "caption", "file", "url", "license")
    frame = pl.DataFrame({name: [row.get(name) for row in table] for name in names}, schema=dict.fromkeys(names, pl.String))
    locators = all_printable(frame["locator"].fill_null(""))
    return frame.with_columns(distinct(locators, set()).alias("locator"), problem=pl.lit(None, pl.String))


def captions_beside(folder: Path, images: list[Path]) -> pl.DataFrame:
    """Images of a folder with the captions beside them: `metadata.jsonl` or `metadata.csv` with `file_name`, or KEY.txt by KEY.jpg.

    An image has a row for each of its lines in the last of the lists that name it. A line that names no image of the folder, or that
    cannot be read, is a row with a problem, after all images.
    """
    there = {str(image.relative_to(folder)) for image in images}
    told: dict[str, list[dict[str, Any]]] = {}
    lost: list[dict[str, Any]] = []
    for parent in sorted({image.parent for image in images} | {folder}):
        for name in ("metadata.jsonl", "metadata.csv"):
            path = parent / name
            if path.is_file() and not path.is_symlink():
                prefix = "" if parent == folder else f"{parent.relative_to(folder)}/"
                here: dict[str, list[dict[str, Any]]] = {}
                try:
                    for row in _listing(path):
                        file = row.pop("file", None)
                        key = prefix + (file or "").removeprefix("./")
                        if key in there:
                            here.setdefault(key, []).append(row)
                            continue
                        which = "names a file that is not there" if file else "has a line that names none"
                        row["locator"] = printable(key if file else f"{prefix}{name}:{row['locator']:010}")
                        lost.append(row | {"problem": row["problem"] or f"no image: {name} {which}"})
                except InputError as error:
                    raise InputError(f"holds {prefix}{name}, which {error}") from None
                told |= here
    found = []
    for image in images:
        key = str(image.relative_to(folder))
        for line in told.get(key, [{}]):
            row = line | {"locator": printable(key), "name": printable(image.name)}
            if is_utf8(image):
                row |= {"place": str(image), "at": 0, "size": image.stat().st_size}
            else:
                row["problem"] = "the name of the file is not UTF-8: rename it"
            if row.get("caption") is None:
                row["caption"], problem = _caption_of(image)
                row["problem"] = row.get("problem") or problem
            found.append(row)
    frame = pl.DataFrame(found + lost, schema=rows.SCHEMA)
    return frame.with_columns(distinct(frame["locator"], set()).alias("locator"))


def _listing(path: Path) -> list[dict[str, Any]]:
    """Rows of a table in a folder of images, `file` among them. Of one that names no file only the lines that cannot be read."""
    found: list[dict[str, Any]] = []
    for table in frames(path):
        frame = rows.with_problems(table).with_row_index("locator", len(found))
        found += frame.select(name for name in frame.columns if name in rows.SCHEMA or name == "file").iter_rows(named=True)
    named = any(row.get("file") for row in found)
    return [row for row in found if named or row["problem"]]


def _caption_of(image: Path) -> tuple[str | None, str | None]:
    """What KEY.txt says of KEY.jpg, and what is wrong with it."""
    beside = image.with_suffix(".txt")
    if not beside.is_file() or beside.is_symlink():
        return None, None
    if (size := beside.stat().st_size) > rows.LONGEST_CAPTION:
        return None, f"caption of {size} bytes, over {rows.LONGEST_CAPTION}"
    return decoded(beside.read_bytes().removeprefix(_BOM), "caption")


def needs_images(path: str) -> UsageError:
    return UsageError(
        f"{path} lists images without holding them. Fetch them first: `python -m pipeline.fetch {path} --out images/`, "
        "then build with --images images/, or with --images and the folder that they are in already"
    )
