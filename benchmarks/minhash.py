"""MinHash signatures: ours beside rensa's and datasketch's, for speed and for how well they estimate Jaccard similarity.

    python -m benchmarks.minhash [--megabytes 16] [--rounds 3]

Every tool signs the same documents with the same number of hashes (112) over the same sets: the character 5-grams of the key
that `filters.text.minhash.key` makes (NFKC, lower case, letters, digits and some signs). Ours is always timed from raw text: decoding,
folding to the key, shingling, hashing, minima. The peers take Python collections of shingles, so each is timed in three ways:
"ready", with its shingles in memory; "shingling", from the key that we made; "text", from raw text, with the key made by
`unicodedata` and `re`. Only the last is the work that ours does. All use one core. Ours is timed before and after every run of
a peer, and ratios are of medians.

Each peer runs in every way its interface offers, bulk calls included, with every shingle once or with repeats as they come (the
set is the same; which is faster depends on the tool); the faster stands in the table. Tools that take bytes get slices of the
key in UTF-32, which costs less than encoding every shingle.

Rho is rensa's one-permutation sketch: it does not hash a shingle 112 times. It is listed, but it is not the same work and no
bar refers to it.

Accuracy: the estimate (share of equal positions) against the exact Jaccard similarity of the two sets, over ja.pairs.jsonl.gz.

Needs rensa, datasketch and xxhash beside the project's own packages (benchmarks/requirements.txt); a smoke run leaves rensa out where it
is missing. Exits with 1 where a bar is
missed: mean absolute error <= 0.03, |bias| <= 0.003, 12 times rensa's best and 70 times datasketch's best, both sides beginning
with text. The ratios of the other two ways are printed beside.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from datasketch import MinHash
from xxhash import xxh32_intdigest

from benchmarks.corpus import Documents, read_documents, read_pairs
from benchmarks.harness import (
    Bar,
    finish,
    format_speed,
    format_table,
    make_parser,
    median,
    parse_options,
    print_progress,
    seconds,
    take_turns,
)
from filters.kernels import buffers
from filters.text.minhash import SHINGLE, key, signatures

HASHES = 112
SEED = 1
MAX_ERROR, MAX_BIAS = 0.03, 0.003
BARS = {"rensa": 12.0, "datasketch": 70.0}
OURS = "ours"
NOT_IN_KEY = re.compile(r"[\W_]+")

Shingles = list[str | bytes]  # of one document


class Column(NamedTuple):
    """Documents in the forms that the sides take: Arrow's buffers, strings, and keys as strings."""

    data: np.ndarray
    offsets: np.ndarray
    texts: list[str]
    keys: list[str]


def shingle_text(k: str) -> Shingles:
    return [k[i : i + SHINGLE] for i in range(len(k) - SHINGLE + 1)]


def shingle_bytes(k: str) -> Shingles:
    wide = k.encode("utf-32-le")
    return [wide[i : i + 4 * SHINGLE] for i in range(0, len(wide) - 4 * SHINGLE + 1, 4)]


def make_key(text: str) -> str:
    """Make a key as one would without `filters`: that of letters and digits, which is a little less work than ours."""
    return NOT_IN_KEY.sub("", unicodedata.normalize("NFKC", text).lower())


Shingle = Callable[[str], Shingles]


def drop_repeats(shingle: Shingle) -> Shingle:
    return lambda k: list(set(shingle(k)))


REPEATS: dict[str, Callable[[Shingle], Shingle]] = {"each once": drop_repeats, "as they come": lambda shingle: shingle}


@dataclass(frozen=True)
class Peer:
    """`sign` makes the signatures of all documents at once; `matrix` reads them as an array, outside the timed region."""

    tool: str
    variant: str
    shingle: Shingle
    sign: Callable[[Iterable[Shingles]], Any]
    matrix: Callable[[Any], np.ndarray]
    comparable: bool = True

    @property
    def name(self) -> str:
        return f"{self.tool} {self.variant}"


def sign_each(sketch: type) -> Callable[[Iterable[Shingles]], list[list[int]]]:
    def sign(documents: Iterable[Shingles]) -> list[list[int]]:
        out = []
        for shingles in documents:
            m = sketch(num_perm=HASHES, seed=SEED)
            m.update(shingles)
            out.append(m.digest())
        return out

    return sign


