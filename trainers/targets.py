"""`python -m trainers.targets CORPUS`: the units that a HuBERT predicts, as a column beside the shards.

Features of recordings (MFCC for the first iteration, hidden states of the first model for the second) are clustered by k-means; a unit is
the number of the nearest centre. `CORPUS/targets/<name>/` has a file for every shard (`trainers.beside`) with the columns `id` and
`labels`: list<uint16>, null where a recording could not be decoded. With them are `centres.npy` and `targets.json`, which says how they
were made.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from pydantic import Field

from filters.audio.decoding import RATE
from pipeline.core.command import report_errors
from pipeline.core.errors import InputError, UsageError
from pipeline.core.settings import Table
from pipeline.core.storage import fingerprint
from trainers import mfcc
from trainers.beside import Say, all_splits, made, write
from trainers.data import Reader, Shards, stream
from trainers.ranks import own_device, recorded
from trainers.settings import load, names, quiet
from trainers.sound import BUILD, Frames, loaded, model_sha256, normalises, samples_of

VERSION = 1  # of what is computed here
ENOUGH = 1_000  # recordings, of which a share is not taken
CHUNK = 1_500  # frames that a model sees at once: 30 s
SCHEMA = pa.schema([("id", pa.string()), ("labels", pa.list_(pa.uint16()))])


class Clusters(Table):
    """Of one iteration."""

    k: int = Field(ge=2, le=65_535, description="units")
    layer: int | None = Field(None, ge=1, description="of the model before, whose hidden states are clustered; MFCC without")
    share: float = Field(0.1, gt=0, le=1, description="of the recordings, that centres are fitted to; at least 1,000")
    hours: float = Field(
        50.0, gt=0, description="of them, at most: an hour of MFCC takes 0.1 GB of memory, of 768 hidden states 1.1"
    )
    inits: int = Field(20, ge=1, description="of which the best is gone on with")
    seed: int = Field(1, ge=0, le=2**31)


class Mfcc:
    """13 coefficients, their deltas and the deltas of these, 100 a second."""

    rate = mfcc.FRAMES_PER_SECOND

    def __init__(self) -> None:
        self.told: dict[str, Any] = {"feature": "mfcc", "dimensions": "13, deltas, deltas of deltas", "rate": self.rate}

    def begin(self, audio: memoryview | None) -> np.ndarray:
        """What a thread does with a recording. Raises Skip."""
        return mfcc.with_deltas(mfcc.mfcc(samples_of(audio, False)))

    def end(self, begun: np.ndarray) -> np.ndarray:
        """float32[frames, dimensions] of what `begin` made."""
        return begun


class Hidden:
    """What layer `layer` of a HuBERT hands on: after the residual, that is transformers' `hidden_states[layer]`; 50 a second."""

    def __init__(self, place: str, layer: int, device: torch.device) -> None:
        from transformers import HubertModel

        model = loaded(HubertModel, place)
        if layer > len(model.encoder.layers):
            raise UsageError(f"the model in {place} has {len(model.encoder.layers)} layers: layer = {layer} is none of them")
        self.normalise, self.frames = normalises(place, model.config), Frames.of(model.config)
        model.encoder.layers = model.encoder.layers[:layer]
        if model.config.do_stable_layer_norm:  # a norm that comes after the last layer
            model.encoder.layer_norm = torch.nn.Identity()
        self.model, self.device, self.rate = model.eval().to(device), device, RATE // self.frames.stride
        self.told: dict[str, Any] = {"feature": "hidden", "layer": layer, "convention": "after the residual", "rate": self.rate}
        self.told |= {"model": model_sha256(place), "normalise": self.normalise}

    def begin(self, audio: memoryview | None) -> np.ndarray:
        return samples_of(audio, self.normalise)

    @torch.inference_mode()
    def end(self, begun: np.ndarray) -> np.ndarray:
        total, parts = self.frames.count(len(begun)), [np.zeros((0, self.model.config.hidden_size), np.float32)]
        for first in range(0, total, CHUNK):
            piece = begun if total <= CHUNK else begun[self.frames.slice(first, min(CHUNK, total - first))]
            found = self.model(torch.from_numpy(piece)[None].to(self.device)).last_hidden_state
            parts.append(found[0].float().cpu().numpy())
        return np.concatenate(parts)


