"""Promise 4: input is conserved in bytes. What is cut, appended to or replaced while it is read makes no corpus."""

import gzip
import hashlib
import os
import tarfile
import threading
import time

import pytest

from pipeline.core.errors import BuildError, ChangedInputError, UsageError
from pipeline.core.ownership import STATE_FOLDER
from pipeline.manifest.loading import load
from pipeline.plan import Plan
from pipeline.sources import SOURCES
from pipeline.sources.base import CutState
from pipeline.sources.inputs import resolve
from pipeline.sources.streams import Stream
from pipeline.steps.conservation import find_changed, guard_inputs
from pipeline.steps.cut import cut_unit, group_files, load_partitions, record_partition, store_bodies
from pipeline.workspace import Part
from tests.support.builds import hash_outputs, read_ledger
from tests.support.formats import FORMATS, make_jsonl, make_parquet
from tests.support.images import add_member, draw_picture, encode_image, make_caption
from tests.support.texts import make_sentences

DOCUMENTS = [make_sentences(f"promise {i}") for i in range(40)]
MANIFEST = load("ja-web", ["source.partition=2 KB"])
# What stands between records and is none: the head and the end of a dump, the lines that tell a search index what to do.
NO_RECORDS = {"pages-articles.xml.bz2": (b"<mediawiki", b"</mediawiki>"), "cirrussearch-content.json.gz": b'{"index":'}


def append(path):
    with open(path, "ab") as file:
        file.write(path.read_bytes()[-200:])


def cut_short(path):
    os.truncate(path, path.stat().st_size - 200)


def replace_alike(path):
    """Put another file in its place, of the same size and the same time of change."""
    status, other = path.stat(), path.with_name("other")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    other.write_bytes(content)
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(other, path)


CHANGES = (append, cut_short, replace_alike)


