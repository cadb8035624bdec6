"""HuBERT: units in step with the samples; masked prediction that learns, resumes exactly and loads elsewhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from click.testing import CliRunner
from transformers import HubertConfig, HubertModel, Wav2Vec2FeatureExtractor

from filters.audio.decoding import decode
from filters.audio.encoding import encode_flac
from filters.audio.samples import RATE
from pipeline.core.errors import InputError, UsageError
from pipeline.core.ownership import DERIVED_FOLDER
from tests.support import melodies
from trainers import hubert
from trainers.data.batches import Skip
from trainers.data.recordings import Frames
from trainers.models.mfcc import append_deltas, compute_mfcc
from trainers.targets import main as make_targets
from trainers.training.settings import load_config

SMALL = [
    "model.hidden_size=32", "model.num_hidden_layers=2", "model.num_attention_heads=2", "model.intermediate_size=64",
    "model.conv_dim=[16, 16, 16, 16, 16, 16, 16]", "model.num_conv_pos_embeddings=16", "model.num_conv_pos_embedding_groups=4",
    "first.k=12", "second.k=10", "crop=16000", "train.batch=4",
    "train.schedule=constant_with_warmup", "train.log_every=1", "train.save_every=4", "train.evaluate_every=4",
]  # fmt: skip


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return melodies.write_corpus(tmp_path_factory.mktemp("hubert") / "corpus")


def run(corpus: Path, out: Path, *arguments: str, sets: tuple[str, ...] = ()) -> Any:
    changes = [argument for change in (*SMALL, *sets) for argument in ("--set", change)]
    return CliRunner().invoke(hubert.main, [str(corpus), "--config", "tiny", "--out", str(out), *changes, *arguments])


def metrics(out: Path, split: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [{k: v for k, v in line.items() if "per_second" not in k} for line in lines if line["split"] == split]


@pytest.fixture(scope="module")
def first(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 60 steps of the first iteration."""
    out = tmp_path_factory.mktemp("runs") / "first"
    sets = ("train.steps=60", "train.save_every=20", "train.evaluate_every=30", "train.batch=8")
    assert (result := run(corpus, out, sets=sets)).exit_code == 0, result.output
    said = result.output[result.output.index("parameters  ") :]  # before the first step
    assert " s of sound a step, at most" in said and said.index(" epochs of ") < said.index("train      step")
    assert f"-m trainers.ctc {corpus} --config tiny --model {out / 'model'}" in said
    return out


def test_units_have_the_rows_of_the_shards_and_are_the_nearest_centres(corpus: Path, first: Path) -> None:
    (place,) = (corpus / DERIVED_FOLDER / "targets").glob("mfcc-12-*")
    stored, centres = json.loads((place / "targets.json").read_text()), np.load(place / "centres.npy")
    assert (stored["feature"], stored["k"], stored["rate"]) == ("mfcc", 12, 100) and centres.shape == (12, 39)
    for file in sorted((corpus / "data").iterdir()):
        with pq.ParquetFile(file) as shard, pq.ParquetFile(place / file.name) as derived:
            rows = [[f.metadata.row_group(i).num_rows for i in range(f.num_row_groups)] for f in (shard, derived)]
            assert rows[0] == rows[1] and derived.schema_arrow.field("labels").type == pa.list_(pa.uint16())
            recordings, labels = shard.read().to_pylist(), derived.read().to_pylist()
        assert [r["id"] for r in recordings] == [r["id"] for r in labels]
        assert [r["id"] for r in labels if r["labels"] is None] == ([] if "validation" in file.name else ["made/train/1"])
        for recording, row in list(zip(recordings, labels))[2:5]:
            features = append_deltas(compute_mfcc(decode(recording["audio"]["bytes"]).samples))
            distances = np.linalg.norm(features[:, None] - centres, axis=-1)
            assert (np.take_along_axis(distances, np.array(row["labels"])[:, None], 1)[:, 0] <= distances.min(1) + 1e-3).all()
            assert len(set(row["labels"])) > 3


