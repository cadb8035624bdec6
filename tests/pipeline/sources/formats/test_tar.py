import io
import os
import shutil
import subprocess
import tarfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.formats.tar import BLOCK, is_tar, list_members
from pipeline.sources.names import decode_name

KINDS = {
    tarfile.REGTYPE: "file", tarfile.LNKTYPE: "hard link", tarfile.SYMTYPE: "symbolic link", tarfile.CHRTYPE: "device",
    tarfile.BLKTYPE: "device", tarfile.DIRTYPE: "folder", tarfile.FIFOTYPE: "pipe",
}  # fmt: skip
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
PART = st.text(st.sampled_from("ab.~ 犬é🐕\n\u3000"), min_size=1, max_size=6)
NAME = st.one_of(
    PART,
    st.lists(PART, min_size=1, max_size=4).map("/".join),
    st.integers(95, 300).map(lambda n: "k" * n),
    st.integers(30, 120).map(lambda n: "犬" * n + ".jpg"),
    st.integers(60, 90).map(lambda n: "d" * n + "/" + "f" * n),
    st.sampled_from(["../../etc/passwd", "/etc/passwd", "./000.jpg", "a/../b.jpg", ".jpg", "a\\b.jpg"]),
)
MEMBER = st.tuples(
    NAME, st.one_of(st.sampled_from([0, 1, 511, 512, 513, 1024]), st.integers(0, 3000)), st.sampled_from([*KINDS])
)


def pack(listing, form=tarfile.PAX_FORMAT, end=True):
    """A tar of members (name, size, type), as Python writes it."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, size, kind in listing:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, size if kind == tarfile.REGTYPE else 0
            info.linkname = "../" * 10 + "etc/passwd" if kind in (tarfile.LNKTYPE, tarfile.SYMTYPE) else ""
            tar.addfile(info, io.BytesIO(b"\xff" * size))
        length = tar.offset
    return out.getvalue() if end else out.getvalue()[:length]


def as_tarfile(raw):
    """What Python says of a tar: (name, where the data begin, size, kind) of every member."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return [(m.name, m.offset_data, m.size if m.isreg() else 0, KINDS[m.type]) for m in tar]


def walk(raw):
    found, damage = list_members(memoryview(raw))
    return [(m.name.rstrip("/") if m.kind == "folder" else m.name, m.offset, m.size, m.kind) for m in found], damage


def patched(header, at, field):
    """A header with a field written over, and its checksum put right."""
    header = header[:at] + field + header[at + len(field) :]
    total = sum(header[:148]) + sum(header[156:512]) + 8 * 32
    return header[:148] + b"%06o\0 " % total + header[156:]


def writable(form, name):
    try:
        pack([(name, 0, tarfile.REGTYPE)], form)
    except ValueError:  # too long for ustar
        return False
    return True


@pytest.mark.parametrize("form", FORMATS)
@given(listing=st.lists(MEMBER, max_size=6))
@settings(max_examples=60, deadline=None)
def test_members_are_those_that_python_finds(form, listing):
    listing = [entry for entry in listing if writable(FORMATS[form], entry[0])]
    raw = pack(listing, FORMATS[form])
    assert walk(raw) == (as_tarfile(raw), None)
    assert is_tar(raw[:BLOCK])


