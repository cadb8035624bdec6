"""`python -m trainers.generate RUN …`: what a trained model makes of an input. The model decides what that is.

    python -m trainers.generate runs/gpt 日本の --samples 3           # a GPT goes on with a text
    python -m trainers.generate runs/sd 赤い丸 青い星 --out a.png       # a Stable Diffusion draws captions
    python -m trainers.generate runs/clip a.png 赤い丸 青い星           # CLIP says which caption fits an image
    python -m trainers.generate runs/ctc a.flac                     # a recogniser writes down a recording

With `--corpus` in place of an input, CLIP and recognisers show the first records that were held out of it. Each function below is
what one would write over `from_pretrained` oneself. Nothing is loaded but what lies in the folder of the run.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from PIL import Image, PngImagePlugin

from filters.audio.decoding import Unreadable, decode
from filters.audio.samples import RATE
from pipeline.core.command import report_errors
from pipeline.core.errors import InputError, SeimaiError, UsageError
from pipeline.core.help import command
from pipeline.core.storage import read_json, write_atomically
from pipeline.core.terminal import tell
from trainers.data import images, recordings
from trainers.data.batches import Skip
from trainers.data.shards import Shards
from trainers.models.diffusion_model import join_images
from trainers.models.towers import image_size
from trainers.training.command import silence_libraries
from trainers.training.ranks import own_device
from trainers.training.seeds import seed_generators

LOCAL = {"local_files_only": True, "trust_remote_code": False}
SHOWN = 5  # records of a corpus, and captions of an image
SOFTWARE = "Seimai"  # in the PNG files that may be replaced


@dataclass(frozen=True)
class Request:
    """What is asked of a model in `folder`."""

    folder: Path
    inputs: tuple[str, ...]
    corpus: Path | None
    out: Path
    samples: int
    tokens: int
    temperature: float
    seed: int
    settings: dict[str, Any]  # the configuration of the run, or nothing where there is no more than the model


# -- one function for each kind of model


def continue_text(request: Request) -> None:
    """Print texts that begin with each input."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # late: heavy

    model = AutoModelForCausalLM.from_pretrained(request.folder, **LOCAL).eval().to(own_device())
    tokenizer = AutoTokenizer.from_pretrained(request.folder, **LOCAL)
    for prompt in request.inputs or ("",):
        ids = [model.config.bos_token_id, *tokenizer(prompt, add_special_tokens=False)["input_ids"]]
        room = model.config.max_position_embeddings - len(ids)
        if room < 1:
            raise UsageError(f"the text has {len(ids):,} tokens with BOS, and the model has no positions for more: shorten it")
        start = torch.tensor([ids], device=model.device)
        drawn = {"do_sample": True, "temperature": request.temperature, "top_p": 0.95} if request.temperature else {}
        found = model.generate(
            start, attention_mask=torch.ones_like(start), max_new_tokens=min(room, request.tokens), remove_invalid_values=True,
            num_return_sequences=request.samples if drawn else 1, **drawn,
        )  # fmt: skip
        for row in found:
            tell(tokenizer.decode(row[1:], skip_special_tokens=True))


def draw_captions(request: Request) -> None:
    """Draw each input, and write the images side by side to a PNG file."""
    from diffusers import StableDiffusionPipeline  # late: heavy
    from diffusers.utils import logging

    if not request.inputs:
        raise UsageError("which captions? Name one or several, such as 赤い丸")
    check_image_path(request.out)
    logging.disable_progress_bar()
    pipeline = StableDiffusionPipeline.from_pretrained(request.folder, local_files_only=True, low_cpu_mem_usage=False)
    pipeline.to(own_device())
    pipeline.set_progress_bar_config(disable=True)
    captions = [caption for caption in request.inputs for _ in range(request.samples)]
    generators = [torch.Generator().manual_seed(request.seed + number) for number in range(len(captions))]
    drawn = pipeline(
        captions, num_inference_steps=request.settings.get("sample_steps", 30), generator=generators,
        guidance_scale=request.settings.get("guidance", 7.5),
    ).images  # fmt: skip
    info = PngImagePlugin.PngInfo()
    info.add_text("Software", SOFTWARE)
    with write_atomically(request.out) as temporary:
        join_images(drawn).save(temporary, "PNG", pnginfo=info)
    tell(str(request.out))


