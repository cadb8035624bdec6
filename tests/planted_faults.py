"""Plant faults one by one in a copy of the code, and see whether the tests of the place notice.

    python -m tests.planted_faults [--count 96] [--seed 1] [--jobs 2] [--results faults.jsonl] [--only pipeline/dedup]

A fault is one small change: `<` for `<=`, `+` for `-`, `and` for `or`, a number that is one higher, a guard that never holds, a call
that is left out. Faults are drawn by the seed, each room its share. Messages, annotations, decorators and docstrings get none.

The tests of a place are run from near to far, until one fails: the file of the same name, files that import the module, the folder of
the room, the builds of the samples, other tests of whole builds. A test that fails is run once more without the fault, and counts only
if it passes then. Compiled kernels that have a fault in them are compiled anew (`filters/compile_cache.py`). Results are appended to a
file; what is in it is not tried again. This takes half a minute for each fault, minutes where nothing notices it, and is no part of
`make test`.
"""

from __future__ import annotations

import argparse
import ast
import copy
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from queue import Queue

ROOT = Path(__file__).resolve().parent.parent
CODE = ("filters", "pipeline", "seimai", "tokenizer", "trainers")
SHARES = {
    "pipeline/dedup": 18, "pipeline/steps": 14, "pipeline/sources": 16, "pipeline/core": 8, "pipeline/modalities": 6, "filters": 18,
    "tokenizer": 7, "trainers": 9,
}  # fmt: skip
MOST_PER_FILE = 3
SECONDS = 150  # for one test; a fault that makes a loop endless is noticed by this
BUILDS = ("tests/test_text_sample_build.py", "tests/test_image_text_sample_build.py", "tests/test_speech_sample_build.py")
COMPARISONS: dict[type[ast.cmpop], ast.cmpop] = {
    ast.Lt: ast.LtE(), ast.LtE: ast.Lt(), ast.Gt: ast.GtE(), ast.GtE: ast.Gt(), ast.Eq: ast.NotEq(), ast.NotEq: ast.Eq(),
    ast.In: ast.NotIn(), ast.NotIn: ast.In(), ast.Is: ast.IsNot(), ast.IsNot: ast.Is(),
}  # fmt: skip
OPERATORS: dict[type[ast.operator], ast.operator] = {
    ast.Add: ast.Sub(), ast.Sub: ast.Add(), ast.Mult: ast.Add(), ast.Div: ast.Mult(), ast.FloorDiv: ast.Mult(), ast.LShift: ast.RShift(),
    ast.RShift: ast.LShift(), ast.BitAnd: ast.BitOr(), ast.BitOr: ast.BitAnd(), ast.BitXor: ast.BitOr(),
}  # fmt: skip
GUARDS = (ast.Continue, ast.Return, ast.Break, ast.Raise)  # what a guard ends with
SPOKEN = {"add_argument", "print", "debug", "warning", "info"}  # calls whose arguments are words for people


@dataclass(frozen=True)
class Fault:
    """A change of one place: `before`, from byte `start` of the file, becomes `after`."""

    path: str
    line: int
    start: int
    before: str
    after: str

    @property
    def key(self) -> str:
        """What is changed where, in one line."""
        before, after = (" ".join(text.split())[:100] for text in (self.before, self.after))
        return f"{self.path}:{self.line} {before} -> {after}"


# -- what can be changed


def list_faults(path: Path) -> list[Fault]:
    """Return every fault that can be planted in a file, in order."""
    source = path.read_text("utf-8")
    line_starts = [0, *(m.end() for m in re.finditer(b"\n", source.encode()))]
    faults: list[Fault] = []
    for node, changed in _list_changes(ast.parse(source)):
        start = line_starts[node.lineno - 1] + node.col_offset
        before = ast.get_source_segment(source, node) or ""
        after = ast.unparse(changed)
        if isinstance(node, ast.expr) and "\n" in before:
            after = f"({after})"
        faults.append(Fault(str(path.relative_to(ROOT)), node.lineno, start, before, after))
    return faults


def _list_changes(node: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, ast.AST]]:
    """Yield (node, what stands for it) below `node`, leaving out what is for people and for the type checker."""
    for child in _list_children(node):
        if isinstance(child, ast.stmt | ast.expr):
            yield from ((child, changed) for changed in _change(child))
        yield from _list_changes(child)


def _list_children(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.JoinedStr | ast.Raise | ast.Import | ast.ImportFrom | ast.Assert):
        return
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
        if name in SPOKEN:
            return
    hidden = {"annotation", "returns", "decorator_list", "type_params"}
    for field, value in ast.iter_fields(node):
        if field not in hidden:
            yield from (child for child in (value if isinstance(value, list) else [value]) if isinstance(child, ast.AST))


