"""Run SentencePiece's trainer in a process of its own: measure its memory, turn its log into progress and its errors into sentences."""

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
from pipeline.core.processes import make_python_command
from tokenizer.model import WHITESPACE
from tokenizer.sample import LONGEST
from tokenizer.settings import BOS, EOS, MASK, PAD, UNK, Training
from tokenizer.words import DELIMITER, make_splitter

_SEED_PIECES = 1_000_000  # that a unigram model begins with: SentencePiece's default
_SHRINKING = 1.1  # the last round of pruning ends at this multiple of the vocabulary
# Bytes of memory per byte of text, and without any text; measured, with room to spare (docs/benchmarks/tokenizer.md).
_MEMORY_PER_BYTE = {"unigram": 24, "bpe": 28}
_WORDS_FACTOR = 1.4  # more per byte, with delimiters between words and a dictionary loaded
_BASE_MEMORY = 500_000_000
LEAST_MEMORY = 600_000_000
_MOST_TEXT = 2_000_000_000  # bytes of text: SentencePiece counts characters in 32 bits
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True)
class TrainedModel:
    """A model as SentencePiece's trainer wrote it."""

    content: bytes
    peak_memory: int  # bytes, of the process


def compute_text_budget(settings: Training) -> int:
    """Compute the bytes of text that training can take within `settings.memory`. Raises UsageError where that is too little for any."""
    each = _MEMORY_PER_BYTE[settings.model] * (_WORDS_FACTOR if settings.words != "none" else 1)
    if settings.memory < LEAST_MEMORY:
        raise UsageError(
            f"memory = {settings.memory:,} bytes is not enough to train a tokenizer: give it at least {LEAST_MEMORY // 10**6} MB"
        )
    return min(int((settings.memory - _BASE_MEMORY) / each), _MOST_TEXT)


def make_trainer_options(settings: Training) -> dict[str, object]:
    """Make the options of SentencePiece's trainer."""
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
        "seed_sentencepiece_size": _SEED_PIECES,
        "max_sentence_length": 3 * LONGEST,  # delimiters take room, too
    }  # fmt: skip


def fit(settings: Training, text: Path, report_progress: Callable[[float], None] | None = None) -> TrainedModel:
    """Train on a file of lines. `report_progress` gets the share that is done, from 0 to 1.

    Raises UsageError where the text cannot support the vocabulary, naming the largest (or smallest) that it can, and BuildError where
    the trainer fails otherwise.
    """
    model = text.with_suffix(".model")
    child = subprocess.Popen(
        make_python_command("tokenizer.fitting", json.dumps(make_trainer_options(settings)), settings.words, str(text), str(model)),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace",
    )  # fmt: skip
    peak = _PeakMemory(child.pid)
    last: list[str] = []
    try:
        assert child.stderr is not None
        for line in child.stderr:
            last = [*last[-30:], line.rstrip()]
            share = _parse_progress(line, settings)
            if share is not None and report_progress is not None:
                report_progress(share)
        child.wait()
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
        peak.stop()
    if child.returncode:
        raise _explain_failure("\n".join(last), child.returncode, settings)
    return TrainedModel(model.read_bytes(), peak.value)


class _PeakMemory:
    """The largest resident memory of a process, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.value = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(pid,), daemon=True)
        self._thread.start()

    def _watch(self, pid: int) -> None:
        try:
            process = psutil.Process(pid)
            while not self._stop.wait(0.1):
                self.value = max(self.value, process.memory_info().rss)
        except psutil.Error:
            return

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


def _parse_progress(line: str, settings: Training) -> float | None:
    """Return the share that is done by a line of the trainer's log; None where it says nothing of it."""
    if found := re.search(r"EM sub_iter=(\d) size=(\d+)", line):
        # From the seeds down to the vocabulary, a quarter at a time.
        target = settings.vocab_size * _SHRINKING
        size = max(float(found[2]), target)
        done = math.log(_SEED_PIECES / min(size, _SEED_PIECES)) / math.log(max(_SEED_PIECES / target, 1.01))
        return 0.2 + 0.8 * min(done, 1.0)
    if found := re.search(r"merges=(\d+)", line):
        return 0.1 + 0.9 * min(int(found[1]) / settings.vocab_size, 1.0)
    if "Making suffix array" in line:
        return 0.05
    return None


def _explain_failure(log: str, code: int, settings: Training) -> Exception:
    size = settings.vocab_size
    if found := re.search(r"set it to a value <= (\d+)", log):
        return UsageError(f"vocab_size = {size:,} is more than this text supports: the largest possible is {int(found[1]):,}")
    if found := re.search(r"smaller than required_chars\. \d+ vs (\d+)", log):
        return UsageError(
            f"vocab_size = {size:,} is too small for the characters of this text: at least {int(found[1]):,} are needed, or "
            f"fewer with a character_coverage below {settings.character_coverage:g}"
        )
    if code < 0 and not re.search(r"Error|CHECK", log):
        return BuildError(
            f"the trainer was ended by signal {-code}, most likely for want of memory: use a smaller memory ({settings.memory:,} bytes now)"
        )
    lines = [line for line in log.splitlines() if line.strip()]
    return BuildError(f"SentencePiece could not train on this text: {lines[-1] if lines else f'exit code {code}'}")


def _die_with_parent() -> None:
    """Ask Linux to kill this process with its parent, which needs the model."""
    import ctypes
    import signal

    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _run_trainer(arguments: list[str]) -> None:
    """Train as the command line says; the entry of the child process."""
    import io

    import sentencepiece

    settings, words, text, model = arguments
    _die_with_parent()

    def lines() -> Iterator[str]:
        with open(text, encoding="utf-8", newline="\n") as file:
            yield from (line.removesuffix("\n") for line in file)

    out = io.BytesIO()
    sentences = make_splitter(words)(lines())  # type: ignore[arg-type]
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(sentences), model_writer=out, **json.loads(settings))
    Path(model).write_bytes(out.getvalue())


if __name__ == "__main__":
    _run_trainer(sys.argv[1:])
