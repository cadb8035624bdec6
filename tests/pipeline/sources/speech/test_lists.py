"""Lists of transcripts as corpora and toolkits write them: each text with its own recording, and every list that is not read named."""

import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.core.errors import UsageError
from tests.pipeline.sources.helpers import archive, pick, problems, write
from tests.pipeline.sources.speech.helpers import (
    NO_FILE,
    NOT_LISTED,
    OUTSIDE,
    SOURCE,
    fake_audio,
    is_unharmed,
    lhotse_cut,
    read_speech,
    recording,
    supervision,
    write_jsonl,
)


def audio_of(result):
    """Return transcripts by the recording that they came with."""
    return {row["audio"]: row["transcript"] for row in result.rows}


def said(names):
    return {fake_audio(name): f"文{name}" for name in names}


def nemo_lines(names, shard=0, **more):
    return [{"audio_filepath": name, "duration": 1.0, "text": f"文{name}", "shard_id": shard} | more for name in names]


@pytest.mark.parametrize("sharded", [False, True])
def test_nemo_s_tarred_manifests(tmp_path, sharded):
    root = tmp_path / "tarred"
    shards = [[f"utt.{shard}.{i}.wav" for i in (2, 0, 1)] for shard in range(3)]
    for number, names in enumerate(shards):
        archive(root / f"audio_{number}.tar", [(name, fake_audio(name)) for name in sorted(names)])
        if sharded:
            write_jsonl(root / "sharded_manifests" / f"manifest_{number}.json", *nemo_lines(names, number))
    everything = [line for number, names in enumerate(shards) for line in nemo_lines(names, number)]
    if not sharded:
        write_jsonl(root / "tarred_audio_manifest.json", *everything)
    names = [name for one in shards for name in one]
    result = read_speech(root)
    assert is_unharmed(result.states) and not problems(result.rows) and audio_of(result) == said(names)
    assert pick(result.rows, "locator", "duration")[0] == ("utt.0.2.wav", 1.0)
    if sharded:
        pattern = root / "sharded_manifests" / "manifest__OP_0..2_CL_.json"
        assert audio_of(read_speech(pattern)) == said(names)
        with pytest.raises(UsageError, match="manifest_3.json: there is no such file"):
            SOURCE.find_inputs([str(root / "sharded_manifests" / "manifest__OP_0..3_CL_.json")])
    else:
        # Tars alone: what they hold has no transcript, and the manifest is named.
        result = read_speech(sorted(root.glob("*.tar")))
        assert "not read in tarred: tarred_audio_manifest.json" in result.states[0].warning
        assert "読んでいません: tarred_audio_manifest.json" in result.states[0].warning


def test_nemo_s_stretches_and_shards_with_the_same_names(tmp_path):
    for number in range(2):
        archive(tmp_path / f"audio_{number}.tar", [("a.wav", fake_audio(number)), ("b.wav", fake_audio(f"b{number}"))])
    lines = nemo_lines(["a.wav"], 1) + nemo_lines(["a.wav"], 0) + nemo_lines(["a-sub1.wav", "a-sub2.wav"], 1, offset=2.5)
    write_jsonl(tmp_path / "manifest.json", *lines, {"audio_filepath": "b.wav", "text": "どちら", "duration": 1})
    rows = read_speech(tmp_path).rows
    assert pick(rows, "transcript", "audio", "start", "end") == [
        ("文a.wav", fake_audio(1), None, None),
        ("文a.wav", fake_audio(0), None, None),
        ("文a-sub1.wav", fake_audio(1), 2.5, 3.5),
        ("文a-sub2.wav", fake_audio(1), 2.5, 3.5),
        ("どちら", None, None, None),
    ]
    assert problems(rows) == {"b.wav": "no audio: 2 files could be meant, such as b.wav and b.wav"}


def test_a_compressed_tar_is_named(tmp_path):
    archive(tmp_path / "audio" / "dev.tar.gz", [("dev/a.wav", fake_audio("a"))], "w:gz")
    write(tmp_path / "dev.tsv", "1\ta.wav\tはい。\tはい\tは い |\t16000\tMALE\n")
    assert list(problems(read_speech(tmp_path / "dev.tsv").rows).values()) == [
        "no audio: there is no such file, and dev.tar.gz is compressed: unpack it beside the list (tar -xf)"
    ]


