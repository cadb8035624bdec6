"""Builds of recordings with transcripts as users run them."""

import io
import json
import os
import tomllib

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.support.builds import find_temporaries, get_key, hash_outputs, read_keyed_ledger, read_ledger_rows, read_shards
from tests.support.recordings import RATE, SENTENCES, SMALL_PARTITIONS, Recording, encode_audio, make_voice, write_recordings


def test_every_recording_has_its_verdict(speech_corpus, recordings):
    found = read_ledger_rows(speech_corpus)
    assert sorted(found) == sorted(recordings)
    assert (found["no-text"]["verdict"], found["no-text"]["rule"]) == ("dropped", "chars")
    assert found["cut-off"]["verdict"] == "unreadable" and "truncated FLAC" in found["cut-off"]["value_text"]
    assert found["cut-off"]["excerpt"] == "途中で終わります。"
    for one, other, rule in (("good00", "same-samples", "exact"), ("good01", "quieter", "acoustic")):
        assert sorted((found[one]["verdict"], found[other]["verdict"])) == ["duplicate", "kept"]
        assert {found[one]["rule"], found[other]["rule"]} == {None, rule}
    again = [found["good05"], found["again"]]
    assert sorted(row["verdict"] for row in again) == ["dropped", "kept"]
    assert {row["rule"] for row in again} == {None, "same_sentence"}
    others = [row for key, row in found.items() if key[:4] == "good" and key not in ("good00", "good01", "good05")]
    assert {row["verdict"] for row in others} == {"kept"}
    assert found["good01"]["speaker"] == "s1" and found["cut-off"]["speaker"] == "s1" and found["good01"]["programme"] is None


def test_shards_hold_flac_of_the_corpus_s_rate(speech_corpus, recordings, tmp_path):
    import datasets  # late: takes a second in every worker

    corpus = datasets.load_dataset(str(speech_corpus), cache_dir=str(tmp_path))
    assert all(isinstance(split.features["audio"], datasets.Audio) for split in corpus.values())
    speakers = {}
    for path in sorted((speech_corpus / "data").glob("*.parquet")):
        for row in pq.read_table(path).to_pylist():
            samples, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="int16")
            key = get_key(row["id"])
            assert rate == row["sampling_rate"] == RATE and row["duration"] == pytest.approx(len(samples) / rate, abs=1e-3)
            if recordings[key].suffix == "flac":
                assert row["audio"]["bytes"] == recordings[key].audio
            assert row["transcript"] == recordings[key].fields["text"] and "ミマシタ" in row["reading"]
            speakers.setdefault(path.name.split("-")[0], set()).add(row["speaker"])
    assert not speakers["train"] & speakers.get("validation", set())
    assert set(read_shards(speech_corpus)["source"]) == {f"speech-ja/{number}.tar" for number in range(3)}


def test_same_bytes_on_two_workers(build_on_cluster, recording_tars, speech_corpus, tmp_path):
    done = build_on_cluster(
        "speech-ja", "--input", f"{recording_tars}/*.tar", "--out", tmp_path / "o", "--set", SMALL_PARTITIONS
    )
    assert done.returncode == 0, done.stderr
    assert hash_outputs(tmp_path / "o") == hash_outputs(speech_corpus)


def test_same_bytes_after_kills_and_on_two_workers(kill_at, build_on_cluster, recording_tars, speech_corpus, tmp_path):
    out = tmp_path / "out"
    arguments = ("speech-ja", "--input", f"{recording_tars}/*.tar", "--out", out, "--set", SMALL_PARTITIONS)
    for wanted in (3, 12):
        kill_at(wanted, out, *arguments, "--workers", 0)
    done = build_on_cluster(*arguments)
    assert done.returncode == 0, done.stderr
    assert hash_outputs(out) == hash_outputs(speech_corpus) and find_temporaries(out) == []