def read_rows(matrix: Any) -> np.ndarray:
    return np.array(matrix.to_rows(), np.uint64)


def read_hash_values(sketches: list[MinHash]) -> np.ndarray:
    return np.array([m.hashvalues for m in sketches], np.uint64)


def read_digests(digests: list[list[int]]) -> np.ndarray:
    return np.array(digests, np.uint64)


def make_rensa_peers() -> list[Peer]:
    """Raises ModuleNotFoundError where rensa is not installed."""
    from rensa import CMinHash, RMinHash  # late: not every environment has it

    return [
        Peer("rensa", "RMinHash, one by one", shingle_text, sign_each(RMinHash), read_digests),
        Peer(
            "rensa", "RMinHash, bulk", shingle_text,
            lambda s: RMinHash.digest_matrix_from_token_sets(s, HASHES, SEED), read_rows,
        ),
        Peer(
            "rensa", "RMinHash, bulk of bytes", shingle_bytes,
            lambda s: RMinHash.digest_matrix_from_token_byte_sets(s, HASHES, SEED), read_rows,
        ),
        Peer("rensa", "CMinHash, one by one", shingle_text, sign_each(CMinHash), read_digests),
        Peer("rensa", "CMinHash, bulk", shingle_text, lambda s: CMinHash.digests_from_token_sets(s, HASHES, SEED), read_digests),
        Peer(
            "rensa", "Rho, bulk (one permutation)", shingle_text,
            lambda s: RMinHash.digest_matrix_from_token_sets_rho(s, HASHES, SEED), read_rows, comparable=False,
        ),
    ]  # fmt: skip


DATASKETCH_PEERS = [
    Peer(
        "datasketch", "bulk, SHA-1 (default)", shingle_bytes,
        lambda s: MinHash.bulk(s, num_perm=HASHES, seed=SEED), read_hash_values,
    ),
    Peer(
        "datasketch", "bulk, xxh32", shingle_bytes,
        lambda s: MinHash.bulk(s, num_perm=HASHES, seed=SEED, hashfunc=xxh32_intdigest), read_hash_values,
    ),
]  # fmt: skip


def find_peers(smoke: bool) -> list[Peer]:
    try:
        return make_rensa_peers() + DATASKETCH_PEERS
    except ModuleNotFoundError:
        if smoke:
            return DATASKETCH_PEERS
        raise SystemExit("rensa is not installed: pip install -r benchmarks/requirements.txt") from None


def make_column(documents: Documents) -> Column:
    texts = documents.texts()
    series = pl.Series("text", texts)
    return Column(*buffers(series), texts, key(series).to_list())


def sign_ours(column: Column) -> np.ndarray:
    return signatures(column.data, column.offsets, HASHES, SEED)[0]


def check_same_work(name: str, signed: np.ndarray, count: int) -> None:
    if signed.shape != (count, HASHES):
        raise SystemExit(f"{name} made signatures of shape {signed.shape}; {(count, HASHES)} was expected")


class Fastest(NamedTuple):
    """The faster of the ways in which a peer takes shingles."""

    seconds: float
    ratio: float
    repeats: str


def time_peers(documents: Documents, peers: list[Peer], rounds: int) -> tuple[list[list[str]], dict[tuple[str, str], float]]:
    """Rows of the table, and the lowest ratio ours / peer by tool and by what was timed ("ready", "shingling", "text")."""
    column = make_column(documents)
    size, count = documents.megabytes, len(documents)
    same = sum(make_key(text) == k for text, k in zip(column.texts, column.keys, strict=True))
    print_progress(f"{same:,} of {count:,} keys are the same made by unicodedata and re")
    check_same_work(OURS, sign_ours(column), count)  # compiles, too
    rows: list[list[str]] = []
    all_ours: list[float] = []
    lowest: dict[tuple[str, str], float] = {}
    for peer in peers:
        fastest: dict[str, Fastest] = {}
        for words, repeats in REPEATS.items():
            shingle = repeats(peer.shingle)
            ready = [shingle(k) for k in column.keys]
            check_same_work(peer.name, peer.matrix(peer.sign(ready)), count)

            def sign_keys(peer: Peer, shingle: Shingle) -> object:
                return peer.sign(shingle(k) for k in column.keys)

            def sign_texts(peer: Peer, shingle: Shingle) -> object:
                return peer.sign(shingle(make_key(text)) for text in column.texts)

            ways: dict[str, Callable[[], object]] = {
                "ready": partial(peer.sign, ready),
                "shingling": partial(sign_keys, peer, shingle),
                "text": partial(sign_texts, peer, shingle),
            }
            timers = {way: partial(seconds, function) for way, function in ways.items()}
            turns = take_turns(lambda: seconds(lambda: sign_ours(column)), timers, rounds)
            for way in ways:
                all_ours += turns.ours[way]
                taken = median(turns.peers[way])
                if way not in fastest or taken < fastest[way].seconds:
                    fastest[way] = Fastest(taken, turns.ratio(way), words)
            del ready
        for way, (taken, ratio, words) in fastest.items():
            rows.append([
                peer.name, f"{way}, shingles {words}", format_speed(size / taken), format_speed(count / taken), f"{ratio:,.1f}",
            ])  # fmt: skip
            if peer.comparable:
                lowest[peer.tool, way] = min(ratio, lowest.get((peer.tool, way), ratio))
        print_progress(peer.name)
    taken = median(all_ours)
    return [[OURS, "text", format_speed(size / taken), format_speed(count / taken), "1"], *rows], lowest