# --- records


def ramp(samples: int = 32_000) -> dict[str, Any]:
    """A recording whose samples say where they stand, and labels that do."""
    sound = (np.arange(samples) / 32_768).astype(np.float32)
    labels = np.arange((samples - 400) // 160 + 1, dtype=np.uint16)
    return {"id": "made/ramp", "audio": memoryview(encode_flac(sound)), "labels": labels, "__key__": (0, 0, 7)}


def test_labels_are_cut_in_step_with_samples() -> None:
    config, begins = load_config(hubert.Config, "hubert", "tiny", ("crop=8000",)), set()
    decoder = hubert.Decoder(config, Frames(320, 400), 100)
    for epoch in range(20):
        samples, labels, mask = decoder.take(decoder(ramp() | {"__key__": (epoch, 0, 7)}), 1_000)
        at = round(float(samples[0]) * 32_768)
        begins.add(at)
        assert (
            at % 320 == 0 and len(labels) == len(mask) == Frames(320, 400).count(len(samples)) == 24 and len(samples) <= 8_000
        )
        assert (labels[mask] == at // 160 + 2 * np.flatnonzero(mask)).all() and (labels[~mask] == -100).all() and mask.any()
        again = decoder.take(decoder(ramp() | {"__key__": (epoch, 0, 7)}), 1_000)
        assert all((a == b).all() for a, b in zip(again, (samples, labels, mask)))
    assert len(begins) > 10
    # 50 labels a second, of a model: one for every frame.
    decoder = hubert.Decoder(config, Frames(320, 400), 50)
    samples, labels, mask = decoder.take(decoder(ramp() | {"labels": ramp()["labels"][::2] // 2}), 1_000)
    assert (labels[mask] == round(float(samples[0]) * 32_768) // 320 + np.flatnonzero(mask)).all()


def test_a_batch_is_as_long_as_its_shortest_recording_in_training_and_padded_in_evaluation() -> None:
    """fairseq's `pad_audio: false`, `random_crop: true`."""
    config = load_config(hubert.Config, "hubert", "tiny", ("crop=20000", "shortest=8000"))
    decoder = hubert.Decoder(config, Frames(320, 400), 100)
    recordings = [decoder(ramp(samples) | {"__key__": (0, 0, samples)}) for samples in (16_000, 12_000, 32_000)]
    frames = [Frames(320, 400).count(samples) for samples in (16_000, 12_000, 20_000)]
    inputs, seconds = decoder.collate_for_training(recordings)
    assert inputs["frame_mask"].shape == (3, frames[1]) and inputs["frame_mask"].all() and inputs["attention_mask"].all()
    assert seconds == pytest.approx(inputs["input_values"].numel() / RATE)
    begin = (inputs["input_values"][:, 0] * 32_768).round().long() // 160
    assert begin[1] == 0 and begin[2] > 0  # a part of the longer ones
    expected = begin[:, None] + 2 * torch.arange(frames[1])
    is_masked = inputs["labels"] != -100
    assert torch.equal(inputs["labels"][is_masked], expected[is_masked]) and is_masked.any(1).all()
    assert decoder.collate(recordings)[0]["frame_mask"].sum(1).tolist() == frames
    assert decoder.measure({"labels": [None, np.zeros(50), np.zeros(900)]}).tolist() == [0, 0.5, 1.25]


def test_units_are_scored_in_single_precision() -> None:
    torch.manual_seed(0)
    config = load_config(hubert.Config, "hubert", "tiny")
    module = hubert.MaskedPrediction(HubertModel(HubertConfig(**melodies.TINY)), 50, config)
    frames = torch.randn(30, 32)
    with torch.no_grad():
        expected = module.logits(frames)
        with torch.autocast("cpu", torch.bfloat16):
            found = module.logits(frames)
    assert found.dtype == torch.float32 and torch.equal(found, expected)


def test_records_that_do_not_fit_are_skipped_or_refused() -> None:
    decoder = hubert.Decoder(load_config(hubert.Config, "hubert", "tiny"), Frames(320, 400), 100)
    for wrong in ({"labels": None}, {"audio": memoryview(b"fLaC")}, {"audio": None}, ramp(6_000)):
        with pytest.raises(Skip):
            decoder(ramp() | wrong)
    with pytest.raises(InputError, match=r"made/ramp has 1\.80 s of units for 2\.00 s.*made anew"):
        decoder(ramp() | {"labels": ramp()["labels"][:180]})
    with pytest.raises(UsageError, match="100 times a second do not fit a model with a frame every 240 samples"):
        hubert.Decoder(load_config(hubert.Config, "hubert", "tiny"), Frames(240, 400), 100)


def test_large_recordings_are_normalised_whole_as_the_feature_extractor_does() -> None:
    config = load_config(hubert.Config, "hubert", "tiny", ("normalise=true", "crop=40000"))
    samples = hubert.Decoder(config, Frames(320, 400), 100)(ramp())[0]
    expected = Wav2Vec2FeatureExtractor(do_normalize=True)(np.arange(32_000) / 32_768, sampling_rate=RATE).input_values[0]
    np.testing.assert_allclose(samples, expected[: len(samples)], atol=1e-4)


@pytest.mark.parametrize("name", ["tiny", "hubert-base", "hubert-large"])
def test_configurations_are_whole(name: str) -> None:
    config = load_config(hubert.Config, "hubert", name)
    assert config.first.layer is None and config.second.layer
    assert HubertConfig(**{k: v for k, v in config.model.items() if k != "model_type"}).feat_extract_norm == (
        "layer" if config.normalise else "group"
    )


# --- runs


def test_it_learns_what_hides_behind_a_mask_and_says_what_was_skipped(first: Path) -> None:
    found = metrics(first, "validation")
    assert [line["step"] for line in found] == [30, 60]
    assert found[-1]["accuracy"] > found[-1]["largest_unit"] > 0.05
    assert found[-1]["masked_loss"] < found[0]["masked_loss"] < np.log(12) + 0.2
    # 60 steps of 8 are 20 epochs of the 23 that can be decoded.
    assert sum(line["skipped"] for line in metrics(first, "train")) in (20, 21)
    assert np.isfinite([line["penalty"] for line in metrics(first, "train")]).all()


def test_what_is_saved_is_a_hubert_with_the_same_outputs(first: Path) -> None:
    state = torch.load(first / "checkpoints" / "step-000000060" / "state.pt", weights_only=True)["model"]
    model = HubertModel.from_pretrained(first / "model").eval()
    trained = hubert.MaskedPrediction(HubertModel(model.config), 12, load_config(hubert.Config, "hubert", "tiny")).eval()
    trained.load_state_dict(state)
    extractor = Wav2Vec2FeatureExtractor.from_pretrained(first / "model")
    ready = extractor(melodies.melody(5), sampling_rate=RATE, return_tensors="pt")
    assert not extractor.do_normalize
    with torch.no_grad():
        assert torch.equal(model(ready.input_values)[0], trained.hubert(ready.input_values)[0])
        torch.testing.assert_close(trained.hubert(**ready)[0], model(**ready)[0], atol=1e-4, rtol=1e-4)
        logits = trained.logits(model(**ready)[0][0])
    assert logits.shape == (Frames(320, 400).count(len(melodies.melody(5))), 12)
    assert logits.abs().max() <= 10 + 1e-4  # cosines over 0.1


def test_the_convolutions_get_their_share_of_the_gradient() -> None:
    gradients = []
    for share in ("0.1", "1.0"):
        torch.manual_seed(3)
        config = load_config(hubert.Config, "hubert", "tiny", (f"feature_gradient={share}", "feature_penalty=10.0"))
        module = hubert.MaskedPrediction(
            HubertModel(HubertConfig(**melodies.TINY, hidden_dropout=0.0, layerdrop=0.0)), 400, config
        ).eval()
        decoder = hubert.Decoder(config, Frames(320, 400), 100)
        inputs = decoder.collate([decoder(ramp())])[0]
        loss, metrics = module(**inputs)
        torch.testing.assert_close(loss, metrics["masked_loss"] + 10 * metrics["penalty"])
        loss.backward()
        gradients.append([module.hubert.feature_extractor.conv_layers[3].conv.weight.grad, module.project.weight.grad])
    torch.testing.assert_close(gradients[0][0], 0.1 * gradients[1][0], atol=1e-7, rtol=1e-3)
    torch.testing.assert_close(gradients[0][1], gradients[1][1])


def test_the_same_seed_gives_the_same_numbers_also_after_a_stop(corpus: Path, first: Path, tmp_path: Path) -> None:
    sets = ("model.layerdrop=0.2", "model.hidden_dropout=0.1", "train.accumulate=2", "train.seconds=3.5")
    for out, steps in (("whole", 8), ("parts", 4)):
        assert (result := run(corpus, tmp_path / out, sets=(*sets, f"train.steps={steps}"))).exit_code == 0, result.output
    threads = "train.threads=1"  # which must not matter
    assert run(corpus, tmp_path / "parts", "--resume", sets=(*sets, "train.steps=8", threads)).exit_code == 0
    for split in ("train", "validation"):
        whole, parts = metrics(tmp_path / "whole", split), metrics(tmp_path / "parts", split)
        if split == "train":  # a count since the last line, in which threads read ahead
            assert [line["step"] for line in whole] == list(range(1, 9))
        assert whole == parts
    result = run(corpus, tmp_path / "parts", "--resume", sets=(*sets, "train.steps=9", "first.seed=2"))
    assert result.exit_code == 2 and "first.seed was 1 and is 2" in result.output.replace("\n", " ")


def test_the_second_iteration_predicts_units_of_the_first_model(corpus: Path, first: Path, tmp_path: Path) -> None:
    model = str(first / "model")
    result = run(corpus, tmp_path / "second", "--iteration", "2", "--from", model, sets=("train.steps=4",))
    assert result.exit_code == 0, result.output
    (place,) = (corpus / DERIVED_FOLDER / "targets").glob("hidden-10-*")
    stored = json.loads((place / "targets.json").read_text())
    assert (stored["layer"], stored["convention"], stored["rate"]) == (1, "after the residual", 50)
    assert np.isfinite(metrics(tmp_path / "second", "validation")[-1]["masked_loss"])
    changes = [argument for change in SMALL for argument in ("--set", change)]
    command = [str(corpus), "--config", "tiny", "--iteration", "2", "--from", model, *changes]
    result = CliRunner().invoke(make_targets, command)  # there already
    assert result.output == f"{place}: 10 units, 50 a second; 1 recording without\n"


def test_what_is_wrong_is_said(corpus: Path, tmp_path: Path) -> None:
    def said(*arguments: str, sets: tuple[str, ...] = (), at: Path = corpus) -> str:
        result = run(at, tmp_path / "out", *arguments, sets=sets)
        assert result.exit_code == 2
        return " ".join(result.output.split())

    assert "--from MODEL belongs to --iteration 2" in said("--iteration", "2")
    assert "--from MODEL belongs to --iteration 2" in said("--from", "somewhere")
    assert "no HuBERT is in" in said("--iteration", "2", "--from", str(tmp_path))
    assert "python -m pipeline.build" in said(at=tmp_path)
    assert "model.depth: hubert has no such setting" in said(sets=("model.depth=3",))
    assert 'model_type = "hubert"' in said(sets=('model.model_type="wav2vec2"',))
    (tmp_path / "text" / "data").mkdir(parents=True)
    pq.write_table(pa.table({"id": ["a"], "text": ["字"]}), tmp_path / "text" / "data" / "train-00000-of-00001.parquet")
    assert "has no column 'audio': make them with python -m pipeline.build" in said(at=tmp_path / "text")
