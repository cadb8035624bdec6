"""Print SHA-256 of every shard and ledger file of fixed builds: a refactoring that changes no behaviour changes no line.

    python -m benchmarks.output_hashes > before.txt     # and again after a change: diff before.txt after.txt

Builds the three embedded samples and, where `../shared/data` is, the development text, pairs and recordings, each with two workers.
Of speech it also hashes what a decoder makes of the shards (`audio`) and every column of the ledger on its own, so that a change of
decoder shows where it matters.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import polars as pl
import soundfile

DEVELOPMENT_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def list_builds(data: Path) -> dict[str, list[str]]:
    """Return the arguments of `pipeline.build` by the name of the build."""
    builds = {name: [name] for name in ("cc100-ja", "image-text-ja", "speech-ja")}
    if data.is_dir():
        builds |= {
            "development text": ["cc100-ja", "--input", str(data / "text" / "ja.txt.xz")],
            "development pairs": ["laion-ja", "--input", str(data / "image-text" / "img2dataset")],
            "development speech": ["reazonspeech", "--input", str(data / "speech" / "reazonspeech")],
        }
    return builds


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def audio_digest(shards: list[Path]) -> str:
    """Return SHA-256 of all decoded samples in order."""
    sha256 = hashlib.sha256()
    for path in shards:
        for audio in pl.read_parquet(path)["audio"]:
            samples, rate = soundfile.read(BytesIO(audio["bytes"]), dtype="int16")
            sha256.update(f"{rate}".encode() + samples.tobytes())
    return sha256.hexdigest()


def print_digests(name: str, corpus: Path) -> None:
    """Print the name of the build, the file and its digest, a line each."""
    for folder in ("data", "ledger"):
        for path in sorted((corpus / folder).glob("*.parquet")):
            print(f"{name}\t{folder}/{path.name}\t{digest(path.read_bytes())}")
    shards = sorted((corpus / "data").glob("*.parquet"))
    if shards and "audio" in pl.read_parquet_schema(shards[0]):
        print(f"{name}\tdecoded audio\t{audio_digest(shards)}")
        ledger = pl.read_parquet(corpus / "ledger" / "*.parquet")
        for column in ledger.columns:
            print(f"{name}\tledger column {column}\t{digest(ledger.select(column).write_csv().encode())}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEVELOPMENT_DATA, help="the development data")
    parser.add_argument("--smoke", action="store_true", help="the sample of text alone")
    arguments = parser.parse_args()
    builds = {"cc100-ja": ["cc100-ja"]} if arguments.smoke else list_builds(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        for name, command in builds.items():
            out = Path(folder) / name.replace(" ", "-")
            done = subprocess.run(
                [sys.executable, "-m", "pipeline.build", *command, "--out", str(out), "--workers", "0" if arguments.smoke else "2"],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            if done.returncode:
                sys.exit(f"{name}: exit {done.returncode}\n{done.stderr}")
            print_digests(name, out)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
