"""Text in whatever format it is: each file is read by the source that its content asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np

from pipeline.core.errors import InputError
from pipeline.sources.base import CutState, Fields, Range
from pipeline.sources.inputs import InputFile
from pipeline.sources.rows import Rows
from pipeline.sources.streams import Stream
from pipeline.sources.text.base import DocumentSource, pick_local, read_head
from pipeline.sources.text.columns import MissingColumnError
from pipeline.sources.text.sniffing import Sniffed, sniff_format


class AnyTextSource(DocumentSource):
    """Documents in any of the formats that are known, each file by its content."""

    name: ClassVar[str] = "text"
    label: ClassVar[str] = "documents in any format that is known"
    keep: ClassVar[tuple[str, ...]] = ("url", "title", "date")
    any_column: ClassVar[bool] = True

    def __init__(self, formats: Mapping[str, DocumentSource]) -> None:
        self.formats = formats

    def find_inputs(self, patterns: list[str], **options: str) -> list[InputFile]:
        files = super().find_inputs(patterns, **options)
        plain = [file for file in pick_local(files) if sniff_format(read_head(file)).name == "cc100"]
        if plain:
            note = (
                f"{plain[0].name} {'and its like are' if len(plain) > 1 else 'is'} taken for documents with empty lines between them; "
                "if each file is one document, add --set source.format=files"
            )
            files[0] = replace(files[0], note="; ".join(filter(None, [files[0].note, note])))
        return files

    def accepts(self, sniffed: Sniffed, head: bytes) -> bool:
        return sniffed.name in self.formats

    def check_fields(self, files: list[InputFile], fields: Fields) -> None:
        by_format: dict[str, list[InputFile]] = {}
        for file in pick_local(files):
            by_format.setdefault(sniff_format(read_head(file)).name or "", []).append(file)
        missing = []
        for name in by_format:
            if name not in self.formats:
                continue
            try:
                self.formats[name].check_fields(by_format[name], fields)
            except MissingColumnError as error:
                missing.append(error)
        if missing and len(missing) == len(by_format):  # else files of another format may have it
            raise missing[0]

    def cut(self, file: InputFile, number: int, state: CutState) -> Iterator[tuple[Range, bytes | memoryview | None]]:
        head = read_head(file)
        self.check_head(file, head)
        source = self.formats.get(sniff_format(head).name or "")
        if source is None:
            state.damage = find_damage(file)
        else:
            yield from source.cut(file, number, state)

    def cut_record(
        self, file: InputFile, number: int, locator: str, state: CutState
    ) -> Iterator[tuple[Range, bytes | memoryview | None]]:
        return self._find_source(file).cut_record(file, number, locator, state)

    def count_bytes_before(self, file: InputFile, locator: str) -> int:
        return self._find_source(file).count_bytes_before(file, locator)

    def _find_source(self, file: InputFile) -> DocumentSource:
        """Return the source of a file that was read before."""
        return self.formats[sniff_format(read_head(file)).name or ""]

    def read(self, piece: Range, file: InputFile, body: np.ndarray | None, fields: Fields) -> Rows:
        return self.formats[piece.format].read(piece, file, body, fields)

    def warm(self) -> None:
        for source in self.formats.values():
            source.warm()


def find_damage(file: InputFile) -> str | None:
    """Return what keeps the first byte of a file from being read, None where the file is empty."""
    stream = Stream(file)
    try:
        stream.read(1)
    except InputError as error:
        return (
            f"{error}; so its format is not known. If it is readable further on, name it: --set source.format=warc, for example"
        )
    finally:
        stream.close()
    return None
