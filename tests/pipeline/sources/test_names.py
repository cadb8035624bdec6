import os
import unicodedata

from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.sources.names import NameIndex, decode_name, label_names, normalise_name

GA = "が.jpg"
GA_NFD = unicodedata.normalize("NFD", GA)


def test_names_are_read_in_the_encoding_that_they_are_in():
    for text in ("犬.jpg", "表/ソース表示.jpg", "ﾃｽﾄ1.jpg", "①髙﨑.jpg"):
        assert decode_name(os.fsdecode(text.encode("cp932"))) == text
    for text in ("犬.jpg", "写真/日本.jpg", "がぞう.jpg"):
        assert decode_name(os.fsdecode(text.encode("euc_jp"))) == text
    # Part by part: an archive of archives has both.
    assert decode_name("写真/" + os.fsdecode("犬.jpg".encode("cp932"))) == "写真/犬.jpg"
    assert decode_name(os.fsdecode(b"\xff\xfe.jpg")) == "\ufffd\ufffd.jpg"
    assert decode_name("写真.jpg") == "写真.jpg"


def test_labels_differ_where_names_do():
    cp932 = os.fsdecode("犬.jpg".encode("cp932"))
    names = [cp932, "犬.jpg", os.fsdecode(b"\xff.jpg"), os.fsdecode(b"\xfe.jpg")]
    assert label_names(names) == dict(zip(names, ["犬.jpg~2", "犬.jpg", "\ufffd.jpg", "\ufffd.jpg~2"]))


@given(st.lists(st.binary(min_size=1, max_size=4).map(os.fsdecode)))
@settings(max_examples=200)
def test_labels_are_texts_and_all_different(names):
    labels = label_names(names)
    assert len(set(labels.values())) == len(set(names)) and set(labels) == set(names)
    assert all(label.encode() for label in labels.values())


def test_a_name_is_found_as_it_is_or_by_its_only_unicode_form():
    assert NameIndex([GA]).find(GA_NFD) == GA and NameIndex([GA_NFD]).find(GA) == GA_NFD
    both = NameIndex([GA, GA_NFD])
    assert (both.find(GA), both.find(GA_NFD)) == (GA, GA_NFD)
    # Two that differ in that alone are two, and neither is meant by a third spelling.
    ga_o = [unicodedata.normalize(form, "がö.jpg") for form in ("NFC", "NFD")]
    assert NameIndex(ga_o).find(unicodedata.normalize("NFD", "が") + "ö.jpg") is None
    assert NameIndex(["a.jpg"]).find("A.jpg") is None and NameIndex(["ア.jpg"]).find("ｱ.jpg") is None
    assert normalise_name(os.fsdecode("犬.jpg".encode("cp932"))) == "犬.jpg"
