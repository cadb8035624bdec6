"""Units: hidden states as transformers gives them, and files that are made once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

from filters.audio.decoding import decode
from filters.audio.encoding import encode_flac
from filters.audio.samples import RATE
from pipeline.core.errors import UsageError
from pipeline.core.locks import hold_lock
from tests.support import melodies
from trainers.models.hubert_targets import Clusters, HiddenStates, Targets, build_targets


@pytest.mark.parametrize("kind", ["base", "large"])
def test_hidden_states_are_those_that_transformers_gives(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    HubertModel(HubertConfig(**melodies.KINDS[kind])).save_pretrained(tmp_path)
    Wav2Vec2FeatureExtractor(do_normalize=kind == "large").save_pretrained(tmp_path)
    recording = encode_flac(melodies.melody(4))
    sound, model = decode(recording).samples, HubertModel.from_pretrained(tmp_path).eval()
    ready = Wav2Vec2FeatureExtractor.from_pretrained(tmp_path)(sound, sampling_rate=RATE, return_tensors="pt").input_values
    with torch.no_grad():
        expected = model(ready, output_hidden_states=True).hidden_states[1][0].numpy()
    feature = HiddenStates(str(tmp_path), 1, torch.device("cpu"), print)
    np.testing.assert_allclose(feature.compute(feature.prepare(memoryview(recording))), expected, atol=1e-4)
    # What is longer than 30 s is taken in parts, without a frame too many or too few.
    long = np.tile(sound, 25)
    assert len(long) > 31 * RATE and len(feature.compute(long)) == feature.frames.count(len(long))
    assert len(feature.compute(sound[:300])) == 0
    with pytest.raises(UsageError, match="2 layers: layer = 3"):
        HiddenStates(str(tmp_path), 3, torch.device("cpu"), print)


def test_a_model_that_lacks_weights_makes_no_units(tmp_path: Path) -> None:
    HubertModel(HubertConfig(**melodies.TINY)).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    for name in ("masked_spec_embed", "feature_projection.projection.bias"):
        del weights[name]
        save_file(weights | {"project.weight": torch.zeros(1)}, tmp_path / "model.safetensors", {"format": "pt"})
        if name == "masked_spec_embed":  # nothing is masked
            said = list[str]()
            HiddenStates(str(tmp_path), 1, torch.device("cpu"), said.append)
            assert any("also has project.weight: not used" in line for line in said)
    with pytest.raises(UsageError, match="lacks feature_projection.projection.bias, which would be left random"):
        HiddenStates(str(tmp_path), 1, torch.device("cpu"), print)


def test_units_are_made_once_and_anew_for_other_shards(tmp_path: Path) -> None:
    corpus, said = melodies.write_corpus(tmp_path / "corpus", 8, 3), list[str]()
    clusters = Clusters(k=5, share=1.0, inits=1)

    def stored(targets: Targets) -> dict[str, Any]:
        return json.loads((targets.folder / "targets.json").read_text())

    first = build_targets(corpus, clusters, None, said.append)
    first_stored = stored(first)
    train, validation = (first.folder / f"{split}-00000-of-00001.parquet" for split in ("train", "validation"))
    assert [line.split()[0] for line in said] == ["k-means:", "targets", "targets"]
    assert build_targets(corpus, clusters, None, said.append) == first and len(said) == 3
    assert build_targets(corpus, clusters.model_copy(update={"seed": 2}), None, said.append).folder != first.folder
    # If nothing is missing nothing is written: others may be reading, and the disk may be read-only.
    with hold_lock(first.folder):
        assert build_targets(corpus, clusters, None, said.append) == first
    # Killed after the first of two shards: the other one is made, with the same centres.
    validation.unlink()
    written = train.stat().st_mtime_ns
    assert build_targets(corpus, clusters, None, said.append) == first and stored(first) == first_stored
    assert validation.exists() and train.stat().st_mtime_ns == written
    # Other recordings: made anew; in a folder that the user named: refused.
    (corpus / "data" / "train-00000-of-00001.parquet").unlink()
    melodies.write_corpus(tmp_path / "other", 9, 3)
    (tmp_path / "other/data/train-00000-of-00001.parquet").rename(corpus / "data" / "train-00000-of-00001.parquet")
    with pytest.raises(UsageError, match="holds no targets of this corpus"):
        build_targets(corpus, clusters, None, said.append, first.folder)
    assert stored(build_targets(corpus, clusters, None, said.append))["shards"] != first_stored["shards"]
    table = pq.read_table(train)
    swapped = table.set_column(0, "id", pa.array(table["id"].to_pylist()[::-1]))
    pq.write_table(swapped, train, row_group_size=8)
    with pytest.raises(UsageError, match="does not have the recordings of .*: remove"):
        build_targets(corpus, clusters, None, said.append)
    with pytest.raises(UsageError, match="recordings make no 60,000 units"):
        build_targets(corpus, Clusters(k=60_000), None, said.append)