def rank_captions(request: Request) -> None:
    """Print the captions that fit an image best, or those of held-out images, each beside its own."""
    from transformers import VisionTextDualEncoderModel, VisionTextDualEncoderProcessor  # late: heavy

    blobs, captions, own = [], list(request.inputs[1:]), list[str | None]()
    if request.inputs:
        blobs, own = [read_file(request.inputs[0])], [None]
    if not (blobs and captions):
        records = read_held_out(request, ["image", "caption"], images.BUILD_HINT, 1_000)
        captions = list(dict.fromkeys(filter(None, records["caption"])))
        if not blobs:
            blobs, own = records["image"][:SHOWN], records["caption"][:SHOWN]
    model = VisionTextDualEncoderModel.from_pretrained(request.folder, **LOCAL).eval()
    processor = VisionTextDualEncoderProcessor.from_pretrained(request.folder, **LOCAL)
    side = image_size(model.config.vision_config)
    try:
        pictures = [Image.fromarray(images.decode_square(blob, side)) for blob in blobs]
    except Skip as problem:
        raise InputError(
            f"{request.inputs[0] if request.inputs else request.corpus}: no image can be read: {problem}"
        ) from None
    inputs = processor(text=captions, images=pictures, return_tensors="pt", padding=True, truncation=True)
    with torch.no_grad():
        shares = model(**inputs).logits_per_image.softmax(-1)
    for caption, row in zip(own, shares, strict=True):
        best = [(float(row[i]), captions[i]) for i in row.argsort(descending=True)[:SHOWN].tolist()]
        ranked = [f"{share:5.1%}  {text}" for share, text in best]
        tell(
            "\n".join(ranked)
            if caption is None
            else f"{caption} → {', '.join(f'{text} {share:.0%}' for share, text in best[:3])}"
        )


def transcribe(request: Request) -> None:
    """Print what is said in each recording, or in held-out ones, each beside its transcript."""
    from transformers import HubertForCTC, Wav2Vec2Processor  # late: heavy

    sounds: list[Any] = [read_file(name) for name in request.inputs]
    names: list[Any] = list(request.inputs)
    if not sounds:
        column = request.settings.get("text", "transcript")
        records = read_held_out(request, ["audio", column], recordings.BUILD_HINT, SHOWN)
        sounds, names = records["audio"], records[column]
    model = HubertForCTC.from_pretrained(request.folder, **LOCAL).eval()
    processor = Wav2Vec2Processor.from_pretrained(request.folder, **LOCAL)
    for name, sound in zip(names, sounds, strict=True):
        try:
            samples = decode(sound or b"").samples
        except Unreadable as problem:
            raise InputError(f"{name}: no recording that can be read: {problem}") from None
        inputs = processor(samples, sampling_rate=RATE, return_tensors="pt")
        with torch.no_grad():
            best = model(inputs.input_values).logits.argmax(-1)
        tell(f"{name} → {processor.batch_decode(best)[0]}")


# -- what they share


def find_model(run: Path) -> Path:
    """Return the folder of a run's model; `run` may be that folder itself. Raises UsageError."""
    if not run.is_dir():
        raise UsageError(f"there is no folder {run}: name the --out of a run that has ended")
    for folder in (run / "model", run):
        if (folder / "model_index.json").is_file() or "model_type" in (read_json(folder / "config.json") or {}):
            return folder
    if (run / "checkpoints").is_dir() or (run / "metrics.jsonl").is_file():
        raise UsageError(f"the run in {run} has not ended, and has no model yet: its command with --resume goes on with it")
    raise UsageError(
        f"{run} is no run: name the --out of one, which has a folder model/, or a folder that from_pretrained loads"
    )