class Accuracy(NamedTuple):
    """Of ours, against the exact similarity; and the rows of the table."""

    rows: list[list[str]]
    mean_error: float
    bias: float


def measure_accuracy(data: Path, peers: list[Peer]) -> Accuracy:
    pairs = read_pairs(data)
    documents = read_documents(data, offsets={offset for pair in pairs for offset in (pair.a, pair.b)})
    index = {offset: i for i, offset in enumerate(documents.starts.tolist())}
    left, right = np.array([index[pair.a] for pair in pairs]), np.array([index[pair.b] for pair in pairs])
    column = make_column(documents)
    sets = [set(shingle_text(k)) for k in column.keys]
    exact = np.array([len(sets[a] & sets[b]) / len(sets[a] | sets[b]) for a, b in zip(left, right, strict=True)])
    matrices = {OURS: sign_ours(column)}
    for peer in peers:
        matrices[peer.name] = peer.matrix(peer.sign(peer.shingle(k) for k in column.keys))
    rows = []
    errors = {}
    for name, matrix in matrices.items():
        check_same_work(name, matrix, len(documents))
        errors[name] = error = (matrix[left] == matrix[right]).mean(axis=1) - exact
        rows.append([name, f"{np.abs(error).mean():.4f}", f"{error.mean():+.4f}", f"{np.abs(error).max():.3f}"])
    print_progress(f"{len(pairs):,} pairs, exact Jaccard {exact.min():.2f} to {exact.max():.2f}")
    return Accuracy(rows, float(np.abs(errors[OURS]).mean()), float(errors[OURS].mean()))


def main() -> int:
    parser = make_parser(__doc__)
    parser.add_argument("--megabytes", type=float, default=16, help="of text to sign (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="turns per peer (default: %(default)s)")
    options = parse_options(parser, "minhash", {"megabytes": 0.01, "rounds": 1})

    peers = find_peers(options.smoke)
    documents = read_documents(options.data, options.megabytes)
    print(f"{len(documents):,} documents, {documents.megabytes:.1f} MB, {HASHES} hashes, median of {options.rounds} turns\n")
    rows, lowest = time_peers(documents, peers, options.rounds)
    print(format_table(["tool", "from", "MB/s", "documents/s", "ours / peer"], rows), end="\n\n")
    errors, mean_error, bias = measure_accuracy(options.data, peers)
    print(format_table(["tool", "mean absolute error", "bias", "largest error"], errors))

    bars = [
        Bar(mean_error <= MAX_ERROR, f"mean absolute error {mean_error:.4f} <= {MAX_ERROR}"),
        Bar(abs(bias) <= MAX_BIAS, f"|bias| {abs(bias):.4f} <= {MAX_BIAS}"),
    ]
    for tool in sorted({peer.tool for peer in peers}, key=list(BARS).index):
        text, keys, ready = (lowest[tool, way] for way in ("text", "shingling", "ready"))
        others = f"from keys {keys:.1f}, with shingles ready {ready:.1f}"
        bars.append(Bar(text >= BARS[tool], f"{text:.1f} times {tool} from text, at least {BARS[tool]:.0f} ({others})"))
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
