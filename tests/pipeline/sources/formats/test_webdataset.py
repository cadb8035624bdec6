import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.formats.pairing import split_suffix
from pipeline.sources.formats.tar import Member
from pipeline.sources.formats.webdataset import pair_members
from pipeline.sources.names import normalise_name

NFC, NFD = (unicodedata.normalize(form, "がぞう") for form in ("NFC", "NFD"))
CP932, EUC = (os.fsdecode("犬".encode(encoding)) for encoding in ("cp932", "euc_jp"))
CAT_CP932 = os.fsdecode("猫".encode("cp932"))
UNTOLD = "1 images and 2 captions are called alike: it cannot be told which go together"


def pair(*names):
    """The rows of a tar of members with these names, as (content, text, metadata): names, None where there is none."""
    members = [Member(name, 1000 + i, 1) for i, name in enumerate(names)]
    frame = pair_members(members, 10_000, {"jpg", "png"}, "image", "caption")
    assert frame["key"].n_unique() == frame.select("key", "nth").n_unique() or frame["nth"].max() > 0
    return [
        tuple(None if offset is None else names[offset - 1000] for offset in offsets)
        for offsets in frame.select("content_offset", "text_offset", "metadata_offset").rows()
    ], frame


# What the members are, and which of them make a record: (image, caption), with None where there is none.
CASES = {
    "a date": (["IMG.2019.05.jpg", "IMG.2019.06.jpg", "IMG.2019.06.txt"],
               [("IMG.2019.05.jpg", None), ("IMG.2019.06.jpg", "IMG.2019.06.txt")]),
    "any order": (["p.2.txt", "p.1.jpg", "p.1.txt", "p.2.jpg"], [("p.1.jpg", "p.1.txt"), ("p.2.jpg", "p.2.txt")]),
    "a number alone": (["p.1.jpg", "p.2.txt"], [("p.1.jpg", None), (None, "p.2.txt")]),
    "a name and its number": (["p.jpg", "p.2.txt"], [("p.jpg", None), (None, "p.2.txt")]),
    "text after the suffix": (["IMG.2019.05.jpg.txt", "IMG.2019.06.jpg", "IMG.2019.05.jpg"],
                              [("IMG.2019.06.jpg", None), ("IMG.2019.05.jpg", "IMG.2019.05.jpg.txt")]),
    "text after each suffix": (["a.jpg", "a.png", "a.png.txt", "a.jpg.txt"], [("a.jpg", "a.jpg.txt"), ("a.png", "a.png.txt")]),
    "the longer name first": (["a.jpg", "a.png", "a.txt", "a.jpg.txt"], [("a.jpg", "a.jpg.txt"), ("a.png", "a.txt")]),
    "two formats of one": (["a.jpg", "a.png", "a.txt"], [("a.jpg", "a.txt"), ("a.png", "a.txt")]),
    "its mask": (["k.jpg", "k.seg.png", "k.txt"], [("k.jpg", "k.txt"), ("k.seg.png", None)]),
    "two views": (["k.left.jpg", "k.right.jpg", "k.txt"], [("k.left.jpg", None), ("k.right.jpg", None), (None, "k.txt")]),
    "fields": (["s0.input.jpg", "s0.outputs.txt", "s1.input.jpg", "s1.outputs.txt"],
               [("s0.input.jpg", "s0.outputs.txt"), ("s1.input.jpg", "s1.outputs.txt")]),
    "a field": (["k.caption.txt", "k.jpg"], [("k.jpg", "k.caption.txt")]),
    "a field of every key": (["a.en.txt", "a.jpg", "b.en.txt", "b.jpg"], [("a.jpg", "a.en.txt"), ("b.jpg", "b.en.txt")]),
    "a name and a longer one": (["Mr.jpg", "Mr.Smith.txt", "x.jpg"], [("Mr.jpg", None), ("x.jpg", None), (None, "Mr.Smith.txt")]),
    "a longer name and it": (["Mr.Smith.jpg", "Mr.txt", "x.jpg"], [("Mr.Smith.jpg", None), ("x.jpg", None), (None, "Mr.txt")]),
    "text of an image that is gone": (["a.png", "a.b.jpg.txt"], [("a.png", None), (None, "a.b.jpg.txt")]),
    "text of another format": (["a.png", "a.jpg.txt", "b.png", "b.jpg.txt"],
                               [("a.png", None), ("b.png", None), (None, "a.jpg.txt"), (None, "b.jpg.txt")]),
    "names of people": (["Mr.Smith.jpg", "Mr.Jones.txt"], [("Mr.Smith.jpg", None), (None, "Mr.Jones.txt")]),
    "a version": (["Track 2.0.jpg", "Track 2.1.jpg", "Track 2.1.txt"], [("Track 2.0.jpg", None), ("Track 2.1.jpg", "Track 2.1.txt")]),
    "folders with dots": (["22.0/1.1.jpg", "22.0/1.1.txt", "22.1/1.1.jpg"], [("22.0/1.1.jpg", "22.0/1.1.txt"), ("22.1/1.1.jpg", None)]),
    "same names in folders": (["a/1.jpg", "b/1.txt", "b/1.jpg", "1.jpg"], [("a/1.jpg", None), ("b/1.jpg", "b/1.txt"), ("1.jpg", None)]),
    "split over two tars": (["b.txt", "c.jpg"], [("c.jpg", None), (None, "b.txt")]),
    "the same names twice": (["k.jpg", "k.txt", "k.jpg", "k.txt"], [("k.jpg", "k.txt"), ("k.jpg", "k.txt")]),
    "./": (["./a.jpg", "a.txt"], [("./a.jpg", "a.txt")]),
    "case": (["a.JPG", "A.txt"], [("a.JPG", None), (None, "A.txt")]),
    "NFD": ([f"{NFD}.jpg", f"{NFC}.txt"], [(f"{NFD}.jpg", f"{NFC}.txt")]),
    "NFD and NFC": ([f"{NFD}.jpg", f"{NFC}.jpg", f"{NFC}.txt"], [(f"{NFD}.jpg", None), (f"{NFC}.jpg", f"{NFC}.txt")]),
    "CP932": ([f"{CP932}.jpg", f"{CAT_CP932}.jpg", f"{CAT_CP932}.txt", f"{CP932}.txt"],
              [(f"{CP932}.jpg", f"{CP932}.txt"), (f"{CAT_CP932}.jpg", f"{CAT_CP932}.txt")]),
    "CP932 without a caption": ([f"{CP932}.jpg", f"{CAT_CP932}.txt"], [(f"{CP932}.jpg", None), (None, f"{CAT_CP932}.txt")]),
    "encodings of one name": ([f"{CP932}.jpg", "犬.txt"], [(f"{CP932}.jpg", "犬.txt")]),
    "EUC-JP": (["犬.txt", f"{EUC}.jpg"], [(f"{EUC}.jpg", "犬.txt")]),
    "encodings of two": ([f"{CP932}.jpg", "犬.jpg", f"{EUC}.txt"], [(f"{CP932}.jpg", None), ("犬.jpg", None), (None, f"{EUC}.txt")]),
    "no encoding": ([os.fsdecode(b"\xff.jpg"), os.fsdecode(b"\xfe.txt")],
                    [(os.fsdecode(b"\xff.jpg"), None), (None, os.fsdecode(b"\xfe.txt"))]),
    "what is not printable": (["改\n行.jpg", "改\r行.txt"], [("改\n行.jpg", None), (None, "改\r行.txt")]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_text_goes_with_what_its_name_says(case):
    names, expected = CASES[case]
    rows, frame = pair(*names)
    assert [row[:2] for row in rows] == expected
    assert frame["problem"].is_null().to_list() == [content is not None for content, _ in expected]
    assert frame["key"].n_unique() == len(frame) or frame["nth"].n_unique() > 1


@pytest.mark.parametrize(
    "names, problem",
    [
        (["k.jpg", "k.txt", "k.caption"], UNTOLD),
        (["k.jpg", "k.en.txt", "k.ja.txt"], UNTOLD),
        (["k.jpg", "k.txt", "k.txt"], UNTOLD),
        (["k.jpg", "k.jpg", "k.txt"], UNTOLD.replace("1 images and 2", "2 images and 1")),
        (["k.jpg", "k.png", "k.txt", "k.txt"], UNTOLD.replace("1 images", "2 images")),
    ],
)
def test_where_counts_differ_nothing_is_guessed(names, problem):
    rows, frame = pair(*names)
    assert set(rows) == {(None, None, None)}
    assert frame["problem"].unique().to_list() == [problem]


def test_metadata_go_by_the_same_rule():
    rows, frame = pair(
        "IMG.2019.05.jpg", "IMG.2019.06.jpg", "IMG.2019.06.json", "a.jpg", "a.jpg.json", "alone.json", "b.txt", "b.json"
    )
    assert rows == [
        ("IMG.2019.05.jpg", None, None), ("IMG.2019.06.jpg", None, "IMG.2019.06.json"), ("a.jpg", None, "a.jpg.json"),
        (None, "b.txt", "b.json"),
    ]  # fmt: skip
    assert frame["key"].to_list() == ["IMG.2019.05", "IMG.2019.06", "a", "b"]
    rows, frame = pair("k.1.jpg", "k.2.jpg", "k.json", "k.3.txt", "k.3.json")
    assert rows == [("k.1.jpg", None, None), ("k.2.jpg", None, None), (None, "k.3.txt", "k.3.json"), (None, None, "k.json")]
    assert frame["problem"].to_list()[2:] == [
        "no image: the tar has a caption that goes with none of the images under its key",
        "no image: the tar has a metadata file that goes with none of the images under its key",
    ]


STEM = st.lists(
    st.sampled_from(["a", "b", "1", "2", NFC, NFD, CP932, EUC, "犬", "\udcff", "\udcfe"]), min_size=1, max_size=3
).map(".".join)
NAME = st.builds(
    "{}{}.{}".format, st.sampled_from(["", "d/", "d.1/"]), STEM, st.sampled_from(["jpg", "png", "txt", "jpg.txt", "caption"])
)


def is_named_by(content, text, contents):
    """The rule, word for word."""
    content_stem, text_stem = split_suffix(content)[0], split_suffix(text)[0]
    if text_stem in (content, content_stem) or normalise_name(text_stem) in map(normalise_name, (content, content_stem)):
        return True
    start = content.rfind("/") + 1
    key, text_key = (name[: (name + ".").find(".", start + 1)] for name in (content, text))
    of_key = [name for name in contents if name == key or name.startswith(f"{key}.")]
    return (
        key == text_key and len(of_key) == 1 and not any(c.isdigit() for c in content_stem[len(key) :] + text_stem[len(key) :])
    )


@given(st.lists(NAME, max_size=7, unique=True))
@settings(max_examples=300)
def test_the_text_that_reaches_a_content_has_its_name(names):
    contents = [name for name in names if name.endswith(("jpg", "png"))]
    rows, frame = pair(*names)
    assert sum(content is not None for content, *_ in rows) + frame["problem"].str.contains("alike").sum() == len(contents)
    for content, text, _ in rows:
        assert content is None or text is None or is_named_by(content, text, contents)
        # One that is called exactly so is never passed over for another.
        if content and text and f"{content}.txt" in names:
            assert text == f"{content}.txt"
    # Nothing is lost: each text is a record's, or a record with a problem.
    told = {text for _, text, _ in rows} | {name for name in names if frame["problem"].str.contains("alike").any()}
    assert {name for name in names if name.endswith(("txt", "caption"))} <= told
    keys = frame.select("key", "nth")
    assert keys.n_unique() == len(keys)
