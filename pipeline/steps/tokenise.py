"""Step 5, tokenise: train a tokenizer on what was kept; of documents, make token shards. Reads the published shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.engine import Engine
from pipeline.core.errors import UsageError
from pipeline.core.storage import fingerprint, read_json, write_json
from pipeline.plan import Plan
from tokenizer import train as training
from tokenizer.encode import TokenShardBuild
from tokenizer.model import Tokenizer
from tokenizer.settings import Training


class Tokenising:
    """What the manifest's table `tokenizer` asks of a corpus that stands in `plan.out`."""

    def __init__(self, plan: Plan) -> None:
        assert plan.manifest.tokenizer is not None
        self.plan, self.settings = plan, plan.manifest.tokenizer
        self.tokenizer, self.tokens = plan.out / "tokenizer", plan.out / "tokens"
        self.trained = fingerprint(
            training.VERSION, self.settings.model_dump(include=set(Training.model_fields)), plan.fingerprints["write"]
        )

    @property
    def _state(self) -> Path:
        return self.plan.workspace.state_folder / "tokenizer.json"

    def _known(self) -> dict[str, Any] | None:
        """What training told, where the tokenizer in place is the one."""
        state = read_json(self._state)
        if not isinstance(state, dict) or state.get("trained") != self.trained:
            return None
        told = read_json(self.tokenizer / training.TRAINING_FILE)
        if not isinstance(told, dict) or not {"settings", "sample", "figures", "tokenizer"} <= set(told):
            return None
        try:
            there = Tokenizer.load(self.tokenizer).fingerprint
        except UsageError:  # damaged: it is made anew
            return None
        return told if there == told["tokenizer"] == state.get("tokenizer") else None

    def _encoding(self) -> TokenShardBuild | None:
        """Only documents are packed: captions and transcripts go with an image or a recording."""
        if self.plan.manifest.modality != "text":
            return None
        return TokenShardBuild(self.plan.out, self.tokenizer, self.settings, self.tokens)

    def up_to_date(self) -> dict[str, Any] | None:
        """What `run` returned, where tokenizer and token shards are in place."""
        trained = self._known()
        if trained is None:
            return None
        encoding = self._encoding()
        tokens = encoding.find_complete() if encoding else None
        return None if encoding and tokens is None else {"tokenizer": trained, "tokens": tokens}

    def run(self, engine: Engine) -> dict[str, Any]:
        """Do what is not done yet; returns what `training.json` and `tokens.json` tell."""
        trained = self._known()
        if trained is None:
            trained = self._train(engine)
        encoding = self._encoding()
        tokens = None
        if encoding is not None:
            tokens = encoding.find_complete()
            if tokens is None:
                encoding.check_output_folder(overwrite=True)
                tokens = encoding.run(engine)
        return {"tokenizer": trained, "tokens": tokens}

    def _train(self, engine: Engine) -> dict[str, Any]:
        training.check_output_folder(self.tokenizer)
        told, state = read_json(self.tokenizer / training.TRAINING_FILE), read_json(self._state)
        ours = isinstance(state, dict) and ("begun" in state or (told or {}).get("tokenizer") == state.get("tokenizer"))
        if told and not ours:
            raise UsageError(
                f"{self.tokenizer} was not trained by a build of this manifest, which would replace it: move it elsewhere, "
                "or leave the table [tokenizer] out"
            )
        training.remove_leftovers(self.tokenizer)
        write_json(self._state, {"begun": self.trained})
        step = engine.step("tokenizer", total=1.0)
        corpora = [str(self.plan.out)]
        told = training.train(
            training.parse_corpora(corpora),
            self.settings,
            self.tokenizer,
            training.find_held_out(corpora),
            lambda what, share: step.set_share(0.05 * share if what == "draw" else 0.05 + 0.95 * share),
        )
        step.records = told["sample"]["lines"]
        step.finish()
        write_json(self._state, {"trained": self.trained, "tokenizer": told["tokenizer"]})
        return told
