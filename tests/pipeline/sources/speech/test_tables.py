import polars as pl
import pytest

from pipeline.sources.speech.tables import peek_path
from tests.pipeline.sources.helpers import BOM, pick, problems, write
from tests.pipeline.sources.speech.helpers import (
    NO_FILE,
    OUTSIDE,
    SOURCE,
    fake_audio,
    is_unharmed,
    pick_said,
    read_file,
    read_speech,
    tone,
    write_jsonl,
)


def test_lists_between_commas(tmp_path):
    write(tmp_path / "wav" / "a.wav", tone(1, "WAV"))
    write(tmp_path / "wav" / "b.wav", fake_audio("b"))
    listed = 'file_name,transcription,speaker_id\nwav/a.wav,"猫、""と""\n犬",S1\nwav/b.wav,鳥,S2\nwav/c.wav,馬,S2\nwav/b.wav\n'
    path = write(tmp_path / "metadata.csv", BOM + listed.encode())
    for place in (path, tmp_path):
        result = read_speech(place)
        assert is_unharmed(result.states)
        assert pick(result.rows, "locator", "transcript", "speaker")[:3] == [
            ("wav/a.wav", '猫、"と"\n犬', "S1"), ("wav/b.wav", "鳥", "S2"), ("wav/c.wav", "馬", "S2")
        ]  # fmt: skip
        assert [*problems(result.rows).values()] == [NO_FILE, "the row has 1 fields instead of 3"]
    write(path, 'file_name,sentence\nwav/a.wav,猫\nwav/b.wav,"鳥\n')
    assert pick(read_speech(path).rows, "transcript")[0] == ("猫",)
    write(path, 'file_name,sentence\nwav/a.wav,猫\nwav/b.wav,"鳥\nwav/c.wav,馬\n')
    assert "has a quote that is not closed" in read_speech(path).states[0].damage
    renamed = write(tmp_path / "other.csv", "where,what\nwav/a.wav,猫\n")
    options = {"columns": {"path": "where", "transcript": "what"}}
    assert pick(read_speech(renamed, **options).rows, "locator", "transcript") == [("wav/a.wav", "猫")]


def test_absolute_paths_of_another_machine(tmp_path):
    audio = tmp_path / "here"
    for name in ("b/c.wav", "c.wav", "d.wav"):
        write(audio / name, fake_audio(name))
    paths = ["/data/a/b/c.wav", "/other/c.wav", "/data/gone.wav", "/data/../../etc/d.wav", f"{audio}/d.wav"]
    path = write_jsonl(tmp_path / "list.jsonl", *({"audio_filepath": p, "text": "猫"} for p in paths))
    result = read_speech(path, audio)
    assert [row["audio"] for row in result.rows] == [
        fake_audio("b/c.wav"),
        fake_audio("c.wav"),
        None,
        fake_audio("d.wav"),
        fake_audio("d.wav"),
    ]
    assert "nor an end of it" in [*problems(result.rows).values()][0]
    assert [*problems(read_speech(path).rows).values()][0] == OUTSIDE


