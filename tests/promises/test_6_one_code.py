"""Promise 6: a build is made by one code, and by libraries whose versions it remembers."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import cloudpickle
import pytest
from rich.console import Console

from pipeline.core import libraries
from pipeline.core.code_identity import ByValue, describe_code, enter, hash_sources
from pipeline.core.engine import Engine
from pipeline.core.errors import BuildError
from pipeline.core.failures import refuse_worker
from pipeline.manifest.loading import load
from pipeline.plan import VERSIONS, Plan
from tests.support.cluster import ROOT, run_dask_commands
from tests.test_imports import MODULES, imports_of, third_party_imports

# Why libraries that steps import are in no fingerprint.
WITHOUT_A_SAY = {
    "aiohttp": "carries bytes over HTTP", "fsspec": "carries bytes", "xxhash": "a defined function", "psutil": "looks at processes",
    "brotli": "lossless", "isal": "lossless", "zstandard": "lossless", "yaml": "reads which files a corpus has, which inputs identify",
    "pydantic": "checks settings, which are in the fingerprint as they are read", "dask": "schedules", "distributed": "schedules",
    "cloudpickle": "carries tasks", "rich": "prints", "click": "reads options", "annotated_types": "describes settings",
    "filelock": "locks files", "tomli_w": "writes the lock file",
}  # fmt: skip
ONLY_WHERE_USED = {"fugashi", "pyarrow", "sudachipy", "torch", "transformers", "unidic-lite"}  # as other tests show
# What is imported along with `filters`, and computes nothing for a modality.
ONLY_OF = {
    "text": {"scipy", "soundfile", "soxr"},
    "image_text": {"idna", "scipy", "selectolax", "soundfile", "soxr", "tldextract"},
    "speech": {"idna", "pillow", "selectolax", "tldextract"},  # pillow: writes the spectrograms of the report
}
DISTRIBUTIONS = {
    "PIL": "pillow", "cchardet": "faust-cchardet", "fasttext": "fasttext-predict", "unidic_lite": "unidic-lite",
}  # fmt: skip


@pytest.fixture
def edited_tree(tmp_path: Path) -> Path:
    """The packages that tasks run, with one bound changed."""
    tree = tmp_path / "edited"
    for package in ("filters", "pipeline", "tokenizer", "manifests"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__", "samples"))
    file = tree / "pipeline" / "steps" / "decide.py"
    file.write_text(file.read_text("utf-8") + "\nANOTHER_BOUND = 1\n", "utf-8")
    return tree


def test_a_worker_with_other_code_refuses_and_both_are_named(edited_tree, tmp_path):
    with run_dask_commands(tmp_path, workers=0) as cluster:
        cluster.start_worker(PYTHONPATH=str(edited_tree))
        with Engine(None, cluster.address, tmp_path / "dask", Console(quiet=True)) as engine:
            with pytest.raises(BuildError) as refusal:
                list(engine.run("measuring", [((tmp_path / "done").mkdir, ())]))
    text = str(refusal.value)
    assert text.startswith("measuring: a worker on ") and "start the worker anew" in text
    assert str(ROOT) in text and str(edited_tree) in text and describe_code()["sources"] in text
    assert not (tmp_path / "done").exists()


def test_a_worker_whose_code_knows_nothing_of_this_refuses(edited_tree):
    (edited_tree / "pipeline" / "core" / "code_identity.py").unlink()
    sent = cloudpickle.dumps((ByValue(enter), describe_code(), cloudpickle.dumps((exit, (9,)))))
    program = "import pickle, sys; f, *a = pickle.load(sys.stdin.buffer); sys.stdout.buffer.write(pickle.dumps(f(*a)))"
    done = subprocess.run(
        [sys.executable, "-c", program], input=sent, capture_output=True, env={"PYTHONPATH": str(edited_tree)}, cwd=edited_tree
    )
    there = pickle.loads(done.stdout)["refused"]
    assert "ModuleNotFoundError" in there["reason"]
    assert "it cannot say which code it has" in str(refuse_worker("measuring", describe_code(), there, is_local=False))


def test_libraries_count_where_both_have_them():
    here = describe_code()
    other = here | {"libraries": here["libraries"] | {"polars": "0.1", "torch": libraries.NOT_INSTALLED}}
    text = str(refuse_worker("measuring", here, other, is_local=False))
    assert f"polars is {here['libraries']['polars']} here, 0.1 there" in text and "torch" not in text


def test_any_file_that_decides_changes_the_hash(edited_tree, monkeypatch):
    def hash_tree() -> str:
        program = "from pipeline.core.code_identity import hash_sources; print(hash_sources())"
        command = [sys.executable, "-c", program]
        return subprocess.run(
            command, env={"PYTHONPATH": str(edited_tree)}, cwd=edited_tree, capture_output=True
        ).stdout.decode()

    first = hash_tree()
    with open(edited_tree / "filters" / "lists" / "adult.txt", "a") as file:
        file.write("x\n")
    assert len(first) == 17 and len({first, hash_tree(), hash_sources() + "\n"}) == 3


# -- libraries


def make_plan(corpus: str, *settings: str) -> Plan:
    return Plan(load(corpus, settings), (), Path("out"), Path("work"))


@pytest.fixture
def upgrade(tmp_path, monkeypatch):
    """Install another version of a library, as far as its metadata goes."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str) -> None:
        folder = tmp_path / f"{name.replace('-', '_')}-99.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
        libraries.find_version.cache_clear()

    yield install
    libraries.find_version.cache_clear()


