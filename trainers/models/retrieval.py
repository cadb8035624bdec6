"""How well images and texts find one another: recall on pairs, and classification by the names of classes alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from pipeline.core.errors import InputError, UsageError
from trainers.data.images import decoded
from trainers.data.reader import Reader, Skip, stream
from trainers.training.loop import Loop
from trainers.training.settings import CONFIGS

TEMPLATES = CONFIGS / "clip" / "templates.ja.tsv"
RANKS = (1, 5, 10)
BLOCK = 1024  # queries at a time


def _batches(values: list[Any], size: int) -> Iterator[list[Any]]:
    return (values[at : at + size] for at in range(0, len(values), size))


def _columns(items: list[tuple[np.ndarray, str]]) -> tuple[dict[str, Any], float]:
    return {"pictures": [picture for picture, _ in items], "captions": [caption for _, caption in items]}, float(len(items))


def captioned(record: dict[str, Any]) -> str:
    """The caption of a record. Raises Skip where there is none."""
    if not record["caption"]:
        raise Skip("no caption")
    return record["caption"]


def labels(values: Sequence[object]) -> torch.Tensor:
    """int64[n]: the same number for the same value."""
    known: dict[object, int] = {}
    return torch.tensor([known.setdefault(value, len(known)) for value in values], dtype=torch.int64)


def recalls(images: torch.Tensor, texts: torch.Tensor, pictures: torch.Tensor, captions: torch.Tensor) -> dict[str, float]:
    """Recall at 1, 5 and 10 in both directions, their mean, and what guessing has at 1. `images` and `texts` are float[n, d], pair by pair.

    A caption that several images have says nothing of which it is from, nor does an image that occurs twice. So whatever has the same
    caption or the same image (equal numbers in int64[n] `pictures`, `captions`) is a right answer, and for guessing, too.
    """
    n, found, right = len(images), dict[str, float](), 0
    for name, queries, answers in (("image_to_text", images, texts), ("text_to_image", texts, images)):
        hits = torch.zeros(len(RANKS), dtype=torch.int64)
        for at in range(0, n, BLOCK):
            here = slice(at, at + BLOCK)
            same = (captions[here, None] == captions) | (pictures[here, None] == pictures)
            nearest = (queries[here] @ answers.T).topk(min(max(RANKS), n)).indices
            correct = same.gather(1, nearest)
            hits += torch.stack([correct[:, :k].any(1).sum() for k in RANKS])
            right += int(same.sum())
        found |= {f"{name}_recall_at_{k}": int(hit) / n for k, hit in zip(RANKS, hits, strict=True)}
    for k in RANKS:
        found[f"recall_at_{k}"] = (found[f"image_to_text_recall_at_{k}"] + found[f"text_to_image_recall_at_{k}"]) / 2
    return found | {"recall_by_chance": right / 2 / n**2, "pairs": n}


def _lines(path: Path, expected: str) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of the lines of a TSV file that are neither empty nor comments."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}): expected UTF-8, {expected} in every line") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, [field.strip() for field in line.split("\t")]


def read_templates(path: Path) -> list[str]:
    """The first field of every line, with `{}` where the name of a class goes. Raises UsageError."""
    found = []
    for number, (template, *_) in _lines(path, "a template"):
        if "{}" not in template:
            raise UsageError(f"{path}, line {number}: {template!r} has no {{}}, where the name of a class goes")
        found.append(template)
    if not found:
        raise UsageError(f"{path} has no template")
    return found


@dataclass(frozen=True)
class ZeroShot:
    """Images in a folder for each class, and what the classes are called."""

    names: list[str]
    images: list[tuple[Path, int]]  # and its class
    templates: list[str]

    @staticmethod
    def find(folder: Path, templates: Path) -> ZeroShot:
        """From `folder/classes.tsv` (label TAB Japanese name) and the images in `folder/<label>`. Raises UsageError."""
        file = folder / "classes.tsv"
        names, images, seen = list[str](), list[tuple[Path, int]](), set[str]()
        for number, fields in _lines(file, "label TAB Japanese name"):
            if len(fields) < 2 or not all(fields[:2]) or fields[0] in seen:
                what = "a label that was not there before" if fields[0] in seen else "label TAB Japanese name"
                raise UsageError(f"{file}, line {number}: expected {what}, found {' TAB '.join(fields)!r}")
            place = folder / fields[0]
            here = sorted(path for path in place.glob("*") if path.is_file() and not path.name.startswith("."))
            if not here:
                raise UsageError(f"{file}, line {number}: there are no images in {place}")
            images += [(path, len(names)) for path in here]
            seen.add(fields[0])
            names.append(fields[1])
        if len(names) < 2:
            raise UsageError(f"{file} names {len(names)} classes: expected two or more")
        return ZeroShot(names, images, read_templates(templates))


@dataclass(frozen=True)
class Evaluation:
    """What is embedded to be judged, shared out among ranks. Embeddings have length 1."""

    run: Loop
    embed_images: Callable[[list[np.ndarray]], torch.Tensor]  # uint8[size, size, 3] each -> float32[n, d]
    embed_texts: Callable[[list[str]], torch.Tensor]  # -> float32[n, d]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of the embeddings of images and their texts
    size: int  # of images, in pixels

    def pairs(self, reader: Reader, limit: int) -> dict[str, float]:
        """Recall among the first `limit` records, and their mean loss in whole blocks of a micro-batch (of what there is, if less).

        Raises InputError where no image can be decoded.
        """
        mine, train = list[Any](), self.run.settings
        spans = reader.once(self.run.rank, self.run.ranks, limit)

        def decode(record: dict[str, Any]) -> tuple[np.ndarray, str]:
            return decoded(record["image"], self.size), captioned(record)

        for batch in stream(reader, spans, train.batch, _columns, decode, threads=train.threads):
            pictures, texts = batch.inputs["pictures"], batch.inputs["captions"]
            embeddings = self.embed_images(pictures), self.embed_texts(texts)
            mine.append((*(e.cpu() for e in embeddings), [hashlib.sha256(p).digest() for p in pictures], texts))
        everyone = [mine]
        if self.run.ranks > 1:
            everyone = [[] for _ in range(self.run.ranks)]
            dist.all_gather_object(everyone, mine)
        parts = [part for rank in everyone for part in rank]
        if not parts:
            raise InputError(f"of the first {limit:,} records of the {reader.shards.split} shards no image can be decoded")
        images, captions = (torch.cat([part[i] for part in parts]) for i in (0, 1))
        starts = range(0, max(len(images) - train.batch, 0) + 1, train.batch) if len(images) > 1 else ()
        blocks = [[e[at : at + train.batch].to(self.run.device) for e in (images, captions)] for at in starts]
        found = {"loss": sum(float(self.loss(*block)) for block in blocks) / len(blocks)} if blocks else {}
        same = [labels([value for part in parts for value in part[i]]) for i in (2, 3)]
        return found | recalls(images, captions, *same)

    def classes(self, given: ZeroShot) -> dict[str, float]:
        """Share of images whose class is the likeliest, or among the five that are. What cannot be decoded is left out.

        A class is the mean of the embeddings of all templates with its name (Radford et al. 2021, section 3.1.4).
        """
        train, weights = self.run.settings, list[torch.Tensor]()
        for name in given.names:
            texts = [template.replace("{}", name) for template in given.templates]
            weights.append(torch.cat([self.embed_texts(some) for some in _batches(texts, train.batch)]).mean(0))
        names = torch.nn.functional.normalize(torch.stack(weights), dim=1)

        def decode(path: Path) -> np.ndarray | None:
            try:
                return decoded(path.read_bytes(), self.size)
            except (Skip, OSError):
                return None

        counts = torch.zeros(3, dtype=torch.int64)  # right at once, right among five, images
        with ThreadPoolExecutor(train.threads) as workers:
            for some in _batches(given.images[self.run.rank :: self.run.ranks], train.batch):
                pictures = list(workers.map(decode, [path for path, _ in some]))
                good = [(picture, label) for picture, (_, label) in zip(pictures, some, strict=True) if picture is not None]
                if good:
                    scores = (self.embed_images([picture for picture, _ in good]) @ names.T).cpu()
                    right = scores.topk(min(5, len(names))).indices == torch.tensor([[label] for _, label in good])
                    counts += torch.stack([right[:, 0].sum(), right.any(1).sum(), torch.tensor(len(good))])
        first, five, images = self.run.summed(counts).tolist()
        if images < len(given.images):
            self.run.warn(f"{len(given.images) - int(images):,} of {len(given.images):,} images to classify cannot be decoded")
        shares = {"zero_shot_top_1": first / max(images, 1), "zero_shot_top_5": five / max(images, 1)}
        return shares | {"zero_shot_images": images}
