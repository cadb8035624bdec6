"""Tokens of a mixture: the tokenizer that counts them, how many each document has, and the token shards afterwards."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from filters.kernels import buffers
from pipeline.core.added import replace_added
from pipeline.core.checksums import is_damaged, make_entry, sizes_differ
from pipeline.core.engine import Engine, Task
from pipeline.core.errors import BuildError, InputError, UsageError
from pipeline.core.ownership import NamedPath, hold_scratch, place_scratch, refuse_overlap
from pipeline.core.paths import expand_home
from pipeline.core.publication import folder_publication
from pipeline.core.storage import format_size, read_json, write_array, write_json
from pipeline.core.tables import open_parquet
from pipeline.core.tasks import Counts, resumable
from pipeline.core.vouching import read_checked, write_checked
from pipeline.mixture.duplicates import read_survivors
from pipeline.mixture.plan import MixturePlan
from pipeline.mixture.records import Partition, read_furniture, read_ledger
from pipeline.modalities.text.modality import TextModality
from tokenizer import train as training
from tokenizer.encoding import TokenShardBuild
from tokenizer.export import EXPORTED, export, make_tokenizer_json
from tokenizer.model import Tokenizer
from tokenizer.sample import WeightedCorpus, find_most
from tokenizer.settings import Training
from tokenizer.texts import Texts
from tokenizer.token_shards import refuse_foreign_folder
from tokenizer.words import check_words

_BATCH = 1024  # documents encoded at a time


@lru_cache(maxsize=2)
def _load(path: Path, sha256: str) -> Tokenizer:
    tokenizer = Tokenizer.load(path)
    if tokenizer.fingerprint != sha256:
        raise BuildError(f"the tokenizer in {path} was replaced meanwhile; run the same command again")
    return tokenizer


def tokens_file(folder: Path, index: int) -> Path:
    """Return the int32 array of the tokens of a partition's records, 0 for those that did not survive."""
    return folder / f"tokens-{index:05d}.npy"


@resumable(lambda partition, records, path, sha256, folder: tokens_file(folder, partition.index).with_suffix(".json"))
def count(partition: Partition, records: Path, path: Path, sha256: str, folder: Path) -> Counts:
    """Count the tokens of the documents of a partition that survived, without BOS and EOS. `records`: folder of the step deduplicate."""
    tokenizer = _load(path, sha256)
    survivors = np.zeros(partition.rows, bool)
    survivors[read_survivors(records, partition.index)["row"].to_numpy()] = True
    counts = np.zeros(partition.rows, np.int32)
    furniture = read_furniture(read_ledger(partition.ledger, ["verdict", "recurring_spans"]))
    with open_parquet(partition.measured.table) as file:
        at = 0
        for batch in file.iter_batches(_BATCH, columns=["text"]):
            rows = at + np.flatnonzero(survivors[at : at + len(batch)])
            if len(rows):
                texts = pl.DataFrame(pl.from_arrow(batch)).with_row_index("row", at)[(rows - at).tolist()]
                _, ends = tokenizer.encode(*buffers(TextModality().revise(texts, furniture)[0]["text"]))
                counts[rows] = np.diff(ends)
            at += len(batch)
    write_array(tokens_file(folder, partition.index), counts)
    return {"tokens": int(counts.sum()), "records": int(survivors.sum())}


# -- on the driver


def find_held_out(folders: Sequence[Path]) -> Texts | None:
    """Return the validation splits of all parts that have one, as one."""
    found = list[Texts]()
    for folder in folders:
        with suppress(UsageError):
            found.append(Texts.find(folder, "validation"))
    return Texts(tuple(file for texts in found for file in texts.files), found[0].column) if found else None


def _list_in_record(folder: Path) -> list[str]:
    """List all files of a tokenizer's folder in its `training.json`, as the lock file and the sums list them; return their paths.

    A tokenizer that was trained elsewhere may have none, and files that Seimai does not know.
    """
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    entries = [make_entry(folder / name, name) for name in sorted(names - {training.TRAINING_FILE})]
    record = read_json(folder / training.TRAINING_FILE)
    known = {key: value for key, value in record.items() if key != "check"} if isinstance(record, dict) else {}
    if known.get("files") != entries or read_checked(folder / training.TRAINING_FILE) is None:
        write_checked(folder / training.TRAINING_FILE, known | {"files": entries})
    return sorted({*names, training.TRAINING_FILE})


