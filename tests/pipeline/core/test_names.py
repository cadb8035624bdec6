"""Which names can stand in ids and reports, and a user's home."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from pipeline.core.names import is_printable, make_printable
from pipeline.core.paths import expand_home, follow_parents
from pipeline.sources.inputs import resolve


@pytest.mark.parametrize(
    "name", ["全角　空白", "家族👨\u200d👩\u200d👧", "か\u3099", "a b%20#?[1]*{}", "\u00a0", "\ue000", "\u200f", "\ufeffa"]
)
def test_names_of_any_script_and_width_are_read(tmp_path, name):
    assert is_printable(name) and make_printable(name) == name
    (tmp_path / name).write_text("猫", "utf-8")
    (file,) = resolve([str(tmp_path / name)])
    assert file.name == name and Path(file.url).read_text("utf-8") == "猫"


@pytest.mark.parametrize(
    "name", ["a\nb", "\x1b[2J", "a\x85b", "\u2028", "\u202e", b"\x83\x5c.txt".decode("utf-8", "surrogateescape")]
)
def test_names_that_break_lines_or_are_no_utf8_are_refused(tmp_path, name):
    assert not is_printable(name) and is_printable(make_printable(name))
    (tmp_path / name).write_text("猫", "utf-8")
    with pytest.raises(UsageError, match="in UTF-8 without control characters"):
        resolve([str(tmp_path / name)])


@given(st.text())
def test_what_was_made_printable_is(text):
    assert is_printable(make_printable(text)) and len(make_printable(text)) == len(text)


def test_a_user_without_a_home(monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(UsageError, match="no home folder"):
        expand_home("~/corpora")
    assert expand_home("corpora/~x") == Path("corpora/~x")


def test_parents_of_what_a_link_leads_to(tmp_path):
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "a" / "deep")
    assert follow_parents(tmp_path / "link" / ".." / "x") == tmp_path / "a" / "x"
    assert follow_parents(tmp_path / "link" / "..") == tmp_path / "a"
    assert follow_parents(tmp_path / "a" / ".." / "link") == tmp_path / "link"  # which may be meant itself
    assert follow_parents(tmp_path / "link" / "x") == tmp_path / "link" / "x" and follow_parents(Path("x")) == Path("x")
