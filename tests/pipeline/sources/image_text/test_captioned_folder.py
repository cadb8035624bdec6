import json
import os
import unicodedata
from pathlib import Path

from pipeline.sources.folders import RENAME
from tests.pipeline.sources.helpers import BOM, pick, problems
from tests.pipeline.sources.image_text.helpers import (
    SOURCE,
    pick_pairs,
    read_pairs,
)


def test_a_folder_of_images(tmp_path):
    folder = tmp_path / "写真"
    (folder / "b").mkdir(parents=True)
    for name in ("1.jpg", "2.PNG", "3.jpg", "4.jpg", "b/1.jpg", "b/5.jpg", "b/改\n行.jpg"):
        (folder / name).write_bytes(name.encode())
    (folder / "1.txt").write_bytes(BOM + "一".encode())
    (folder / "3.txt").write_bytes(b"\xff")
    (folder / "4.txt").symlink_to(folder / "1.txt")
    (folder / "b" / "1.txt").write_text("枝の一")
    (folder / "link.jpg").symlink_to(folder / "1.jpg")
    (folder / "notes.pdf").write_bytes(b"x")
    (folder / "metadata.jsonl").write_text(
        '{"file_name": "2.PNG", "text": "二"}\n{"file_name": "../../etc/passwd", "text": "x"}\n{broken\n'
    )
    (folder / "b" / "metadata.csv").write_text('file_name,caption\n5.jpg,"五\n行"\n')
    (file,) = SOURCE.find_inputs([str(folder)])
    assert file.name == "写真"
    result = read_pairs(file)
    assert pick_pairs(result.rows) == [
        ("1.jpg", "一", b"1.jpg"), ("2.PNG", "二", b"2.PNG"), ("3.jpg", "\ufffd", None), ("4.jpg", None, b"4.jpg"),
        ("b/1.jpg", "枝の一", b"b/1.jpg"), ("b/5.jpg", "五\n行", b"b/5.jpg"), ("b/改\ufffd行.jpg", None, "b/改\n行.jpg".encode()),
        ("../../etc/passwd", "x", None), ("metadata.jsonl:0000000002", None, None),
    ]  # fmt: skip
    assert problems(result.rows) == {
        "3.jpg": "caption: invalid UTF-8: byte 0xFF at 0 of 1",
        "../../etc/passwd": "no image: metadata.jsonl names a file that is not there",
        "metadata.jsonl:0000000002": "the line is not a JSON object",
    }
    assert result.state.damage is None
    (folder / "b" / "metadata.csv").write_bytes(b"\xff\xd8\0")
    assert "b/metadata.csv, which is neither a table" in read_pairs(folder).state.damage


def test_every_line_about_a_folder_of_images_is_a_row(tmp_path):
    folder = tmp_path / "photos"
    (folder / "b").mkdir(parents=True)
    for name in ("0.jpg", "1.jpg", "2.jpg", "b/3.jpg", "b/4.jpg"):
        (folder / name).write_bytes(name.encode())
    told = [
        {"file_name": "0.jpg", "captions": ["一", "二"]}, {"file_name": "1.jpg", "text": "三"}, {"file_name": "1.jpg", "text": "四"},
        {"file_name": "gone.jpg", "text": "五"}, {"file_name": "gone.jpg", "text": "六"}, {"text": "七"},
        {"file_name": "b/4.jpg", "text": "?"},
    ]  # fmt: skip
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, told)) + "\n{broken\n")
    (folder / "b" / "metadata.csv").write_text("file_name,caption\n./3.jpg,八\n3.jpg,九,x\n4.jpg,十\nx\n")
    result = read_pairs(folder)
    assert pick_pairs(result.rows) == [
        ("0.jpg", "一", b"0.jpg"), ("0.jpg~2", "二", b"0.jpg"), ("1.jpg", "三", b"1.jpg"), ("1.jpg~2", "四", b"1.jpg"),
        ("2.jpg", None, b"2.jpg"),
        ("b/3.jpg", "八", b"b/3.jpg"), ("b/3.jpg~2", "九", None), ("b/4.jpg", "十", b"b/4.jpg"),
        ("gone.jpg", "五", None), ("gone.jpg~2", "六", None), ("metadata.jsonl:0000000006", "七", None),
        ("metadata.jsonl:0000000008", None, None), ("b/x", None, None),
    ]  # fmt: skip
    assert list(problems(result.rows).values()) == [
        "the row has 3 fields instead of 2", "no image: metadata.jsonl names a file that is not there",
        "no image: metadata.jsonl names a file that is not there", "no image: metadata.jsonl has a line that names none",
        "the line is not a JSON object", "the row has 1 fields instead of 2",
    ]  # fmt: skip
    assert result.state.damage is None
    # A list of something else is none.
    (folder / "metadata.jsonl").write_text('{"year": 2020}\n{"year": 2021}\n')
    assert len(problems(read_pairs(folder).rows)) == 2


