"""`python -m trainers.targets CORPUS`: make the units that a HuBERT predicts, ahead of training (`trainers.models.hubert_targets`)."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.core.command import report_errors
from pipeline.core.help import command
from pipeline.core.tables import open_parquet
from pipeline.core.terminal import tell
from trainers.hubert import Config
from trainers.models.hubert_targets import build_targets
from trainers.training.command import config_options, silence_libraries
from trainers.training.ranks import report_to_torchrun
from trainers.training.settings import load_config


@command()
@click.argument("corpus", type=click.Path(path_type=Path))
@config_options("hubert", "hubert-base")
@click.option("--iteration", type=click.IntRange(1, 2), default=1, show_default=True)
@click.option("--from", "start_model", metavar="MODEL", help="Iteration 2: the model of the first one.")
@click.option("--out", type=click.Path(path_type=Path), help="[default: in CORPUS, below .cache]")
def main(
    corpus: Path, config: str, changes: tuple[str, ...], iteration: int, start_model: str | None, out: Path | None
) -> None:
    """Make the units that an iteration of HuBERT on CORPUS predicts, as far as they are missing."""
    silence_libraries()
    with report_errors("making units", "--out"), report_to_torchrun():
        settings = load_config(Config, "hubert", config, changes)
        clusters, threads = settings.clusters(iteration), settings.train.threads
        targets = build_targets(corpus, clusters, start_model, tell, out, threads)
        files = targets.folder.glob("*.parquet")
        missing = sum(open_parquet(path).read(columns=["labels"])["labels"].null_count for path in files)
        tell(f"{targets.folder}: {targets.k} units, {targets.rate} a second; {missing:,} recordings without")


if __name__ == "__main__":
    main()
