"""Corpora from Python: built, opened, and in scripts and notebooks as people write them."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

import seimai
from pipeline.core.python_names import call_from_python, show_options
from pipeline.manifest.loading import load
from tests.support.builds import build_environment, finish_command, hash_outputs, read_ledger, read_shards, wait_until
from tests.support.texts import make_sentences

ROOT = Path(__file__).parents[2]
SETTINGS = {"source.partition": "20 KB"}  # those of `reference`


@pytest.mark.e2e
def test_a_corpus_that_was_built(reference):
    corpus = seimai.Corpus(str(reference))
    ledger = read_ledger(reference)
    assert corpus.ledger.collect().equals(ledger) and corpus.shards.collect().equals(read_shards(reference))
    summary = corpus.summary
    assert summary["records"].sum() == len(ledger) and summary["share"].sum() == pytest.approx(1)
    counted = ledger.group_by("verdict", "rule").len()
    assert set(summary.select("verdict", "rule", "records").rows()) == set(counted.rows())
    assert corpus.manifest.rules == load("cc100-ja").rules and corpus.manifest.name == "cc100-ja"
    assert corpus.path == reference and repr(corpus) == f"Corpus({str(reference)!r})"
    with pytest.raises(seimai.UsageError, match="there is no tokenizer in .*tokenizer.train"):
        _ = corpus.tokenizer


def test_what_is_no_corpus(tmp_path):
    with pytest.raises(seimai.UsageError, match=r"is not a built corpus.* Build it: python -m pipeline.build"):
        seimai.Corpus(tmp_path)
    with pytest.raises(seimai.UsageError, match="is not there"):
        seimai.Corpus(tmp_path / "none")
    (tmp_path / "file").touch()
    with pytest.raises(seimai.UsageError, match="file is not a built corpus"):
        seimai.Corpus(tmp_path / "file")


@pytest.mark.parametrize("value", [5, None, b"x", "", "a" * 300, "x\ud800"])
@pytest.mark.parametrize(("kind", "name"), [("Corpus", "path"), ("Rules", "reference"), ("Tokenizer", "path")])
def test_what_is_no_path_is_called_by_its_parameter(kind, name, value, monkeypatch):
    with pytest.raises(seimai.UsageError, match=f"^{name} = .*path"):
        getattr(seimai, kind)(value)
    monkeypatch.setenv("SEIMAI_LANG", "ja")
    with pytest.raises(seimai.UsageError, match=f"^{name} = .*パス"):
        getattr(seimai, kind)(value)


@pytest.mark.e2e
def test_a_build_from_python(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    raw = tmp_path / "raw.txt"
    raw.write_text("\n\n".join(make_sentences(i) for i in range(6)), "utf-8")
    bounds = {"rules": {"chars": {"at_least": 50}}, "shards.validation": 0}
    corpus = seimai.build("cc100-ja", inputs=raw, out="mine", set=bounds, limit=5, workers=0)
    assert corpus.path == tmp_path / "mine" and corpus.summary.select("verdict", "records").rows() == [("kept", 5)]
    assert corpus.manifest.rules.keys() == {"chars"} and corpus.manifest.rules["chars"].at_least == 50
    assert "polishing ratio" in capsys.readouterr().out
    again = seimai.build("cc100-ja", inputs=[raw], out=Path("mine"), set=bounds, limit=5, workers=0, quiet=True)
    assert again.ledger.collect().equals(corpus.ledger.collect()) and capsys.readouterr().out == ""
    with pytest.raises(seimai.BuildError, match="not one of the documents was kept"):
        seimai.build("cc100-ja", inputs=raw, out="none", set={"rules.chars.at_least": 10**6}, workers=0, quiet=True)
    assert seimai.Corpus("none").summary.select("rule", "records").rows() == [("chars", 6)]
    assert seimai.Corpus("none").shards.collect().height == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"manifest": "cc100-jaa"}, r"did you mean 'cc100-ja'\?"),
        ({"set": {"rules.charz": {"at_least": 5}}}, r"did you mean 'chars'\?"),
        ({"set": {"name.x": 1}}, r'^set=\{"name.x": 1\}: name is not a table'),
        ({"set": {"shards.size": "1x"}}, r'^set=\{"shards.size": "1x"\}: a size in bytes is expected'),
        ({"set": {"title": datetime(2026, 11, 29, 9)}}, r'^set=\{"title": "2026-11-29 09:00:00"\}: '),
        ({"set": {"name": ""}}, r'^set=\{"name": ""\}: '),
        ({"set": {".": 1}}, r"^set=\{…\}: '.' is no key: a name is missing beside a dot"),
        ({"set": {"rules.chars.at_least": 10**400}}, r'^set=\{"rules.chars.at_least": 1e400\}: '),
        ({"set": {"rules.skip": ["nosuch"]}}, r'^set=\{"rules.skip": .*\}: nosuch: there is no measure of that name'),
        ({"set": [("chars", 1)]}, r"set = \[.*\]: expected keys of the manifest with values"),
        ({"inputs": 5}, "inputs = 5: expected a path, or a list of paths"),
        ({"inputs": ["a", None]}, "inputs = None: expected a path"),
        ({"out": 5}, "out = 5: expected a path"),
        ({"manifest": None}, "manifest = None: expected a path"),
        ({"manifest": ""}, "manifest = '': no path is given"),
        ({"manifest": "a" * 5000}, "manifest = 'a{80} …': no name in a path is longer than 255 bytes"),
        ({"inputs": ""}, "inputs = '': no path is given"),
        ({"inputs": [""]}, "inputs = '': no path is given"),
        ({"out": ""}, "out = '': no path is given"),
        ({"out": "x\0"}, "out = 'x.': expected a path in UTF-8 without NUL characters"),
        ({"out": "x\ud800"}, "out = 'x.': expected a path in UTF-8 without NUL characters"),
        ({"work": ""}, "work = '': no path is given"),
        ({"images": ""}, "images = '': no path is given"),
        ({"clean": "no"}, "clean = 'no': expected True or False"),
        ({"keep_going": None}, "keep_going = None: expected True or False"),
        ({"download": 1}, "download = 1: expected True or False"),
        ({"quiet": "no"}, "quiet = 'no': expected True or False"),
        ({"set": {"shards.validation": None}}, "shards.validation"),
        ({"inputs": "nothing-here.txt"}, "nothing-here.txt"),
        ({"workers": -1}, "workers = -1: expected a number from 0 on"),
        ({"limit": 0}, "limit = 0: expected a number from 1 on"),
        ({"workers": 2, "scheduler": "tcp://127.0.0.1:1"}, "^workers= is for the local cluster"),
        ({"images": "x"}, ": images= is for lists of images"),
        ({"out": __file__}, "^out=/.* is a file, not a folder"),
        ({"download": True, "inputs": "x"}, "^download=True and inputs= exclude one another"),
        ({"manifest": "gpt-ja", "limit": 5}, "limit= is for the builds of its parts"),
    ],
)
def test_what_cannot_be_built(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(seimai.UsageError, match=message):
        seimai.build(**{"manifest": "cc100-ja", "quiet": True} | arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.e2e
def test_an_error_of_the_system_is_a_build_error_that_names_parameters(tmp_path, monkeypatch):
    """In the user's language; the system's error is its cause."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    messages = {}
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, limits[1]))
        for language in ("en", "ja"):
            monkeypatch.setenv("SEIMAI_LANG", language)
            with pytest.raises(seimai.BuildError) as caught:
                seimai.build("cc100-ja", inputs=None, out=tmp_path / language, workers=0, limit=5, quiet=True)
            assert isinstance(caught.value.__cause__, OSError) and caught.value.__cause__.errno == errno.EFBIG
            messages[language] = str(caught.value)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert messages["en"].startswith("a file grew larger than `ulimit -f` allows while building")
    assert "`ulimit -f`" in messages["ja"] and "構築" in messages["ja"]
    with pytest.raises(seimai.UsageError, match=r"^out=/.*/file はフォルダではなくファイルです"):
        (tmp_path / "file").touch()
        seimai.build("cc100-ja", out=tmp_path / "file", quiet=True)
    with pytest.raises(seimai.UsageError, match="オプション|chars"):
        seimai.Rules("ja-web", set={"rules.charz.at_least": 1})