def shar_cut(key, text, channel=0):
    cut = lhotse_cut(key, "", 0, 1.5, supervision(f"s-{key}", "r", 0, 1.5, text, "S1"), channel=channel)
    cut["recording"] = recording(f"r-{key}", "", 1.5, kind="shar")
    cut["recording"]["sources"][0]["channels"] = [channel]
    return cut


def test_lhotse_shar(tmp_path):
    for shard in range(2):
        keys = [f"cut.{shard}-{i}" for i in range(3)]
        write_jsonl(tmp_path / f"cuts.00000{shard}.jsonl.gz", *(shar_cut(key, f"文{key}", shard) for key in keys))
        members = [m for key in keys for m in ((f"{key}.flac", fake_audio(key)), (f"{key}.json", b"{}"))]
        archive(tmp_path / f"recording.00000{shard}.tar", members[: 4 if shard else None])
        archive(tmp_path / f"target_recording.00000{shard}.tar", [(f"{key}.flac", fake_audio("other")) for key in keys])
    result = read_speech(tmp_path)
    keys = [f"cut.{shard}-{i}" for shard in range(2) for i in range(3)]
    assert pick(result.rows, "locator", "transcript", "audio", "duration", "channels") == [
        (key, f"文{key}", fake_audio(key) if key != keys[-1] else None, 1.5, None) for key in keys
    ]
    assert problems(result.rows) == {keys[-1]: NO_FILE} and is_unharmed(result.states)


@pytest.mark.parametrize("packed", [None, ".tar", ".tar.gz"])
def test_fleurs(tmp_path, packed):
    root = tmp_path / "ja_jp"
    for split in ("dev", "test"):
        names = [f"{i}.wav" for i in range(3)]
        lines = [
            f'{i}\t{name}\t「{split}」は"{i}"。\t{split} は {i}\tx y |\t{16000 * (i + 1)}\tFEMALE\n'
            for i, name in enumerate(names)
        ]
        write(root / f"{split}.tsv", "".join(reversed(lines)))
        for name in names:
            audio = fake_audio(split + name)
            if not packed:
                write(root / "audio" / split / name, audio)
        if packed:
            members = [(f"{split}/{name}", fake_audio(split + name)) for name in names]
            archive(root / "audio" / f"{split}{packed}", members, "w:gz" if packed.endswith("gz") else "w")
    result = read_speech(root)
    expected = {fake_audio(f"{split}{i}.wav"): f'「{split}」は"{i}"。' for split in ("dev", "test") for i in range(3)}
    assert audio_of(result) == expected and is_unharmed(result.states) and not problems(result.rows)
    assert {row["audio"]: row["duration"] for row in result.rows} == {
        fake_audio(f"{split}{i}.wav"): i + 1.0 for split in ("dev", "test") for i in range(3)
    }


def test_ljspeech(tmp_path):
    for i in range(3):
        write(tmp_path / "wavs" / f"LJ001-000{i}.wav", fake_audio(i))
    write(
        tmp_path / "metadata.csv",
        'LJ001-0002|"三"と|さんと\nLJ001-0000|一、二|いち、に\nLJ001-0001|第2の|だいにの\nLJ001-0009|なし|なし\n',
    )
    write(tmp_path / "README", "about")
    result = read_speech(tmp_path)
    assert pick(result.rows, "locator", "transcript", "audio") == [
        ("LJ001-0000", "一、二", fake_audio(0)), ("LJ001-0001", "第2の", fake_audio(1)), ("LJ001-0002", '"三"と', fake_audio(2)),
        ("LJ001-0009", "なし", None),
    ]  # fmt: skip
    assert problems(result.rows) == {"LJ001-0009": NOT_LISTED} and is_unharmed(result.states)
    alone = read_speech(tmp_path / "metadata.csv")
    assert {k: v for k, v in audio_of(alone).items() if k} == {k: v for k, v in audio_of(result).items() if k}


