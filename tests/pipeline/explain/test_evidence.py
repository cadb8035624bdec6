"""What in the text of a record made a measure what it is, wherever it is shown; and records by their own ids."""

import json
import re

import pytest

import seimai
from filters import MEASURES
from pipeline.corpus.evidence import MeasuredText, find_evidence
from pipeline.explain import command
from pipeline.explain.command import main
from pipeline.explain.judgement import load_text_rules
from pipeline.inspect.rendering import mark_spans
from pipeline.whatif.command import main as whatif
from tests.support.builds import read_ledger
from tests.support.commands import CommandRunner
from tests.support.inspecting import serve_corpus

COMMAND, WHATIF = CommandRunner(main, columns=80), CommandRunner(whatif)
run, as_json, refused = COMMAND.run, COMMAND.as_json, COMMAND.refused
ADVERTISING = "今だけ送料無料でポイント還元。\n吾輩は猫である。今すぐ登録！"
PROSE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
# Rules whose value is the amount of the evidence over the visible characters.
OF_VISIBLE = (
    "katakana_share",
    "digit_share",
    "symbol_share",
    "url_share",
    "replacement_share",
    "adult_evidence",
    "advertising_evidence",
)


@pytest.fixture(scope="module")
def text(build_as_user):
    return build_as_user("cc100-ja").out


def test_what_dropped_every_record_is_named(text):
    """Of one record of each rule that something in the text shows; shares are those of the ledger."""
    dropped = read_ledger(text).filter(verdict="dropped", step="decide").unique("rule", keep="first", maintain_order=True)
    shown = set()
    for row in dropped.iter_rows(named=True):
        found = as_json(text, row["id"])
        evidence = {one["measure"]: one for one in found["evidence"]}
        if row["rule"] not in evidence:
            assert MEASURES[row["rule"]].evidence is None, row["rule"]
            continue
        one, rule = evidence[row["rule"]], row["rule"]
        texts = {"cleaned": found["cleaned"], "raw": found["extracted"]}
        assert all(span["text"] for span in one["spans"])
        if one["of"] in texts:
            assert all(texts[one["of"]][span["start"] : span["end"]] == span["text"] for span in one["spans"])
        if rule in OF_VISIBLE:
            visible = len(re.sub(r"\s", "", found["cleaned"]))
            assert sum(span["amount"] for span in one["spans"]) / visible == pytest.approx(row["value"], abs=0.01), rule
        if rule == "boilerplate_share":
            chars = sum(span["amount"] for span in one["spans"])
            assert chars / (chars + len(found["cleaned"])) == pytest.approx(row["value"], abs=0.02)
        if rule == "bullet_line_share":
            assert len(one["spans"]) / row["lines"] == pytest.approx(row["value"], abs=1e-6)
        shown.add(rule)
    assert len(shown) >= 20 and {"mojibake_share", "boilerplate_share", "language"} <= shown


def test_lines_that_recur_are_shown_in_the_text_that_had_them():
    had_them = MeasuredText(None, f"ホーム\n会社概要\n\n{PROSE}\nお問い合わせ", [0, 2, 4, 4])
    found = find_evidence(load_text_rules("ja-web", []), "recurring_line_share", had_them)
    assert [had_them.cleaned[span.start : span.end] for span in found.spans] == ["ホーム", "会社概要", "お問い合わせ"]
    assert find_evidence(load_text_rules("ja-web", []), "recurring_line_share", MeasuredText(None, PROSE)) is None


def test_phrases_are_printed_with_what_stands_around_them():
    shown = run("--text", ADVERTISING).stdout
    assert "what counts for advertising_evidence: 4×, 18 of 30 characters" in shown
    assert "  1× ポイント還元  今だけ送料無料でポイント還元。  (means other things as well)" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80
    kept = run("--text", PROSE, "--show", "hiragana_share", "--show", "url_share").stdout
    assert "what counts for hiragana_share: " in kept and "nothing in the text counts for url_share" in kept
    assert "what counts" not in run("--text", PROSE).stdout
    japanese = CommandRunner(main, columns=80, language="ja").run("--text", ADVERTISING).stdout
    assert "advertising_evidence に数えたもの: 4 か所、30 文字中 18 文字" in japanese and "（ほかの意味" not in japanese
    assert (
        "ほかの意味でも使う語" in japanese and "0.025 以下 (at_most)  違反" in japanese and "ja のどれか (any_of)" in japanese
    )


def test_what_cannot_be_shown(text):
    assert "--show chars: nothing in a text can be shown for that measure" in refused("--text", "猫", "--show", "chars")
    assert "did you mean 'url_share'?" in refused("--text", "猫", "--show", "url_shar")
    assert "--by is for the id of a record" in refused("--text", "猫", "--by", "url")


