"""Similarity of image and caption by a CLIP-type checkpoint on disk (transformers): an optional measure that needs torch.

Any checkpoint that transformers' AutoModel loads as a model of two towers does: CLIP, SigLIP, Chinese-CLIP, AltCLIP and the
like. Code that comes with a checkpoint is never run, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from filters.image.encoding import reencode
from filters.inspected import Blob


class _Checkpoint(NamedTuple):
    model: Any
    processor: Any  # of images
    tokenizer: Any
    device: str


@lru_cache(maxsize=1)
def _load(folder: str) -> _Checkpoint:
    try:  # late: they are slow to import, and optional
        import torch
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"images.model needs {error.name}: pip install 'seimai[clip]'") from None
    if not (Path(folder) / "config.json").is_file():
        raise FileNotFoundError(f"images.model = {folder!r}: there is no checkpoint (config.json) in that folder")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"local_files_only": True, "trust_remote_code": False}
    model = AutoModel.from_pretrained(folder, **options).eval().to(device)
    if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
        raise ValueError(f"images.model = {folder!r}: {type(model).__name__} does not embed both images and text")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil", **options)  # the other one needs torchvision
    return _Checkpoint(model, processor, AutoTokenizer.from_pretrained(folder, **options), device)


def _max_length(model: Any, tokenizer: Any) -> int:
    """The most tokens that the text tower takes."""
    config = getattr(model.config, "text_config", model.config)
    return min(getattr(config, "max_position_embeddings", 512), tokenizer.model_max_length)


def _unit_vectors(output: Any) -> Any:
    """Embeddings of unit length. Since version 5 transformers wraps what it returns."""
    vectors = getattr(output, "pooler_output", output)
    return vectors / vectors.norm(dim=-1, keepdim=True).clamp_min(1e-12)


def similarities(model: str, blobs: Sequence[Blob | None], captions: Sequence[str], batch: int = 64) -> np.ndarray:
    """float32[n]: cosine (-1 to 1) of the embeddings of image i and caption i; NaN where there is no image.

    `model` is a folder. It runs on a GPU where there is one. `batch` pairs are scored at a time. Raises FileNotFoundError where
    there is no checkpoint, ValueError where it is of another kind, ModuleNotFoundError where torch or transformers are not
    installed.
    """
    import torch  # late: it is slow to import, and optional

    two_towers, processor, tokenizer, device = _load(model)
    out = np.full(len(blobs), np.nan, np.float32)
    rows = [i for i, blob in enumerate(blobs) if blob is not None]
    for at in range(0, len(rows), batch):
        chosen = rows[at : at + batch]
        # Upright, in RGB, and small: the model looks at a few hundred pixels.
        pictures = [Image.open(BytesIO(reencode(blobs[i], shorter_side=448, format="PNG")[0])) for i in chosen]  # type: ignore[arg-type]
        with torch.inference_mode():
            pixels = processor(images=pictures, return_tensors="pt").to(device)
            tokens = tokenizer(
                [captions[i] for i in chosen],
                padding=True,
                truncation=True,
                max_length=_max_length(two_towers, tokenizer),
                return_tensors="pt",
            ).to(device)
            image = _unit_vectors(two_towers.get_image_features(**pixels))
            text = _unit_vectors(two_towers.get_text_features(**tokens))
            out[chosen] = (image * text).sum(dim=-1).float().cpu().numpy()
    return out
