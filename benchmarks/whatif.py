"""How long what-if takes on large ledgers, and how much memory.

    python -m benchmarks.whatif --rows 10M

The ledger is made up: 200,000 rows of the sample's, drawn anew with noise in their measures, so that Parquet finds little to compress, as
in a real one; and copies of that file. Bars: what-if of another bound, under 5 s and 2 GB, start-up included, on 10 million rows.
"""

from __future__ import annotations

import json
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from benchmarks.harness import Bar, build_command, finish, format_table, make_parser, parse_options, run_command, watch
from pipeline.core.ownership import STATE_FOLDER
from pipeline.core.settings import parse_count
from pipeline.core.shards import ShardWriter, name_shard
from pipeline.corpus.built import open_corpus

_FILE_ROWS = 200_000  # a ledger file of a build of long documents has fewer, one of short ones more
_DICTIONARY = ["source", "verdict", "step", "rule", "value_text", "bound", "bound_text", "language", "language_kind"]
SECONDS, MEMORY = 5.0, 2e9
QUESTIONS = {
    "one bound tightened": ["--set", "rules.chars.at_least=300"],
    "a rule on another measure": ["--set", "rules.hiragana_share.at_least=0.25"],
    "another preset": ["--preset", "ja-web-strict"],
    "near a bound": ["--near", "quality_score"],
}


def prepare_corpus(scratch: Path, rows: int) -> Path:
    """Return the folder of a built corpus with a ledger of so many rows, which is made once."""
    sample, folder = scratch / "ledger-sample", scratch / f"ledger-{rows}"
    if not (sample / "README.md").is_file():
        source = Path(__file__).parents[1] / "manifests" / "samples" / "cc100-ja.txt.xz"
        run_command(build_command("cc100-ja", source, sample))
    if not folder.is_dir():
        make_corpus(sample, folder, rows)
    return folder


def make_corpus(sample: Path, folder: Path, rows: int) -> None:
    """Make a built corpus with a ledger of so many rows, after a real one. Its shards are those of the sample."""
    shutil.copytree(sample, folder, ignore=shutil.ignore_patterns("work", "ledger"))
    (folder / "ledger").mkdir()
    opened = open_corpus(sample)
    real = opened.scan_ledger().collect()
    schema = pl.read_parquet(opened.ledger_files[0], n_rows=0).to_arrow().schema
    schema = pa.schema([field.with_type(pa.string()) if field.type == pa.large_string() else field for field in schema])
    files = max(1, -(-rows // _FILE_ROWS))
    count = -(-rows // files)
    names = [name_shard("ledger", number, files) for number in range(files)]
    draw = np.random.default_rng(1)
    frame = real[draw.integers(0, len(real), count)]
    frame = frame.with_columns(
        (pl.col(field) * pl.Series(1 + 0.05 * draw.standard_normal(count))).cast(kind).alias(field)
        for field, kind in frame.schema.items()
        if kind == pl.Float32
    )
    with ExitStack() as stack:
        writer = ShardWriter(folder / "ledger" / names[0], schema, 16384, None, 3, _DICTIONARY)
        stack.callback(writer.close)
        writer.write(frame.to_arrow().cast(schema))
    for name in names[1:]:
        shutil.copyfile(folder / "ledger" / names[0], folder / "ledger" / name)
    path = folder / STATE_FOLDER / "state.json"
    kept = frame.filter(verdict="kept")
    verdicts = {"kept": [files * len(kept), 0, files * int(kept["measured_chars"].sum())]}
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"ledgers": names, "verdicts": verdicts}), "utf-8")


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--rows", type=parse_count, default=10_000_000, help="rows of the ledger")
    options = parse_options(parser, "whatif", {"rows": 2_000})
    folder = prepare_corpus(options.scratch, options.rows)
    commands = {name: ["pipeline.whatif", str(folder), *words, "--no-replay"] for name, words in QUESTIONS.items()}
    table, bars = [], []
    for name, words in commands.items():
        run = watch([sys.executable, "-m", *words])
        table.append([name, f"{run.seconds:.1f} s", f"{run.peak_sum / 1e9:.2f} GB"])
        is_held = run.seconds < SECONDS and run.peak_sum < MEMORY
        bars.append(Bar(is_held, f"{name}: {run.seconds:.1f} s (5), {run.peak_sum / 1e9:.2f} GB (2)"))
    print(format_table([f"{options.rows:,} rows", "time", "memory"], table))
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
