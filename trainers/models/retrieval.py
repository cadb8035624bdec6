"""How well images and texts retrieve one another: recall on pairs, and zero-shot classification by the names of classes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from torch.nn import functional as F

from pipeline.core.errors import InputError, UsageError
from trainers.data.batches import Record, Skip
from trainers.data.images import decode_square, read_caption
from trainers.data.reader import Reader
from trainers.training.loop import Loop
from trainers.training.settings import CONFIGS

TEMPLATES = CONFIGS / "clip" / "templates.ja.tsv"
RANKS = (1, 5, 10)
BLOCK = 1024  # queries at a time


class Pair(NamedTuple):
    picture: np.ndarray  # uint8[size, size, 3]
    caption: str


def collate_pairs(pairs: list[Pair]) -> tuple[dict[str, Any], float]:
    """Return the pictures and the captions of a batch, and how many pairs they are."""
    return {"pictures": [pair.picture for pair in pairs], "captions": [pair.caption for pair in pairs]}, float(len(pairs))


# -- recall on pairs


class EmbeddedPairs(NamedTuple):
    images: torch.Tensor  # float32[n, d], on the CPU
    texts: torch.Tensor
    picture_hashes: list[bytes]
    captions: list[str]


def number_distinct(values: Sequence[object]) -> torch.Tensor:
    """Return int64[n] with the same number for equal values."""
    numbers: dict[object, int] = {}
    return torch.tensor([numbers.setdefault(value, len(numbers)) for value in values], dtype=torch.int64)


def compute_recall(
    images: torch.Tensor, texts: torch.Tensor, pictures: torch.Tensor, captions: torch.Tensor
) -> dict[str, float]:
    """Return recall at 1, 5 and 10 in both directions, their means, and what guessing gets at 1.

    `images` and `texts` are embeddings float[n, d], pair by pair. If several images have one caption, nothing in it says which of
    them it belongs to; the same is true of an image that occurs twice. So every answer with the same caption or the same picture
    (equal numbers in int64[n] `captions` and `pictures`) counts as right, for guessing, too.
    """
    n, recall, right_by_chance = len(images), dict[str, float](), 0
    for name, queries, answers in (("image_to_text", images, texts), ("text_to_image", texts, images)):
        hits = torch.zeros(len(RANKS), dtype=torch.int64)
        for start in range(0, n, BLOCK):
            block = slice(start, start + BLOCK)
            is_right = (captions[block, None] == captions) | (pictures[block, None] == pictures)
            nearest = (queries[block] @ answers.T).topk(min(max(RANKS), n)).indices
            found = is_right.gather(1, nearest)
            hits += torch.stack([found[:, :k].any(1).sum() for k in RANKS])
            right_by_chance += int(is_right.sum())
        recall |= {f"{name}_recall_at_{k}": int(hit) / n for k, hit in zip(RANKS, hits, strict=True)}
    for k in RANKS:
        recall[f"recall_at_{k}"] = (recall[f"image_to_text_recall_at_{k}"] + recall[f"text_to_image_recall_at_{k}"]) / 2
    return recall | {"recall_by_chance": right_by_chance / 2 / n**2, "pairs": n}


# -- classes


class LabelledImage(NamedTuple):
    path: Path
    label: int  # number of the class


@dataclass(frozen=True)
class ZeroShotClasses:
    """Names of classes, and images in a folder for each."""

    names: list[str]
    images: list[LabelledImage]
    templates: list[str]

    @staticmethod
    def load(folder: Path, templates: Path) -> ZeroShotClasses:
        """Load `folder/classes.tsv` (label TAB Japanese name), and list the images in `folder/<label>`. Raises UsageError."""
        file = folder / "classes.tsv"
        names, images, labels = list[str](), list[LabelledImage](), set[str]()
        for number, fields in _read_tsv(file, "label TAB Japanese name"):
            if len(fields) < 2 or not all(fields[:2]) or fields[0] in labels:
                expected = "a label that was not there before" if fields[0] in labels else "label TAB Japanese name"
                raise UsageError(f"{file}, line {number}: expected {expected}, found {' TAB '.join(fields)!r}")
            label, name = fields[:2]
            paths = sorted(path for path in (folder / label).glob("*") if path.is_file() and not path.name.startswith("."))
            if not paths:
                raise UsageError(f"{file}, line {number}: there are no images in {folder / label}")
            images += [LabelledImage(path, len(names)) for path in paths]
            labels.add(label)
            names.append(name)
        if len(names) < 2:
            raise UsageError(f"{file} names {len(names)} classes: expected two or more")
        return ZeroShotClasses(names, images, read_templates(templates))


def read_templates(path: Path) -> list[str]:
    """Return the first field of every line, in which `{}` stands for the name of a class. Raises UsageError."""
    templates = []
    for number, (template, *_) in _read_tsv(path, "a template"):
        if "{}" not in template:
            raise UsageError(f"{path}, line {number}: {template!r} has no {{}}, where the name of a class goes")
        templates.append(template)
    if not templates:
        raise UsageError(f"{path} has no template")
    return templates


def _read_tsv(path: Path, expected: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the fields of each line that is neither empty nor a comment."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read ({error}): expected UTF-8, {expected} in every line") from None
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, [field.strip() for field in line.split("\t")]


# -- the evaluation


@dataclass(frozen=True)
class Evaluation:
    """Evaluate two towers, each rank its share. Embeddings have length 1."""

    loop: Loop
    embed_images: Callable[[list[np.ndarray]], torch.Tensor]  # uint8[size, size, 3] each -> float32[n, d]
    embed_texts: Callable[[list[str]], torch.Tensor]  # -> float32[n, d]
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # of the embeddings of images and their texts
    image_size: int  # pixels

    def evaluate_pairs(self, reader: Reader, limit: int) -> dict[str, float]:
        """Return recall among the first `limit` records, and the mean loss of blocks as large as a batch (or of all, if there are fewer).

        Raises InputError if no image can be decoded.
        """
        parts = self._embed_pairs(reader, limit)
        if not parts:
            raise InputError(f"of the first {limit:,} records of the {reader.shards.split} shards no image can be decoded")
        images, texts = torch.cat([part.images for part in parts]), torch.cat([part.texts for part in parts])
        pictures = number_distinct([value for part in parts for value in part.picture_hashes])
        captions = number_distinct([value for part in parts for value in part.captions])
        return self._mean_loss(images, texts) | compute_recall(images, texts, pictures, captions)

    def _embed_pairs(self, reader: Reader, limit: int) -> list[EmbeddedPairs]:
        """Return the embeddings of all ranks."""

        def decode(record: Record) -> Pair:
            return Pair(decode_square(record["image"], self.image_size), read_caption(record))

        own = list[EmbeddedPairs]()
        for batch in self.loop.evaluation_batches(reader, limit, collate_pairs, decode):
            pictures, captions = batch.inputs["pictures"], batch.inputs["captions"]
            images, texts = self.embed_images(pictures).cpu(), self.embed_texts(captions).cpu()
            own.append(EmbeddedPairs(images, texts, [hashlib.sha256(p).digest() for p in pictures], captions))
        if self.loop.ranks == 1:
            return own
        of_ranks: list[list[EmbeddedPairs]] = [[] for _ in range(self.loop.ranks)]
        dist.all_gather_object(of_ranks, own)
        return [part for parts in of_ranks for part in parts]

    def _mean_loss(self, images: torch.Tensor, texts: torch.Tensor) -> dict[str, float]:
        if len(images) < 2:
            return {}
        size = self.loop.settings.batch
        losses = []
        for start in range(0, max(len(images) - size, 0) + 1, size):
            block = [embeddings[start : start + size].to(self.loop.device) for embeddings in (images, texts)]
            losses.append(float(self.loss(*block)))
        return {"loss": sum(losses) / len(losses)}

    def classify(self, classes: ZeroShotClasses) -> dict[str, float]:
        """Return the share of images whose class is the likeliest, or among the likeliest five. Undecodable images are left out.

        A class is the mean of the embeddings of all templates with its name (Radford et al. 2021, section 3.1.4).
        """
        names = torch.stack([self._embed_class(name, classes.templates) for name in classes.names])
        names = F.normalize(names, dim=1)

        def decode(image: LabelledImage) -> np.ndarray | None:
            try:
                return decode_square(image.path.read_bytes(), self.image_size)
            except (Skip, OSError):
                return None

        counts = torch.zeros(3, dtype=torch.int64)  # right at 1, right at 5, images
        own = classes.images[self.loop.rank :: self.loop.ranks]
        with ThreadPoolExecutor(self.loop.settings.threads) as workers:
            for images in _split(own, self.loop.settings.batch):
                decoded = zip(workers.map(decode, images), images, strict=True)
                usable = [(picture, image.label) for picture, image in decoded if picture is not None]
                if usable:
                    scores = (self.embed_images([picture for picture, _ in usable]) @ names.T).cpu()
                    likeliest = scores.topk(min(5, len(names))).indices
                    is_right = likeliest == torch.tensor([[label] for _, label in usable])
                    counts += torch.stack([is_right[:, 0].sum(), is_right.any(1).sum(), torch.tensor(len(usable))])
        right_at_1, right_at_5, number = self.loop.sum_tensor(counts).tolist()
        total = len(classes.images)
        if number < total:
            self.loop.warn(f"{total - int(number):,} of {total:,} images to classify cannot be decoded")
        shares = {"zero_shot_top_1": right_at_1 / max(number, 1), "zero_shot_top_5": right_at_5 / max(number, 1)}
        return shares | {"zero_shot_images": number}

    def _embed_class(self, name: str, templates: list[str]) -> torch.Tensor:
        texts = [template.replace("{}", name) for template in templates]
        return torch.cat([self.embed_texts(batch) for batch in _split(texts, self.loop.settings.batch)]).mean(0)


def _split(values: list[Any], size: int) -> Iterator[list[Any]]:
    return (values[start : start + size] for start in range(0, len(values), size))