def test_a_list_without_tars_finds_loose_recordings(tmp_path):
    path = write(tmp_path / "lists" / "x.tsv", "a.flac\tあ\nsub/b.flac\tび\n../audio/a.flac\tそと\n")
    write(tmp_path / "audio" / "a.flac", fake_audio("a"))
    write(tmp_path / "audio" / "sub" / "b.flac", fake_audio("b"))
    result = read_speech(path, tmp_path / "audio")
    assert pick_said(result.rows) == [
        ("a.flac", "あ", fake_audio("a")),
        ("sub/b.flac", "び", fake_audio("b")),
        ("../audio/a.flac", "そと", fake_audio("a")),
    ]
    assert is_unharmed(result.states)
    assert set(problems(read_speech(path).rows).values()) == {NO_FILE, OUTSIDE}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A dataset of real recordings as `datasets` saves it."""
    import datasets

    folder = tmp_path_factory.mktemp("saved")
    blobs = [tone(i, "WAV") for i in range(70)]
    columns = {
        "audio": [{"bytes": b, "path": f"x/{i}.wav"} for i, b in enumerate(blobs)],
        "transcription": [None if i == 5 else f"文{i}" for i in range(70)],
        "speaker_id": [i % 4 for i in range(70)],
        "start": [float(i) for i in range(70)],
    }
    made = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio())
    assert made.features["audio"].decode
    datasets.disable_progress_bars()
    made.save_to_disk(folder / "arrow", num_shards=2)
    made.to_parquet(folder / "parquet" / "train-00000-of-00001.parquet")
    return folder, [(None if i == 5 else f"文{i}", str(i % 4), blobs[i], f"{i}.wav") for i in range(70)]


@pytest.mark.parametrize("form", ["arrow", "parquet"])
def test_datasets_with_audio(saved, form):
    folder, expected = saved
    all_rows = [row for file in SOURCE.find_inputs([str(folder / form)]) for row in read_file(file, partition=9000).rows]
    assert pick(all_rows, "transcript", "speaker", "audio", "name") == expected
    assert all(row["start"] is None and not row["problem"] for row in all_rows)
    assert all_rows[3]["locator"] == "0000000003"


def test_a_corpus_that_seimai_built(tmp_path):
    struct = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    frame = pl.DataFrame(
        {
            "id": ["r/1", "r/2"],
            "audio": pl.Series([{"bytes": b"one", "path": "1.flac"}, {"bytes": b"two", "path": "2.flac"}], dtype=struct),
            "transcript": ["一", "二"], "duration": [1.0, 2.0], "speaker": ["S", None], "license": ["CC0", None],
        }
    )  # fmt: skip
    write(tmp_path / "manifest.lock.toml", "")
    (tmp_path / "data").mkdir()
    (tmp_path / "ledger").mkdir()
    frame.write_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    frame.drop("audio").write_parquet(tmp_path / "ledger" / "part.parquet")
    result = read_speech(tmp_path)
    assert is_unharmed(result.states)
    assert pick(result.rows, "locator", "transcript", "audio", "duration", "speaker", "license") == [
        ("r/1", "一", b"one", 1.0, "S", "CC0"), ("r/2", "二", b"two", 2.0, None, None),
    ]  # fmt: skip


def test_tables_under_other_names_and_with_paths_only(tmp_path):
    struct = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    audio = pl.Series("声", [{"bytes": b"one", "path": "1.wav"}, {"bytes": None, "path": "2.wav"}, None], dtype=struct)
    path = tmp_path / "a.parquet"
    pl.DataFrame([audio, pl.Series("文", ["一", "二", "三"])]).write_parquet(path)
    columns = {"audio": "声", "transcript": "文"}
    write(tmp_path / "2.wav", b"two")
    result = read_speech(path, columns=columns)
    assert pick(result.rows, "transcript", "audio") == [("一", b"one"), ("二", b"two"), ("三", None)]
    assert problems(result.rows) == {"0000000002": "no audio: the row names no file"}
    assert "has no column 'x', which source.columns names" in read_speech(path, columns={"audio": "x"}).states[0].damage
    pl.DataFrame({"a": [1], "b": ["x"]}).write_parquet(path)
    assert "--set source.columns.path=NAME (or .audio)" in read_speech(path).states[0].damage
    pl.DataFrame({"file_name": ["2.wav", "../a.parquet"], "sentence": ["二", "外"]}).write_parquet(path)
    assert pick_said(read_speech(path).rows) == [("2.wav", "二", b"two"), ("../a.parquet", "外", None)]
    path.write_bytes(path.read_bytes()[:-20])
    assert "not a whole Parquet file" in read_speech(path).states[0].damage
    assert "its first line is binary" in read_speech(write(tmp_path / "x.tsv", b"\0\1\2" * 99)).states[0].damage


def test_archives_and_encodings_that_nobody_knows_are_named(tmp_path):
    zipped = write(tmp_path / "a.zip", b"PK\x03\x04" + b"\0" * 99)
    assert f"{zipped} is a ZIP archive" in read_speech(zipped).states[0].damage
    text = "".join(f"{i}.wav\tGröße und Straße, schöne Übung\n" for i in range(9)).encode("latin-1")
    assert "is text that is not UTF-8. Convert it" in read_speech(write(tmp_path / "a.tsv", text)).states[0].damage


def test_lists_in_other_encodings_are_read(tmp_path):
    listed = write(tmp_path / "a.tsv", "".join(f"{i}.wav\tこれはとても長い文です。\n" for i in range(9)).encode("cp932"))
    assert [said for _, said, _ in pick_said(read_speech(listed).rows)] == ["これはとても長い文です。"] * 9


@pytest.mark.parametrize(
    ("rows", "path"),
    [
        (["path\tsentence", "a/1.flac\t一つ目", "a/2.flac\t二つ目"], "a/1.flac"),
        (["sentence,path", '"一つ目","a/1.flac"'], "a/1.flac"),
        (["sentence | path", "一つ目 | a/1.flac"], "a/1.flac"),
        (["path\tsentence"], None),
        (["sentence\tpath", "一つ目"], None),
        (["a/1.flac\t一つ目", "a/2.flac\t二つ目"], None),
    ],
)
def test_the_first_path_of_a_list_is_below_its_header(tmp_path, rows, path):
    (tmp_path / "list").write_text("\n".join(rows) + "\n", "utf-8")
    assert peek_path(tmp_path / "list") == path
