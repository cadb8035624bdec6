"""What counts for measures in long texts, and what is shown of a corpus whose intermediates are damaged."""

import json
import math

import polars as pl
import pytest

import seimai
from filters.kernels import buffers
from filters.text.clauses import weigh_clauses
from filters.text.evidence import find_mojibake, show_mojibake
from filters.text.text_model import shipped_model
from pipeline.core.ownership import STATE_FOLDER
from pipeline.corpus.evidence import Evidence, MeasuredText, describe_evidence, find_evidence
from pipeline.explain.command import main
from pipeline.explain.judgement import load_text_rules
from pipeline.whatif.command import main as whatif
from pipeline.workspace import load_layout
from tests.support.builds import read_ledger
from tests.support.commands import CommandRunner
from tests.support.inspecting import serve_corpus

COMMAND, WHATIF = CommandRunner(main, columns=80), CommandRunner(whatif)
run, as_json, refused = COMMAND.run, COMMAND.as_json, COMMAND.refused
ADVERTISING = "今だけ送料無料でポイント還元。\n吾輩は猫である。今すぐ登録！"
PROSE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
LONG = "".join(f"{n}番目の猫は、{n * 7919}歩あるいて魚を見た。名前はまだ無い。\n" for n in range(4_000))
PHRASE = "アダルト動画"
MANGLED = "これは猫です。名前はまだありません。".encode().decode("cp932", "ignore")


@pytest.fixture(scope="module")
def long_texts(build, tmp_path_factory):
    folder = tmp_path_factory.mktemp("long")
    texts = [PROSE, LONG + f"{PHRASE}を見た。\n" * 4_000, "川の水は冷たく、魚の影ひとつ見えなかったという。" + ADVERTISING]
    (folder / "a.jsonl").write_text("".join(json.dumps({"text": one}) + "\n" for one in texts), "utf-8")
    rules = "rules={adult_share={at_most=0.1},advertising_evidence={at_most=0.5}}"
    done = build("jsonl", "--input", folder / "a.jsonl", "--out", folder / "out", "--set", rules)
    assert done.returncode == 0, done.stderr
    return folder


def test_all_of_a_long_text_is_looked_at(long_texts):
    out = long_texts / "out"
    row = read_ledger(out).row(1, named=True)
    assert (row["rule"], row["verdict"]) == ("adult_share", "dropped") and len(LONG) > 100_000
    (one,) = as_json(out, row["id"])["evidence"]
    assert one["characters_read"] == row["chars"] > len(LONG)
    assert len(one["spans"]) == 4_000 and one["spans"][0]["start"] == len(LONG) and one["spans"][0]["text"] == PHRASE
    assert f"what counts for adult_share: 4,000×, 24,000 of {row['chars']:,} characters" in run(out, row["id"]).stdout
    with serve_corpus(out) as served:
        assert "show all (" in served.ask(f"/record?id={row['id']}&lang=en").text
        page = served.ask(f"/record?id={row['id']}&all=1&lang=en").text
        _, body = page.split('<div class="text">')
        assert body.count(f"<mark>{PHRASE}</mark>") == 4_000 and "show all (" not in page
    explained = seimai.Rules("ja-web").explain(LONG + PHRASE)
    assert explained.evidence("adult_evidence").select("start", "text").rows() == [(len(LONG), PHRASE)]


def test_scores_are_of_windows_of_all_of_a_long_text():
    text = "".join(LONG[start : start + 20_000] + "今だけ送料無料、激安通販。\n" * 20 for start in range(0, 140_000, 20_000))
    evidence = find_evidence(load_text_rules("ja-web", []), "quality_score", MeasuredText(None, text))
    spans, intercept = weigh_clauses(text, model := shipped_model("quality-ja"))
    odds = sum(span.amount for span in spans) + intercept
    assert 1 / (1 + math.exp(-odds)) == pytest.approx(float(model.score(*buffers(pl.Series([text])))[0]), abs=1e-4)
    assert [(one.start, -one.amount) for one in evidence.spans] == [(one.start, one.amount) for one in spans if one.amount < 0]
    assert evidence.text == text and max(span.start for span in spans) > 100_000


def test_of_much_mojibake_a_beginning_is_looked_at_and_that_is_said():
    rules, text = load_text_rules("ja-web", []), f"{PROSE}\n" * 4_000 + f"{MANGLED}\n" * 40
    late = find_evidence(rules, "mojibake_share", MeasuredText(text, None))
    assert late.read is None and late.spans[0].start >= text.index(MANGLED) > 100_000  # what has none is read quickly
    assert len(find_mojibake(f"{MANGLED}\n" * 400, 4_000)[0]) < len(show_mojibake(f"{MANGLED}\n" * 400))
    spans, read = find_mojibake(text + f"{MANGLED}\n" * 200, 2_000)
    assert len(text) - 2_000 < read < len(text) + 2_000 and all(span.end <= read for span in spans)
    of_beginning = Evidence("mojibake_share", "raw", "x" * 300_000, spans[:1], 100_000)
    covered = spans[0].end - spans[0].start
    assert f"1×, {covered} of the first 100,000 characters (in the text as it came)" in describe_evidence(of_beginning)


def test_a_record_without_lines_that_recur_says_so(long_texts):
    row = read_ledger(long_texts / "out").row(0, named=True)
    shown = run(long_texts / "out", row["id"], "--show", "recurring_line_share").stdout
    assert "nothing in the text counts for recurring_line_share" in shown


def test_damaged_intermediates_are_not_taken_for_a_damaged_ledger(long_texts):
    """What a corpus can be asked without them is answered from its input."""
    out = long_texts / "out"
    ids = read_ledger(out)["id"].to_list()
    before = [as_json(out, id) for id in ids]
    near = WHATIF.as_json(out, "--near", "adult_share")
    intermediates = [*(out / STATE_FOLDER).rglob("*.parquet")]
    layouts = [path for path in intermediates if path.name == "layout.parquet"]
    assert layouts and len(intermediates) > len(layouts)
    for damaged in ([path for path in intermediates if path not in layouts], layouts):
        for path in damaged:
            path.write_bytes(b"junk")
        load_layout.cache_clear()
        assert [as_json(out, id) for id in ids] == before and before[1]["evidence"]
        assert WHATIF.as_json(out, "--near", "adult_share") == near and near["nearest"][-1]["evidence"]
        answer = WHATIF.as_json(out, "--set", "rules.adult_share.at_most=1")
        reason = answer["deduplication"]["reason"]
        assert (
            "some of the build's intermediates cannot be read (" in reason
            and f"while reading {damaged[0].parents[1]}" in reason
        )
    (shard,) = (out / "data").rglob("*.parquet")
    shard.write_bytes(b"junk")
    kept = read_ledger(out).filter(verdict="kept")["id"][0]
    assert "a shard is damaged (" in refused(out, kept)
    assert WHATIF.as_json(out, "--near", "adult_share")["nearest"]
