"""Step 5, tokenise: train a tokenizer on what was kept; of documents, make token shards. Reads the published shards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.core.checksums import sizes_differ
from pipeline.core.engine import Engine
from pipeline.core.errors import InputError, UsageError
from pipeline.core.identity import identify_shards
from pipeline.core.libraries import find_version, find_versions
from pipeline.core.storage import fingerprint, read_json, write_json
from pipeline.core.vouching import read_checked
from pipeline.plan import Plan
from tokenizer import train as training
from tokenizer.encoding import TokenShardBuild, TooFewTokensError
from tokenizer.model import Tokenizer
from tokenizer.settings import Tokenise, Training
from tokenizer.token_shards import refuse_foreign_folder
from tokenizer.words import check_words


def check_tokenising(out: Path, settings: Tokenise, modality: str) -> None:
    """Raise UsageError, before any work is done, where tokenizer or token shards could not be made in the end."""
    check_words(settings.words)
    training.check_output_folder(out / "tokenizer")
    if modality == "text":
        refuse_foreign_folder(out / "tokens")


class Tokenising:
    """The step for a corpus that is published in `plan.out`: what the manifest's table `tokenizer` asks for."""

    def __init__(self, plan: Plan) -> None:
        assert plan.manifest.tokenizer is not None
        self.plan, self.settings = plan, plan.manifest.tokenizer
        self.tokenizer, self.tokens = plan.out / "tokenizer", plan.out / "tokens"
        self.fingerprint = fingerprint(
            training.VERSION,
            find_versions(["sentencepiece"]),
            self.settings.model_dump(include=set(Training.model_fields)),
            plan.fingerprints["write"],
        )

    @property
    def _state(self) -> Path:
        """JSON: which training was begun, and which was completed."""
        return self.plan.workspace.state_folder / "tokenizer.json"

    def _find_trained(self) -> dict[str, Any] | None:
        """Return the record of training, where the tokenizer in place is the one that it made."""
        state, record = read_json(self._state), read_checked(self.tokenizer / training.TRAINING_FILE)
        if record is None or not {"settings", "sample", "figures", "tokenizer", "files"} <= set(record):
            return None
        if sizes_differ(self.tokenizer, record["files"]):
            return None
        try:
            in_place = Tokenizer.load(self.tokenizer).fingerprint
        except UsageError:  # damaged: it is trained anew
            return None
        if in_place != record["tokenizer"]:
            return None
        is_of_build = isinstance(state, dict) and (state.get("trained"), state.get("tokenizer")) == (self.fingerprint, in_place)
        return record if is_of_build or self._would_be_the_same(record) else None

    def _would_be_the_same(self, record: dict[str, Any]) -> bool:
        """Return whether a training recorded by `python -m tokenizer.train` is the one that this build would do."""
        corpora, versions = record["sample"].get("corpora", []), record.get("versions", {})
        if record.get("version") != training.VERSION or versions.get("sentencepiece") != find_version("sentencepiece"):
            return False
        if record["settings"] != self.settings.model_dump(include=set(Training.model_fields)) or len(corpora) != 1:
            return False
        (wanted,) = training.parse_corpora([str(self.plan.out)])
        return corpora[0].get("shards") == identify_shards(wanted.texts.files)

    def _token_shards(self) -> TokenShardBuild | None:
        """Return the build of token shards. Only documents are packed: captions and transcripts go with an image or a recording."""
        if self.plan.manifest.modality != "text":
            return None
        return TokenShardBuild(self.plan.out, self.tokenizer, self.settings, self.tokens)

    def up_to_date(self) -> dict[str, Any] | None:
        """Return what `run` returned, where tokenizer and token shards are in place."""
        trained = self._find_trained()
        if trained is None:
            return None
        try:
            build = self._token_shards()
            tokens = build.find_complete() if build else None
        except (InputError, UsageError):  # damaged shards: whoever goes on looks at them
            return None
        return None if build and tokens is None else {"tokenizer": trained, "tokens": tokens}

    def run(self, engine: Engine) -> dict[str, Any]:
        """Do what is not done yet; return the records `training.json` and `tokens.json`."""
        training.remove_leftovers(self.tokenizer)
        trained = self._find_trained() or self._train(engine)
        build = self._token_shards()
        tokens = build.find_complete() if build else None
        if build is not None and tokens is None:
            build.check_output_folder(overwrite=True)
            try:
                tokens = build.run(engine)
            except TooFewTokensError as error:
                way_out = "use a smaller one, such as --set tokenizer.sequence_length=256, or --set tokenizer.packing=best-fit"
                raise TooFewTokensError(error.corpus, error.tokens, error.length, way_out) from None
        return {"tokenizer": trained, "tokens": tokens}

    def _train(self, engine: Engine) -> dict[str, Any]:
        if self._is_of_a_command():
            engine.say(
                f"{self.tokenizer} was not trained by this build: a copy of it is kept in {training.keep_aside(self.tokenizer)}"
            )
        write_json(self._state, {"begun": self.fingerprint})
        progress = engine.step("tokenizer", total=1.0)
        corpora = [str(self.plan.out)]
        record = training.train(
            training.parse_corpora(corpora),
            self.settings,
            self.tokenizer,
            training.find_held_out(corpora),
            lambda phase, share: progress.set_share(0.05 * share if phase == "draw" else 0.05 + 0.95 * share),
        )
        progress.records = record["sample"]["lines"]
        progress.finish()
        write_json(self._state, {"trained": self.fingerprint, "tokenizer": record["tokenizer"]})
        return record

    def _is_of_a_command(self) -> bool:
        """Return whether the tokenizer in place was trained by a command of its own, and not by a build of this corpus."""
        record, state = read_json(self.tokenizer / training.TRAINING_FILE), read_json(self._state)
        if not isinstance(record, dict):
            return False
        return not (isinstance(state, dict) and ("begun" in state or record.get("tokenizer") == state.get("tokenizer")))
