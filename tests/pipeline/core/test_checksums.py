"""The list of checksums, in the notations that tools write."""

from __future__ import annotations

import hashlib

import pytest

from pipeline.core.checksums import read_sums

SUMS = {name: hashlib.sha256(name.encode()).hexdigest() for name in ("README.md", "data/a  b.parquet")}


@pytest.mark.parametrize("mark", [" ", "*"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_list_is_read_in_every_notation(tmp_path, mark, end, case):
    lines = "".join(f"{case(digest)} {mark}{name}{end}" for name, digest in SUMS.items())
    (tmp_path / "SHA256SUMS").write_bytes(lines.encode())
    assert read_sums(tmp_path) == SUMS


@pytest.mark.parametrize("line", ["abc  README.md\n", f"{'0' * 64} README.md\n", f"{'0' * 64}  README.md"])
def test_a_damaged_list_is_none(tmp_path, line):
    (tmp_path / "SHA256SUMS").write_text(line)
    assert read_sums(tmp_path) is None
