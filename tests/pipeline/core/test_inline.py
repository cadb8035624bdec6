"""Tasks in the process that gives them, `--workers 0`. That whole builds have the same bytes is in the tests of builds."""

import errno

import pytest
from rich.console import Console

from pipeline.core.engine import Engine
from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.core.inline import InlineEngine, check_options, make_engine


@pytest.fixture
def engine(tmp_path):
    with InlineEngine(tmp_path / "dask", Console(quiet=True)) as engine:
        yield engine


def fail(error):
    raise error


def test_tasks_run_in_order_and_one_at_a_time(engine):
    seen = []

    def tasks():
        for number in range(5):
            seen.append(f"given {number}")
            yield seen.append, (f"run {number}",)

    assert [number for number, _ in engine.run("testing", tasks(), in_flight=3)] == [*range(5)]
    assert seen == [f"{what} {number}" for number in range(5) for what in ("given", "run")]


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (InputError("a.txt: damaged"), InputError, "a.txt: damaged"),
        (OSError(errno.ENOSPC, "No space left on device"), BuildError, "no space left on the disk"),
        (ValueError("a fault"), BuildError, "testing failed on part 1: ValueError: a fault"),
    ],
)
def test_a_failure_is_explained_and_ends_the_step(engine, error, kind, words):
    closed = []

    def tasks():
        try:
            yield str, ("a",)
            yield fail, (error,)
            yield closed.append, ("never run",)
        finally:
            closed.append("closed")

    results = engine.run("testing", tasks())
    assert next(results) == (0, "a")
    with pytest.raises(kind, match=words):
        next(results)
    assert closed == ["closed"]


def test_what_is_produced_is_taken_item_by_item(engine):
    made = []

    def produce(count):
        for number in range(count):
            made.append(number)
            yield number
        raise ValueError("a fault")

    items = engine.produce("cutting", produce, (3,), ahead=2)
    assert next(items) == 0 and made == [0]
    with pytest.raises(BuildError, match="cutting failed on part 0: ValueError: a fault"):
        list(items)
    assert made == [0, 1, 2]


def test_options_choose_the_engine(tmp_path):
    console = Console(quiet=True)
    assert isinstance(make_engine(0, None, tmp_path, console), InlineEngine)
    assert type(make_engine(None, None, tmp_path, console)) is type(make_engine(2, None, tmp_path, console)) is Engine
    for workers in (0, 2):
        with pytest.raises(UsageError, match="--workers is for the local cluster"):
            check_options(workers, "tcp://127.0.0.1:1")
    check_options(None, "tcp://127.0.0.1:1")
