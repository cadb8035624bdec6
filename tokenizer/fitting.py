"""SentencePiece's trainer in a process of its own: its memory is measured, its log becomes progress, its errors sentences."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pipeline.core.errors import BuildError, UsageError
from tokenizer.model import WHITESPACE
from tokenizer.sample import LONGEST
from tokenizer.settings import BOS, EOS, MASK, PAD, UNK, Training
from tokenizer.words import DELIMITER, splitter

_SEEDS = 1_000_000  # pieces that a unigram model begins with: SentencePiece's default
_SHRINKING = 1.1  # the last round of pruning ends at so many times the vocabulary
# Bytes of memory per byte of text, and beside the text; measured, with room to spare (docs/benchmarks/tokenizer.md).
_MEMORY = {"unigram": 24, "bpe": 28}
_WITH_WORDS = 1.4  # times as much, where delimiters stand between words and a dictionary is loaded
_BESIDE = 500_000_000
LEAST_MEMORY = 600_000_000
_MOST = 2_000_000_000  # bytes of text: SentencePiece counts characters in 32 bits
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True)
class Fitted:
    """A trained model, as SentencePiece left it."""

    content: bytes
    peak_memory: int  # bytes, of the process


def affordable(settings: Training) -> int:
    """Bytes of text that training can take within `settings.memory`. Raises UsageError where that is too little for any."""
    each = _MEMORY[settings.model] * (_WITH_WORDS if settings.words != "none" else 1)
    if settings.memory < LEAST_MEMORY:
        raise UsageError(
            f"memory = {settings.memory:,} bytes is not enough to train a tokenizer: give it at least {LEAST_MEMORY // 10**6} MB"
        )
    return min(int((settings.memory - _BESIDE) / each), _MOST)


def options(settings: Training) -> dict[str, object]:
    """Of SentencePiece's trainer."""
    required = _PRINTABLE + "".join(settings.special)  # so that text which reads like a special token has pieces of its own
    return {
        "model_type": settings.model,
        "vocab_size": settings.vocab_size,
        "character_coverage": settings.character_coverage,
        "max_sentencepiece_length": settings.longest_piece,
        "split_digits": settings.split_digits,
        "split_by_unicode_script": settings.split_scripts,
        "pretokenization_delimiter": DELIMITER if settings.words != "none" else "",
        "byte_fallback": True,
        "normalization_rule_name": "identity",
        "add_dummy_prefix": False,
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "user_defined_symbols": [*WHITESPACE, *settings.symbols],
        "control_symbols": [MASK, *settings.special],
        "required_chars": "".join(dict.fromkeys(required)),
        "unk_id": 0, "bos_id": 1, "eos_id": 2, "pad_id": 3,
        "unk_piece": UNK, "bos_piece": BOS, "eos_piece": EOS, "pad_piece": PAD,
        "num_threads": settings.threads,
        "seed_sentencepiece_size": _SEEDS,
        "max_sentence_length": 3 * LONGEST,  # delimiters take room, too
    }  # fmt: skip


def fit(settings: Training, text: Path, told: Callable[[float], None] | None = None) -> Fitted:
    """Train on a file of lines. `told` hears how far it is, from 0 to 1.

    Raises UsageError where the text cannot support the vocabulary, naming the largest (or smallest) that it can, and BuildError where
    the trainer fails otherwise.
    """
    model = text.with_suffix(".model")
    child = subprocess.Popen(
        [sys.executable, "-m", "tokenizer.fitting", json.dumps(options(settings)), settings.words, str(text), str(model)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
    )  # fmt: skip
    peak = _Peak(child.pid)
    last: list[str] = []
    try:
        assert child.stderr is not None
        for line in child.stderr:
            last = [*last[-30:], line.rstrip()]
            share = _share(line, settings)
            if share is not None and told is not None:
                told(share)
        child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        peak.stop()
    if child.returncode:
        raise _explained("\n".join(last), child.returncode, settings)
    return Fitted(model.read_bytes(), peak.value)


class _Peak:
    """The largest resident memory of a process, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.value = 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self._thread.start()

    def _watch(self, pid: int) -> None:
        try:
            process = psutil.Process(pid)
            while not self._end.wait(0.1):
                self.value = max(self.value, process.memory_info().rss)
        except psutil.Error:
            return

    def stop(self) -> None:
        self._end.set()
        self._thread.join()


def _share(line: str, settings: Training) -> float | None:
    """How far the trainer is, by a line of its log."""
    if found := re.search(r"EM sub_iter=(\d) size=(\d+)", line):
        # From the seeds down to the vocabulary, a quarter at a time.
        target = settings.vocab_size * _SHRINKING
        size = max(float(found[2]), target)
        done = math.log(_SEEDS / min(size, _SEEDS)) / math.log(max(_SEEDS / target, 1.01))
        return 0.2 + 0.8 * min(done, 1.0)
    if found := re.search(r"merges=(\d+)", line):
        return 0.1 + 0.9 * min(int(found[1]) / settings.vocab_size, 1.0)
    if "Making suffix array" in line:
        return 0.05
    return None


def _explained(log: str, code: int, settings: Training) -> Exception:
    asked = settings.vocab_size
    if found := re.search(r"set it to a value <= (\d+)", log):
        return UsageError(f"vocab_size = {asked:,} is more than this text supports: the largest possible is {int(found[1]):,}")
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", log):
        return UsageError(
            f"vocab_size = {asked:,} is too small for the characters of this text: at least {int(found[1]):,} are needed, or "
            f"fewer with a character_coverage below {settings.character_coverage:g}"
        )
    if code < 0 and not re.search(r"Error|CHECK", log):
        return BuildError(
            f"the trainer was ended by signal {-code}, most likely for want of memory: use a smaller memory ({settings.memory:,} bytes now)"
        )
    told = [line for line in log.splitlines() if line.strip()]
    return BuildError(f"SentencePiece could not train on this text: {told[-1] if told else f'exit code {code}'}")


def _end_with_parent() -> None:
    """On Linux: a trainer whose parent was killed would go on for nothing."""
    import ctypes
    import signal

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _main(arguments: list[str]) -> None:
    """In the process of its own."""
    import io

    import sentencepiece

    settings, words, text, model = arguments
    _end_with_parent()

    def lines() -> Iterator[str]:
        with open(text, encoding="utf-8", newline="\n") as file:
            yield from (line.removesuffix("\n") for line in file)

    out = io.BytesIO()
    sentences = splitter(words)(lines())  # type: ignore[arg-type]
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences), model_writer=out, **json.loads(settings))
    Path(model).write_bytes(out.getvalue())


if __name__ == "__main__":
    _main(sys.argv[1:])
