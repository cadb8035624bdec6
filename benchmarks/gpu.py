"""What the trainers reach on one GPU: records per second, peak memory, and of GPT the share of the chip's peak.

    python -m benchmarks.gpu --gpt CORPUS --images CORPUS --audio CORPUS [--only gpt]

Every case is the trainer's own command, on a built corpus, stopped once it has logged enough: rates are medians over stretches of steps,
the first ones, in which things are compiled, left out. Reading, decoding and the optimiser are in them. Models begin anew, with the shapes
of the paper's: weights of others make nothing faster or slower. Images are trained at 224 pixels by CLIP and at 256 by Stable Diffusion.

Model FLOPs of GPT are counted as by Chowdhery et al. 2022 (arXiv 2204.02311, appendix B): 6 per weight and token (embeddings of positions
left out), and 12 * layers * width * length per token for attention, as though every token saw all of its sequence. The peak is the
dense one of bfloat16 by NVIDIA's data sheet. Exits with 1 where no case of GPT-2 small has 40 % of it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.corpus import build_corpus
from benchmarks.harness import ROOT, Bar, finish, format_table, make_parser, median, parse_options, print_progress
from trainers.gpt import Config
from trainers.models.configuration import model_config
from trainers.training.settings import load_config

BAR = 0.4
PEAKS = {
    "H100 PCIe": 756e12,
    "H100": 989.4e12,
    "H200": 989.4e12,
    "A100": 312e12,
    "L40S": 362e12,
}  # the first that fits the name
UNET = "unet={cross_attention_dim = 768}"  # UNet2DConditionModel's defaults are Stable Diffusion 1's, but for this
VAE = (
    "vae={block_out_channels = [128, 256, 512, 512], layers_per_block = 2, latent_channels = 4, "
    'down_block_types = ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"], '
    'up_block_types = ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"]}'
)
GPT = ("train.batch=32", "train.accumulate=2", "train.compile=true")
NO_DROPOUT = ("model.resid_pdrop=0.0", "model.embd_pdrop=0.0")
CLIP = ("vision.pretrained=", "vision.model_type=vit", "train.batch=256", "train.threads=14")
SD = ["pretrained=", UNET, VAE, "size=256", "train.accumulate=1"]


@dataclass(frozen=True)
class Case:
    name: str
    trainer: str
    corpus: str  # which of the three
    options: tuple[str, ...]
    changes: tuple[str, ...]
    unit: str
    log_every: int = 10  # steps

    def command(self, corpus: Path, out: Path) -> list[str]:
        changes = (*self.changes, f"train.log_every={self.log_every}", "train.steps=1000000", "train.evaluate_every=1000000",
                   "train.save_every=1000000")  # fmt: skip
        given = [word for change in changes for word in ("--set", change)]
        return [sys.executable, "-m", f"trainers.{self.trainer}", str(corpus), "--out", str(out), *self.options, *given]


CASES = [
    Case("GPT-2 small, 2 × 32 × 1,024 tokens, compiled, no dropout", "gpt", "gpt", ("--config", "gpt2-small"),
         (*GPT, *NO_DROPOUT), "tokens"),
    Case("the same with the dropout of its configuration", "gpt", "gpt", ("--config", "gpt2-small"), GPT, "tokens"),
    Case("GPT-2 small, 64 × 1,024 tokens, compiled, no dropout", "gpt", "gpt", ("--config", "gpt2-small"),
         (*GPT, *NO_DROPOUT, "train.batch=64", "train.accumulate=1"), "tokens"),
    Case("CLIP ViT-B/16, 256 pairs", "clip", "images", ("--config", "clip-vit-b-16"),
         CLIP, "pairs", 5),
    Case("CLIP ViT-B/16, 256 pairs, read in the same process", "clip", "images", ("--config", "clip-vit-b-16"),
         (*CLIP, "train.apart=false"), "pairs", 5),
    Case("CLIP ViT-B/16, 256 pairs, compiled", "clip", "images", ("--config", "clip-vit-b-16"),
         (*CLIP, "train.compile=true"), "pairs", 5),
    Case("Stable Diffusion, stage 2, 256 px, 32 images", "diffusion", "images", ("--config", "stable-diffusion", "--stage", "2"),
         (*SD, "train.batch=32", "gradient_checkpointing=false"), "images", 5),
    Case("Stable Diffusion, stage 1, 256 px, 32 images", "diffusion", "images", ("--config", "stable-diffusion", "--stage", "1"),
         (*SD, "train.batch=32", "gradient_checkpointing=false"), "images", 5),
    Case("HuBERT base, iteration 1, 16 recordings", "hubert", "audio", ("--config", "hubert-base"),
         ("train.threads=14",), "audio_seconds", 5),
]  # fmt: skip


SMOKE_CASE = Case("GPT tiny on the CPU", "gpt", "gpt", ("--config", "tiny"), (
    "train.batch=2", "model.n_layer=1", "model.n_embd=32", "model.n_head=2", "model.n_positions=64", "train.warmup=1",
), "tokens", 1)  # fmt: skip


@dataclass(frozen=True)
class Measured:
    """What a case logged after its first two lines; rates are records per second."""

    rates: list[float]
    memory: float  # GB; 0 on a CPU
    loss: float

    @property
    def rate(self) -> float:
        return median(self.rates)


def read_train_lines(path: Path) -> list[dict[str, Any]]:
    """Complete lines of the training split."""
    if not path.is_file():
        return []
    text = path.read_text("utf-8")
    lines = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [line for line in lines if line["split"] == "train"]


def run_case(case: Case, corpus: Path, scratch: Path, lines: int, limit: float) -> Measured | str:
    """Run a case until it has logged enough; returns its log where it fails."""
    out = scratch / case.name.replace(" ", "-").replace("/", "-").replace(",", "")
    began, log = time.perf_counter(), out.with_suffix(".log")
    with open(log, "w", encoding="utf-8") as file:
        process = subprocess.Popen(case.command(corpus, out), cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
        try:
            while len(read_train_lines(out / "metrics.jsonl")) < lines:
                if process.poll() is not None or time.perf_counter() - began > limit:
                    return log.read_text("utf-8")[-3000:] or "nothing was logged in time"
                time.sleep(0.2)
        finally:
            process.kill()
            process.wait()
    logged = read_train_lines(out / "metrics.jsonl")[2:]
    rates = [line[f"{case.unit}_per_second"] for line in logged]
    return Measured(rates, max(line.get("peak_memory_gb", 0.0) for line in logged), logged[-1]["loss"])


def count_gpt_flops(config: str, vocabulary: int) -> float:
    """Model FLOPs per token, by a meta model of its own weights."""
    from transformers import AutoModelForCausalLM  # late, as it is slow to import

    shape = model_config(load_config(Config, "gpt", config).model, "model", vocab_size=vocabulary)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(shape)
    weights = sum(p.numel() for name, p in model.named_parameters() if "wpe" not in name)
    return float(6 * weights + 12 * shape.num_hidden_layers * shape.hidden_size * shape.max_position_embeddings)


def share_of_peak(case: Case, corpus: Path, rate: float, peak: float) -> float:
    vocabulary = json.loads((corpus / "tokens" / "tokens.json").read_text("utf-8"))["vocab_size"]
    return rate * count_gpt_flops(case.options[1], vocabulary) / peak


def main() -> int:
    parser = make_parser(__doc__)
    for name in ("gpt", "images", "audio"):
        parser.add_argument(f"--{name}", type=Path, help="a built corpus")
    parser.add_argument("--only", action="append", help="trainers, or parts of the names of cases")
    parser.add_argument("--lines", type=int, default=8, help="that a case logs before it is stopped")
    parser.add_argument("--limit", type=float, default=300, help="seconds that a case may take")
    options = parse_options(parser, "gpu", {"lines": 3})
    cases = [SMOKE_CASE] if options.smoke else CASES
    if options.smoke:
        options.gpt = build_corpus(options.data, options.scratch / "cc100-ja", True)
    elif not torch.cuda.is_available():
        print("there is no GPU")
        return 2
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    peak = 1e12 if options.smoke else next((value for name, value in PEAKS.items() if name in device), None)
    rows, shares, bars = [], list[float](), list[Bar]()
    for case in cases:
        corpus: Path | None = getattr(options, case.corpus)
        chosen = not options.only or any(word == case.trainer or word in case.name for word in options.only)
        if corpus is None or not chosen:
            continue
        measured = run_case(case, corpus.resolve(), options.scratch, options.lines, options.limit)
        if isinstance(measured, str):
            if options.smoke:
                raise SystemExit(f"{case.name} failed:\n{measured}")
            print(f"{case.name}: FAILED\n{measured}", flush=True)
            bars.append(Bar(False, f"{case.name} runs"))
            continue
        share = ""
        if case.trainer == "gpt" and peak:
            shares.append(share_of_peak(case, corpus, measured.rate, peak))
            share = f"{shares[-1]:.1%}"
        print_progress(f"{case.name}: {measured} {share}")
        lowest, highest = min(measured.rates), max(measured.rates)
        rate = f"{measured.rate:,.0f} ({lowest:,.0f} to {highest:,.0f}) {case.unit.replace('_', ' ')}/s"
        rows.append((case.name, rate, f"{measured.memory:.1f} GB", share))
    print(f"\n{device}, torch {torch.__version__}\n")
    print(format_table(("", "rate", "peak memory", "of the peak"), rows))
    if shares:
        bars.append(Bar(max(shares) >= BAR, f"GPT-2 small at {max(shares):.1%} of the peak, at least {BAR:.0%}"))
    return finish(bars, options.smoke)


if __name__ == "__main__":
    sys.exit(main())