def test_options_are_called_as_parameters_and_commands_stay():
    text = "use fewer --workers or a smaller --set source.partition; build it: python -m pipeline.build m.toml --out 'a b' --set x.y=1"
    assert show_options(text) == text
    with call_from_python():
        assert show_options(text) == (
            'use fewer workers= or a smaller set={"source.partition": …}; '
            "build it: python -m pipeline.build m.toml --out 'a b' --set x.y=1"
        )
        assert show_options("--set 'measure.presets=[\"a\"]' --set a.b=NAME. --keep-going, --out-of") == (
            'set={"measure.presets": ["a"], "a.b": "NAME"}. keep_going=True, --out-of'
        )


@pytest.mark.e2e
def test_an_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(seimai.UsageError, match="file is a file"):
        seimai.build("cc100-ja", out=tmp_path / "file" / "out", workers=0, quiet=True)


SCRIPT = """
import sys
import psutil
import seimai

print("the script runs")  # a worker that imported it would say so again, and build
options = dict(inputs=sys.argv[1], out="out", set={"source.partition": "20 KB"}, workers=2, quiet=True)
try:
    seimai.build("cc100-ja", **options)
except KeyboardInterrupt:
    left = [one for one in psutil.Process().children(recursive=True) if "resource_tracker" not in " ".join(one.cmdline())]
    print("interrupted;", len(left), "processes left")
print(len(seimai.build("cc100-ja", **options).ledger.collect()), "records")
"""


