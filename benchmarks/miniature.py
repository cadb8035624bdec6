"""The development data in miniature, in the same layout, made of the samples in `manifests/samples/`: what `--smoke` runs on."""

from __future__ import annotations

import gzip
import itertools
import json
import lzma
import shutil
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl
from PIL import Image

SAMPLES = Path(__file__).resolve().parent.parent / "manifests" / "samples"
KINDS = ("wikipedia", "statutes", "aozora", "aozora+edited", "oscar")  # what the sample's sound documents are called in turn
SENTENCES = {
    "ja": ("吾輩は猫である。名前はまだ無い。", "木曜日、停戦会談は終了しました。", "水を買わなくてはならない。"),
    "en": ("The quick brown fox jumps over the lazy dog.", "It was the best of times.", "Call me Ishmael, if you like."),
    "ko": ("나는 고양이로소이다. 이름은 아직 없다.", "오늘은 날씨가 매우 좋습니다.", "서울은 대한민국의 수도이다."),
    "zh": ("我是猫，还没有名字。今天天气很好。", "国际会议于星期四结束，没有任何进展。", "北京是中华人民共和国的首都和政治文化中心"),
    "zh-Hant": ("我是貓，還沒有名字。今天天氣很好。", "國際會議於星期四結束，沒有任何進展。", "臺北是中華民國的首都和政治文化中心"),
    "yue": ("我係貓，仲未有名。今日天氣好好。", "佢哋噚日冇嚟到，唔知做咩。", "呢度係香港，啲嘢好好食。"),
}  # fmt: skip
JAPANESE_TITLES = ("東京特許許可局", "日本国憲法", "国立国会図書館")
JAPANESE_KATAKANA = ("チウラムジスルフィド、チウラム", "インターネットプロトコル", "コンピューターゲーム")


def make_development_data(folder: Path) -> Path:
    """Write the miniature, unless it is there; returns `folder`."""
    if (folder / "complete").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    _write_text(folder / "text")
    _write_warc(folder / "text" / "warc")
    _write_wikipedia(folder / "text" / "wikipedia")
    _write_labelled(folder / "language")
    _write_paragraphs(folder / "quality")
    _write_pairs(folder / "image-text" / "img2dataset")
    _write_speech(folder / "speech")
    _write_shards(folder / "shards")
    (folder / "complete").touch()
    return folder


