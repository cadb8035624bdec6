"""What a file is by its first bytes, over heads as they come and heads that mislead."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import shlex
import sys
import tarfile
import zipfile

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.sources.text.sniffing import HEAD_BYTES, JSON_ARRAY, JSON_OVER_LINES, JSON_VALUES, PLAIN_TEXT, XML, sniff_format

PROSE = "吾輩は猫である。名前はまだ無い。\nどこで生れたかとんと見当がつかぬ。\n"
PAGE = {"text": PROSE, "url": "https://example.com/猫", "timestamp": "2019-04-25T12:57:54Z"}


def as_lines(*values, ensure_ascii=False):
    return "".join(json.dumps(value, ensure_ascii=ensure_ascii) + "\n" for value in values).encode()


def make_parquet():
    out = io.BytesIO()
    pl.DataFrame({"text": [PROSE]}).write_parquet(out)
    return out.getvalue()


def make_arrow(new):
    table = pa.table({"text": [PROSE]})
    out = io.BytesIO()
    with new(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def make_tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("a.txt")
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    return out.getvalue()


def make_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.txt", "abc")
    return out.getvalue()


READ = {
    "jsonl": [
        as_lines(PAGE, PAGE),
        as_lines(PAGE, ensure_ascii=True),
        as_lines({"text": "a"}),
        as_lines({"text": "a"})[:-1],
        as_lines({}),
        as_lines({"text": None, "n": [1, {"a": 2}]}, PAGE),
        b"\xef\xbb\xbf" + as_lines(PAGE),
        b"\n\n" + as_lines(PAGE),
        as_lines(PAGE).replace(b"\n", b"\r\n"),
        as_lines({"text": "あ" * HEAD_BYTES})[:HEAD_BYTES],  # a line that goes on beyond the head
        as_lines(PAGE)[:40] + b"\n" + as_lines(PAGE, PAGE),  # the first line is torn
        b'{"text": "a"} {"text": "b"}\n' + as_lines(PAGE),
        b'{"text": "a\tb"}\n' + as_lines(PAGE),
        b'{"text": "{", "list": [\n' + as_lines(PAGE)[:0] + as_lines(PAGE),  # torn after a bracket, and whole lines follow
        as_lines({"text": "<html><body>a</body></html>"}),
        as_lines({"index": "not CirrusSearch", "text": "a"}),
    ],
    "parquet": [make_parquet()],
    "arrow": [make_arrow(pa.ipc.new_file), make_arrow(pa.ipc.new_stream)],
    "warc": [b"WARC/1.0\r\nWARC-Type: warcinfo\r\n\r\n", b"WARC/1.1\r\nWARC-Type: conversion\r\n", b"\r\n\r\nWARC/1.0\r\n"],
    "wikipedia-xml": [
        b'<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="ja">\n  <siteinfo>',
        b'<?xml version="1.0" encoding="utf-8"?>\n<mediawiki>\n',
        b"<!-- a comment -->\n<mediawiki>",
    ],
    "cirrussearch": [
        as_lines({"index": {"_type": "page", "_id": "5"}}, {"title": "アンパサンド", "text": PROSE}),
        as_lines({"index": {"_type": "_doc", "_id": 10}}, PAGE),
    ],
    "files": [
        b"<!DOCTYPE html>\n<html><head><title>a</title>",
        b"<!doctype HTML PUBLIC '-//W3C//DTD HTML 4.01//EN'>",
        b"\xef\xbb\xbf\n<html lang=ja>",
        b'<?xml version="1.0" encoding="Shift_JIS"?>\n<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">\n<html>',
        b"<!-- saved from url -->\n<!-- twice -->\n<HTML>\n",
        b"<html><meta charset=Shift_JIS><title>" + "日本語".encode("cp932"),
        b"<div>\n<p>a\n\n<p>b",
    ],
    "cc100": [
        (PROSE + "\n" + PROSE).encode(),
        (PROSE + "\n" + PROSE).replace("\n", "\r\n").encode(),
        (("あ" * 50 + "\n") * 3 + "\n" + PROSE * 1000).encode()[: HEAD_BYTES],  # cut inside a character
        "一行だけの文書".encode(),
        b"a\n",
        b"\n\na\n\n\n",
        "[広告] という見出しで始まる。\n\n次の文書\n".encode(),
        "[[リンク]]と書かれた文書\n\n次の文書\n".encode(),
        "{{出典の明記}} で始まる\n\n次\n".encode(),
        "<笑>と書かれた文書\n\n次の文書\n".encode(),
        b"a, b and c\n\nd, e and f\n",
        b"GIF8 is no image here, but the beginning of a text of ASCII, which goes on and on for long enough.\n\nb\n",
        (PROSE + "\n").encode() * 20 + b"\xff\xfe broken \x00\n\nb\n",
        b"abc \xff def\n\nghi\n",
        "ﾊﾝｶｸ ｶﾀｶﾅ ﾊﾞｶﾘ ﾉ ﾌﾞﾝｼｮ\n\nﾂｷﾞ\n".encode(),
    ],
}  # fmt: skip


@pytest.mark.parametrize(("name", "head"), [(name, head) for name, heads in READ.items() for head in heads])
def test_what_is_read_is_known_by_its_first_bytes(name, head):
    sniffed = sniff_format(head)
    assert (sniffed.name, sniffed.advice) == (name, "")
    assert sniffed.label


TOLD = {
    "an empty file": [b"", b"\n\n", b"  \r\n"],
    "an ARC, the format before WARC": [b"filedesc://a.arc.gz 0.0.0.0 20010101000000 text/plain 73\n1 0 Alexa\nURL IP-address\n"],
    JSON_ARRAY.label: [
        json.dumps([PAGE, PAGE]).encode(),
        json.dumps([PAGE, PAGE], indent=2).encode(),
        b"[\n" + b",\n".join(as_lines(PAGE).splitlines() * 2) + b"\n]\n",
        json.dumps(["a", "b"], indent=1).encode(),
        json.dumps([PAGE] * 2000).encode()[:HEAD_BYTES],
        json.dumps([[1, 2], [3]]).encode(),
    ],
    JSON_OVER_LINES.label: [
        json.dumps(PAGE, indent=2).encode(),
        json.dumps({"data": [PAGE]}, indent="\t").encode(),
        b'{"version": "1", "data": [\n  "a"',
        b'{\r\n  "text": "a"\r\n}\r\n{\r\n  "text": "b"\r\n}',
        b"{\n}",
    ],
    JSON_VALUES.label: [b'["a", 1]\n["b", 2]\n', b"[]\n[]\n"],
    PLAIN_TEXT.label: [
        PROSE.encode(),
        PROSE.encode() * 5000,
        ("文" * HEAD_BYTES).encode()[:HEAD_BYTES],
        PROSE.replace("\n", "\r\n").encode(),
        "彼は言った, と私は思う, たぶん\nそうだ, きっと\n".encode(),
    ],
    "TSV": ["id\ttext\n1\tあ\n2\tい\n".encode(), "あ\tい\r\nう\tえ\r\n".encode()],
    "CSV": [
        "\ufeff番号,本文,URL\r\n1,一行目の文書です。,http://a\r\n2,\"二つ, 一行に\",http://b\r\n3,あ,い\r\n".encode(),
        b"url,text\nhttps://example.com,abc\n",
        b'"id","text"\n1,"abc, def"\n',
        b'text,label\n"a\nb",1\n',
        b"\xef\xbb\xbfid,title,body\n1,a,b\n",
    ],
    "text in UTF-16": [PROSE.encode("utf-16"), b"\xfe\xff" + PROSE.encode("utf-16-be")],
    "text in UTF-16LE": [(PROSE * 5).encode("utf-16-le"), json.dumps(PAGE).encode("utf-16-le")],
    "text in UTF-16BE": [(PROSE * 5).encode("utf-16-be"), b"a,b\r\nc,d\r\n".decode().encode("utf-16-be")],
    "text in UTF-32": [PROSE.encode("utf-32")],
    "text in Shift_JIS": [
        PROSE.encode("cp932"),
        ("①㈱\n\n" + PROSE).encode("cp932"),
        (PROSE * 5000).encode("cp932")[: HEAD_BYTES - 1],
        as_lines(PAGE).decode().encode("cp932"),
        "ﾊﾝｶｸ と 全角 が まざる\n\n文書\n".encode("cp932"),
    ],
    "text in EUC-JP": [PROSE.encode("euc-jp"), (PROSE * 5000).encode("euc-jp")[: HEAD_BYTES - 1]],
    "text in ISO-2022-JP": [PROSE.encode("iso-2022-jp")],
    "text that is not UTF-8": ["Émile est allé à la forêt dès l'été.\n\nÇa va?\n".encode("latin-1")],
    "WikiExtractor's <doc> output": [b'<doc id="5" url="https://ja.wikipedia.org/wiki?curid=5" title="a">\n'],
    XML.label: [b'<?xml version="1.0"?>\n<rss version="2.0"><channel>', b"<!DOCTYPE tmx SYSTEM 'tmx14.dtd'>"],
    "a tar": [make_tar()],
    "a ZIP archive": [make_zip()],
    "PDF": [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"],
    "gzip inside another compression": [gzip.compress(b"abc" * 100, mtime=0)],
    "a Python pickle": [pickle.dumps(PAGE), pickle.dumps([PAGE], protocol=2)],
    "a PNG image": [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"],
    "RTF": [b"{\\rtf1\\ansi"],
    "TFRecord": [(300).to_bytes(8, "little") + b"\x12\x34\x56\x78\x0a\xa5\x02\n\xa2"],
    "binary": [bytes(range(1, 32)) * 100, b"\0\1\2\3" * 500, bytes(1000)[:100] + b"a"],
}  # fmt: skip


@pytest.mark.parametrize(("label", "head"), [(label, head) for label, heads in TOLD.items() for head in heads])
def test_what_is_not_read_is_told_with_a_way_out(label, head):
    sniffed = sniff_format(head)
    assert (sniffed.name, sniffed.label) == (None, label)
    assert sniffed.advice


def test_ambiguous_text_is_refused_with_both_commands():
    advice = sniff_format(PROSE.encode()).advice
    assert "--set source.format=lines" in advice and "--set source.format=files" in advice


@pytest.mark.parametrize("encoding", ["CP932", "EUC-JP", "ISO-2022-JP", "UTF-16"])
def test_the_advice_for_an_encoding_is_the_command(encoding):
    assert f"iconv -f {encoding} -t UTF-8 FILE" in sniff_format(PROSE.encode(encoding)).advice


@pytest.mark.parametrize(("name", "separator"), [("a b.csv", ","), ("a.tsv", "\t")])
def test_the_advice_for_a_table_is_the_command_and_the_build_after_it(monkeypatch, tmp_path, name, separator):
    """A cell that is no number, however late, costs nothing: whoever reads the columns says what they are."""
    rows = ["id\tscore\ttext", *(f"{i}\t{i / 10}\t文{i}" for i in range(300)), "300\tN/A\t終わり"]
    path = tmp_path / name
    path.write_text("\n".join(rows).replace("\t", separator) + "\n", "utf-8")
    words = shlex.split(sniff_format(path.read_bytes()).advice.partition(": ")[2].replace("FILE", shlex.quote(str(path))))
    assert words[:2] == ["python", "-c"] and words[3:] == [
        str(path), "&&", "python", "-m", "pipeline.build", "ja-web", "--input", f"{path}.parquet",
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["-c", str(path)])
    exec(words[2], {})
    table = pl.read_parquet(f"{path}.parquet")
    assert table["text"].to_list()[::300] == ["文0", "終わり"] and table["score"][-1] == "N/A" and len(table) == 301


@given(
    st.one_of(st.binary(max_size=600), st.text(max_size=200).map(str.encode)),
    st.sampled_from([b"", b"{", b"[", b"<", b'{"a": ']),
)
def test_anything_gets_an_answer(body, start):
    sniffed = sniff_format(start + body)
    assert sniffed.label and bool(sniffed.advice) == (sniffed.name is None)


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.one_of(st.text(), st.integers(), st.none()), min_size=1), min_size=1, max_size=4
    )
)
def test_lines_of_objects_are_json_lines(values):
    head = as_lines(*values)
    assert sniff_format(head).name == "jsonl"
    assert sniff_format(head[: max(len(head) - 3, 12)]).name in ("jsonl", None)
