"""What is wrong with the configuration of a trainer is said, with the setting's name."""

from __future__ import annotations


def test_configurations_that_are_wrong(tokenised, train, tmp_path, small_gpt, refused) -> None:
    for change, word in (
        ("train.stepz=3", "--set train.stepz=3: there is no such setting, but steps, batch"),
        ("trian.steps=3", "--set trian.steps=3: there is no such setting, but model, train"), (".steps=3", "expected KEY=VALUE"),
        ("train={}", "--set train={}: train.steps: Field required"), ("train.steps=many", "--set train.steps=many"),
        ("model.n_heads=3", "model.n_heads"),
        ("model.model_type=bigram", "bigram"), ("train", "expected KEY=VALUE"), ("train.lr=-1", "train.lr"),
    ):  # fmt: skip
        assert word in refused(tokenised, "--out", tmp_path / "run", *small_gpt, "--set", change)
    assert "gpt2-small" in refused(tokenised, "--out", tmp_path / "run", "--config", "gpt5")


def test_settings_that_do_not_go_together_are_reported_without_a_traceback(
    tokenised, train, tmp_path, small_gpt, refused
) -> None:
    for change, word in (
        ("model.n_head=7", "model: no model can be made"), ("model.n_layer=-1", "model.num_hidden_layers"),
        ("model.n_layer=abc", "model: no model"), ("model.vocab_size=77", "the tokenizer decides it"),
        ("model.activation_function=foo", "no model can be made"), ("model.to_dict=1", "no such setting"),
        ("train.betas=[0.9, 1.5]", "train.betas"),
    ):  # fmt: skip
        assert word in refused(tokenised, "--out", tmp_path / "run", *small_gpt, "--set", change)