def units(features: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """uint16[frames]: the number of the nearest centre."""
    return (features @ centres.T - (centres**2).sum(1) / 2).argmax(1).astype(np.uint16)


def fitted(shards: Shards, feature: Mfcc | Hidden, clusters: Clusters, threads: int) -> np.ndarray:
    """float32[k, dimensions]: k-means with the settings of HuBERT's recipe, of a seeded share of the recordings."""
    from sklearn.cluster import MiniBatchKMeans

    reader, parts, seconds = Reader(shards, clusters.seed), list[np.ndarray](), 0.0
    chosen = reader.once(0, 1, max(ENOUGH, round(clusters.share * shards.total)))
    for batch in stream(
        reader, chosen, 16, lambda items: ({"items": items}, 0.0), lambda r: feature.begin(r["audio"]), 0, threads
    ):
        parts += map(feature.end, batch.inputs["items"])
        seconds += sum(len(part) for part in parts[-len(batch.inputs["items"]) :]) / feature.rate
        if seconds >= 3600 * clusters.hours:
            break
    if not parts:
        raise InputError(f"no recording of the {shards.split} shards can be decoded")
    frames = np.concatenate(parts)
    if len(frames) < clusters.k:
        raise UsageError(
            f"{len(frames):,} frames of {len(parts):,} recordings make no {clusters.k:,} units: lower k of the iteration, "
            "or raise its share and hours"
        )
    kmeans = MiniBatchKMeans(
        clusters.k, max_iter=100, batch_size=10_000, random_state=clusters.seed, tol=0.0, max_no_improvement=100,
        n_init=clusters.inits, reassignment_ratio=0.0, compute_labels=False,
    )  # fmt: skip
    return kmeans.fit(frames).cluster_centers_.astype(np.float32)


def targets(
    corpus: Path, clusters: Clusters, before: str | None, say: Say, folder: Path | None = None, threads: int = 4
) -> tuple[Path, dict[str, Any]]:
    """The folder of units that fit the corpus and `clusters`, and what its `targets.json` says; they are made where there are none.

    `before` is the model whose hidden states are clustered. With `folder`, that one; raises UsageError where it holds others.
    """
    if (clusters.layer is None) != (before is None):
        raise UsageError(
            "hidden states are of a model, MFCC are not: --from MODEL belongs to --iteration 2 (clusters with a layer)"
        )
    feature = Mfcc() if clusters.layer is None else Hidden(str(before), clusters.layer, own_device())
    splits = all_splits(corpus, ["id", "audio"], BUILD)
    how = {"version": VERSION} | feature.told | clusters.model_dump(exclude={"layer"})
    place = folder or corpus / "targets" / f"{feature.told['feature']}-{clusters.k}-{fingerprint(how)[:8]}"

    def begin() -> dict[str, Any]:
        say(f"k-means: {clusters.k} units of {feature.told['feature']} features")
        centres = fitted(next((s for s in splits if s.split == "train"), splits[0]), feature, clusters, threads)
        np.save(place / "centres.npy", centres)
        return {"centres_sha256": hashlib.sha256(centres.tobytes()).hexdigest()}

    def make(path: Path, shards: Shards) -> None:
        centres = np.load(place / "centres.npy")

        def finish(begun: list[np.ndarray]) -> list[np.ndarray]:
            return [units(feature.end(one), centres) for one in begun]

        write(path, shards, SCHEMA, lambda record: feature.begin(record["audio"]), finish, 64, threads)

    told = made("targets", place, folder is not None, how, splits, begin, make, say)
    for split in splits:
        for shard in {paths[0] for paths, *_ in split.files}:
            if not (place / shard.name).is_file() or not _ids(place / shard.name).equals(_ids(shard)):
                raise UsageError(
                    f"{place / shard.name} does not have the recordings of {shard}: remove {place}, and it is made anew"
                )
    return place, told


def _ids(path: Path) -> pa.ChunkedArray:
    return pq.read_table(path, columns=["id"], partitioning=None)["id"].cast(pa.string())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("corpus", type=click.Path(path_type=Path))
@click.option(
    "--config", default="hubert-base", show_default=True, metavar="NAME|PATH", help=f"One of {', '.join(names('hubert'))}."
)
@click.option("--iteration", type=click.IntRange(1, 2), default=1, show_default=True)
@click.option("--from", "before", metavar="MODEL", help="Iteration 2: the model of the first one.")
@click.option("--out", type=click.Path(path_type=Path), help="[default: CORPUS/targets/<name>]")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change the configuration; repeatable.")
def main(corpus: Path, config: str, iteration: int, before: str | None, out: Path | None, changes: tuple[str, ...]) -> None:
    """Make the units that an iteration of HuBERT on CORPUS predicts, where they are not there yet."""
    from trainers.hubert import Config

    quiet()
    with report_errors("making units", "--out"), recorded():
        settings = load(Config, "hubert", config, changes)
        clusters = settings.first if iteration == 1 else settings.second
        place, told = targets(corpus, clusters, before, click.echo, out, settings.train.threads)
        without = sum(pq.read_table(path, columns=["labels"])["labels"].null_count for path in place.glob("*.parquet"))
        click.echo(f"{place}: {told['k']} units, {told['rate']} a second; {without:,} recordings without")


if __name__ == "__main__":
    main()
