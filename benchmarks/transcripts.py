"""Transcripts: telling what was said the same from what was not, bands of speech rate, and the speed of readings.

    python -m benchmarks.transcripts [--data ../shared/data/speech]

Three tables.

1. **Said the same**: the pairs of reference and recogniser's output in `tests/data/transcript_labels.tsv` (Common Voice 8 and
   Whisper; `same` is 1 where both, read aloud, sound the same: spelling variants and homophones count as the same, since what is asked
   is whether the transcript is what was said). For every score: the area under the curve, and the largest share of all pairs that it can
   keep while 95 % of the kept are the same.

   | score | |
   |---|---|
   | reading error rate | ours: edits between katakana readings, by sound |
   | surface error rate | edits between characters, symbols left out |
   | word error rate | as kotoba-whisper has it: transformers' BasicTextNormalizer, words between spaces |
   | hallucination rules | as NeMo Curator has them: share of different words at most 0.4, or a word of 25 characters or more |

2. **Bands of speech rate**: of `utterances.jsonl.gz` (JSUT, duration without silence), a fifth of the transcripts is made wrong: another
   sentence's, cut to half, doubled, or with ten more words; what the band of the preset `transcript-ja` finds. Mean over `--seeds`.

3. **Speed of readings** beside fugashi called once per line, on one core.

Exits with 1 where a bar is missed: 0.97 under the curve and the best; nine in ten of the wrong found (swaps aside) at 2 % of the sound
dropped; 0.8 of fugashi's speed.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.corpus import ROOT, in_turns, median, seconds, speed, table

DATA = Path("../shared/data/speech")
LABELS = ROOT / "tests" / "data" / "transcript_labels.tsv"
AREA, FOUND, SOUND, SPEED = 0.97, 0.9, 0.02, 0.8
KINDS = ("half", "double", "ten words more", "swapped")


def _lines(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


# -- said the same


def labelled(data: Path) -> tuple[pl.Series, pl.Series, np.ndarray]:
    """References, hypotheses (normalised) and bool: whether they are said the same."""
    from filters import normalise

    labels = {
        (row[0], row[1]): row[2] for row in pl.read_csv(LABELS, separator="\t", schema_overrides={"clip": pl.String}).rows()
    }
    found: list[tuple[str, str, int]] = []
    for row in _lines(data / "asr_hypotheses.jsonl.gz"):
        key = row["id"].removeprefix("common_voice_ja_").removesuffix(".mp3"), row["model"].removeprefix("whisper-")
        if key in labels:
            found.append((row["reference"], row["hypothesis"], labels.pop(key)))
    assert not labels, f"{len(labels)} labelled pairs are not in the data"
    references, hypotheses, same = zip(*found, strict=True)
    return normalise(pl.Series(references)), normalise(pl.Series(hypotheses)), np.array(same, bool)


def area(score: np.ndarray, same: np.ndarray) -> float:
    """Probability that a pair that is the same has a lower score than one that is not; ties count half."""
    low, high = np.sort(score[same]), score[~same]
    below = np.searchsorted(low, high, "left")
    return float(((below + np.searchsorted(low, high, "right")) / 2).mean() / len(low))


def kept(score: np.ndarray, same: np.ndarray, precision: float = 0.95) -> float:
    """Largest share of all pairs under some bound of which so many are the same."""
    chosen = [score <= bound for bound in np.unique(score)]
    return max([float(mask.mean()) for mask in chosen if same[mask].mean() >= precision], default=0.0)


def _word_errors(references: pl.Series, hypotheses: pl.Series) -> np.ndarray:
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer

    normal = BasicTextNormalizer()

    def distance(a: list[str], b: list[str]) -> int:
        row = list(range(len(b) + 1))
        for i, x in enumerate(a):
            diagonal, row[0] = row[0], i + 1
            for j, y in enumerate(b):
                diagonal, row[j + 1] = row[j + 1], min(row[j + 1] + 1, row[j] + 1, diagonal + (x != y))
        return row[-1]

    words = [(normal(a).split(), normal(b).split()) for a, b in zip(references, hypotheses, strict=True)]
    return np.array([distance(a, b) / max(1, len(a)) for a, b in words])


def _hallucinated(hypotheses: pl.Series) -> np.ndarray:
    words = [text.split() for text in hypotheses]
    return np.array([bool(w) and (len(set(w)) / len(w) <= 0.4 or max(map(len, w)) >= 25) for w in words], float)


def said_the_same(data: Path) -> dict[str, float]:
    """Prints the table; returns the areas."""
    from filters.transcript.edit_distance import error_rates
    from filters.transcript.readings import readings

    references, hypotheses, same = labelled(data)
    bare = [texts.str.replace_all(r"[^\p{L}\p{N}]", "") for texts in (references, hypotheses)]
    scores = {
        "**reading error rate** (UniDic)": error_rates(readings(references), readings(hypotheses), by_sound=True).to_numpy(),
        "reading error rate (Sudachi)": error_rates(
            readings(references, "sudachi"), readings(hypotheses, "sudachi"), by_sound=True
        ).to_numpy(),
        "surface error rate": error_rates(*bare).to_numpy(),
        "word error rate, as kotoba-whisper": _word_errors(references, hypotheses),
        "hallucination rules, as NeMo Curator": _hallucinated(hypotheses),
    }
    areas = {name: area(score, same) for name, score in scores.items()}
    rows = [[name, f"{areas[name]:.3f}", f"{kept(score, same):.1%}"] for name, score in scores.items()]
    print(f"{len(same)} pairs, {same.sum()} of them said the same\n")
    print(table(["score", "area under the curve", "kept at 95 % precision"], rows), end="\n\n")
    return areas


# -- bands


def corrupted(texts: list[str], seed: int) -> tuple[list[str], np.ndarray]:
    """A fifth of the transcripts made wrong, and of which kind each is ("" where it is as it was)."""
    import fugashi

    chosen = random.Random(seed)
    tagger = fugashi.Tagger()
    words = [word.surface for text in texts[:500] for word in tagger(text) if word.feature.pos1 != "補助記号"]
    out, kinds = list(texts), [""] * len(texts)
    for i in chosen.sample(range(len(texts)), len(texts) // 5):
        kinds[i] = chosen.choice(KINDS)
        out[i] = {
            "half": lambda i=i: texts[i][: len(texts[i]) // 2],
            "double": lambda i=i: 2 * texts[i],
            "ten words more": lambda i=i: texts[i] + "".join(chosen.sample(words, 10)),
            "swapped": lambda: texts[chosen.randrange(len(texts))],
        }[kinds[i]]()
    return out, np.array(kinds)


def bands(data: Path, seeds: int) -> tuple[float, float]:
    """Prints the table; returns the share of wrong ones found, swaps aside, and of sound ones dropped."""
    from filters import normalise
    from filters.transcript.readings import morae, readings
    from pipeline.manifest.loading import load
    from pipeline.steps.decide import decide_frame
    from pipeline.steps.fit import band_frame, with_bands

    rules = {"seconds_per_mora": load("speech-ja").rules["seconds_per_mora"]}
    rows = _lines(data / "utterances.jsonl.gz")
    spoken = np.array([row["speech_duration"] for row in rows])
    found: dict[str, list[float]] = {name: [] for name in (*KINDS, "")}
    for seed in range(seeds):
        texts, kinds = corrupted([row["text"] for row in rows], seed)
        count = morae(readings(normalise(pl.Series(texts)))).to_numpy()
        frame = pl.DataFrame({"m:seconds_per_mora": spoken / np.maximum(count, 1), "programme": "JSUT", "speaker": "JSUT"})
        frame = frame.with_columns(unreadable=pl.lit(None, pl.String))
        verdicts = decide_frame(with_bands(frame, rules, band_frame(frame.lazy(), rules)), rules)["verdict"]
        for kind, of_kind in found.items():
            of_kind.append(float((verdicts == "dropped").to_numpy()[kinds == kind].mean()))
    lines = [
        [kind or "sound", f"{np.mean(values):.1%}", f"{min(values):.1%} – {max(values):.1%}"] for kind, values in found.items()
    ]
    print(f"{len(rows):,} transcripts, a fifth of them made wrong, {seeds} times\n")
    print(table(["transcript", "dropped", "least – most"], lines), end="\n\n")
    return float(np.mean([found[kind] for kind in KINDS[:3]])), float(np.mean(found[""]))


# -- speed


def reading_speed(data: Path, rounds: int) -> float:
    """Prints the table; returns the speed of ours over that of fugashi once per line."""
    import fugashi

    from filters import normalise
    from filters.transcript.readings import readings

    texts = normalise(pl.Series([row["text"] for row in _lines(data / "utterances.jsonl.gz")]))
    lines, tagger = texts.to_list(), fugashi.Tagger()
    peers: dict[str, Callable[[], Any]] = {
        "fugashi, `tagger(line)`": lambda: [tagger(line) for line in lines],
        "fugashi, `tagger.parse(line)`": lambda: [tagger.parse(line) for line in lines],
        "fugashi, pronunciations of `tagger(line)`": lambda: [[word.feature.pron for word in tagger(line)] for line in lines],
    }
    readings(texts)
    beside, theirs = in_turns(
        lambda: seconds(lambda: readings(texts)),
        {name: lambda peer=peer: seconds(peer) for name, peer in peers.items()},  # type: ignore[misc]
        rounds,
    )
    ratios = {name: median(theirs[name]) / median(beside[name]) for name in peers}
    ours = median([value for values in beside.values() for value in values])
    rows = [["ours, `readings`", speed(len(lines) / ours), ""]]
    rows += [[name, speed(len(lines) / median(theirs[name])), f"{ratios[name]:.2f}"] for name in peers]
    print(f"{len(lines):,} sentences, one core\n")
    print(table(["", "sentences/s", "ours over this"], rows), end="\n\n")
    return ratios["fugashi, `tagger(line)`"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the speech data (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=10, help="ways to make transcripts wrong (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of reading (default: %(default)s)")
    options = parser.parse_args()
    data = options.data if options.data.is_absolute() else ROOT / options.data
    areas = said_the_same(data)
    ours, *others = areas.values()
    found, sound = bands(data, options.seeds)
    ratio = reading_speed(data, options.rounds)
    best = max(others[1:])
    bars = [
        (f"area of {ours:.3f}, at least {AREA}, and above {best:.3f}", ours >= AREA and ours > best),
        (f"{found:.1%} of the wrong found (swaps aside), at least {FOUND:.0%}", found >= FOUND),
        (f"{sound:.1%} of the sound dropped, at most {SOUND:.0%}", sound <= SOUND),
        (f"{ratio:.2f} of fugashi's speed, at least {SPEED}", ratio >= SPEED),
    ]
    for words, held in bars:
        print(f"{'held  ' if held else 'MISSED'} {words}")
    return 0 if all(held for _, held in bars) else 1


if __name__ == "__main__":
    sys.exit(main())
