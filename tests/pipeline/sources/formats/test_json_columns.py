"""Lines of JSON as columns: what is read at once is what is read line by line, and what a broken line is called."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.formats import json_columns
from pipeline.sources.formats.columns import MISFIT, PROBLEM
from pipeline.sources.formats.json_columns import parse_lines
from pipeline.sources.formats.json_values import DEEPEST, LineError, convert_value, parse_line
from pipeline.sources.text.dividers import LINES, find_documents

KINDS = {"url": pl.String(), "date": pl.String(), "n": pl.Int64(), "f": pl.Float64(), "b": pl.Boolean(), "small": pl.Int8()}

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-200, 200), st.integers(), st.floats(), st.text(max_size=8),
    st.sampled_from(["true", "5", "1.5", "-0", "１", "Inf", "NaN, Inf] -NaN", "{[" * 150, "\ud800", "\\", '"']),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=5
)
KEYS = st.sampled_from(["text", *KINDS, "x", "テ"])
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=6)
SOUND = st.fixed_dictionaries(
    {"text": st.text(max_size=10)},
    optional={
        "url": st.none() | st.text(max_size=5), "date": st.booleans() | st.integers() | st.floats(),
        "n": st.none() | st.integers(-(2**63), 2**63 - 1), "f": st.floats(allow_infinity=False),
        "b": st.none() | st.booleans(), "small": st.integers(-128, 127),
    },
)  # fmt: skip
TEXTS = '"text"|"text":"a"|"n":|null|NaN|-NaN|Inf|-Infinity|1e999|01|{"text":"b"}|}{|\\ud83d\\ude00|\\ud800|\\u0000'.split("|")
BYTES = [b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"9" * 400, *(bytes([byte]) for byte in b'{}[],:" \t\r\n\0')]
PIECES = st.sampled_from([*map(str.encode, TEXTS), *BYTES])


@st.composite
def lines_of_json(draw):
    lines = []
    for value in draw(st.lists(st.one_of(OBJECTS, SOUND, SOUND, SOUND), max_size=6)):
        line = json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
        if draw(st.integers(0, 9)) == 0:
            at = draw(st.integers(0, len(line)))
            line = line[:at] + draw(PIECES) + line[at + draw(st.integers(0, 2)) :]
        lines.append(draw(st.sampled_from([b"", b"", b"", b" ", b"\xef\xbb\xbf"])) + line)
    return draw(st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n"])).join(lines) + draw(st.sampled_from([b"", b"\n"]))


def parse(raw, kinds=KINDS, text="text"):
    return parse_lines(find_documents(LINES, np.frombuffer(raw, np.uint8), 2**62), text, kinds)


def parse_singly(raw, kinds=KINDS, text="text"):
    """Return what the definition says of every line."""
    rows = []
    for line in raw.split(b"\n"):
        if line := line.removesuffix(b"\r"):
            try:
                rows.append(parse_line(line, text, kinds) | {PROBLEM: None})
            except LineError as error:
                rows.append(
                    {**dict.fromkeys(kinds), **error.values, text: line.decode("utf-8", "replace"), PROBLEM: str(error)}
                )
    return rows


@given(raw=lines_of_json(), chunk=st.sampled_from([1, 60, 2 << 20]))
@settings(max_examples=250, deadline=None)
def test_lines_are_what_the_definition_says(raw, chunk):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_columns, "_CHUNK", chunk)
        frame = parse(raw)
    expected = parse_singly(raw)
    misfits = {name for row in expected for name in row if name.startswith(MISFIT)}
    assert dict(frame.schema) == {"text": pl.String, **KINDS, PROBLEM: pl.String, **dict.fromkeys(misfits, pl.String)}
    names = sorted(frame.columns)
    assert [repr(row) for row in frame.select(names).rows()] == [repr(tuple(map(row.get, names))) for row in expected]


@given(values=st.lists(SOUND, min_size=1, max_size=5), ensure_ascii=st.booleans())
@settings(max_examples=60, deadline=None)
def test_sound_lines_are_read_at_once(values, ensure_ascii):
    raw = "\n".join(
        json.dumps(value | {"x": [{"y": None}], "date": None}, ensure_ascii=ensure_ascii) for value in values
    ).encode()
    lines = find_documents(LINES, np.frombuffer(raw, np.uint8), 2**62)
    parsed = json_columns._parse_quickly(lines, "text", KINDS)
    assert parsed is not None and parsed.text.to_pylist() == [value["text"] for value in values]


@pytest.mark.parametrize("values", [[1, -2, None, 2**62], [True, None, False]])
def test_numbers_and_booleans_as_strings_are_read_at_once(values):
    raw = "\n".join(json.dumps({"text": "a", "url": value}) for value in values).encode()
    lines = find_documents(LINES, np.frombuffer(raw, np.uint8), 2**62)
    parsed = json_columns._parse_quickly(lines, "text", {"url": pl.String()})
    assert parsed is not None
    assert parsed.frame["url"].to_list() == [None if value is None else json.dumps(value) for value in values]


BROKEN = {
    b"{": "not JSON: Expecting property name",
    b'{"text": "a",}': "not JSON",
    b'{"text": "a"} {"text": "b"}': "not JSON: more follows after the first value, at character 15; a line is one object",
    b'{"text": "a"}{"text": "b"}': "more follows",
    b'[{"text": "a"}]': "no JSON object but a list",
    b"null": "no JSON object but null",
    b'"text"': "no JSON object but a string",
    b"   ": "there is nothing in it but spaces",
    b"{}": "no text: it has no key 'text', but none at all",
    b'{"body": "a", "url": "b"}': "no text: it has no key 'text', but 'body', 'url'",
    b'{"text": null}': "no text: 'text' is null",
    b'{"text": 1}': "no text: 'text' is a number",
    b'{"text": true}': "no text: 'text' is a boolean",
    b'{"text": ["a"]}': "no text: 'text' is a list",
    b'{"text": {"a": "b"}}': "no text: 'text' is an object",
    b'{"text": "a", "text": "b"}': "the key 'text' is there twice",
    b'{"text": "\\ud800"}': "'text' has half a surrogate pair",
    b'{"text": "a\xff"}': "invalid UTF-8: byte 0xFF at 11 of 14",
    b'{"text": "a", "x": "\xff"}': "invalid UTF-8",
    b'{"text": "a\tb"}': "not JSON: Invalid control character",
    b'{"text": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}": f"more than {DEEPEST} levels",
    b'{"\\ud800": "a"}': "no text: it has no key 'text', but '\\ud800'",
}


@pytest.mark.parametrize("text", ["null", "1", '"\\ud800"', None])
def test_a_line_without_text_keeps_its_other_values(text):
    """A record's own id is in the ledger, whatever is wrong with its text. What is no JSON has no values."""
    own = '"url": "https://a.jp/1", "n": 7, "f": "x"' + (f', "text": {text}' if text else "")
    frame = parse(f'{{"text": "before", "n": 1}}\n{{{own}}}\n{{{own}\n'.encode())
    assert frame["url"].to_list() == [None, "https://a.jp/1", None] and frame["n"].to_list() == [1, 7, None]
    assert frame[f"{MISFIT}f"].to_list() == [None, '"x"', None] and frame[PROBLEM].is_null().to_list() == [True, False, False]


