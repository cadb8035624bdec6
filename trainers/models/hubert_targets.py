"""The units that a HuBERT predicts, as a derived column of its shards.

Features of recordings are clustered by k-means: MFCC for the first iteration, hidden states of the first model for the second. A
unit is the number of the nearest centre. `targets/<name>/` has a file for every shard (`trainers.data.derived_columns`) with the
columns `id` and `labels`: list<uint16>, null for a recording that cannot be decoded. With them are `centres.npy` and
`targets.json`, which says how they were made.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import torch
from pydantic import Field

from filters.audio.samples import RATE
from pipeline.core.errors import InputError, UsageError
from pipeline.core.settings import Table
from pipeline.core.storage import fingerprint, read_json, write_array
from pipeline.core.tables import open_parquet
from trainers.data.batches import Record, stream
from trainers.data.derived_columns import DerivedColumns, Say, derived_folder, write_derived_column
from trainers.data.reader import Reader
from trainers.data.recordings import BUILD_HINT, Frames, decode_samples
from trainers.data.shards import Shards, open_all_splits
from trainers.models import mfcc
from trainers.models.hubert import expects_normalised_samples, hash_model, load_hubert
from trainers.training.ranks import own_device, own_rank

VERSION = 1  # of what is computed here
FEWEST_RECORDINGS = 1_000  # centres are fitted to all of so many, and to a share of more
CHUNK = 1_500  # frames that a model sees at once: 30 s
BATCH = 64  # recordings
SCHEMA = pa.schema([("id", pa.string()), ("labels", pa.list_(pa.uint16()))])


class Clusters(Table):
    """Clusters of one iteration."""

    k: int = Field(ge=2, le=65_535, description="units")
    layer: int | None = Field(
        None, ge=1, description="layer of the first model, whose hidden states are clustered; without, MFCC are"
    )
    share: float = Field(0.1, gt=0, le=1, description="share of the recordings that centres are fitted to; at least 1,000")
    hours: float = Field(
        50.0, gt=0, description="hours of them, at most: one takes 0.1 GB of memory as MFCC, 1.1 GB as 768 hidden states"
    )
    inits: int = Field(20, ge=1, description="initialisations, of which the best is used")
    seed: int = Field(1, ge=0, le=2**31)


@dataclass(frozen=True)
class Targets:
    """Units of a corpus, complete on disk."""

    folder: Path
    k: int  # units
    rate: int  # units per second
    centres_sha256: str


class Feature(Protocol):
    """Features of recordings. `prepare` runs in threads, `compute` in the main thread."""

    rate: int  # frames per second
    identity: dict[str, Any]  # in `targets.json`

    def prepare(self, audio: memoryview | None) -> np.ndarray:
        """Decode a recording. Raises Skip."""

    def compute(self, prepared: np.ndarray) -> np.ndarray:
        """Return float32[frames, dimensions] of what `prepare` returned."""


class Mfcc:
    """13 coefficients, their deltas and the deltas of those, 100 a second."""

    def __init__(self) -> None:
        self.rate = mfcc.FRAMES_PER_SECOND
        self.identity = {"feature": "mfcc", "dimensions": "13, deltas, deltas of deltas", "rate": self.rate}

    def prepare(self, audio: memoryview | None) -> np.ndarray:
        return mfcc.append_deltas(mfcc.compute_mfcc(decode_samples(audio, False)))

    def compute(self, prepared: np.ndarray) -> np.ndarray:
        return prepared


class HiddenStates:
    """The output of one layer of a HuBERT, after the residual: transformers' `hidden_states[layer]`, 50 a second."""

    def __init__(self, path: str, layer: int, device: torch.device, say: Say) -> None:
        from transformers import HubertModel  # late: heavy

        # Nothing is trained here; the vector of masked frames is never used.
        model, _ = load_hubert(HubertModel, path, say, lambda name: name != "masked_spec_embed")
        if layer > len(model.encoder.layers):
            raise UsageError(f"the model in {path} has {len(model.encoder.layers)} layers: layer = {layer} is none of them")
        self.normalise, self.frames = expects_normalised_samples(path, model.config), Frames.from_config(model.config)
        model.encoder.layers = model.encoder.layers[:layer]
        if model.config.do_stable_layer_norm:  # a norm that comes after the last layer
            model.encoder.layer_norm = torch.nn.Identity()
        self.model, self.device, self.rate = model.eval().to(device), device, RATE // self.frames.stride
        self.identity: dict[str, Any] = {
            "feature": "hidden", "layer": layer, "convention": "after the residual", "rate": self.rate, "model": hash_model(path),
            "normalise": self.normalise,
        }  # fmt: skip

    def prepare(self, audio: memoryview | None) -> np.ndarray:
        return decode_samples(audio, self.normalise)

    @torch.inference_mode()
    def compute(self, prepared: np.ndarray) -> np.ndarray:
        total = self.frames.count(len(prepared))
        chunks = [np.zeros((0, self.model.config.hidden_size), np.float32)]
        for first in range(0, total, CHUNK):
            samples = prepared if total <= CHUNK else prepared[self.frames.slice(first, min(CHUNK, total - first))]
            states = self.model(torch.from_numpy(samples)[None].to(self.device)).last_hidden_state
            chunks.append(states[0].float().cpu().numpy())
        return np.concatenate(chunks)