def test_ita(tmp_path):
    lines = [
        "RECITATION324_001:女の子がキッキッ嬉しそう。,オンナノコガキッキッウレシソー。",
        "RECITATION324_002:はい、そうです,ハイ、ソーデス",
    ]
    lines += ["RECITATION324_003:アイス,ケーキ"]
    for place in ("recitation", "transcripts"):
        write(
            tmp_path / place / ("recitation_transcript_utf8.txt" if place == "transcripts" else "x.md"), "\n".join(lines) + "\n"
        )
    for i in (1, 2, 3):
        write(tmp_path / "recitation" / f"RECITATION324_00{i}.wav", fake_audio(i))
    result = read_speech(tmp_path)
    assert audio_of(result) == {
        fake_audio(1): "女の子がキッキッ嬉しそう。",
        fake_audio(2): "はい、そうです",
        fake_audio(3): "アイス",
    }
    assert is_unharmed(result.states)


@pytest.mark.parametrize(
    "line", ["wav/{}.wav|{}|文{}", "wav/{}.wav|{}|JP|文{}|b u n", "{}|{}|文{}"], ids=["vits", "style-bert-vits2", "piper"]
)
@pytest.mark.parametrize("speaker", ["tsukuyomi", "0", "つくよみちゃん"])
def test_a_speaker_between_the_bars_is_no_transcript(tmp_path, line, speaker):
    for name in "abc":
        write(tmp_path / "wav" / f"{name}.wav", fake_audio(name))
    write(tmp_path / "esd.list", "".join(line.format(name, speaker, name) + "\n" for name in "cab"))
    result = read_speech(tmp_path)
    assert (
        audio_of(result) == said("abc") and {row["speaker"] for row in result.rows} == {speaker} and is_unharmed(result.states)
    )


def test_vctk_keeps_texts_in_a_folder_of_their_own(tmp_path):
    for speaker in ("p225", "p226"):
        write(tmp_path / "wav48" / speaker / f"{speaker}_001.wav", fake_audio(speaker))
        write(tmp_path / "txt" / speaker / f"{speaker}_001.txt", f"文{speaker}")
    write(tmp_path / "txt" / "p227" / "p227_001.txt", "声なし")
    result = read_speech(tmp_path)
    assert audio_of(result) == said(["p225", "p226"])
    assert "not read in " in result.states[0].warning and "txt/p227/p227_001.txt" in result.states[0].warning


def test_audiofolder(tmp_path):
    for name in ("data/a.wav", "data/b.wav", "c.wav"):
        write(tmp_path / "csv" / name, fake_audio(name))
        write(tmp_path / "jsonl" / name, fake_audio(name))
    write(tmp_path / "csv" / "metadata.csv", 'file_name,transcription\n./data/b.wav,"文,b"\ndata/a.wav,"文\na"\n')
    result = read_speech(tmp_path / "csv")
    assert audio_of(result) == {fake_audio("data/b.wav"): "文,b", fake_audio("data/a.wav"): "文\na"}
    assert "1 recordings, such as c.wav, are named in no line of metadata.csv" in result.states[0].warning
    assert "metadata.csv のどの行にもない録音が1件" in result.states[0].warning
    write_jsonl(tmp_path / "jsonl" / "metadata.jsonl", {"file_name": "c.wav", "transcript": "文c"})
    result = read_speech(tmp_path / "jsonl")
    assert audio_of(result) == {fake_audio("c.wav"): "文c"} and "2 recordings, such as data/a.wav" in result.states[0].warning


def test_audiofolder_in_splits(tmp_path):
    for split in ("train", "test"):
        for name in ("a.wav", "b.wav"):
            write(tmp_path / split / name, fake_audio(split + name))
        lines = "".join(f"{name},文{split}{name}\n" for name in ("a.wav", "b.wav")[: 2 if split == "train" else 1])
        write(tmp_path / split / "metadata.csv", "file_name,transcription\n" + lines)
    result = read_speech(tmp_path)
    assert audio_of(result) == said(["testa.wav", "traina.wav", "trainb.wav"])
    assert [bool(state.warning) for state in result.states] == [True, False]
    assert "1 recordings, such as b.wav, are named in no line of test/metadata.csv" in result.states[0].warning


def test_coqui_s_list_with_a_header(tmp_path):
    write(tmp_path / "wavs" / "a.wav", fake_audio("a"))
    write(tmp_path / "metadata_train.csv", "audio_file|text|speaker_name\nwavs/a.wav|文a|me\n")
    assert audio_of(read_speech(tmp_path)) == said("a")


def write_kaldi(root, wav_scp, **files):
    write(root / "wav.scp", "".join(f"{line}\n" for line in wav_scp))
    for name, lines in files.items():
        write(root / name, "".join(f"{line}\n" for line in lines))
    return root


