"""Train a model of the quality of Japanese text, for `quality.model` of a manifest.

    python -m filters.train_quality GOOD BAD --out MODEL
    python -m filters.train_quality LABELLED --out MODEL

GOOD and BAD are JSON lines, Parquet, plain text (a blank line between documents, as in CC-100, or one a line), or corpora that Seimai
built.
LABELLED is JSON lines or Parquet with a label beside each text. What is printed comes from models that were trained on four fifths of the
texts and asked about the other fifth; the model that is written is trained on all.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from filters.labelled_texts import Keys, LabelledTextsError, read_labelled, read_two
from filters.model_training import COST, HeldOut, train_model
from filters.text.text_model import KINDS

BOUNDS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def area_under_curve(held_out: HeldOut) -> float:
    """Return the probability that a good text has a higher score than a bad one, texts drawn by their weights; equal scores count half."""
    order = np.argsort(held_out.scores[~held_out.good])
    bad = held_out.scores[~held_out.good][order]
    total = np.concatenate([[0.0], np.cumsum(held_out.weight[~held_out.good][order])])
    scores = held_out.scores[held_out.good]
    below = (total[np.searchsorted(bad, scores, "left")] + total[np.searchsorted(bad, scores, "right")]) / 2
    return float(np.average(below, weights=held_out.weight[held_out.good]) / total[-1])


def format_held_out(held_out: HeldOut) -> str:
    """Return the area under the curve and, for several bounds, what a rule `quality_score = { at_least = … }` would do.

    Texts count by their weights, good and bad the same.
    """
    good, weight = held_out.good, held_out.weight
    lines = [
        f"held out: {good.sum():,} good and {(~good).sum():,} bad texts; area under the curve {area_under_curve(held_out):.3f}",
        "at_least  bad caught  good lost  precision    F1",
    ]
    for bound in BOUNDS:
        dropped = held_out.scores < bound
        caught, lost = (float(np.average(dropped[kind], weights=weight[kind])) for kind in (~good, good))
        precision, f1 = caught / max(1e-9, caught + lost), 2 * caught / (caught + lost + 1)
        lines.append(f"{bound:8.2f} {caught:11.3f} {lost:10.3f} {precision:10.3f} {f1:5.2f}")
    return "\n".join(lines)


def write_file(path: Path, content: bytes) -> None:
    """Write a file so that it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def make_parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", type=Path, nargs="+", metavar="GOOD BAD | LABELLED")
    parser.add_argument("--out", type=Path, required=True, metavar="MODEL", help="the file to write")
    parser.add_argument("--overwrite", action="store_true", help="replace MODEL where it is there")
    parser.add_argument("--text", default="text", help="key or column of the text (default: %(default)s)")
    parser.add_argument("--label", default="label", help="key or column of the label (default: %(default)s)")
    parser.add_argument("--good", default="good", help="label of good texts (default: %(default)s)")
    parser.add_argument("--bad", default="bad", help="label of bad texts (default: %(default)s)")
    parser.add_argument(
        "--most",
        type=int,
        default=100_000,
        help="texts of each kind that are trained on, chosen by hash (default: %(default)s)",
    )
    parser.add_argument("--kinds", choices=KINDS, nargs="+", default=KINDS, help="features (default: all)")
    parser.add_argument(
        "--cost", type=float, default=COST, help="how much errors count beside the weights' size (default: %(default)s)"
    )
    return parser


def main(arguments: Sequence[str] | None = None, prog: str = "python -m filters.train_quality") -> int:
    parser = make_parser(prog)
    options = parser.parse_args(arguments)
    if len(options.texts) > 2:
        parser.error("expected GOOD and BAD, or one file with labels")
    if options.most < 2 or not 0 < options.cost < 1e6:
        parser.error("--most begins at 2, --cost above 0")
    if options.out.exists() and not options.overwrite:
        parser.error(f"{options.out} is there already: choose another --out, or give --overwrite")
    keys = Keys(options.text, options.label, "weight", options.good, options.bad)
    try:
        first, *others = options.texts
        texts = read_two(first, others[0], keys, options.most) if others else read_labelled(first, keys, options.most)
        names = ", ".join(path.name for path in options.texts)
        model, held_out = train_model(texts, names, options.kinds, options.cost)
        write_file(options.out, model.to_bytes())
    except (LabelledTextsError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(format_held_out(held_out))
    print(f'\nwritten to {options.out}; in a manifest: quality.model = "{options.out}"')
    return 0


if __name__ == "__main__":
    sys.exit(main())