def choose_function(folder: Path) -> Callable[[Request], None]:
    """Return what a model can do. Raises UsageError for one that can do nothing here."""
    if (index := read_json(folder / "model_index.json")) is not None:
        kind = str(index.get("_class_name"))
    else:
        config = read_json(folder / "config.json")
        kind = str(next(iter(config.get("architectures") or []), config["model_type"]))
    functions = {
        "StableDiffusionPipeline": draw_captions, "VisionTextDualEncoderModel": rank_captions, "HubertForCTC": transcribe,
    }  # fmt: skip
    if kind.endswith(("LMHeadModel", "ForCausalLM")):
        return continue_text
    if kind == "HubertModel":
        raise UsageError(
            f"{folder} holds a HubertModel, which can say nothing yet: python -m trainers.ctc CORPUS --model {folder} makes a "
            "recogniser of it"
        )
    if kind not in functions:
        raise UsageError(f"{folder} holds a {kind}: expected a model of trainers.gpt, clip, diffusion or ctc")
    return functions[kind]


def read_file(name: str) -> bytes:
    if not Path(name).is_file():
        raise UsageError(f"there is no file {name}")
    return Path(name).read_bytes()


def read_held_out(request: Request, columns: list[str], hint: str, limit: int) -> dict[str, Any]:
    """Return columns of the first validation records of the corpus. Raises UsageError."""
    if request.corpus is None:
        what = "captions are" if request.inputs else "an input is"
        raise UsageError(f"{what} missing: name some, or with --corpus a corpus whose validation split has some")
    shards = Shards(request.corpus, "validation", columns, hint)
    return shards.read([0]).take(np.arange(min(limit, shards.rows[0])))


def check_image_path(out: Path) -> None:
    """Raise UsageError where a file would be replaced that this command did not write."""
    if out.suffix.lower() != ".png":
        raise UsageError(f"--out {out}: images are written as PNG: call it {out.with_suffix('.png')}")
    if out.exists():
        try:
            with Image.open(io.BytesIO(out.read_bytes())) as image:
                is_ours = image.info.get("Software") == SOFTWARE
        except OSError:
            is_ours = False
        if not is_ours:
            raise UsageError(f"--out {out} is there, and this command did not write it: choose another name")


@command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("inputs", nargs=-1)
@click.option("--corpus", type=click.Path(path_type=Path, exists=True, file_okay=False), help="Show held-out records of it.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("drawn.png"), show_default=True, help="Of drawn images.")
@click.option("--samples", type=click.IntRange(1, 100), default=1, show_default=True, help="Texts or images for each input.")
@click.option("--tokens", type=click.IntRange(1), default=100, show_default=True, help="Of a text, at most, beyond the input.")
@click.option("--temperature", type=click.FloatRange(0, 10), default=0.8, show_default=True, help="0: the likeliest text.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, show_default=True)
def main(run: Path, inputs: tuple[str, ...], corpus: Path | None, **options: Any) -> None:
    """Let the model of RUN go on with a text, draw captions, rank captions for an image, or write down recordings."""
    with report_errors("generating", "--out", "nothing was kept"):
        silence_libraries()
        folder = find_model(run)
        generate = choose_function(folder)
        settings = read_json(folder.parent / "config.json") if folder.name == "model" else None
        seed_generators(options["seed"])
        try:
            generate(Request(folder, inputs, corpus, settings=settings or {}, **options))
        except (SeimaiError, click.ClickException):
            raise
        except Exception as error:  # whatever libraries raise at a folder that is damaged or not complete
            if isinstance(error, OSError) and error.errno:
                raise
            raise InputError(f"{folder} cannot be used: {type(error).__name__}: {str(error)[:300]}") from error


if __name__ == "__main__":
    main()