def test_kaldi_without_segments(tmp_path):
    for name in "abc":
        write(tmp_path / "wav" / f"{name}.wav", fake_audio(name))
    root = write_kaldi(
        tmp_path,
        ["u1 wav/a.wav", "u2 sph2pipe -f wav -c 1 b.sph |", "u3 wav/c.wav", "u4 data/raw.ark:1234"],
        text=["u3 文 c", "u1  文a", "u9 声なし", "u2 文b"],
        utt2spk=["u1 s1", "u3 s3"],
        spk2gender=["s1 f"],
    )
    for place in (root, root / "wav.scp"):
        result = read_speech(place)
        assert pick(result.rows, "locator", "transcript", "speaker", "audio") == [
            ("u1", "文a", "s1", fake_audio("a")), ("u2", "文b", None, None), ("u3", "文 c", "s3", fake_audio("c")),
            ("u4", None, None, None), ("u9", "声なし", None, None),
        ]  # fmt: skip
        found = problems(result.rows)
        assert (
            "commands are never run" in found["u2"] and "archive" in found["u4"] and "wav.scp does not have it" in found["u9"]
        )
        assert set(found) == {"u2", "u4", "u9"}


def test_kaldi_with_segments_and_channels(tmp_path):
    for name in "ab":
        write(tmp_path / f"{name}.wav", fake_audio(name))
    root = write_kaldi(
        tmp_path,
        ["call-A a.wav", "call-B a.wav", "talk b.wav"],
        segments=[
            "x1 call-A 0.5 2.5",
            "x2 call-B 2 4",
            "y1 talk 0 -1",
            "y2 talk 1 2 1",
            "y3 gone 0 1",
            "y4 talk zero 1",
            "y5 talk 1",
        ],
        text=["x1 もしもし", "x2 はい", "y1 全部", "y2 右"],
        reco2file_and_channel=["call-A a A", "call-B a B", "talk b A"],
        reco2dur=["talk 9.5"],
    )
    rows = read_speech(root).rows
    assert pick(rows, "locator", "transcript", "audio", "start", "end", "channels", "programme", "total") == [
        ("x1", "もしもし", fake_audio("a"), 0.5, 2.5, [0], "call-A", None), ("x2", "はい", fake_audio("a"), 2.0, 4.0, [1], "call-B", None),
        ("y1", "全部", fake_audio("b"), 0.0, None, None, "talk", 9.5), ("y2", "右", fake_audio("b"), 1.0, 2.0, [1], "talk", 9.5),
        ("y3", None, None, 0.0, 1.0, None, "gone", None), ("y4", None, None, None, 1.0, None, "talk", 9.5),
        ("y5", None, None, 1.0, None, None, "talk", 9.5),
    ]  # fmt: skip
    assert set(problems(rows)) == {"y3", "y4", "y5"}


def test_channels_of_lhotse(tmp_path):
    write(tmp_path / "a.wav", fake_audio("a"))
    write(tmp_path / "b.wav", fake_audio("b"))

    def stereo(channels, sources=None):
        made = recording("call", "a.wav")
        made["sources"] = sources or [{"type": "file", "channels": channels, "source": "a.wav"}]
        return made

    two_files = [{"type": "file", "channels": [c], "source": f"{n}.wav"} for c, n in enumerate("ab")]
    said_in = [supervision(f"s{c}", "call", c, 1.0, f"話者{c}") | {"channel": c} for c in (0, 1)]
    cuts = [
        *(lhotse_cut(f"m{c}", "", c, 1.0, said_in[c]) | {"channel": c, "recording": stereo([0, 1])} for c in (0, 1)),
        lhotse_cut("multi", "", 0, 10.0, *said_in, kind="MultiCut") | {"channel": [0, 1], "recording": stereo([0, 1])},
        lhotse_cut("both", "", 0, 10.0, kind="MultiCut") | {"channel": [1, 0], "recording": stereo([0, 1])},
        lhotse_cut("files", "", 0, 10.0, said_in[1]) | {"channel": 1, "recording": stereo([], two_files)},
        lhotse_cut("spread", "", 0, 10.0, kind="MultiCut") | {"channel": [0, 1], "recording": stereo([], two_files)},
        lhotse_cut("none", "", 0, 10.0) | {"channel": 2, "recording": stereo([0, 1])},
        lhotse_cut("numbered", "", 0, 10.0) | {"channel": 7, "recording": stereo([3, 7])},
        lhotse_cut("fast", "", 0, 10.0)
        | {"recording": stereo([0]) | {"transforms": [{"name": "Speed", "kwargs": {"factor": 1.1}}]}},
    ]
    rows = read_speech(write_jsonl(tmp_path / "cuts.jsonl", *cuts)).rows
    assert pick(rows, "locator", "channels", "name", "transcript") == [
        ("m0", [0], "a.wav", "話者0"), ("m1", [1], "a.wav", "話者1"), ("s0", [0], "a.wav", "話者0"), ("s1", [1], "a.wav", "話者1"),
        ("both", [0, 1], "a.wav", None), ("files", None, "b.wav", "話者1"), ("spread", None, None, None), ("none", None, None, None),
        ("numbered", [1], "a.wav", None), ("fast", None, None, None),
    ]  # fmt: skip
    assert {key: problem[:30] for key, problem in problems(rows).items()} == {
        "spread": "the channels of the recording ", "none": "no channel 2: the recording ha", "fast": "the recording is to be changed",
    }  # fmt: skip