def _change(node: ast.stmt | ast.expr) -> Iterator[ast.AST]:
    """Yield what can stand for a statement or an expression."""
    changed = copy.deepcopy(node)
    if isinstance(changed, ast.Compare) and len(changed.ops) == 1 and type(changed.ops[0]) in COMPARISONS:
        changed.ops = [COMPARISONS[type(changed.ops[0])]]
        yield changed
    elif isinstance(changed, ast.BinOp | ast.AugAssign) and type(changed.op) in OPERATORS and not _has_words(changed):
        changed.op = OPERATORS[type(changed.op)]
        yield changed
    elif isinstance(changed, ast.BoolOp):
        changed.op = ast.Or() if isinstance(changed.op, ast.And) else ast.And()
        yield changed
    elif isinstance(changed, ast.UnaryOp) and isinstance(changed.op, ast.Not):
        yield changed.operand
    elif isinstance(changed, ast.Constant) and type(changed.value) is int:
        yield ast.Constant(changed.value + 1)
    elif isinstance(changed, ast.Constant) and type(changed.value) is float:
        yield ast.Constant(changed.value * 1.5 + 0.01)
    elif (
        isinstance(changed, ast.If)
        and not changed.orelse
        and isinstance(changed.body[-1], ast.Continue | ast.Return | ast.Break | ast.Raise)
    ):
        changed.test = ast.Constant(False)
        yield changed
    elif isinstance(changed, ast.Expr) and isinstance(changed.value, ast.Call):
        yield ast.Pass()


def _has_words(node: ast.AST) -> bool:
    """Tell whether an operator is about text or lists, where another one would only raise TypeError."""
    return any(
        isinstance(n, ast.JoinedStr | ast.List) or (isinstance(n, ast.Constant) and isinstance(n.value, str))
        for n in ast.walk(node)
    )


def draw_faults(count: int, seed: int, only: str) -> list[Fault]:
    """Draw faults: each room its share of `count`, at most three in a file."""
    draw, drawn = random.Random(seed), []
    total = sum(SHARES.values())
    for room, share in SHARES.items():
        candidates = [fault for path in sorted((ROOT / room).rglob("*.py")) for fault in list_faults(path)]
        draw.shuffle(candidates)
        per_file: dict[str, int] = {}
        wanted = round(count * share / total)
        for fault in candidates:
            if wanted and per_file.get(fault.path, 0) < MOST_PER_FILE:
                per_file[fault.path] = per_file.get(fault.path, 0) + 1
                drawn.append(fault)
                wanted -= 1
    return [fault for fault in drawn if fault.path.startswith(only)]


# -- the tests of a place


def name_module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def list_imports() -> dict[Path, set[str]]:
    """Return the modules that every file of code and tests names in its imports."""
    files = [path for room in (*CODE, "tests") for path in sorted((ROOT / room).rglob("*.py"))]
    return {path: _read_imports(path) for path in files}


def _read_imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return names


def find_importers(module: str, within: Iterable[str]) -> list[Path]:
    """Return the files in the rooms `within` that import a module themselves."""
    return [path for path, names in list_imports().items() if module in names and path.relative_to(ROOT).parts[0] in within]


def find_tests(path: Path, near: bool) -> list[list[str]]:
    """Return the tests of a file's place, in groups from near to far, as paths relative to the root; without whole builds where `near`."""
    folder = ROOT / "tests" / path.relative_to(ROOT).parent
    name = path.stem.strip("_")
    same_name = [test for test in (folder / f"test_{name}.py", folder.parent / f"test_{folder.name}.py") if test.is_file()]
    importers = [test for test in find_importers(name_module(path), ["tests"]) if test.name.startswith("test_")]
    while not folder.is_dir():
        folder = folder.parent
    room = sorted(folder.rglob("test_*.py")) if folder != ROOT / "tests" else []
    groups = [[f"tests/test_examples.py::test_examples[{path.relative_to(ROOT)}]"]] if b">>> " in path.read_bytes() else []
    known: set[Path] = set()
    whole = sorted(
        (ROOT / "tests" / path.relative_to(ROOT).parts[0]).glob("test_*.py")
    )  # such as builds of what one room is for
    far = [] if near else [[ROOT / test for test in BUILDS], whole]
    for tests in (same_name, importers, room, *far):
        group = [test for test in tests if test not in known]
        known |= set(group)
        if group:
            groups.append([str(test.relative_to(ROOT)) for test in group])
    return groups


# -- trying one