@pytest.mark.e2e
def test_a_script_without_a_guard_beside_modules_of_the_same_names(mixed, reference, tmp_path):
    """Ctrl-C ends the build and its workers, and the same call goes on. `-P`: the script needs none of what lies beside it."""
    for name in ("pipeline.py", "filters.py"):
        (tmp_path / name).write_text("raise SystemExit('this is not Seimai')\n")
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(SCRIPT, "utf-8")
    process = subprocess.Popen(
        [sys.executable, "-P", script, mixed], cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env=build_environment() | {"PYTHONPATH": str(ROOT)}, start_new_session=True,
    )  # fmt: skip
    wait_until(lambda: len([*out.rglob("part-*.json")]) >= 3, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, and a notebook: workers get it, too
    done = finish_command(process)
    assert done.returncode == 0, done.stderr
    records = len(read_ledger(reference))
    assert done.stdout.splitlines() == ["the script runs", "interrupted; 0 processes left", f"{records} records"]
    assert done.stderr == "" and hash_outputs(out) == hash_outputs(reference)


@pytest.mark.e2e
def test_a_notebook(tmp_path):
    """In a kernel, whose event loop runs in the thread that builds."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    shutil.copy(ROOT / "manifests" / "samples" / "cc100-ja.txt.xz", tmp_path / "raw.txt.xz")
    cells = [
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport seimai",
        'corpus = seimai.build("cc100-ja", inputs="raw.txt.xz", out="out", workers=1, limit=50)',
        "corpus.summary",
        'seimai.Rules(corpus).explain("今すぐ登録!")',
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(notebook, timeout=240, resources={"metadata": {"path": str(tmp_path)}}).execute()
    build, summary, explained = (cell.outputs for cell in notebook.cells[1:])
    said = "".join(output.get("text", "") for output in build)
    assert "polishing ratio" in said and "\x1b" not in said and "Warning" not in said
    assert "verdict" in summary[0].data["text/plain"] and explained[0].data["text/plain"].startswith("dropped by chars")
    assert pl.read_parquet(tmp_path / "out" / "ledger" / "*.parquet").height == 50