def test_the_partition_size_changes_no_verdict(build, recording_tars, speech_corpus, tmp_path):
    done = build("speech-ja", "--input", f"{recording_tars}/*.tar", "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    assert read_keyed_ledger(tmp_path / "o").equals(read_keyed_ledger(speech_corpus))


def test_audio_alone(build, recording_tars, tmp_path):
    done = build("speech-ja", "--input", f"{recording_tars}/*.tar", "--out", tmp_path / "o", "--set", "rules.preset=audio")
    assert done.returncode == 0, done.stderr
    kept = read_shards(tmp_path / "o")
    row = kept.filter(pl.col("id").str.ends_with("/no-text")).row(0, named=True)
    assert row["transcript"] is None and row["reading"] is None


def test_long_recordings_are_cut_at_silences(build, tmp_path):
    folder = tmp_path / "long"
    folder.mkdir()
    parts = [make_voice(900 + i, 1.5, quiet=0.25) for i in range(8)]
    soundfile.write(folder / "lecture.wav", np.concatenate(parts), RATE, subtype="PCM_16")
    (folder / "lecture.txt").write_text("八つの文を続けて読みました。", "utf-8")
    soundfile.write(folder / "short.wav", parts[0], RATE, subtype="PCM_16")
    (folder / "short.txt").write_text("公園で猫を見ました。", "utf-8")
    done = build(
        "speech-ja", "--input", folder, "--out", tmp_path / "o", "--set", "rules.preset=audio", "--set", "recordings.cut=4",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(read_keyed_ledger(tmp_path / "o")) == 2
    rows = read_shards(tmp_path / "o").sort("id")
    pieces = rows.filter(pl.col("id").str.contains("lecture"))
    assert [i.rsplit("/")[-1] for i in pieces["id"]] == [f"lecture.wav-{n:04}" for n in range(1, len(pieces) + 1)]
    assert pieces["transcript"].null_count() == len(pieces) >= 3 and pieces["duration"].max() <= 4
    samples = [soundfile.read(io.BytesIO(audio["bytes"]), dtype="int16")[0] for audio in pieces["audio"]]
    whole = soundfile.read(folder / "lecture.wav", dtype="int16")[0]
    assert np.array_equal(np.concatenate(samples), whole)
    assert all(abs(piece[-50:].astype(int)).max() < 400 for piece in samples[:-1])  # each ends in a silence
    assert rows.filter(pl.col("id").str.contains("short"))["transcript"].to_list() == ["公園で猫を見ました。"]


def test_second_transcripts_must_be_read_the_same(build, tmp_path):
    recordings = {
        f"{i}": Recording(encode_audio(make_voice(700 + i)), {"text": text, "pred_text": other, "speaker": "a"})
        for i, (text, other) in enumerate(
            [
                ("明日は三時に始まります。", "あしたは3時にはじまります"),
                ("明日は三時に始まります。", "窓の外に大きな木がある"),
                ("今朝は雨が降りました。", None),
            ]
        )
    }
    write_recordings(tmp_path / "a.tar", recordings)
    done = build("speech-ja", "--input", tmp_path / "a.tar", "--out", tmp_path / "o", "--set", "deduplicate.enabled=false")
    assert done.returncode == 0, done.stderr
    found = read_ledger_rows(tmp_path / "o")
    assert found["0"]["verdict"] == "kept" and found["0"]["reading_error_rate"] == 0 < found["0"]["surface_error_rate"]
    assert (found["1"]["verdict"], found["1"]["rule"]) == ("dropped", "reading_error_rate")
    assert found["2"]["verdict"] == "kept" and found["2"]["reading_error_rate"] is None
    assert [found[key]["second_excerpt"] for key in "012"] == ["あしたは3時にはじまります", "窓の外に大きな木がある", None]


def test_nearly_the_same_transcripts_up_to_the_cap(build, tmp_path):
    base = "今日の午後は南の風がやや強く吹き、海岸では波が高くなる見込みですので十分ご注意ください"
    texts = [base + end for end in ("。", "ね。", "よ。", "！", "とのこと。")] + SENTENCES[:6]
    recordings = {
        f"{i:02}": Recording(encode_audio(make_voice(3000 + i, 6.0)), {"text": text, "speaker": f"s{i}"})
        for i, text in enumerate(texts)
    }
    write_recordings(tmp_path / "a.tar", recordings)
    command = ("speech-ja", "--input", tmp_path / "a.tar", "--set", "rules={}", "--set", "deduplicate.similar_transcripts=2")
    done = build(*command, "--out", tmp_path / "o")
    assert done.returncode == 0, done.stderr
    found = read_ledger_rows(tmp_path / "o")
    assert [found[f"{i:02}"]["rule"] for i in range(11)].count("similar_transcripts") == 3
    assert {found[f"{i:02}"]["similar_recordings"] for i in range(5)} == {5}
    assert {found[f"{i:02}"]["verdict"] for i in range(5, 11)} == {"kept"}
    done = build(*command[:-1], "deduplicate.similar_transcripts=2", "--set", SMALL_PARTITIONS, "--out", tmp_path / "p")
    assert done.returncode == 0 and read_keyed_ledger(tmp_path / "p").equals(read_keyed_ledger(tmp_path / "o"))


def test_bands_are_fitted_to_every_speaker(build, tmp_path):
    """A slow and a fast speaker, forty sentences each: a slow sentence is out of place with the fast one, and the other way round."""
    recordings = {}
    for speaker, seconds in (("slow", 3.0), ("fast", 1.5)):
        for i in range(40):
            length = {38: 4.5 - seconds, 39: 4.5 - seconds}.get(i, seconds * (1 + 0.01 * (i % 5)))
            text = f"{SENTENCES[i % 36][:-1]}{'と' * (i // 36)}。"
            recordings[f"{speaker}{i:02}"] = Recording(
                encode_audio(make_voice(2000 + i + 100 * (speaker == "fast"), length)), {"text": text, "speaker": speaker}
            )
    write_recordings(tmp_path / "a.tar", recordings)
    done = build(
        "speech-ja", "--input", tmp_path / "a.tar", "--out", tmp_path / "o", "--set", "deduplicate.enabled=false",
        "--set", "rules.seconds_per_mora.by=speaker",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = read_ledger_rows(tmp_path / "o")
    wrong = {key for key, row in found.items() if row["rule"] == "seconds_per_mora"}
    assert wrong == {f"{speaker}{i}" for speaker in ("slow", "fast") for i in (38, 39)}
    assert found["slow38"]["bound_text"].startswith(">= ") and found["fast38"]["bound_text"].startswith("<= ")
    card = (tmp_path / "o" / "README.md").read_text("utf-8")
    assert "fitted per speaker, interquartile ranges 2" in card


@pytest.mark.e2e
def test_hostile_recordings(build, tmp_path):
    good = encode_audio(make_voice(1))
    header = bytearray(encode_audio(make_voice(2), "WAV"))
    header[40:44] = (10**9).to_bytes(4, "little")
    nan = make_voice(3).astype(np.float32)
    nan[100] = np.nan
    recordings = {
        "good": Recording(good, {"text": SENTENCES[0]}),
        "empty": Recording(b"", {"text": SENTENCES[1]}),
        "no-samples": Recording(encode_audio(np.zeros(0), "WAV"), {"text": SENTENCES[2]}, "wav"),
        "liar": Recording(bytes(header), {"text": SENTENCES[3]}, "wav"),
        "many": Recording(
            encode_audio(np.tile(make_voice(4, rate=96_000)[:, None], 8), "WAV", 96_000, "FLOAT"), {"text": SENTENCES[4]}, "wav"
        ),
        "nan": Recording(encode_audio(nan, "WAV", subtype="FLOAT"), {"text": SENTENCES[5]}, "wav"),
        "named-wav": Recording(encode_audio(make_voice(6), "MP3"), {"text": SENTENCES[6]}, "wav"),
        "text": Recording("これは音声ではありません".encode() * 50, {"text": SENTENCES[7]}),
        "long-text": Recording(encode_audio(make_voice(8)), {"text": "長い文です。" * 20_000}),
    }
    write_recordings(tmp_path / "a.tar", recordings)
    done = build("speech-ja", "--input", tmp_path / "a.tar", "--out", tmp_path / "o", "--workers", 0)
    assert done.returncode == 0, done.stderr
    found = read_ledger_rows(tmp_path / "o")
    reasons = {key: row["value_text"] for key, row in found.items() if row["verdict"] == "unreadable"}
    assert set(reasons) == {"empty", "no-samples", "liar", "nan", "text"}
    assert "no samples" in reasons["no-samples"] and "truncated WAV" in reasons["liar"] and "NaN" in reasons["nan"]
    assert "not audio" in reasons["text"] and found["long-text"]["rule"] == "chars"
    assert {found[key]["verdict"] for key in ("good", "many", "named-wav")} == {"kept"}
    assert (
        found["many"]["sampling_rate"] == 96_000
        and found["many"]["channels"] == 8
        and found["named-wav"]["audio_format"] == "MP3"
    )


@pytest.mark.parametrize("kind", ["flac", "wav"])
def test_a_recording_that_is_replaced_after_it_was_measured_is_noticed(build, tmp_path, kind):
    folder = tmp_path / "recordings"
    folder.mkdir()
    for i in range(4):
        (folder / f"{i}.{kind}").write_bytes(encode_audio(make_voice(4000 + i), kind.upper()))
    arguments = ("speech-ja", "--input", folder, "--out", tmp_path / "o", "--set", "rules.preset=audio")
    done = build(*arguments)
    assert done.returncode == 0, done.stderr
    changed = folder / f"2.{kind}"
    status = changed.stat()
    changed.write_bytes(bytes(status.st_size))
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    done = build(*arguments, "--set", "shards.compression_level=5")
    assert done.returncode == 1 and f"the recording 2.{kind} has changed since it was measured" in done.stderr


def test_lists_say_what_is_wrong_with_their_stretches(build, tmp_path):
    """An empty name is no speaker; a time that is none, or beyond the end, must not become another stretch."""
    for i in range(4):
        (tmp_path / f"{i}.flac").write_bytes(encode_audio(make_voice(5000 + i, 4.0)))
    lines = [{"audio_filepath": f"{i}.flac", "text": "これは同じ文です", "speaker": "", "book": " "} for i in range(4)]
    lines[1] |= {"license": "CC0-1.0", "source": "ラジオ"}
    lines += [
        {"audio_filepath": "0.flac", "offset": 0.5, "duration": 2, "text": "一つ目です"},
        {"audio_filepath": "0.flac", "offset": -0.01, "duration": 1.5, "text": "二つ目です"},
        {"audio_filepath": "1.flac", "offset": "1.0s", "text": "三つ目です"},
        {"audio_filepath": "2.flac", "offset": 3, "duration": 3, "text": "四つ目です"},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    done = build("speech-ja", "--input", path, "--out", tmp_path / "o", "--set", "rules.preset=audio")
    assert done.returncode == 0, done.stderr
    rows = read_keyed_ledger(tmp_path / "o")
    assert [row[0] for row in rows.select("verdict").rows()] == ["kept"] * 5 + ["unreadable"] * 3
    assert rows["value_text"].str.contains("no part of a recording").sum() == 2
    assert "the recording ends before the stretch from 3 to 6 s" in rows["value_text"][7]
    kept = read_shards(tmp_path / "o")
    own = kept.filter(license="CC0-1.0")
    assert own["source"].to_list() == ["ラジオ"] and set(kept["source"]) == {"ラジオ", "speech-ja/a.jsonl"}
    assert set(kept.select("id", "source").rows()) == set(rows.filter(verdict="kept").select("id", "source").rows())
    assert kept["speaker"].null_count() == 5 and sorted(kept["duration"])[0] == pytest.approx(2, abs=1e-3)
    path.write_text('{"id":"a","text":"あ"}\n{"id":"b","text":"い"}\n', "utf-8")
    done = build("speech-ja", "--input", path, "--out", tmp_path / "p")
    assert done.returncode in (1, 2) and "Traceback" not in done.stderr and "no audio" in done.stderr


def test_a_folder_with_a_list_of_its_own_is_built_to_the_end(build, tmp_path):
    """The folder goes with its list, so that recordings without a line are told, but is no file with a checksum."""
    folder = tmp_path / "録音[1]"
    (folder / "wavs").mkdir(parents=True)
    for i in range(3):
        (folder / "wavs" / f"音声{i}.flac").write_bytes(encode_audio(make_voice(6000 + i)))
    lines = [f"wavs/音声{i}.flac,{SENTENCES[i]}" for i in range(2)]
    (folder / "list.csv").write_bytes("\r\n".join(["audio_filepath,text", *lines]).encode("cp932"))
    done = build("speech-ja", "--input", folder, "--out", tmp_path / "o", "--set", "rules.preset=audio")
    assert done.returncode == 0, done.stderr
    assert sorted(read_shards(tmp_path / "o")["transcript"]) == sorted(SENTENCES[:2])
    assert "音声2.flac" in done.stderr + done.stdout
    lock = tomllib.loads((tmp_path / "o" / "manifest.lock.toml").read_text("utf-8"))
    assert [entry["name"] for entry in lock["lock"]["inputs"]] == ["list.csv"]


def test_marks_are_not_read_aloud(build, tmp_path):
    texts = [
        ("えー、今日はとても暑いです。", "えー今日はとても暑いです"),
        ("今日は（笑）とても寒いです。", "今日はとても寒いです"),
    ]
    write_recordings(
        tmp_path / "a.tar",
        {f"{i}": Recording(encode_audio(make_voice(6000 + i)), {"text": a, "pred_text": b}) for i, (a, b) in enumerate(texts)},
    )
    for treatment in ("keep", "remove", "mark"):
        out = tmp_path / treatment
        options = [f"clean.tags={treatment}", f"clean.fillers={treatment}", "deduplicate.enabled=false"]
        done = build("speech-ja", "--input", tmp_path / "a.tar", "--out", out, *(x for o in options for x in ("--set", o)))
        assert done.returncode == 0, done.stderr
        rows = read_keyed_ledger(out)
        assert rows["verdict"].to_list() == ["kept", "kept"] and rows["reading_error_rate"].to_list() == [0, 0]
        read = read_shards(out).sort("id")["reading"].to_list()
        assert not any(word in "".join(read) for word in ("エフ", "ワライ"))
        assert read[0].startswith("エー") == (treatment != "remove")


def test_without_speech_there_are_zero_seconds_of_it_and_few_recordings_make_no_band(build, tmp_path):
    recordings = {f"{i}": Recording(encode_audio(make_voice(7000 + i, 1.0 + i)), {"text": "短い文です。"}) for i in range(5)}
    recordings["silence"] = Recording(encode_audio(np.zeros(RATE)), {"text": "何も聞こえません。"})
    write_recordings(tmp_path / "a.tar", recordings)
    done = build("speech-ja", "--input", tmp_path / "a.tar", "--out", tmp_path / "o", "--set", "deduplicate.enabled=false")
    assert done.returncode == 0 and "rules.seconds_per_mora: no band was fitted" in done.stdout
    found = read_ledger_rows(tmp_path / "o")
    assert (found["silence"]["rule"], found["silence"]["value"], found["silence"]["speech_duration"]) == (
        "speech_duration",
        0.0,
        0.0,
    )
    assert found["silence"]["seconds_per_mora"] is None
    assert "seconds_per_mora" not in {row["rule"] for row in found.values()}


@pytest.mark.parametrize("seconds", [4.0001, 6.5, 30.02])
def test_no_piece_is_a_sliver(seconds):
    from pipeline.modalities.speech.shards import cut_at_silences

    samples = np.zeros(int(seconds * RATE) + 1, np.float32)
    for quiet in (samples, make_voice(1, seconds)[: len(samples)].astype(np.float32)):
        pieces = cut_at_silences(quiet, RATE, 2.0)
        assert [a for a, _ in pieces[1:]] == [b for _, b in pieces[:-1]] and pieces[-1][1] == len(quiet)
        assert all(RATE // 4 <= b - a <= 2 * RATE for a, b in pieces)