def _write_jsonl(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _write_wikipedia(folder: Path) -> None:
    folder.mkdir(parents=True)
    articles = pl.read_ndjson(SAMPLES / "wikipedia-ja.truth.jsonl").filter(expect="kept").select("title", "text")
    articles.write_parquet(folder / "train-00000-of-00001.parquet")


def _write_text(folder: Path) -> None:
    folder.mkdir(parents=True)
    text = bytearray(lzma.decompress((SAMPLES / "cc100-ja.txt.xz").read_bytes()))
    rows = [json.loads(line) for line in (SAMPLES / "cc100-ja.truth.jsonl").read_text("utf-8").splitlines()]
    kinds = itertools.cycle(KINDS)
    for row in rows:
        if row["kind"] == "invalid":  # no UTF-8, which all of the development text is
            text[row["offset"] : row["offset"] + row["bytes"]] = b"x" * row["bytes"]
    (folder / "ja.txt.xz").write_bytes(lzma.compress(text, preset=0))
    _write_jsonl(
        folder / "ja.truth.jsonl.gz",
        (
            {
                "offset": row["offset"],
                "bytes": row["bytes"],
                "kind": row["kind"] if row["kind"] == "language" else next(kinds),
                "lang": "en" if row["kind"] == "language" else "ja",
            }
            for row in rows
        ),
    )
    clusters: dict[int, list[int]] = {}
    for row in rows:
        if row["cluster"] is not None:
            clusters.setdefault(row["cluster"], []).append(row["offset"])
    _write_jsonl(
        folder / "ja.pairs.jsonl.gz",
        ({"a": a, "b": b, "jaccard_char5": 0.9} for a, b, *_ in clusters.values()),
    )


def _write_warc(folder: Path) -> None:
    """Write pages of sentences with navigation and footers, in UTF-8 and in Shift_JIS, labelled and with a reference."""
    folder.mkdir(parents=True)
    labels: list[dict[str, Any]] = []
    references: list[dict[str, Any]] = []
    pages: list[tuple[str, str, bytes]] = []
    statutes: list[tuple[str, str, bytes]] = []
    for i in range(6):
        paragraphs = "".join(f"<p>{number}。{sentence}</p>" for number in range(i + 2) for sentence in SENTENCES["ja"])
        main = f"<h1>{JAPANESE_TITLES[i % 3]}</h1>{paragraphs}"
        html = f"<body><nav><a href='/'>ホーム</a> <a href='/next'>次へ</a></nav>{main}<footer>Copyright 2026</footer></body>"
        labels.append({"id": f"<urn:uuid:{i:032x}>", "spans": [[start := html.index("<h1>"), start + len(main)]]})
        pages.append((labels[-1]["id"], f"https://docs.example/{i}.html", html.encode()))
        head = '<META http-equiv="Content-Type" content="text/html; charset=shift_jis">'
        statutes.append((f"<urn:uuid:{i + 100:032x}>", f"https://law.example/{i}.html", f"{head}{main}".encode("cp932")))
        text = main.replace("</h1>", "\n").replace("</p>", "\n").replace("<h1>", "").replace("<p>", "")
        references.append({"url": statutes[-1][1], "text": text})
    for name, records in (("debian-docs", pages), ("statutes-sjis", statutes)):
        with (folder / f"{name}.warc.gz").open("wb") as file:
            for record, url, body in records:
                file.write(gzip.compress(_warc_record(record, url, body), mtime=0))
    _write_jsonl(folder / "statutes.reference.jsonl.gz", references)
    (folder / "extraction.jsonl").write_text("".join(json.dumps(label) + "\n" for label in labels), "utf-8")


def _warc_record(record: str, url: str, body: bytes) -> bytes:
    http = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + body
    lines = [
        "WARC/1.0", "WARC-Type: response", f"WARC-Record-ID: {record}", f"WARC-Target-URI: {url}", "WARC-Date: 2026-11-28T00:00:00Z",
        "Content-Type: application/http; msgtype=response", f"Content-Length: {len(http)}", "", "",
    ]  # fmt: skip
    return "\r\n".join(lines).encode() + http + b"\r\n\r\n"


def _write_labelled(folder: Path) -> None:
    folder.mkdir(parents=True)
    rows = [("ja_kanji_only_title", "ja", text) for text in JAPANESE_TITLES]
    rows += [("ja_kanji_only_line", "ja", text) for text in JAPANESE_TITLES]
    rows += [("ja_katakana_line", "ja", text) for text in JAPANESE_KATAKANA]
    rows += [(kind, language, text) for kind in ("short", "ntrex") for language, texts in SENTENCES.items() for text in texts]
    _write_jsonl(folder / "labelled.jsonl.gz", ({"set": kind, "lang": lang, "text": text} for kind, lang, text in rows))


def _write_paragraphs(folder: Path) -> None:
    """Paragraphs of the sample, and strings of words to sell by, enough of both in each half."""
    folder.mkdir(parents=True)
    texts = [row["text"] for row in map(json.loads, (SAMPLES / "wikipedia-ja.truth.jsonl").read_text("utf-8").splitlines())]
    good = [text[start : start + 80] for text in texts if text for start in range(0, len(text) - 80, 20)]
    words = ("激安", "通販", "送料無料", "口コミ", "ランキング", "最安値", "公式", "お試し")
    bad = [" ".join((*words[number % 8 :], *words[: number % 8])) * 4 + str(number) for number in range(24)]
    rows = [{"text": text, "label": label} for label, texts in (("good", good[:24]), ("bad", bad)) for text in texts]
    _write_jsonl(folder / "mc4_ja_labelled.jsonl.gz", rows)


def _tar_files(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def _write_tar(path: Path, files: dict[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, BytesIO(content))


def _write_pairs(folder: Path) -> None:
    """The sample's pairs whose image is a JPEG: img2dataset writes no others."""
    files = _tar_files(SAMPLES / "image-text-ja.tar")
    keys = sorted(name.removesuffix(".jpg") for name in files if name.endswith(".jpg"))
    _write_tar(
        folder / "00000.tar", {f"{key}.{kind}": files[f"{key}.{kind}"] for key in keys for kind in ("jpg", "txt", "json")}
    )
    pl.read_parquet(SAMPLES / "image-text-ja.parquet").filter(pl.col("key").is_in(keys)).write_parquet(folder / "00000.parquet")


def _write_speech(folder: Path) -> None:
    """Recordings in ReazonSpeech's layout, transcripts beside a recogniser's, and transcripts with a duration."""
    files = _tar_files(SAMPLES / "speech-ja.tar")
    recordings = {
        name.removesuffix(".flac"): body for name, body in files.items() if name.startswith("plain") and name.endswith(".flac")
    }
    transcripts = {key: json.loads(files[f"{key}.json"])["text"] for key in recordings}
    _write_tar(
        folder / "reazonspeech" / "v2" / "000.tar", {f"./000/{key}.flac": body for key, body in list(recordings.items())[:4]}
    )
    (folder / "reazonspeech" / "v2-tsv").mkdir()
    lines = [f"000/{key}.flac\t{text}\n" for key, text in list(transcripts.items())[:4]]
    (folder / "reazonspeech" / "v2-tsv" / "tiny.tsv").write_text("".join(lines), "utf-8")
    texts = list(transcripts.values())
    heard = [text if number % 2 else texts[number - 1] for number, text in enumerate(texts)]
    _write_jsonl(
        folder / "asr_hypotheses.jsonl.gz",
        (
            {"id": f"common_voice_ja_{number}.mp3", "model": "whisper-tiny", "reference": text, "hypothesis": hypothesis}
            for number, (text, hypothesis) in enumerate(zip(texts, heard, strict=True))
        ),
    )
    labels = [f"{number}\ttiny\t{number % 2}\n" for number in range(len(texts))]
    (folder / "transcript_labels.tsv").write_text("clip\tmodel\tsame\n" + "".join(labels), "utf-8")
    _write_jsonl(
        folder / "utterances.jsonl.gz",
        (
            {"text": f"{text}{other}", "speech_duration": 0.1 * (len(text) + len(other))}
            for text in texts
            for other in texts[:20]
        ),
    )


def _is_readable(image: bytes) -> bool:
    try:
        Image.open(BytesIO(image)).load()
    except OSError:
        return False
    return True


def _write_shards(folder: Path) -> None:
    """Shards of images and of recordings, as a build writes them."""
    images = [body for name, body in _tar_files(SAMPLES / "image-text-ja.tar").items() if name.endswith(".jpg")]
    recordings = _tar_files(SAMPLES / "speech-ja.tar").items()
    contents = {
        "image": list(filter(_is_readable, images)),
        "audio": [body for name, body in recordings if name.startswith("plain") and name.endswith(".flac")][:8],
    }
    for name, column in (("images", "image"), ("audio", "audio")):
        out = folder / name / "data" / "train-00000-of-00001.parquet"
        out.parent.mkdir(parents=True)
        rows = [{"bytes": body, "path": f"{number}"} for number, body in enumerate(contents[column])]
        pl.DataFrame({column: rows}).write_parquet(out, row_group_size=8)