class Copy:
    """A copy of the tree in which faults are planted."""

    def __init__(self, folder: Path) -> None:
        ignored = shutil.ignore_patterns(
            ".git", ".venv", "corpora", "*.pyc", "*.egg-info", ".mypy_cache", ".ruff_cache", ".pytest_cache"
        )
        shutil.copytree(ROOT, folder, ignore=ignored)
        self.folder = folder
        self._kernels: dict[Path, bytes] = {}  # those that were compiled without the fault

    def plant(self, fault: Fault) -> None:
        path = self.folder / fault.path
        source = path.read_bytes()
        before = fault.before.encode()
        assert source[fault.start : fault.start + len(before)] == before, f"{fault.path} is not what the fault was made for"
        lines = fault.after.encode().replace(b"\n", b"\n" + b" " * (fault.start - source.rfind(b"\n", 0, fault.start) - 1))
        path.write_bytes(source[: fault.start] + lines + source[fault.start + len(before) :])
        self._kernels = {compiled: compiled.read_bytes() for compiled in self._list_kernels(path)}

    def restore(self, fault: Fault) -> None:
        path = self.folder / fault.path
        shutil.copy2(ROOT / fault.path, path)  # with its time, which compiled kernels are known by
        for compiled in self._list_kernels(path):
            compiled.unlink()
        for compiled, content in self._kernels.items():
            compiled.write_bytes(content)
        self._kernels.clear()

    def _list_kernels(self, path: Path) -> list[Path]:
        """Return the compiled kernels of a module and of all that import it: those that call it are compiled anew with the fault."""
        changed, todo = {path}, [ROOT / path.relative_to(self.folder)]
        while todo:
            module = name_module(todo.pop())
            importers = [self.folder / found.relative_to(ROOT) for found in find_importers(module, CODE)]
            todo += [ROOT / new.relative_to(self.folder) for new in importers if new not in changed]
            changed |= set(importers)
        return [kernel for file in changed for kernel in (file.parent / "__pycache__").glob(f"{file.stem}.*.nb[ic]")]

    def run_tests(self, tests: Sequence[str]) -> tuple[bool, list[str]]:
        """Run tests up to the first failure; returns whether all passed, and else which failed: all of them where it cannot be told."""
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", f"--timeout={SECONDS}", *tests]
        environment = os.environ | {"PYTHONPATH": str(self.folder), "OMP_NUM_THREADS": "1", "HYPOTHESIS_PROFILE": "thorough"}
        process = subprocess.Popen(
            command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, start_new_session=True,
        )  # fmt: skip
        output, _ = process.communicate()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # what a test that was given up has left running
        failed = re.findall(r"^(?:FAILED|ERROR) (\S+(?: ?\[[^\]]*\])?)", output, re.MULTILINE)
        return process.returncode in (0, 5), failed[:1] or list(tests)  # 5: all were deselected


def try_fault(fault: Fault, planted: Copy, near: bool) -> dict[str, object]:
    """Plant a fault and run its tests; returns a line of the results."""
    verdict, by = "not noticed", ""
    try:
        planted.plant(fault)
        for tests in find_tests(ROOT / fault.path, near):
            passed, failed = planted.run_tests(tests)
            if passed:
                continue
            planted.restore(fault)
            if planted.run_tests(failed)[0]:
                verdict, by = "noticed", failed[0]
                break
            planted.plant(fault)  # that test fails anyway, so that it says nothing
    finally:
        planted.restore(fault)
    return asdict(fault) | {"key": fault.key, "verdict": verdict, "by": by, "near": near and verdict == "not noticed"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=96, help="how many faults (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="which ones (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="how many are tried at the same time (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=Path("faults.jsonl"), help="JSON lines (default: %(default)s)")
    parser.add_argument("--only", default="", help="faults of files whose path begins like this")
    parser.add_argument(
        "--near", action="store_true", help="leave out whole builds; run again without it, what is not noticed is tried anew"
    )
    parser.add_argument("--list", action="store_true", help="show the faults and plant none")
    options = parser.parse_args()
    faults = draw_faults(options.count, options.seed, options.only)
    if options.list:
        print("\n".join(fault.key for fault in faults))
        return 0
    lines = options.results.read_text("utf-8").splitlines() if options.results.is_file() else []
    results = {line["key"]: line for line in map(json.loads, lines) if options.near or not line.get("near")}
    with tempfile.TemporaryDirectory(prefix="seimai-faults-") as scratch, ThreadPoolExecutor(options.jobs) as pool:
        copies: Queue[Copy] = Queue()
        for number in range(options.jobs):
            copies.put(Copy(Path(scratch) / str(number)))

        def try_next(fault: Fault) -> None:
            planted = copies.get()
            try:
                results[fault.key] = line = try_fault(fault, planted, options.near)
            finally:
                copies.put(planted)
            with open(options.results, "a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            print(f"{line['verdict']:<12} {fault.key}  {line['by']}", flush=True)

        list(pool.map(try_next, [fault for fault in faults if fault.key not in results]))
    tried = [results[fault.key] for fault in faults]
    noticed = sum(line["verdict"] == "noticed" for line in tried)
    print(f"\n{noticed} of {len(tried)} noticed ({noticed / max(1, len(tried)):.1%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
