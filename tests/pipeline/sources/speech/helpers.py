import gzip
import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import soundfile

from pipeline.sources.base import CutState, Fields
from pipeline.sources.speech import columns
from pipeline.sources.speech.source import SpeechSource
from tests.pipeline.sources.helpers import Result, archive, pick, write

SOURCE = SpeechSource()


class Read(NamedTuple):
    """The rows of all input files of a path, and what was found out about each file."""

    rows: list[dict]
    states: list[CutState]


def read_file(file, audio=None, partition=32_000_000, max_document=64_000_000, number=2, **options):
    """Cut one input file and read it; `audio` holds the bytes."""
    state = CutState(partition, max_document, content=audio and str(audio), **options)
    ranges, all_rows = [], []
    for made, body in SOURCE.cut(file, number, state):
        read = SOURCE.read(made, file, np.frombuffer(body, np.uint8), Fields())
        assert read.frame.schema == columns.SCHEMA
        rows = [row | {"audio": read.content(i)} for i, row in enumerate(read.frame.iter_rows(named=True))]
        assert made.records == len(rows) > 0
        ranges.append(made)
        all_rows += rows
        read.close()
    return Result(ranges, all_rows, state)


def read_speech(path, audio=None, transcripts=None, **options):
    """Read all input files of a path, or of a list of paths."""
    given = [str(p) for p in (path if isinstance(path, list) else [path])]
    results = [
        read_file(file, audio, **options)
        for file in SOURCE.find_inputs(given, audio=audio and str(audio), transcripts=transcripts)
    ]
    for result in results:
        assert len({row["locator"] for row in result.rows}) == len(result.rows)
        assert all(row["locator"].isprintable() for row in result.rows)
    rows = [row for result in results for row in result.rows]
    assert all(row["audio"] is not None or row["problem"] for row in rows)
    return Read(rows, [result.state for result in results])


def pick_said(rows):
    return pick(rows, "locator", "transcript", "audio")


DATA = Path(__file__).resolve().parents[5] / "shared" / "data" / "speech"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="needs the development data")
NOT_LISTED = "no audio: the list of transcripts names it, the input does not have it"
NO_FILE = "no audio: there is no such file in the folder of the list"
OUTSIDE = "no audio: the path leads out of the folder of the list; name the folder of the recordings with --audio"


def tone(number=0, form="FLAC", seconds=0.05):
    """A short recording that only this number has."""
    out = io.BytesIO()
    at = np.arange(int(16000 * seconds))
    soundfile.write(out, 0.3 * np.sin(at * (number + 3) / 40).astype(np.float32), 16000, format=form)
    return out.getvalue()


def fake_audio(name):
    """Bytes that only this name has, where nothing depends on their being audio: nothing here decodes."""
    return b"fLaC" + str(name).encode() * 9


def is_unharmed(states):
    return not any(state.damage or state.warning for state in states)


def write_reazonspeech(root, count=3, lacking=(), more="", folder="000", tar="v2/000.tar", listed="v2-tsv/tiny.tsv"):
    """ReazonSpeech as it is distributed; members stand in the tar in no order."""
    names = [f"{folder}/{number:04x}.flac" for number in range(count)]
    archive(root / tar, [(f"./{name}", fake_audio(name)) for name in reversed(names)])
    text = "".join(f"{name}\t文{name}。\n" for i, name in enumerate(names) if i not in lacking)
    write(root / listed, text + more)
    return root


CV_HEADER = "client_id\tpath\tsentence_id\tsentence\tup_votes\tdown_votes\tage\tvariant\tlocale\n"


def cv_line(number, text=None, fields="\tx\t2\t0\ttwenties\t\tja"):
    return f"client{number % 3}\tcommon_voice_ja_{number}.mp3{fields[:2]}\t{text or f'文{number}'}{fields[2:]}\n"


def write_jsonl(path, *values):
    text = "".join(f"{value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}\n" for value in values)
    return write(path, gzip.compress(text.encode()) if path.suffix == ".gz" else text)


def recording(key, source, duration=10.0, kind="file"):
    sources = [{"type": kind, "channels": [0], "source": source}]
    return {"id": key, "sources": sources, "sampling_rate": 16000, "num_samples": int(duration * 16000), "duration": duration}


def supervision(key, of_recording, start, duration, text, speaker=None):
    found = {"id": key, "recording_id": of_recording, "start": start, "duration": duration, "channel": 0, "text": text}
    return found | ({"speaker": speaker} if speaker else {})


def lhotse_cut(key, source, start, duration, *supervisions, kind="MonoCut", **more):
    whole = {"id": key, "start": start, "duration": duration, "channel": 0, "supervisions": [*supervisions], "type": kind}
    return whole | {"recording": recording(f"r-{key}", source)} | more