@pytest.mark.parametrize("form", FORMATS)
@given(listing=st.lists(MEMBER, min_size=1, max_size=4), data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_tar_cut_anywhere_gives_what_came_before_and_says_so(form, listing, data):
    listing = [entry for entry in listing if writable(FORMATS[form], entry[0])]
    raw, whole = pack(listing, FORMATS[form]), len(pack(listing, FORMATS[form], end=False))
    at = data.draw(st.one_of(st.integers(0, whole + BLOCK), st.integers(0, whole // BLOCK).map(lambda n: n * BLOCK)))
    found, damage = walk(raw[:at])
    assert found == [member for member in as_tarfile(raw) if member[1] <= at]
    if at >= whole + BLOCK:
        assert damage is None
    elif at < BLOCK:
        assert damage == "is not a tar"
    else:
        last = found[-1][1] + found[-1][2] if found else 0
        assert f"at byte {at:,}" in damage
        assert ("ends inside the member " + repr(found[-1][0]) in damage) if found and last > at else "ends" in damage


@given(listing=st.lists(MEMBER, max_size=4), data=st.data())
@settings(max_examples=100, deadline=None)
def test_no_bytes_make_it_fail(listing, data):
    raw = bytearray(pack(listing))
    for at in data.draw(st.lists(st.integers(0, len(raw) - 1), max_size=8)):
        raw[at] = data.draw(st.integers(0, 255))
    found, damage = list_members(memoryview(bytes(raw)))
    assert all(m.offset >= BLOCK and m.size >= 0 for m in found)
    # Only the last one may reach over the end, and then that is said.
    assert all(m.offset + m.size <= len(raw) for m in (found if damage is None else found[:-1]))


@pytest.mark.parametrize("form", FORMATS)
def test_a_damaged_header_is_named_by_its_place(form):
    raw = pack([("a.jpg", 700, tarfile.REGTYPE), ("b.jpg", 10, tarfile.REGTYPE), ("c.jpg", 10, tarfile.REGTYPE)], FORMATS[form])
    (first, second, _), _ = walk(raw)
    broken = bytearray(raw)
    broken[second[1] - BLOCK + 3] ^= 0x20
    found, damage = walk(bytes(broken))
    assert found == [first]
    assert damage == f"is damaged: there is no member's header at byte {second[1] - BLOCK:,}"
    broken = bytearray(raw)
    broken[3] ^= 0x20
    assert walk(bytes(broken)) == ([], "is not a tar")
    assert not is_tar(bytes(broken[:BLOCK]))


@pytest.mark.parametrize("raw", [b"", b"\0" * 100, b"not a tar at all" * 100, b"\xff\xd8\xff" * 300, b"x" * 512], ids=repr)
def test_what_is_no_tar(raw):
    assert walk(raw) == ([], "is not a tar")
    assert not is_tar(raw[:BLOCK])


def test_an_empty_tar_is_one():
    assert walk(pack([])) == ([], None)
    assert is_tar(pack([])[:BLOCK])


@given(first=st.lists(MEMBER, max_size=3), second=st.lists(MEMBER, max_size=3), end=st.booleans())
@settings(max_examples=60, deadline=None)
def test_tars_one_after_the_other_are_read_to_the_last(first, second, end):
    one, two = pack(first, end=end), pack(second)
    shifted = [(name, at + len(one), size, kind) for name, at, size, kind in as_tarfile(two)]
    assert walk(one + two) == ((as_tarfile(one) if one else []) + shifted, None)


def test_a_second_tar_that_is_cut_in_its_first_header():
    one = pack([("a.jpg", 5, tarfile.REGTYPE)])
    found, damage = walk(one + one[:300])
    assert [name for name, *_ in found] == ["a.jpg"]
    assert damage.startswith("ends without a tar's end mark")


def test_a_size_in_base_256():
    body = b"x" * 700
    header = tarfile.TarInfo("a.jpg").tobuf(tarfile.GNU_FORMAT)
    raw = patched(header, 124, b"\x80" + len(body).to_bytes(11, "big")) + body + b"\0" * (1024 - 700 + 1024)
    assert walk(raw) == ([("a.jpg", 512, 700, "file")], None) and walk(raw)[0] == as_tarfile(raw)
    info = tarfile.TarInfo("a.jpg")
    info.size = 20 << 30  # more than octal digits can say
    found, damage = walk(info.tobuf(tarfile.GNU_FORMAT) + body)
    assert found == [("a.jpg", 512, 20 << 30, "file")]
    assert damage == "ends inside the member 'a.jpg', at byte 1,212"


@pytest.mark.parametrize("field", [b"\x80" + b"\xff" * 11, b"\xff" * 12, b"-0000000001\0", b"0x000000010\0"])
def test_sizes_that_are_none(field):
    raw = patched(tarfile.TarInfo("a.jpg").tobuf(tarfile.GNU_FORMAT), 124, field) + b"\0" * 1024
    assert walk(raw) == ([], "is not a tar")


@pytest.mark.parametrize("field", [b"       1274\0", b"00000001274 ", b"1274\0garbag3", b"1274        "])
def test_sizes_as_other_tools_write_them(field):
    raw = patched(tarfile.TarInfo("a.jpg").tobuf(tarfile.USTAR_FORMAT), 124, field) + b"x" * 700 + b"\0" * (324 + 1024)
    assert walk(raw) == ([("a.jpg", 512, 700, "file")], None)


def test_a_size_in_a_pax_header_comes_before_the_header_s_own():
    # The body looks like a tar itself, so that the wrong size would show.
    body = pack([("inside.jpg", 300, tarfile.REGTYPE)])
    info = tarfile.TarInfo("a.jpg")
    info.pax_headers, info.size = {"size": str(len(body))}, 0
    raw = info.tobuf(tarfile.PAX_FORMAT) + body + pack([("b.jpg", 1, tarfile.REGTYPE)])
    assert walk(raw) == (as_tarfile(raw), None)
    assert [name for name, *_ in as_tarfile(raw)] == ["a.jpg", "b.jpg"]
    found, damage = walk(raw[: len(raw) - 12_000])
    assert [(name, size) for name, _, size, _ in found] == [("a.jpg", len(body))]
    assert "ends inside the member 'a.jpg'" in damage


@pytest.mark.parametrize("size", ["²", "", "-5", "9" * 5000, "１２", "1e3"])
def test_pax_sizes_that_are_none_are_passed_over(size):
    info = tarfile.TarInfo("a.jpg")
    info.pax_headers, info.size = {"size": size, "comment": "犬" * 3000}, 5
    raw = info.tobuf(tarfile.PAX_FORMAT) + b"12345" + b"\0" * (507 + 1024)
    (found,), damage = walk(raw)
    assert (found[0], found[2], damage) == ("a.jpg", 5, None)


def test_a_checksum_of_signed_bytes():
    header = patched(tarfile.TarInfo("犬.jpg").tobuf(tarfile.GNU_FORMAT), 0, "犬.jpg".encode())
    total = int(header[148:154], 8) - 256 * 3  # three bytes of the name are over 127
    raw = header[:148] + b"%06o\0 " % total + header[156:] + b"\0" * 1024
    assert walk(raw) == ([("犬.jpg", 512, 0, "file")], None) and as_tarfile(raw) == walk(raw)[0]


def test_names_that_are_not_utf8():
    raw = patched(tarfile.TarInfo("a.jpg").tobuf(tarfile.GNU_FORMAT), 0, "犬.jpg".encode("cp932")) + b"\0" * 1024
    (name, *_), *_ = walk(raw)[0]
    assert os.fsencode(name) == "犬.jpg".encode("cp932") and decode_name(name) == "犬.jpg"


def sparse(path, holes):
    """A file of `holes` holes, each before 4096 bytes."""
    with open(path, "wb") as file:
        for i in range(holes):
            file.seek(i * 65536 + 32768)
            file.write(bytes([i % 255 + 1]) * 4096)


@pytest.mark.skipif(
    not shutil.which("tar") or b"GNU" not in subprocess.run(["tar", "--version"], capture_output=True).stdout,
    reason="needs GNU tar",
)
@pytest.mark.parametrize(
    "form", [["gnu"], ["pax"], ["pax", "--sparse-version=0.0"], ["pax", "--sparse-version=0.1"]], ids="-".join
)
@pytest.mark.parametrize("holes", [1, 4, 5, 25, 26, 100])
def test_sparse_files_are_told(tmp_path, form, holes):
    (tmp_path / "a.jpg").write_bytes(b"a" * 700)
    sparse(tmp_path / "b.jpg", holes)
    (tmp_path / "c.jpg").write_bytes(b"c" * 10)
    command = ["tar", f"--format={form[0]}", *form[1:], "-S", "-cf", "x.tar", "a.jpg", "b.jpg", "c.jpg"]
    subprocess.run(command, cwd=tmp_path, check=True)
    raw = (tmp_path / "x.tar").read_bytes()
    found, damage = walk(raw)
    assert [(name, kind) for name, _, _, kind in found] == [("a.jpg", "file"), ("b.jpg", "sparse file"), ("c.jpg", "file")]
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        assert (damage, found[2][1]) == (None, tar.getmember("c.jpg").offset_data)
    _, at, size, _ = found[1]
    for end in (at + 1, at + BLOCK, at + size - 1):
        cut, damage = walk(raw[:end])
        assert [name for name, *_ in cut] == ["a.jpg", "b.jpg"]
        assert damage == f"ends inside the member 'b.jpg', at byte {end:,}"
