"""The sources, by the format that a manifest names. To add a wire format, write a class like its siblings and list it here."""

from __future__ import annotations

from pipeline.sources.base import Source
from pipeline.sources.image_text.source import ImageTextSource
from pipeline.sources.speech.source import SpeechSource
from pipeline.sources.text.any_text import AnyTextSource
from pipeline.sources.text.arrow import ArrowSource
from pipeline.sources.text.base import DocumentSource
from pipeline.sources.text.cc100 import CC100Source
from pipeline.sources.text.cirrussearch import CirrusSearchSource
from pipeline.sources.text.documents import FilesSource, LinesSource
from pipeline.sources.text.jsonl import JsonlSource
from pipeline.sources.text.parquet import ParquetSource
from pipeline.sources.text.warc import WARCSource
from pipeline.sources.text.wikipedia_xml import WikipediaXmlSource

# Formats of documents, which the source `text` chooses from.
TEXT_FORMATS: dict[str, DocumentSource] = {
    source.name: source
    for source in (
        CC100Source(),
        LinesSource(),
        FilesSource(),
        JsonlSource(),
        ParquetSource(),
        ArrowSource(),
        WARCSource(),
        WikipediaXmlSource(),
        CirrusSearchSource(),
    )
}
# Wire formats that a manifest can name in `source.format`.
SOURCES: dict[str, Source] = {
    source.name: source for source in (AnyTextSource(TEXT_FORMATS), *TEXT_FORMATS.values(), ImageTextSource(), SpeechSource())
}
