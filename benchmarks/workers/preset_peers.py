"""Peers of benchmarks/presets.py: `python -P preset_peers.py NAME SOURCE CHECKOUTS` prints JSON, {filter: [is kept]}.

SOURCE is a file of JSON lines with `text`. Every filter judges every document, whatever the others say.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

Judge = Callable[[str], bool]


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hojichar() -> dict[str, Judge]:
    """Its document filters at their defaults, over text in NFKC."""
    from hojichar import Document
    from hojichar import document_filters as f

    filters: list[Any] = [
        f.AcceptJapanese(),
        f.DocumentLengthFilter(min_doc_len=200, max_doc_len=50_000),
        f.DiscardRareKuten(),
        f.DiscardAds(),
        f.DiscardBBSComments(),
        f.DiscardAdultContentJa(),
        f.DiscardAdultContentEn(),
        f.DiscardDiscriminationContentJa(),
        f.DiscardViolenceContentJa(),
        f.CharRepetitionRatioFilter(),
        f.SingleCharacterRepetitionFilter(),
        f.DiscardTooManyEndingEllipsis(),
        f.DiscardTooShortLines(),
        f.DiscardTooManySpecialToken(),
        f.DiscardTooManyNouns(),
        f.WordRepetitionRatioFilter(),
    ]

    def judge(one: Any) -> Judge:
        return lambda text: not one.apply(Document(unicodedata.normalize("NFKC", text))).is_rejected

    return {type(one).__name__: judge(one) for one in filters}


def datatrove() -> dict[str, Judge]:
    """FineWeb-2's filters for Japanese, and each of their rules on its own."""
    from datatrove.data import Document
    from datatrove.pipeline.filters import (
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        fineweb_quality_filter,
        gopher_quality_filter,
        gopher_repetition_filter,
    )
    from datatrove.utils.text import split_into_words

    settings = _load(Path(__file__).with_name("text_peers.py"))
    language, top_grams, duplicate_grams = settings.LANGUAGE, settings.TOP_GRAMS, settings.DUPLICATE_GRAMS
    cached = lru_cache(4)(split_into_words)  # a document goes through twenty filters
    for module in (fineweb_quality_filter, gopher_quality_filter, gopher_repetition_filter):
        module.split_into_words = cached
    no_repetition: dict[str, Any] = {
        **dict.fromkeys(("dup_line_frac", "dup_para_frac", "dup_line_char_frac", "dup_para_char_frac"), 0),
        "top_n_grams": (),
        "dup_n_grams": (),
    }
    repetition: dict[str, Any] = {"dup_line_frac": 0.328}
    repetition |= {f"top_{n}_gram": ((n, most),) for n, most in top_grams}
    repetition |= {f"dup_{n}_gram": ((n, most),) for n, most in duplicate_grams}
    no_web: dict[str, Any] = {"line_punct_thr": 0, "short_line_thr": 999, "char_duplicates_ratio": 999, "new_line_ratio": 999}
    web = {"line_punct_thr": 0.096, "char_duplicates_ratio": 0.1, "new_line_ratio": 0.13}
    quality: dict[str, dict[str, Any]] = {
        "words": {"min_doc_words": 50, "max_doc_words": 100_000},
        "word length": {"min_avg_word_length": 1, "max_avg_word_length": 6},
        "symbols": {"max_symbol_word_ratio": 0.1},
        "bullets": {"max_bullet_lines_ratio": 0.9},
        "ellipsis lines": {"max_ellipsis_lines_ratio": 0.3},
        "letters": {"max_non_alpha_words_ratio": 0.759},
        "stop words": {"stop_words": settings.STOP_WORDS, "min_stop_words": 2},
    }
    every = {key: value for rule in quality.values() for key, value in rule.items()}
    no_quality = dict.fromkeys(every, 0) | {"stop_words": settings.STOP_WORDS}
    filters: dict[str, Any] = {
        "GopherRepetitionFilter": GopherRepetitionFilter(
            **no_repetition | {"dup_line_frac": 0.328, "top_n_grams": top_grams, "dup_n_grams": duplicate_grams},
            language=language,
        ),
        "FineWebQualityFilter": FineWebQualityFilter(**no_web | web, language=language),
        "GopherQualityFilter": GopherQualityFilter(**every, language=language),
    }
    for name, value in repetition.items():
        key = (
            "top_n_grams"
            if name.startswith("top")
            else "dup_n_grams"
            if name.startswith("dup_") and name[4].isdigit()
            else name
        )
        filters[name] = GopherRepetitionFilter(**no_repetition | {key: value}, language=language)
    filters |= {name: FineWebQualityFilter(**no_web | {name: value}, language=language) for name, value in web.items()}
    filters |= {name: GopherQualityFilter(**no_quality | rule, language=language) for name, rule in quality.items()}

    def judge(one: Any) -> Judge:
        return lambda text: one.filter(Document(text=text, id="")) is True

    return {name: judge(one) for name, one in filters.items()}


def swallow(checkouts: Path) -> dict[str, Judge]:
    """`apply_v1` of quality.py, and each of its rules: the one that is left when all other values are harmless."""
    quality = _load(checkouts / "swallow-corpus" / "quality.py")

    harmless = quality.main({"text": "猫は犬より静かに眠る。" * 2})
    harmless |= {key: 0 for key in harmless if "fraction" in key}
    harmless |= {
        "num_letters": 999,
        "num_japanese_letters": 999,
        "hiragana_fraction": 0.5,
        "japanese_fraction": 1,
        "avg_sentence_length": 50,
        "max_sentence_length": 50,
    }
    assert quality.apply_v1(harmless)
    judged = [key for key in harmless if not all(quality.apply_v1(harmless | {key: value}) for value in (0, 1, 1e6))]
    measured = lru_cache(4)(lambda text: quality.main({"text": text}))

    def judge(key: str) -> Judge:
        return lambda text: bool(quality.apply_v1(harmless | {key: measured(text)[key]}))

    return {"apply_v1": lambda text: bool(quality.apply_v1(measured(text)))} | {key: judge(key) for key in judged}


def llmjp(checkouts: Path) -> dict[str, Judge]:
    """The filters of ja_cc that judge text, as filter_data.py calls them."""
    f = _load(checkouts / "llm-jp-corpus" / "scripts" / "filters.py")
    filters = {
        "is_japanese": f.is_japanese(),
        "is_not_ad_content": f.is_not_ad_content(),
        "is_not_adult_content": f.is_not_adult_content(3),
        "is_not_discrimination_content": f.is_not_discrimination_content(3),
        "is_not_violence_content": f.is_not_violence_content(3),
        "has_good_average_sentence_length": f.has_good_average_sentence_length(250),
        "has_good_compression_ratio": f.has_good_compression_ratio(0.3, 0.7),
    }

    def judge(one: Callable[[dict[str, str]], bool]) -> Judge:
        return lambda text: bool(one({"text": text}))

    return {name: judge(one) for name, one in filters.items()}


PEERS: dict[str, Callable[[Path], dict[str, Judge]]] = {
    "hojichar": lambda _: hojichar(),
    "fineweb2-ja": lambda _: datatrove(),
    "swallow-v1": swallow,
    "llmjp-v1": llmjp,
}


def main(name: str, source: str, checkouts: str) -> None:
    judges = PEERS[name](Path(checkouts))
    with open(source, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    kept: dict[str, list[bool]] = {filter_name: [] for filter_name in judges}
    for text in texts:
        for filter_name, judge in judges.items():
            kept[filter_name].append(judge(text))
    print("\n" + json.dumps(kept, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