def test_python_has_the_evidence_as_a_table():
    explained = seimai.Rules("ja-web").explain([ADVERTISING, PROSE])
    assert explained[0].evidence().select("text", "what").rows() == [
        ("今だけ", ""), ("送料無料", ""), ("ポイント還元", "ambiguous"), ("今すぐ登録", ""),
    ]  # fmt: skip
    assert explained[1].evidence().is_empty() and explained[1].evidence("hiragana_share")["text"][0] == "は"
    with pytest.raises(seimai.UsageError, match="measure=nothing: there is no measure of that name"):
        explained[0].evidence("nothing")
    mangled = "これは猫です。名前はまだありません。".encode().decode("cp932", "ignore")
    of_raw = seimai.Rules("ja-web").explain(f"{mangled}\n{PROSE}").evidence("mojibake_share")
    assert all(one in mangled for one in of_raw["text"]) and len(of_raw)


def test_what_is_no_name_of_a_measure_is_refused():
    explained = seimai.Rules("ja-web").explain(PROSE)
    for one in (5, ["x"], b"x"):
        with pytest.raises(seimai.UsageError, match=rf"measure={re.escape(repr(one))}: expected the name of a measure"):
            explained.evidence(one)


def test_inspect_marks_what_counts(text):
    row = read_ledger(text).filter(rule="advertising_evidence").row(0, named=True)
    phrases = [span["text"] for span in as_json(text, row["id"])["evidence"][0]["spans"]]
    with serve_corpus(text) as served:
        page = served.ask(f"/record?id={row['id']}&lang=en").text
        assert "what counts for advertising_evidence: " in page
        _, body = page.split('<div class="text">')
        assert re.findall("<mark>(.*?)</mark>", body) == phrases
        assert "<mark>" not in served.ask(f"/record?id={row['id']}&mark=").text
        other = served.ask(f"/record?id={row['id']}&mark=katakana_share&lang=ja").text
        assert "katakana_share に数えたもの" in other and "0.025 以下 (at_most)" in other
        assert served.ask(f"/record?id={row['id']}&mark=chars").status == 404
        unreadable = read_ledger(text).filter(verdict="unreadable")["id"][0]
        assert "<mark>" not in served.ask(f"/record?id={unreadable}&mark=url_share").text
    assert str(mark_spans("<b>\u202e", [(0, 2), (3, 4)])) == (
        '<mark>&lt;b</mark>&gt;<mark><span class="mark">U+202E</span></mark>'
    )


def test_records_near_a_bound_say_what_counts(text):
    near = WHATIF.as_json(text, "--near", "advertising_evidence")["nearest"]
    dropped = [one for one in near if not one["fits"]]
    for one in dropped:
        spans = [span["text"] for span in as_json(text, one["id"])["evidence"][0]["spans"]]
        assert one["evidence"] and all(spans.count(passage["text"]) == passage["count"] for passage in one["evidence"])
    shown = CommandRunner(whatif, columns=80).run(text, "--near", "advertising_evidence").stdout
    assert f"    what counts: {dropped[0]['evidence'][0]['text']}" in shown
    assert all(not one["evidence"] for one in WHATIF.as_json(text, "--near", "chars")["nearest"])
    with serve_corpus(text) as served:
        kept = next(one["id"] for one in near if one["fits"])
        assert "&amp;mark=advertising_evidence" in served.ask("/rule?name=advertising_evidence").text and kept


def test_reports_have_the_evidence_near_bounds(text):
    report = json.loads((text / "report.json").read_text("utf-8"))
    (reason,) = [one for one in report["reasons"] if one["rule"] == "advertising_evidence"]
    for record in reason["examples"]["near"]:
        spans = as_json(text, record["id"])["evidence"][0]["spans"]
        assert {one["text"] for one in record["evidence"]} <= {span["text"] for span in spans} and record["evidence"]
    assert all(not record["evidence"] for one in report["reasons"] for record in one["examples"]["random"])


# -- records by what they came with, in a corpus whose intermediates are gone


