"""HuBERT models whose outputs do not depend on padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertModel

from tests.support import melodies
from trainers.data.recordings import Frames, collate_audio
from trainers.models.hubert import ignore_padding


@pytest.mark.parametrize("kind", ["base", "large"])
def test_padding_changes_nothing(kind: str) -> None:
    torch.manual_seed(0)
    model = HubertModel(HubertConfig(**melodies.KINDS[kind])).eval()
    for parameter in model.feature_extractor.parameters():  # not the ones and zeros that norms begin with
        parameter.data += 0.1 * torch.randn_like(parameter)
    sounds = [melodies.melody(1, 8), melodies.melody(2, 3), melodies.melody(3, 5)]
    frames = Frames.from_config(model.config)
    masks = [np.arange(frames.count(len(s))) % 7 == 0 for s in sounds]
    with torch.no_grad():
        alone = [model(torch.tensor(s)[None], mask_time_indices=torch.tensor(m)[None])[0][0] for s, m in zip(sounds, masks)]
        together = ignore_padding(model)(**collate_audio(sounds, masks)[0])[0]
        assert torch.equal(model(torch.tensor(sounds[0])[None], mask_time_indices=torch.tensor(masks[0])[None])[0][0], alone[0])
    for found, expected in zip(together, alone):
        assert expected.abs().mean() > 0.1
        torch.testing.assert_close(found[: len(expected)], expected, atol=1e-4, rtol=1e-4)
