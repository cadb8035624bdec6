import io

import numpy as np
import pytest
from PIL import Image

from filters.image.clip import similarities

WORDS = ["[PAD]", "[UNK]", "犬", "猫", "海", "山"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A CLIP of real classes in a tiny configuration, saved as a checkpoint is."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("clip")
    torch.manual_seed(1)
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = small | {
        "vocab_size": len(WORDS),
        "max_position_embeddings": 8,
        "pad_token_id": 0,
        "bos_token_id": 0,
        "eos_token_id": 1,
    }
    config = CLIPConfig(text_config=text, vision_config=small | {"image_size": 32, "patch_size": 16}, projection_dim=8)
    CLIPModel(config).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", model_max_length=8).save_pretrained(
        folder
    )
    return str(folder)


def picture(seed):
    out = io.BytesIO()
    drawn = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(drawn).save(out, "PNG")
    return out.getvalue()


def test_cosines_do_not_depend_on_the_batch(checkpoint):
    images = [picture(i) for i in range(5)]
    captions = ["犬", "猫と海", "山" * 50, "空", "犬猫"]
    found = similarities(checkpoint, images, captions)
    assert found.dtype == np.float32 and (np.abs(found) <= 1).all() and len(set(found.tolist())) == 5
    one_by_one = [similarities(checkpoint, [i], [c])[0] for i, c in zip(images, captions)]
    assert np.allclose(found, one_by_one, atol=1e-5) and np.allclose(
        found, similarities(checkpoint, images, captions, 2), atol=1e-5
    )


def test_they_are_those_of_the_model_called_by_hand(checkpoint):
    import torch
    from transformers import CLIPImageProcessor, CLIPModel

    model, processor = CLIPModel.from_pretrained(checkpoint).eval(), CLIPImageProcessor.from_pretrained(checkpoint)
    image = Image.open(io.BytesIO(picture(7))).convert("RGB")
    with torch.inference_mode():
        out = model(input_ids=torch.tensor([[2, 4]]), pixel_values=processor(images=image, return_tensors="pt")["pixel_values"])
    expected = float((out.image_embeds * out.text_embeds).sum())
    assert similarities(checkpoint, [picture(7)], ["犬海"])[0] == pytest.approx(expected, abs=1e-5)


def test_no_image_no_score(checkpoint):
    found = similarities(checkpoint, [None, picture(1)], ["犬", "犬"])
    assert np.isnan(found[0]) and not np.isnan(found[1])


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no checkpoint"):
        similarities(str(tmp_path / "none"), [picture(1)], ["犬"])