def test_names_in_another_encoding(tmp_path):
    folder = os.fsencode(tmp_path / "photos")
    os.mkdir(folder)
    for name in ("犬.jpg".encode("cp932"), b"a.jpg"):
        Path(os.fsdecode(folder + b"/" + name)).write_bytes(b"x")
    result = read_pairs(tmp_path / "photos")
    assert {row["name"] for row in result.rows} == {"犬.jpg", "a.jpg"}
    assert [row["image"] for row in result.rows] == [None, b"x"] or [row["image"] for row in result.rows] == [b"x", None]
    assert list(problems(result.rows).values()) == [f"the name of the file is not UTF-8. {RENAME}"]
    (tmp_path / "list.tsv").write_text("https://example.com/a.jpg\tx\n")
    result = read_pairs(tmp_path / "list.tsv", tmp_path / "photos")
    assert result.rows[0]["image"] == b"x"
    assert "has 1 images that no list finds: their names are not UTF-8" in result.state.warning


def test_captions_go_by_the_names_of_images(tmp_path):
    nfd, nfc = (unicodedata.normalize(form, "がぞう") for form in ("NFD", "NFC"))
    images = ["IMG.2019.05.jpg", "IMG.2019.06.jpg", "a.jpg", "a.png", "b.jpg", "c.jpg", f"{nfd}.jpg", "d/e.JPG", "f.jpg"]
    texts = ["IMG.2019.06.txt", "a.jpg.txt", "a.txt", "b.txt", "b.caption", f"{nfc}.txt", "e.txt", "c.jpg.TXT"]
    for name in (*images, *texts):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_text(name)
    result = read_pairs(tmp_path / "photos")
    assert {row["locator"]: row["caption"] for row in result.rows} == {
        "IMG.2019.05.jpg": None, "IMG.2019.06.jpg": "IMG.2019.06.txt", "a.jpg": "a.jpg.txt", "a.png": "a.txt", "b.jpg": None,
        "c.jpg": "c.jpg.TXT", f"{nfd}.jpg": f"{nfc}.txt", "d/e.JPG": None, "f.jpg": None,
    }  # fmt: skip
    assert problems(result.rows) == {"b.jpg": "1 images and 2 captions are called alike: it cannot be told which go together"}


def test_lists_name_files_in_another_form(tmp_path):
    nfd, nfc = (unicodedata.normalize(form, "がぞう") for form in ("NFD", "NFC"))
    for name in (f"{nfd}.jpg", "b/1.jpg", "1.jpg"):
        (tmp_path / "photos" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "photos" / name).write_text(name)
    told = [
        {"file_name": f"{nfc}.jpg", "text": "画像"},
        {"file_name": "b\\1.jpg", "text": "枝"},
        {"file_name": "B/1.jpg", "text": "x"},
    ]
    (tmp_path / "photos" / "metadata.jsonl").write_text("\n".join(map(json.dumps, told)))
    assert pick(read_pairs(tmp_path / "photos").rows, "locator", "caption") == [
        ("1.jpg", None), (f"{nfd}.jpg", "画像"), ("b/1.jpg", "枝"), ("B/1.jpg", "x"),
    ]  # fmt: skip