class MixtureTokens:
    """The tokenizer of a mixture: found or trained before documents are chosen, put beside the shards afterwards."""

    def __init__(self, plan: MixturePlan) -> None:
        assert plan.manifest.tokenizer is not None
        self.plan, self.settings = plan, plan.manifest.tokenizer
        self.target = plan.out / "tokenizer"

    @property
    def _trained(self) -> Path:
        """The folder of a tokenizer that is trained here, until it is put beside the shards; and afterwards, for a build that goes on."""
        return self.plan.work / f"tokenizer-{self.plan.tokenizer_fingerprint}"

    @property
    def source(self) -> Path:
        """The folder or file of the tokenizer that counts."""
        return self._trained if self.settings.path is None else expand_home(self.settings.path).absolute()

    @property
    def _state(self) -> Path:
        """JSON: fingerprint of the tokenizer that was put beside the shards."""
        return self.plan.workspace.state_folder / "tokenizer.json"

    def check(self) -> None:
        """Raise UsageError, before any work is done, where tokenizer or token shards cannot be put beside the shards."""
        check_words(self.settings.words)
        training.check_output_folder(self.target)
        refuse_foreign_folder(self.plan.out / "tokens")
        if self.settings.path is not None:
            refuse_overlap(
                [NamedPath(str(self.target), self.target)], [NamedPath(f"tokenizer.path = {self.source}", self.source)]
            )
            tokenizer = Tokenizer.load(self.source)
            if not (self.source / "tokenizer.json").is_file():
                make_tokenizer_json(tokenizer)

    def prepare(self, engine: Engine) -> Tokenizer:
        """Return the tokenizer; train it on the parts by their weights, where none is named and none is trained yet."""
        if self.settings.path is None and not self._is_trained():
            training.remove_leftovers(self._trained)
            progress = engine.step("tokenizer", total=1.0)
            corpora = [
                WeightedCorpus(corpus.name, Texts.find(corpus.out, "train"), weight)
                for corpus, weight in zip(self.plan.corpora, self.plan.training_weights, strict=True)
            ]
            most = find_most(corpora)
            try:
                record = training.train(
                    corpora,
                    Training(**self.settings.model_dump(include=set(Training.model_fields))),
                    self._trained,
                    find_held_out([corpus.out for corpus in self.plan.corpora]),
                    lambda phase, share: progress.set_share(0.05 * share if phase == "draw" else 0.05 + 0.95 * share),
                    most,
                )
            except UsageError as error:
                if most is None:
                    raise
                raise UsageError(
                    f"{error}. By their weights the parts give {format_size(most)} of text, until one of them is used up; "
                    "a tokenizer that is trained already can be named with tokenizer.path"
                ) from None
            progress.records = record["sample"]["lines"]
            progress.finish()
        return Tokenizer.load(self.source)

    def _is_trained(self) -> bool:
        """Return whether the tokenizer that is trained here is there, as it was written."""
        record = read_checked(self._trained / training.TRAINING_FILE)
        listed = record.get("files", []) if record is not None else []
        return bool(listed) and not any(is_damaged(self._trained / entry["path"], entry) for entry in listed)

    def run(self, engine: Engine, partitions: Sequence[Partition], tokenizer: Tokenizer) -> None:
        """Count tokens where they are not counted yet."""
        folder, records = self.plan.workspace.folder("count"), self.plan.workspace.folder("deduplicate")
        folder.mkdir(parents=True, exist_ok=True)
        progress = engine.step("count tokens", total=float(sum(p.rows for p in partitions)) or 1.0)
        tasks: list[Task] = [(count, (p, records, self.source, tokenizer.fingerprint, folder)) for p in partitions]
        done = 0
        for number, counts in engine.run("counting tokens", tasks):
            done += partitions[number].rows
            progress.records += counts["records"]
            progress.set_share(done / max(progress.total or 1, 1))
        progress.finish()

    # -- afterwards

    def find_complete(self) -> dict[str, Any] | None:
        """Return what `finish` returned, where tokenizer and token shards are in place."""
        if self._find_installed() is None:
            return None
        try:
            tokens = TokenShardBuild(self.plan.out, self.target, self.settings).find_complete()
        except (InputError, UsageError):  # damaged shards: whoever goes on looks at them
            return None
        return None if tokens is None else {"tokenizer": self._training_record(), "tokens": tokens}

    def finish(self, engine: Engine) -> dict[str, Any]:
        """Put the tokenizer beside the shards and encode them; return the records `training.json` and `tokens.json`."""
        if self._find_installed() is None:
            self._install(engine, self.prepare(engine))
        build = TokenShardBuild(self.plan.out, self.target, self.settings)
        tokens = build.find_complete()
        if tokens is None:
            build.check_output_folder(overwrite=True)
            tokens = build.run(engine)
        return {"tokenizer": self._training_record(), "tokens": tokens}

    def _find_installed(self) -> str | None:
        """Return the fingerprint of the tokenizer beside the shards, where it is the one that was put there for this plan."""
        state = read_json(self._state)
        if not isinstance(state, dict) or state.get("trained") != self.plan.tokenizer_fingerprint:
            return None
        record = read_checked(self.target / training.TRAINING_FILE)
        if record is None or sizes_differ(self.target, record.get("files", [])):
            return None
        try:
            installed = Tokenizer.load(self.target).fingerprint
        except UsageError:  # gone or damaged: it is put there anew
            return None
        return installed if installed == state.get("tokenizer") else None

    def _training_record(self) -> dict[str, Any] | None:
        record = read_checked(self.target / training.TRAINING_FILE)
        return record if record is not None and {"settings", "sample", "figures"} <= set(record) else None

    def _install(self, engine: Engine, tokenizer: Tokenizer) -> None:
        """Copy the tokenizer beside the shards; of one that no build put there, keep a copy."""
        state = read_json(self._state)
        if self.target.is_dir() and any(self.target.iterdir()) and not isinstance(state, dict):
            engine.say(
                f"{self.target} was not put there by this build: a copy of it is kept in {training.keep_aside(self.target)}"
            )
        target, known = self.target.resolve(), {*EXPORTED, training.TRAINING_FILE, *((state or {}).get("files", []))}
        folder_publication(target).complete()
        with hold_scratch(place_scratch(target, uuid.uuid4().hex[:8]), lambda path: path.startswith("out/")) as work:
            new = work / "out"
            if (self.source / "tokenizer.json").is_file():
                shutil.copytree(self.source, new)
            else:
                export(tokenizer, new)
            files = _list_in_record(new)
            write_json(self._state, {"begun": self.plan.tokenizer_fingerprint, "files": sorted({*files, *known})})
            replace_added(self.target, new, known)
        done = {"trained": self.plan.tokenizer_fingerprint, "tokenizer": tokenizer.fingerprint, "files": files}
        write_json(self._state, done)