@pytest.mark.parametrize(
    ("corpus", "library", "first"),
    [
        ("cc100-ja", "pyarrow", "write"),
        ("parquet", "pyarrow", "measure"),
        ("cc100-ja", "polars", "measure"),
        ("cc100-ja", "soundfile", None),
        ("speech-ja", "soundfile", "measure"),
        ("image-text-ja", "pillow", "measure"),
        ("image-text-ja", "torch", None),
        ("speech-ja", "sudachidict-core", None),
    ],
)
def test_an_upgrade_redoes_the_steps_that_depend_on_it(corpus, library, first, upgrade):
    before = make_plan(corpus).fingerprints
    upgrade(library)
    after = make_plan(corpus).fingerprints
    changed = [step for step in VERSIONS if before[step] != after[step]]
    assert changed == ([] if first is None else list(VERSIONS)[list(VERSIONS).index(first) :])


def test_a_library_counts_where_the_manifest_asks_for_it():
    assert "sudachipy" in make_plan("speech-ja", "transcripts.dictionary=sudachi").libraries["measure"]
    assert "sudachipy" not in make_plan("speech-ja").libraries["measure"]


def test_the_build_says_why_steps_are_redone(upgrade, tmp_path):
    plan = make_plan("cc100-ja")
    version = plan.libraries["write"]["pyarrow"]
    plan = Plan(plan.manifest, (), tmp_path / "out", tmp_path / "work")
    assert plan.record_libraries() == [] == plan.record_libraries()
    upgrade("pyarrow")
    again = Plan(plan.manifest, (), plan.out, plan.work)
    assert again.record_libraries() == [f"pyarrow {version} -> 99.0 since the last build: write is done again"]
    assert again.record_libraries() == []


@pytest.mark.parametrize(("corpus", "room"), [("cc100-ja", "text"), ("image-text-ja", "image_text"), ("speech-ja", "speech")])
def test_every_library_that_steps_import_has_a_say_or_a_reason(corpus, room):
    rooms = (
        "pipeline.steps",
        "pipeline.dedup",
        f"pipeline.modalities.{room}",
        f"pipeline.sources.{room}",
        "pipeline.sources.formats",
    )
    seen: set[str] = set()
    remaining = {module for module in MODULES if module.startswith(rooms)}
    while remaining:
        module = remaining.pop()
        if module not in seen and not _is_of_another(module, room):
            seen.add(module)
            remaining |= {imported.module for imported in imports_of(module)}
    imported = {DISTRIBUTIONS.get(name, name) for module in seen for name in third_party_imports(module)}
    with_a_say = {name for versions in make_plan(corpus).libraries.values() for name in versions}
    assert imported - with_a_say - set(WITHOUT_A_SAY) - ONLY_WHERE_USED - ONLY_OF[room] == set()


def _is_of_another(module: str, room: str) -> bool:
    """Return whether a module is of another modality, or runs in the driver alone."""
    others = {"text", "image_text", "speech"} - {room}
    of_others = [f"pipeline.{kind}.{other}" for kind in ("modalities", "sources") for other in others]
    of_driver = ["pipeline.core.engine", "pipeline.core.cluster", "pipeline.plan", "pipeline.manifest", "tokenizer"]
    return module.startswith((*of_others, *of_driver))