def nearest_centres(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return uint16[frames]: the number of the nearest centre."""
    return (features @ centres.T - (centres**2).sum(1) / 2).argmax(1).astype(np.uint16)


def fit_centres(shards: Shards, feature: Feature, clusters: Clusters, threads: int) -> np.ndarray:
    """Return float32[k, dimensions]: k-means with the settings of HuBERT's recipe, on a seeded share of the recordings."""
    from sklearn.cluster import MiniBatchKMeans  # late: heavy

    features = _collect_features(shards, feature, clusters, threads)
    frames = np.concatenate(features)
    if len(frames) < clusters.k:
        raise UsageError(
            f"{len(frames):,} frames of {len(features):,} recordings make no {clusters.k:,} units: lower k of the iteration, "
            "or raise its share and hours"
        )
    kmeans = MiniBatchKMeans(
        clusters.k, max_iter=100, batch_size=10_000, random_state=clusters.seed, tol=0.0, max_no_improvement=100,
        n_init=clusters.inits, reassignment_ratio=0.0, compute_labels=False,
    )  # fmt: skip
    return kmeans.fit(frames).cluster_centers_.astype(np.float32)


def _collect_features(shards: Shards, feature: Feature, clusters: Clusters, threads: int) -> list[np.ndarray]:
    """Return the features of each recording that centres are fitted to. Raises InputError if there are none."""
    reader, features, seconds = Reader(shards, clusters.seed), list[np.ndarray](), 0.0
    spans = reader.one_pass(0, 1, max(FEWEST_RECORDINGS, round(clusters.share * shards.total)))

    def prepare(record: Record) -> np.ndarray:
        return feature.prepare(record["audio"])

    for batch in stream(reader, spans, 16, lambda items: ({"recordings": items}, 0.0), prepare, threads=threads):
        computed = [feature.compute(prepared) for prepared in batch.inputs["recordings"]]
        features += computed
        seconds += sum(map(len, computed)) / feature.rate
        if seconds >= 3600 * clusters.hours:
            break
    if not features:
        raise InputError(f"no recording of the {shards.split} shards can be decoded")
    return features


def build_targets(
    corpus: Path, clusters: Clusters, model: str | None, say: Say, folder: Path | None = None, threads: int = 4
) -> Targets:
    """Return the units of the corpus, after making what is missing.

    `model` is the one whose hidden states are clustered. `folder` is where the user wants them; raises UsageError if it holds others.
    """
    if (clusters.layer is None) != (model is None):
        raise UsageError(
            "hidden states are of a model, MFCC are not: --from MODEL belongs to --iteration 2 (clusters with a layer)"
        )
    feature: Feature = Mfcc() if clusters.layer is None else HiddenStates(str(model), clusters.layer, own_device(), say)
    splits = open_all_splits(corpus, ["id", "audio"], BUILD_HINT)
    settings = {"version": VERSION} | feature.identity | clusters.model_dump(exclude={"layer"})
    name = feature.identity["feature"]
    target_folder = folder or derived_folder(corpus, "targets", f"{name}-{clusters.k}-{fingerprint(settings)[:8]}")

    def prepare() -> dict[str, Any]:
        say(f"k-means: {clusters.k} units of {name} features")
        train = next((split for split in splits if split.split == "train"), splits[0])
        centres = fit_centres(train, feature, clusters, threads)
        write_array(target_folder / "centres.npy", centres)
        return {"centres_sha256": hashlib.sha256(centres.tobytes()).hexdigest()}

    def write(path: Path, shards: Shards) -> None:
        centres = _load_centres(target_folder)

        def assign(recordings: list[np.ndarray]) -> list[np.ndarray]:
            return [nearest_centres(feature.compute(prepared), centres) for prepared in recordings]

        write_derived_column(path, shards, SCHEMA, lambda record: feature.prepare(record["audio"]), assign, BATCH, threads)

    columns = DerivedColumns("targets", target_folder, folder is not None, settings, splits, *own_rank())
    stored = columns.build(prepare, write, say)
    for split in splits:
        for shard in split.files:
            _check_same_recordings(target_folder / shard.name, shard)
    return Targets(target_folder, stored["k"], stored["rate"], stored["centres_sha256"])


def _load_centres(folder: Path) -> np.ndarray:
    """Load the centres of a folder of targets. Raises InputError unless they are those that its units were made with."""
    path = folder / "centres.npy"
    try:
        centres = np.load(path)
        is_whole = hashlib.sha256(centres.tobytes()).hexdigest() == read_json(folder / "targets.json")["centres_sha256"]
    except (OSError, ValueError, EOFError):
        is_whole = False
    if not is_whole:
        raise InputError(f"{path} is damaged: remove {folder}, and it is made anew")
    return centres


def _check_same_recordings(targets: Path, shard: Path) -> None:
    """Raise UsageError unless both files have the same ids in the same order."""

    def read_ids(path: Path) -> pa.ChunkedArray:
        return open_parquet(path).read(columns=["id"])["id"].cast(pa.string())

    if not targets.is_file() or not read_ids(targets).equals(read_ids(shard)):
        raise UsageError(f"{targets} does not have the recordings of {shard}: remove {targets.parent}, and it is made anew")
