"""What the command prints at the end, and for `--plan`."""

from __future__ import annotations

import shutil
from typing import Any

from rich.console import Console
from rich.table import Table

from pipeline.core.storage import human, size_of
from pipeline.modalities import modality_of
from pipeline.plan import Plan
from pipeline.report.card import steps_table
from pipeline.steps.cut import load_partitions
from pipeline.steps.tokenise import Tokenising
from tokenizer.encode import make_counts_table
from tokenizer.evaluate import make_figures_table

_TOP = 8


def print_summary(console: Console, plan: Plan, summary: dict[str, Any]) -> None:
    """Records and amounts by step, top reasons, polishing ratio, memory, path, and two lines to paste."""
    table = Table(box=None, pad_edge=False)
    table.add_column("step")
    words = modality_of(plan.manifest).terms
    amount = words.amount[0]
    for name in ("records in", "records out", f"{amount} in", f"{amount} out"):
        table.add_column(name, justify="right")
    for name, *numbers in steps_table(summary):
        table.add_row(name, *(f"{n:,}" for n in numbers[:2]), *map(words.format_amount, numbers[2:]))
    console.print()
    console.print(table)
    reasons: list[tuple[str, int]] = [(rule, records) for rule, (records, _) in summary["rules"].items()]
    d = summary["duplicates"]
    reasons += [
        ("exact duplicate", d.get("exact", 0)),
        ("near duplicate", d.get("near", 0)),
        ("unreadable", summary["total"]["unreadable"]),
    ]
    top = sorted((r for r in reasons if r[1]), key=lambda r: -r[1])[:_TOP]
    if top:
        console.print(
            "\ntop reasons   " + "  ".join(f"{name} {count:,}" for name, count in top), highlight=False, soft_wrap=True
        )
    speed = summary["total"]["bytes"] / 1e6 / max(summary["seconds"], 1e-6)
    console.print(
        f"polishing ratio {summary['polishing_ratio']:.1%} of the raw {words.ratio[0]}   "
        f"{summary['seconds']:.1f} s ({speed:.1f} MB/s)   "
        f"peak memory {human(summary['peak_memory'])}",
        highlight=False,
    )
    for warning in summary["warnings"]:
        console.print(f"warning: {warning}", style="yellow", highlight=False, markup=False)


def print_tokenised(console: Console, plan: Plan, told: dict[str, Any]) -> None:
    """The tokenizer's figures and the tokens by split."""
    trained, tokens = told["tokenizer"], told["tokens"]
    settings, size = trained["settings"], human(trained["sample"]["bytes"])
    console.print(
        f"\ntokenizer     {settings['model']}, {settings['vocab_size']:,} pieces, from {size} of text", highlight=False
    )
    if trained["figures"]:
        console.print(make_figures_table([trained["figures"] | {"tokenizer": "held-out"}]))
    if tokens:
        console.print()
        console.print(make_counts_table(tokens))


def next_lines(console: Console, plan: Plan) -> None:
    """The folder, and two lines to paste: one to look at the shards, one to train on them."""
    console.print(f"\n{plan.out}", style="bold", highlight=False, markup=False)
    look = f"import polars as pl; print(pl.scan_parquet('{plan.out}/data/*.parquet').head().collect())"
    for line in (f'python -c "{look}"', _training(plan)):
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)


def _training(plan: Plan) -> str:
    """The command that trains the bundled model, after those that make what it reads and is not there. The sample is for `tiny` models."""
    words, out, sample = modality_of(plan.manifest).terms, plan.out, any(file.is_sample for file in plan.inputs)
    steps = {
        "tokenizer": f"python -m tokenizer.train {out}" + " --vocab-size 900" * sample,
        "tokens": f"python -m tokenizer.encode {out}" + " --sequence-length 256" * sample,
    }
    before = [steps[name] for name in words.reads if not (out / name).is_dir()]
    return " && ".join([*before, f"python -m {words.trainer} {out}" + " --config tiny" * sample])


def print_plan(console: Console, plan: Plan) -> None:
    """What is done, what would be done, how large."""
    total = sum(f.size or 0 for f in plan.inputs)
    for file in plan.inputs:
        console.print(
            f"input   {file.url}  ({human(file.size) if file.size else 'size unknown'})", highlight=False, markup=False
        )
    console.print(f"out     {plan.out}\nwork    {plan.work}\n", highlight=False, markup=False)
    table = Table(box=None, pad_edge=False)
    for name in ("step", "state", "on disk"):
        table.add_column(name, justify="right" if name == "on disk" else "left")
    if plan.up_to_date():
        for step in plan.fingerprints:
            table.add_row(step, "done", human(size_of(plan.workspace.folder(step) if step != "write" else plan.out / "data")))
        tokenised = plan.manifest.tokenizer is None or Tokenising(plan).up_to_date() is not None
        _tokenise_row(table, plan, "done" if tokenised else "to do")
        console.print(table)
        console.print("\nup to date: a build would do nothing" if tokenised else "\na build would do step 5 alone")
        return
    known = load_partitions(plan)
    measured = [p for p in known if plan.workspace.part(p.index).counts.is_file()]
    complete = (
        bool(plan.inputs)
        and all(plan.workspace.input_record(n).is_file() for n in range(len(plan.inputs)))
        and len(measured) == len(known)
    )
    for step in plan.fingerprints:
        folder = plan.workspace.staging if step == "write" else plan.workspace.folder(step)
        if step == "measure":
            state = "done" if complete else f"{len(measured)} parts done, the rest to do" if measured else "to do"
        elif step == "deduplicate" and plan.workspace.duplicates.is_file():
            state = "done"
        elif step == "decide" and complete and len(list(folder.glob("part-*.json"))) == len(known):
            state = "done"
        else:
            state = "begun" if folder.is_dir() and any(folder.iterdir()) else "to do"
        table.add_row(step, state, human(size_of(folder)))
    _tokenise_row(table, plan, "to do")
    console.print(table)
    # Measured on Japanese text: xz, gzip and zstd shrink it to a quarter or so. Images are as large as their archives.
    words = modality_of(plan.manifest).terms
    packed = plan.manifest.modality == "text"
    content = sum((f.size or 0) * (4.5 if packed and not f.url.endswith((".txt", ".jsonl")) else 1) for f in plan.inputs)
    intermediates, output = (human(share * content) for share in words.space_per_byte)
    free = shutil.disk_usage(next(p for p in (plan.work, *plan.work.parents) if p.exists())).free
    console.print(
        f"\ninput of {human(total)} in all, about {human(content)} of content; a build takes about {intermediates} for intermediates "
        f"and {output} for output ({human(free)} free). Nothing was done.",
        highlight=False,
        soft_wrap=True,
    )


def _tokenise_row(table: Table, plan: Plan, state: str) -> None:
    if plan.manifest.tokenizer is not None:
        table.add_row("tokenise", state, human(size_of(plan.out / "tokenizer") + size_of(plan.out / "tokens")))
