"""Export a tokenizer for Hugging Face: a folder that `AutoTokenizer.from_pretrained` loads, with the same ids.

The conversion of SentencePiece models in transformers changes byte fallback, whitespace, and text that reads like a special token. This
one need not, because `tokenizer.model.finish_model` made the model exact: nothing is normalised or escaped, and text is not split before
it is segmented.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pipeline.core.command import report_errors
from pipeline.core.errors import UsageError
from pipeline.core.help import command
from pipeline.core.storage import write_atomically
from pipeline.core.terminal import tell
from tokenizer.model import MODEL, Tokenizer, proto

_PIECE = proto.ModelProto.SentencePiece
# The score of pieces that must not be found in text ("<s>", "<0x41>"): lower than any segmentation by other pieces, yet not so low that
# sums with it are inexact in double precision.
_NEVER = -1e5
_MAX_LENGTH = 1_000_000_000  # transformers writes 1e30 for no limit, which JSON readers of integers refuse
EXPORTED = (MODEL, "tokenizer.json", "tokenizer_config.json")
_ROLES = {"bos": "bos_token", "eos": "eos_token", "pad": "pad_token", "unk": "unk_token"}


def make_tokenizer_json(tokenizer: Tokenizer) -> dict[str, Any]:
    """Make the content of `tokenizer.json`. Raises UsageError for models that normalise text or lack byte fallback."""
    model, normalizer, spec = tokenizer.proto, tokenizer.proto.normalizer_spec, tokenizer.proto.trainer_spec
    unigram = spec.model_type == spec.UNIGRAM
    obstacle = (
        "it normalises text" if normalizer.precompiled_charsmap or normalizer.remove_extra_whitespaces
        else "it puts a space before every text" if normalizer.add_dummy_prefix
        else "it escapes spaces" if normalizer.escape_whitespaces
        else "it has no byte fallback" if not spec.byte_fallback
        else "its pieces are not of the usual kinds" if not _has_usual_pieces(model)
        else "it is neither unigram nor BPE" if not unigram and spec.model_type != spec.BPE
        else None
    )  # fmt: skip
    if obstacle:
        raise UsageError(f"this model was not trained by Seimai and cannot be exported with the same ids: {obstacle}")
    added = [
        {"id": i, "content": p.piece, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": p.type != _PIECE.USER_DEFINED}
        for i, p in enumerate(model.pieces)
        if p.type in (_PIECE.CONTROL, _PIECE.UNKNOWN, _PIECE.USER_DEFINED)
    ]  # fmt: skip
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": _convert_unigram(model) if unigram else _convert_bpe(model),
    }


def _has_usual_pieces(model: Any) -> bool:
    """Return whether no piece is unused, all scores are plausible logarithms, and the unknown piece is where the model says."""
    unk = model.trainer_spec.unk_id
    return (
        0 <= unk < len(model.pieces)
        and model.pieces[unk].type == _PIECE.UNKNOWN
        and any(p.type == _PIECE.NORMAL for p in model.pieces)
        and all(p.type != _PIECE.UNUSED and -1e7 < p.score <= 0 for p in model.pieces)
    )


def _convert_unigram(model: Any) -> dict[str, Any]:
    vocabulary = [[p.piece, p.score if p.type in (_PIECE.NORMAL, _PIECE.USER_DEFINED) else _NEVER] for p in model.pieces]
    return {"type": "Unigram", "unk_id": model.trainer_spec.unk_id, "vocab": vocabulary, "byte_fallback": True}


def _convert_bpe(model: Any) -> dict[str, Any]:
    """Convert to merges: SentencePiece joins the neighbours that make the piece of the best score, so they are in that order."""
    vocabulary = {p.piece: i for i, p in enumerate(model.pieces)}
    normal = {p.piece: p.score for p in model.pieces if p.type == _PIECE.NORMAL}
    merges = [
        [piece[:cut], piece[cut:]]
        for piece in sorted(normal, key=lambda piece: -normal[piece])
        for cut in range(1, len(piece))
        if piece[:cut] in normal and piece[cut:] in normal
    ]
    unk = model.pieces[model.trainer_spec.unk_id].piece
    return {
        "type": "BPE", "dropout": None, "unk_token": unk, "continuing_subword_prefix": None, "end_of_word_suffix": None,
        "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocabulary, "merges": merges,
    }  # fmt: skip


def export(tokenizer: Tokenizer, folder: Path) -> None:
    """Write `tokenizer.model`, `tokenizer.json` and `tokenizer_config.json` to a folder."""
    roles = {
        token: tokenizer.proto.pieces[i].piece for role, token in _ROLES.items() if (i := tokenizer.id_of(role)) is not None
    }
    if "<mask>" in {p.piece for p in tokenizer.proto.pieces}:
        roles["mask_token"] = "<mask>"
    config = roles | {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": _MAX_LENGTH,
        "clean_up_tokenization_spaces": False,
        # Crawled text that reads "</s>" is text. Set this to False for prompts that hold special tokens as text.
        "split_special_tokens": True,
        "padding_side": "right",
        "truncation_side": "right",
        "add_prefix_space": False,
    }
    contents = (
        tokenizer.content,
        json.dumps(make_tokenizer_json(tokenizer), ensure_ascii=False).encode(),
        json.dumps(config, ensure_ascii=False, indent=1).encode(),
    )
    for name, content in zip(EXPORTED, contents, strict=True):
        with write_atomically(folder / name) as temporary:
            temporary.write_bytes(content)


def _check_output_folder(tokenizer: Tokenizer, out: Path) -> None:
    """Raise UsageError where files of another tokenizer would be replaced."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file, not a folder")
    taken = [out / name for name in EXPORTED if (out / name).exists()]
    if taken and not (taken[0].name == MODEL and taken[0].read_bytes() == tokenizer.content):
        raise UsageError(f"{taken[0]} is of another tokenizer, which this command would replace: choose another --out")


@command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
def main(model: Path, out: Path) -> None:
    """Write the tokenizer MODEL (a .model file that Seimai trained, or its folder) for Hugging Face's AutoTokenizer."""
    with report_errors("exporting", "--out"):
        tokenizer = Tokenizer.load(model)
        _check_output_folder(tokenizer, out)
        export(tokenizer, out)
        tell(str(out))


if __name__ == "__main__":
    main()