def test_a_list_that_names_no_recording_is_refused(tmp_path):
    write(tmp_path / "wav" / "a.wav", fake_audio("a"))
    write(tmp_path / "transcripts.txt", "001:一\n002:二\n")
    result = read_speech(tmp_path)
    assert "transcripts.txt, which names none of its 1 recordings: it has '001', the folder 'a.wav'" in result.states[0].damage


def test_lists_above_the_folder_that_is_given_are_named(tmp_path):
    root = tmp_path / "LJSpeech"
    write(root / "wavs" / "a1.wav", fake_audio("a1"))
    write(root / "metadata.csv", "a1|文a1|x\n")
    write(root / "todo.txt", "buy milk: now\n")
    write_jsonl(root / "train.json", {"audio_filepath": "wavs/a1.wav", "text": "文"})
    (state,) = read_speech(root / "wavs").states
    assert state.warning.startswith("not read in LJSpeech/: metadata.csv, train.json: ")


def test_a_tar_whose_list_names_nothing_in_it_is_refused(tmp_path):
    archive(tmp_path / "000.tar", [("000/a.flac", fake_audio("a"))])
    write(tmp_path / "list.tsv", "data/000/a.flac\t文a\n")
    (state,) = read_speech(tmp_path).states
    assert state.damage.endswith("its lists of transcripts name: they have 'data/000/a.flac', it has '000/a.flac'")


def test_lists_in_a_tar_are_named(tmp_path):
    tar = archive(
        tmp_path / "lj.tar",
        [("LJ/metadata.csv", b"a|b\n"), ("LJ/wavs/a.wav", fake_audio("a")), ("LJ/wavs/a.txt", "文a".encode())],
    )
    result = read_speech(tar)
    assert audio_of(result) == said("a")
    assert "not read in lj.tar: LJ/metadata.csv" in result.states[0].warning


def as_nfc(name):
    return unicodedata.normalize("NFC", name)


NAME = st.text("あがパbé0１-_漢", min_size=1, max_size=6).filter(lambda name: name.strip("-") == name)
NAMES = st.lists(NAME, min_size=1, max_size=6, unique_by=as_nfc)
FORMS = ["ljspeech", "jsut", "nemo", "nemo-tar", "kaldi", "tsv", "csv", "fleurs"]