@pytest.fixture(scope="module")
def own(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    texts = [
        PROSE,
        ADVERTISING,
        PROSE,
        "山の上の小さな駅で、彼は三時間も汽車を待っていた。",
        "川の水は冷たく、魚の影ひとつ見えなかったという。",
    ]
    ids = ["doc-A7", "doc-B2", "0000000000", "\u202eshelf/42", "doc-A7"]
    rows = [
        {"text": one, "doc_id": name, "number": 1000 + n, "score": 0.5}
        for n, (one, name) in enumerate(zip(texts, ids, strict=True))
    ]
    (folder / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    keep = 'source.keep=["doc_id","number:int","score:float"]'
    done = build("jsonl", "--input", folder / "a.jsonl", "--out", folder / "out", "--set", keep, "--clean")
    assert done.returncode == 0, done.stderr
    return folder


def test_a_record_is_found_by_what_it_came_with(own):
    out, ledger = own / "out", read_ledger(own / "out")
    by_doc = {row["doc_id"]: row["id"] for row in ledger.iter_rows(named=True)}
    for arguments in (["doc-B2"], ["1001"], ["doc-B2", "--by", "doc_id"], ["1001", "--by", "number"], ["B2", "--by", "doc_id"]):
        assert as_json(out, *arguments)["record"]["id"] == by_doc["doc-B2"], arguments
    assert as_json(out, "42", "--by", "doc_id")["record"]["doc_id"] == "\u202eshelf/42"
    assert as_json(out, "\u202eshelf/42")["record"]["doc_id"] == "\u202eshelf/42"
    # An id of one's own that another record's id ends in: neither is taken for the other.
    both = refused(out, "0000000000")
    assert "ids end in '0000000000', and records are called so by what they came with: " in both and "--by COLUMN" in both
    assert as_json(out, "0000000000", "--by", "doc_id")["record"]["id"] == by_doc["0000000000"]
    assert "2 records are called 'doc-A7' by what they came with: " in refused(out, "doc-A7")
    assert "2 records have 'doc-A7' in doc_id: " in refused(out, "doc-A7", "--by", "doc_id")
    assert "no record has 'doc-B3' in doc_id. The nearest values: doc-B2" in refused(out, "doc-B3", "--by", "doc_id")
    unknown = refused(out, "doc-Z")
    assert "no record is called 'doc-Z'. The nearest ids: " in unknown and unknown.endswith(
        "--by COLUMN finds records by what they came with: url, title, date, doc_id, number\n"
    )
    assert "did you mean 'doc_id'? Columns that were kept: url, title, date, doc_id, number" in refused(
        out, "doc-A7", "--by", "docid"
    )
    with serve_corpus(out) as served:
        assert by_doc["doc-B2"] in served.ask("/record?id=doc-B2").text
        searched = served.ask("/records?q=doc-A7").text
        assert "<h1>2 records</h1>" in searched and "== &#39;doc-A7&#39;" in searched  # in the code of the view, too
        several = served.ask("/record?id=doc-A7")
        assert several.status == 404 and several.text.count('">jsonl/') == 2


def test_without_intermediates_the_rest_is_answered(own):
    """Built with --clean: texts are read again from the input; without that, the ledger alone answers, and what is missing is said."""
    out, ledger = own / "out", read_ledger(own / "out")
    dropped = ledger.filter(rule="advertising_evidence").row(0, named=True)
    found = as_json(out, dropped["id"])
    assert found["raw"] == ADVERTISING and [span["text"] for span in found["evidence"][0]["spans"]][1] == "送料無料"
    answer = WHATIF.as_json(out, "--set", "rules.advertising_evidence.at_most=1")
    assert answer["passing"]["gained"]["records"] == 1 and "intermediates" in (answer["deduplication"]["reason"] or "")
    with serve_corpus(out) as served:
        paths = ["/", "/records", "/cleaning", "/clusters", "/rule?name=advertising_evidence", f"/changes?id={dropped['id']}"]
        assert [served.ask(path).status for path in paths] == [200] * len(paths)
        assert "<mark>送料無料</mark>" in served.ask(f"/record?id={dropped['id']}").text
        (own / "a.jsonl").rename(own / "b.jsonl")
        try:
            gone = as_json(out, dropped["id"])
            assert "its input is gone" in gone["not_read_again"] and gone["raw"] is None
            assert gone["cleaned"] == dropped["excerpt"] and gone["evidence"]  # so short a text the ledger has whole
            assert "as it came: not read again: its input is gone" in run(out, dropped["id"]).stdout
            assert as_json(out, dropped["id"], "--show", "mojibake_share")["evidence"] == []
            changes = served.ask(f"/changes?id={dropped['id']}&lang=en").text
            assert "What came in cannot be read again: its input is gone" in changes
            assert WHATIF.as_json(out, "--near", "advertising_evidence")["nearest"]
        finally:
            (own / "b.jsonl").rename(own / "a.jsonl")


def test_a_long_way_into_a_stream_is_said(text, monkeypatch):
    monkeypatch.setattr(command, "PATIENCE", 0)
    last = read_ledger(text)["id"][-1]
    assert re.search(r"reading \d+ MB of cc100-ja.txt.xz up to the record …", run(text, last, "--raw").stderr)
    assert not run(text, read_ledger(text)["id"][0], "--raw").stderr