@pytest.mark.parametrize(("line", "problem"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_line_costs_itself_alone(line, problem):
    sound = b'{"text": "before", "n": 1}\n', b'\n{"text": "after", "n": 2}\n'
    frame = parse(sound[0] + line + sound[1])
    assert frame["text"].to_list()[::2] == ["before", "after"] and frame["n"].to_list() == [1, None, 2]
    assert frame[PROBLEM].is_null().to_list() == [True, False, True]
    assert problem in frame[PROBLEM][1]
    assert frame["text"][1] == line[:4096].decode("utf-8", "replace")  # for the ledger's excerpt


MISFITS = {
    b'"url": "\\udc00"': '"\N{REPLACEMENT CHARACTER}"',
    b'"f": 1e999': "Infinity",
    b'"url": 1e999': "Infinity",
    b'"url": [NaN]': "[NaN]",
    b'"f": ' + b"9" * 5000: "Infinity",
    b'"n": ' + b"9" * 5000: "Infinity",
    b'"n": "\\ud800"': '"\N{REPLACEMENT CHARACTER}"',
    b'"n": 1.5': "1.5",
    b'"n": "N/A"': '"N/A"',
    b'"n": 99999999999999999999': "99999999999999999999",
    b'"b": 2': "2",
    b'"n": "\xef\xbc\x95"': '"５"',
    b'"f": "\xd9\xa3.5"': '"٣.5"',
    b'"f": []': "[]",
}


@pytest.mark.parametrize(("cell", "shown"), MISFITS.items(), ids=range(len(MISFITS)))
def test_a_value_that_does_not_fit_its_column_is_null_and_shown(cell, shown):
    """The text beside it is kept."""
    frame = parse(b'{"text": "before", "n": 1}\n{"text": "a", ' + cell + b'}\n{"text": "after", "n": 2}\n')
    name = json.loads(b"{" + cell.partition(b":")[0] + b": 0}").popitem()[0]
    assert frame["text"].to_list() == ["before", "a", "after"] and frame[PROBLEM].null_count() == 3
    assert frame[name][1] is None and frame[f"{MISFIT}{name}"].to_list() == [None, shown, None]
    assert frame["n"].to_list() == [1, None, 2]


WELL = {
    b'{"text": "a"}': {"text": "a", "url": None, "n": None},
    b'\xef\xbb\xbf{"text": "a"}': {"text": "a"},
    b' \t{"text": "a"}\t ': {"text": "a"},
    b'{"te\\u0078t": "\\ud83d\\ude00\\u0000"}': {"text": "\U0001f600\0"},
    b'{"text": "", "url": ""}': {"text": "", "url": ""},
    b'{"text": "a", "x": NaN, "y": -Infinity}': {"text": "a"},
    b'{"text": "a", "x": "\\ud800"}': {"text": "a"},  # nobody wants that value
    b'{"text": "a", "x": 1, "x": 2}': {"text": "a"},
    b'{"text": "a", "x": 1e999}': {"text": "a"},
    b'{"text": "a", "x": ' + b"9" * 5000 + b"}": {"text": "a"},
    b'{"text": "a", "url": NaN, "n": NaN, "f": 1}': {"text": "a", "url": None, "n": None},
    b'{"text": "a", "url": {"b": [1, "\xe3\x81\x82"]}}': {"url": '{"b":[1,"あ"]}'},
    b'{"text": "a", "url": 5}': {"url": "5"},
    b'{"text": "a", "url": false}': {"url": "false"},
    b'{"text": "a", "n": "12", "f": "1.5e3", "b": "true"}': {"n": 12, "f": 1500.0, "b": True},
    b'{"text": "a", "n": 5.0, "f": 5, "small": true}': {"n": 5, "f": 5.0, "small": 1},
}  # fmt: skip


@pytest.mark.parametrize(("line", "values"), WELL.items(), ids=range(len(WELL)))
def test_what_a_line_says(line, values):
    row = parse(line + b"\n").row(0, named=True)
    assert row[PROBLEM] is None
    assert {name: row[name] for name in values} == values


def test_a_file_without_lines_has_the_columns():
    assert parse(b"\n\n").schema == {"text": pl.String, **KINDS, PROBLEM: pl.String}


@given(value=VALUES, kind=st.sampled_from([*KINDS.values(), pl.Float32(), pl.UInt64()]))
@settings(deadline=None)
def test_a_value_fits_its_column_or_is_refused(value, kind):
    try:
        converted = convert_value(value, kind, "x")
    except LineError:
        return
    assert len(pl.Series([converted], dtype=kind)) == 1
    assert (converted is None) == (value is None)


def test_as_many_levels_as_are_allowed_are_read():
    """The object is a level, too; brackets beside one another are no levels."""

    def nest(levels: int) -> bytes:
        return b'{"text": "a", "y": [' + b"[], {}, " * DEEPEST + b'1], "x": ' + b"[" * levels + b"]" * levels + b"}"

    assert parse_line(nest(DEEPEST - 1), "text", {})["text"] == "a"
    with pytest.raises(LineError, match=f"more than {DEEPEST} levels"):
        parse_line(nest(DEEPEST), "text", {})