@pytest.mark.parametrize("name", FORMATS)
def test_ranges_tile_an_input_without_gap_or_overlap(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(FORMATS[name](DOCUMENTS))
    (file,) = resolve([str(path)])
    state = CutState(2000, 1 << 20)
    pieces = [piece for piece, _ in SOURCES["text"].cut(file, 0, state)]
    assert len(pieces) > 2
    if name.endswith((".parquet", ".arrow")):
        assert [piece.start for piece in pieces] == [0, *(piece.end for piece in pieces[:-1])]
        assert pieces[-1].end == len(DOCUMENTS)  # of rows
        return
    stored = path.read_bytes() if name.endswith(".warc.gz") else read_all(file)  # whose ranges are of members
    edges = [0, *(edge for piece in pieces for edge in (piece.start, piece.end)), len(stored)]
    assert edges == sorted(edges)
    between = {stored[first:last].strip() for first, last in zip(edges[::2], edges[1::2], strict=True)}
    assert all(gap == b"" or gap.startswith(NO_RECORDS.get(name, b"no gap")) for gap in between), between
    assert sum(piece.end - piece.start for piece in pieces) + sum(edges[1::2]) - sum(edges[::2]) == len(stored)
    assert state.checksum == hashlib.sha256(path.read_bytes()).hexdigest()


def test_ranges_of_images_tile_an_archive(pair_archive):
    (file,) = resolve([str(pair_archive)])
    state = CutState(6000, 1 << 20)
    pieces = [piece for piece, _ in SOURCES["image-text"].cut(file, 0, state)]
    assert len(pieces) > 2 and [piece.start for piece in pieces] == [0, *(piece.end for piece in pieces[:-1])]
    with tarfile.open(pair_archive) as tar:
        images = [member.size for member in tar if member.name.endswith(".jpg")]
    assert pieces[-1].end == state.size == sum(images) + len(images) and sum(piece.records for piece in pieces) == len(images)


def read_all(file):
    stream = Stream(file)
    content = b"".join(iter(lambda: stream.read(1 << 20), b""))
    stream.close()
    return content


def begin_cutting(path, folder):
    """Cut the first partition of a file, store it, and return what cuts the others."""
    (unit,) = group_files(resolve([str(path)]), MANIFEST.source)
    (folder / "raw").mkdir(parents=True)
    cutting = cut_unit(MANIFEST, unit, folder, None)
    partition, bodies = next(cutting)
    record_partition(folder, partition, store_bodies(Part(folder, partition.name), bodies))
    return cutting


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_cut_is_refused_in_every_format(tmp_path, change):
    for name in FORMATS:
        folder, path = tmp_path / f"work-{name}", tmp_path / name
        path.write_bytes(FORMATS[name](DOCUMENTS))
        cutting = begin_cutting(path, folder)
        assert len(load_partitions(folder, 0)) == 1
        change(path)
        with pytest.raises(ChangedInputError, match=f"{name} .*run the same command again"):
            for partition, bodies in cutting:
                record_partition(folder, partition, store_bodies(Part(folder, partition.name), bodies))
        # Nothing of it is left for a build that finds the file as it was.
        assert load_partitions(folder, 0) == [] and not [p for p in folder.rglob("*") if p.is_file()], name


def test_identity_tells_a_file_from_one_of_the_same_size_and_time(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(make_jsonl(DOCUMENTS))
    before = resolve([str(path)])[0]
    assert resolve([str(path)])[0] == before
    replace_alike(path)
    after = resolve([str(path)])[0]
    assert (after.size, path.stat().st_mtime_ns) == (before.size, int(before.identity.split("-")[1]))
    assert after.identity != before.identity


# -- over HTTP


@pytest.mark.parametrize("with_versions", [True, False], ids=["etag", "size alone"])
def test_another_version_on_the_server_is_noticed(server, with_versions):
    """The second request of content meets another file: with another ETag, or with another size where there are no ETags."""
    server.versions = with_versions
    old = make_jsonl(DOCUMENTS) * 600  # two blocks of what a request asks for
    new = old[:-1] + b" " if with_versions else old + old[-300:]
    assert len(old) > 9 << 20

    def replace(number):
        if number == before + 3:  # after a look at its size, and one block
            server.files["a"] = new

    server.files["a"] = old
    before = len(server.requests) + 1
    (file,) = resolve([f"{server.url}/a"])
    server.before = replace
    with pytest.raises(ChangedInputError, match="/a has changed since the build began"):
        stream = Stream(file)
        while stream.read(1 << 20):
            pass
        stream.checksum()
    assert server.files["a"] == new


def test_a_table_on_a_server_that_is_replaced_between_ranges(server):
    table = make_parquet(DOCUMENTS)
    server.files["a.parquet"] = table
    (file,) = resolve([f"{server.url}/a.parquet"])
    source = SOURCES["parquet"]
    (first, *others) = [piece for piece, _ in source.cut(file, 0, CutState(2000, 1 << 20))]
    source.read(first, file, None, MANIFEST.source.fields)
    other = bytearray(table)
    other[100] ^= 1
    server.files["a.parquet"] = bytes(other)
    with pytest.raises(ChangedInputError, match="ETag was"):
        source.read(others[-1], file, None, MANIFEST.source.fields)


# -- what is read along


def test_what_is_read_along_is_part_of_the_input(tmp_path):
    """Companions, folders of content, sidecars: a change of any is a change of the input that it belongs to."""
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    (pairs / "captions.jsonl").write_text('{"file_name": "a.jpg", "text": "猫"}\n', "utf-8")
    images = tmp_path / "images"
    images.mkdir()
    for number in range(3):
        (images / f"{number}.jpg").write_bytes(encode_image(draw_picture(number)))
    listed = tmp_path / "list.tsv"
    listed.write_text("path\tcaption\n" + "".join(f"{n}.jpg\t{make_caption(n)}\n" for n in range(3)), "utf-8")
    tar_folder = tmp_path / "speech"
    tar_folder.mkdir()
    (tar_folder / "a.tar").write_bytes(bytes(10240))
    (tar_folder / "a.tsv").write_text("a/1.flac\tこんにちは\n", "utf-8")
    (tar_folder / "a.tar").touch()
    cases = (
        ("image-text-ja", listed, [f"source.images={images}"], images / "1.jpg"),
        ("speech-ja", tar_folder, [], tar_folder / "a.tsv"),
    )
    forgotten: list[set[str]] = []
    for name, pattern, overrides, companion in cases:
        manifest = load(name, overrides)
        files = SOURCES[manifest.source.format].find_inputs([str(pattern)], **manifest.source.options)
        plan = Plan(manifest, tuple(files), tmp_path / "out", tmp_path / "work", None, (str(pattern),))
        assert find_changed(plan) == []
        append(companion)
        ((_, error),) = find_changed(plan)
        assert "has changed since the build began" in str(error) and "read along" in str(error)
        for said in (BuildError("it is damaged"), UsageError("it has no such column")):  # of an input that is another by now
            with pytest.raises(ChangedInputError, match=rf"(?s)read along.*\({said}\)"), guard_inputs(plan, forgotten.append):
                raise said
        again = SOURCES[manifest.source.format].find_inputs([str(pattern)], **manifest.source.options)
        assert (
            Plan(manifest, tuple(again), tmp_path, tmp_path).fingerprints != plan.fingerprints
        )  # no later build uses its parts
        companion.unlink()
        assert find_changed(plan), name
    assert len(forgotten) == 2 * len(cases) and all(forgotten)


def test_files_that_the_manifest_names_are_part_of_the_input(tmp_path):
    path, blocked = tmp_path / "a.jsonl", tmp_path / "mine.txt"
    path.write_bytes(make_jsonl(DOCUMENTS))
    blocked.write_text("a.example\n")
    manifest = load("ja-web", [f'urls.block=["{blocked}"]', 'rules.url_list={none_of = ["mine"]}'])
    plan = Plan(manifest, tuple(resolve([str(path)])), tmp_path / "out", tmp_path / "work", None, (str(path),))
    assert plan.fingerprints["measure"]  # taken as the build begins
    forgotten: list[set[str]] = []
    with guard_inputs(plan, forgotten.append):
        pass
    with (
        pytest.raises(ChangedInputError, match=r"a file that the manifest names has changed .*mine\.txt"),
        guard_inputs(plan, forgotten.append),
    ):
        blocked.write_text("a.example\nb.example\n")
    assert forgotten == [set()]  # what was measured with either is of no use


def test_links_in_a_folder_of_content_are_named(tmp_path):
    """They are not followed, in folders of images and recordings as in those of text."""
    for name, suffix, content in (("image-text-ja", "jpg", encode_image(draw_picture(1))), ("speech-ja", "wav", b"RIFF")):
        folder = tmp_path / suffix
        folder.mkdir()
        (folder / f"a.{suffix}").write_bytes(content)
        (folder / f"b.{suffix}").symlink_to(folder / f"a.{suffix}")
        (file,) = SOURCES[load(name).source.format].find_inputs([str(folder)])
        assert file.note is not None and f"b.{suffix} is not read: links" in file.note
    listed = tmp_path / "list.tsv"
    listed.write_text(f"path\tcaption\na.jpg\t{make_caption(1)}\n", "utf-8")
    (file,) = SOURCES["image-text"].find_inputs([str(listed)], images=str(tmp_path / "jpg"))
    assert "b.jpg is not read: links" in str(file.note)


# -- whole builds


def test_a_build_whose_input_changes_publishes_nothing_and_goes_on_when_it_is_whole(build, server, tmp_path):
    """One input is read from a server, whose answer is the moment at which the other, a local file, is written to."""
    server.files["far.jsonl"] = gzip.compress(make_jsonl(DOCUMENTS[:20]), mtime=0)
    near, out = tmp_path / "near.jsonl", tmp_path / "out"
    near.write_bytes(make_jsonl(DOCUMENTS[20:30]))

    grown = []

    def write_meanwhile(number):
        if (out / STATE_FOLDER / "inputs.json").exists() and not grown:  # the build has begun, and reads
            grown.append(number)
            with open(near, "ab") as file:
                file.write(make_jsonl(DOCUMENTS[30:]))

    options = ("ja-web", "--input", f"{server.url}/far.jsonl", "--input", near, "--set", "source.partition=2 KB")
    server.before = write_meanwhile
    done = build(*options, "--out", out)
    assert grown
    assert done.returncode == 1, done.stdout
    assert f"{near} has changed since the build began" in done.stderr and "run the same command again" in done.stderr
    assert not (out / "data").exists() and not (out / "README.md").exists()
    again = build(*options, "--out", out)
    assert again.returncode == 0, again.stderr
    assert len(read_ledger(out)) == len(DOCUMENTS)
    assert build(*options, "--out", tmp_path / "fresh").returncode == 0
    assert hash_outputs(out) == hash_outputs(tmp_path / "fresh")


def test_content_that_changes_before_it_is_written_is_refused(build, pair_archive, tmp_path):
    """Images are read twice, where they lie: an archive that is replaced between the two makes no shards. Others are not read again."""
    out, other = tmp_path / "out", tmp_path / "others.tar"
    write_archive(other, range(20, 24))
    work = out / STATE_FOLDER / "work"

    def replace_meanwhile():
        while not [*work.glob("decide-*")] and time.monotonic() < deadline:
            time.sleep(0.002)
        replace_alike(pair_archive)

    deadline = time.monotonic() + 60
    thread = threading.Thread(target=replace_meanwhile, daemon=True)
    thread.start()
    options = ("laion-ja", "--input", other, "--input", pair_archive, "--out", out)
    done = build(*options)
    thread.join(60)
    assert done.returncode == 1, done.stdout
    assert f"{pair_archive} has changed since the build began" in done.stderr
    assert not (out / "data").exists() and not [*(out / STATE_FOLDER).glob("write-*/*")]
    (measured,) = work.glob("measure-*/part-00000-00000.parquet")
    before = measured.stat()
    assert build(*options).returncode == 0
    (again,) = work.glob("measure-*/part-00000-00000.parquet")
    assert again.parent != measured.parent and (again.stat().st_ino, again.stat().st_mtime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
    )
    assert len(read_ledger(out)) == 16


@pytest.fixture
def pair_archive(tmp_path):
    return write_archive(tmp_path / "pairs.tar", range(12))


def write_archive(path, numbers):
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            add_member(tar, f"{number:03}.jpg", encode_image(draw_picture(number)))
            add_member(tar, f"{number:03}.txt", make_caption(number).encode())
    return path