def write_form(root, form, listed, stored):
    """Write recordings `stored` (names on disk) and a list with a line for each of `listed`."""
    if form == "nemo-tar":
        archive(root / "audio_0.tar", [(f"{name}.wav", fake_audio(as_nfc(name))) for name in stored])
    for name in stored:
        if form != "nemo-tar":
            write(root / "wav" / f"{name}.wav", fake_audio(as_nfc(name)))
    lines = {
        "ljspeech": ("metadata.csv", "{0}|文{0}|ブン"), "jsut": ("transcript_utf8.txt", "{0}:文{0}"), "kaldi": ("text", "{0} 文{0}"),
        "nemo": ("m.json", '{{"audio_filepath": "wav/{0}.wav", "text": "文{0}"}}'), "tsv": ("l.tsv", "wav/{0}.wav\t文{0}"),
        "nemo-tar": ("m.json", '{{"audio_filepath": "{0}.wav", "text": "文{0}", "shard_id": 0}}'), "csv": ("l.csv", "wav/{0}.wav,文{0}"),
        "fleurs": ("dev.tsv", "1\t{0}.wav\t文{0}\tx\ty\t16000\tMALE"),
    }  # fmt: skip
    name, line = lines[form]
    head = {"tsv": "path\tsentence\n", "csv": "file_name,transcription\n"}.get(form, "")
    write(root / name, head + "".join(line.format(one) + "\n" for one in listed))
    if form == "kaldi":
        write(root / "wav.scp", "".join(f"{one} wav/{one}.wav\n" for one in listed))


@pytest.mark.parametrize("form", FORMS)
@given(names=NAMES, data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_text_goes_to_its_own_recording(tmp_path_factory, form, names, data):
    """In any order, with lines that lack recordings, with lines twice, and with names as macOS writes them."""
    root = tmp_path_factory.mktemp("corpus")
    listed = data.draw(st.permutations([*names, *names[: data.draw(st.integers(0, 1))]]))
    stored = names[: data.draw(st.integers(1, len(names)))]
    form_of_names = data.draw(st.sampled_from(["NFC", "NFD"]))
    write_form(root, form, [unicodedata.normalize(data.draw(st.sampled_from(["NFC", "NFD"])), n) for n in listed],
               [unicodedata.normalize(form_of_names, name) for name in stored])  # fmt: skip
    result = read_speech(root)
    assert not any(state.damage for state in result.states), result.states
    texts = {row["audio"]: as_nfc(row["transcript"] or "") for row in result.rows if row["audio"] is not None}
    nfc = [as_nfc(name) for name in stored]
    assert texts == {fake_audio(name): f"文{name}" for name in nfc}
    assert all(row["problem"] for row in result.rows if row["audio"] is None)


def test_a_path_into_another_folder_is_not_taken_for_a_file_that_is_called_the_same(tmp_path):
    write(tmp_path / "test" / "001.wav", fake_audio("test"))
    write_jsonl(
        tmp_path / "m.jsonl", {"audio_filepath": "train/001.wav", "text": "訓練"}, {"audio_filepath": "/x/test/001.wav"}
    )
    assert [row["problem"] for row in read_speech(tmp_path).rows] == [NO_FILE, OUTSIDE]


def test_names_in_cp932_in_tars_and_on_disk(tmp_path):
    names = [f"音声{kana}.wav" for kana in "カガ"]
    raw = [name.encode("cp932").decode("utf-8", "surrogateescape") for name in names]
    archive(tmp_path / "tar" / "a.tar", [(one, fake_audio(name)) for one, name in zip(raw, names, strict=True)])
    write_jsonl(tmp_path / "tar" / "m.jsonl", *({"audio_filepath": name, "text": f"文{name}"} for name in names))
    assert audio_of(read_speech(tmp_path / "tar")) == said(names)
    write(tmp_path / "loose" / "list.csv", "file_name,text\r\n" + "".join(f"{name},文\r\n" for name in names))
    for one, name in zip(raw, names, strict=True):
        write(tmp_path / "loose" / one, fake_audio(name))
    found = problems(read_speech(tmp_path / "loose").rows)
    assert list(found) == names and all("the name of the file is not UTF-8: rename it" in why for why in found.values())


def test_every_list_beside_the_one_that_is_read_is_named(tmp_path):
    for name in "xy":
        write(tmp_path / "data" / f"{name}.wav", fake_audio(name))
    write_jsonl(tmp_path / "metadata.jsonl", {"file_name": "data/x.wav", "text": "文x"})
    write(tmp_path / "metadata.csv", "file_name,text\ndata/y.wav,文y\n")
    others = ["talk.trs", "talk.xml", "filelists/train.txt.cleaned"]
    for name in others:
        write(tmp_path / name, "x")
    result = read_speech(tmp_path)
    assert audio_of(result) == said("x")
    assert f"not read in {tmp_path.name}: {', '.join(['metadata.csv', *others])}:" in result.states[0].warning
    assert "data/y.wav, are named in no line of metadata.jsonl" in result.states[0].warning
