import gzip
import json
import shlex
import tomllib
from pathlib import Path

import jsonschema
import pytest

from pipeline.core.errors import UsageError
from pipeline.manifest.json_schema import schema
from pipeline.manifest.loading import load
from pipeline.manifest.presets import list_presets
from pipeline.modalities import MODALITIES
from pipeline.modalities.text.manifest import ON_REQUEST
from pipeline.sources import SOURCES

ROOT = Path(__file__).resolve().parents[3]
MINIMAL = """
name = "mine"
title = "Mine"
license = "CC0-1.0"
[source]
format = "cc100"
"""


@pytest.fixture
def refused(tmp_path):
    """The message that a manifest is refused with."""

    def message(text=MINIMAL, *overrides):
        path = tmp_path / "mine.toml"
        path.write_text(text, "utf-8")
        with pytest.raises(UsageError) as caught:
            load(str(path), overrides)
        assert caught.value.exit_code == 2
        return str(caught.value)

    return message


def test_the_shipped_manifest():
    manifest = load("cc100-ja")
    assert manifest.source.partition == 32_000_000
    assert [*manifest.rules][:4] == ["language_lines_share", "language", "language_score", "replacement_share"]
    assert all(bound.source and bound.reason for bound in manifest.rules.values())
    assert not set(ON_REQUEST) & set(manifest.measures)


def test_a_path_and_defaults(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(MINIMAL, "utf-8")
    manifest = load(str(path))
    assert (manifest.name, manifest.rules, manifest.deduplicate.threshold) == ("mine", {}, 0.8)


@pytest.mark.parametrize(
    "reference, words",
    [
        ("cc100-jp", ["no manifest 'cc100-jp'", "did you mean 'cc100-ja'?"]),
        ("zzz", ["no manifest 'zzz'", "Known: ", "cc100-ja"]),
        ("nowhere/my.toml", ["nowhere/my.toml: there is no such manifest file"]),
        ("my.toml", ["my.toml: there is no such manifest file"]),
    ],
)
def test_unknown_manifests(reference, words):
    with pytest.raises(UsageError) as caught:
        load(reference)
    assert all(word in str(caught.value) for word in words)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    "text, words",
    [
        ("[rules]\nhiragana_shar = { at_least = 0.1 }", ["rules.hiragana_shar", "no measure", "did you mean 'hiragana_share'?"]),
        ("[rules]\nchars = { at_lest = 1 }", ["rules.chars.at_lest", "no such key", "did you mean 'at_least'?", "at_most"]),
        ('[rules]\npreset = "ja-wab"', ["rules.preset = 'ja-wab'", "did you mean 'ja-web'?"]),
        ('[rules]\npreset = "ja-web"\nskip = ["char"]', ["rules.skip", "did you mean 'chars'?"]),
        ("[deduplicat]\nthreshold = 0.8", ["deduplicat:", "no such key", "did you mean 'deduplicate'?"]),
        ("[deduplicate]\ntreshold = 0.8", ["deduplicate.treshold", "did you mean 'threshold'?"]),
        ('[measure]\nalso = ["kana_shar"]', ["measure.also", "did you mean 'kana_share'?"]),
        ("[rules]\nchars = { at_least = 10, at_most = 5 }", ["rules.chars", "at_least = 10", "above at_most = 5"]),
        ("[rules]\nchars = { }", ["rules.chars", "needs a bound"]),
        ("[rules]\nchars = 100", ["rules.chars = 100", "expected bounds"]),
        ('[rules]\nchars = { at_least = "many" }', ["rules.chars.at_least", "'many'", "number"]),
        ('[rules]\nchars = { any_of = ["ja"] }', ["rules.chars", "takes at_least, at_most or iqr"]),
        ("[rules]\nlanguage = { at_least = 1 }", ["rules.language", "takes any_of or none_of"]),
        ("[deduplicate]\nthreshold = 1.5", ["deduplicate.threshold", "less than or equal to 1", "1.5"]),
        ("[deduplicate]\nbands = 20", ["deduplicate", "go together"]),
        ("[deduplicate]\nbands = 20\nrows = 20", ["bands x rows = 400", "permutations = 112"]),
        ('[shards]\nsize = "12 parsecs"', ["shards.size", "'12 parsecs'"]),
        ("[shards]\nvalidation = 1", ["shards.validation", "less than 1"]),
        ("[clean]\nboilerplate = 3", ["clean.boilerplate", "3"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_what_was_expected(refused, text, words):
    message = refused(MINIMAL + text)
    assert "mine.toml" in message
    for word in words:
        assert word in message


def test_what_a_manifest_can_say_depends_on_the_records_of_its_source(refused):
    message = refused(MINIMAL + "[rules]\nphash = { any_of = ['0'] }")
    assert "phash is a measure of images" in message and "'cc100' are text" in message
    message = refused(MINIMAL + '[rules]\npreset = "datacomp-basic"')
    assert "this preset is not for text records" in message
    assert "Known: fineweb2-ja, hojichar, ja-web, ja-web-strict, llmjp-v1, " in message
    assert "source.columns" in refused(MINIMAL.replace("[source]", "[source]\ncolumns = { caption = 'a' }"))
    for key, words in (("images", "lists of images"), ("audio", "lists of recordings"), ("transcripts", "is for recordings")):
        message = refused(MINIMAL.replace("[source]", f"[source]\n{key} = 'x'"))
        assert words in message and "source.format = 'cc100' has none" in message
    pairs = MINIMAL.replace("cc100", "image-text")
    message = refused(pairs + '[rules]\npreset = "ja-web"')
    assert "not for image-text records" in message and "Known: caption-ja, cc12m, datacomp-basic, waon" in message
    assert "boilerplate_share is a measure of documents" in refused(pairs + "[rules]\nboilerplate_share = { at_most = 0.1 }")
    assert "deduplicate.threshold: there is no such key" in refused(pairs + "[deduplicate]\nthreshold = 0.8")
    assert "did you mean 'shorter_side'?" in refused(pairs + "[shards]\nshorter_sid = 256")
    assert "images: there is no such key" in refused(MINIMAL + "[images]\nmax_pixels = 1")


def test_a_manifest_of_pairs():
    manifest = load("laion-ja", ["rules.preset=waon"])
    assert manifest.modality == "image_text" and manifest.rules["punsafe"].missing == "keep"
    assert {"chars", "caption_language", "phash"} <= set(manifest.measures)
    assert not {"prose_share", "quality"} & set(manifest.measures)


def test_formats_and_missing_keys(refused):
    message = refused(MINIMAL.replace('"cc100"', '"cc10"'))
    assert "source.format" in message and "did you mean 'cc100'?" in message and "found 'cc10'" in message
    message = refused('name = "mine"\n[source]\nformat = "cc100"')
    assert "title is missing" in message and "license is missing" in message
    assert "name" in refused(MINIMAL.replace('"mine"', '"../mine"'))


def test_what_is_not_toml(refused, tmp_path):
    message = refused("name = \n")
    assert "mine.toml: not valid TOML" in message and "line 1" in message
    path = tmp_path / "binary.toml"
    path.write_bytes(b"\xfd7zXZ\x00\xff")
    with pytest.raises(UsageError, match="this is not text"):
        load(str(path))


def test_every_fault_is_told_at_once(refused):
    message = refused(MINIMAL + '[deduplicate]\nthreshold = 2\n[shards]\nrow_group = "a"\n')
    assert "deduplicate.threshold" in message and "shards.row_group" in message


@pytest.mark.parametrize(
    "assignment, found",
    [
        ("rules.chars.at_least=100", lambda m: m.rules["chars"].at_least == 100),
        ("rules.chars.at_most = 1e3", lambda m: (m.rules["chars"].at_least, m.rules["chars"].at_most) == (20, 1000)),
        ("rules.digit_share={ at_most = 0.1 }", lambda m: m.rules["digit_share"].at_most == 0.1),
        ('rules.language.any_of=["ja", "ko"]', lambda m: m.rules["language"].any_of == ["ja", "ko"]),
        ('rules.skip=["chars"]', lambda m: "chars" not in m.rules and "language" in m.rules),
        ("source.partition=20 KB", lambda m: m.source.partition == 20_000),
        ('source.partition="1.5 MB"', lambda m: m.source.partition == 1_500_000),
        ("source.partition=77", lambda m: m.source.partition == 77),
        ("source.url=http://localhost/a=b.xz", lambda m: m.source.url == "http://localhost/a=b.xz"),
        ("title=何か", lambda m: m.title == "何か"),
        ("deduplicate.enabled=false", lambda m: m.deduplicate.enabled is False),
        ("clean.compatibility=expand", lambda m: m.clean.compatibility == "expand"),
        ('measure.also=["duplicate_6gram_share"]', lambda m: "duplicate_6gram_share" in m.measures),
    ],
)
def test_set(assignment, found):
    assert found(load("cc100-ja", [assignment]))


@pytest.mark.parametrize(
    "assignment, words",
    [
        ("rules.chars", "expected key=value"),
        ("=5", "expected key=value"),
        ("title.x=5", "title is not a table"),
        ("rules.hiragana_shar.at_least=1", "did you mean 'hiragana_share'?"),
        ("sourc.partition=1", "did you mean 'source'?"),
        ("source.partition=0", "source.partition"),
        ("source=5", "source"),
        ("rules=5", "rules"),
        ("rules.preset.x=5", "preset"),
        ("rules.skip=chars", "rules.skip"),
        ("rules.skip=5", "rules.skip"),
        ("rules.preset=5", "rules.preset"),
    ],
)
def test_set_refuses(assignment, words):
    with pytest.raises(UsageError) as caught:
        load("cc100-ja", [assignment])
    assert words in str(caught.value)


def test_columns_of_a_format_that_has_none_are_refused_with_a_command_that_names_them():
    with pytest.raises(UsageError) as caught:
        load("ja-web", ["source.columns.text=main body"])
    assert str(caught.value) == (
        "--set source.columns.text=main body: source.format = 'text' has no columns to be named, but jsonl, parquet, arrow have. Say which "
        "of them the input is, as in: python -m pipeline.build jsonl --input FILE --set 'source.columns.text=main body'"
    )
    assert load("jsonl", ["source.columns.text=main body"]).source.columns == {"text": "main body"}


def test_the_command_returns_2(build):
    done = build("cc100-ja", "--set", "deduplicate.treshold=0.9")
    assert (done.returncode, done.stdout) == (2, "")
    said = done.stderr.splitlines()
    assert said[0] == "getting ready to build cc100-ja" and len(said) == 2 and "did you mean 'threshold'?" in said[1]


# -- the schema for editors


@pytest.fixture(scope="module")
def validator():
    kind = jsonschema.validators.validator_for(schema())
    kind.check_schema(schema())
    return kind(schema())


def test_the_schema_file_is_current():
    written = (ROOT / "manifests" / "schema.json").read_text("utf-8")
    assert json.loads(written) == schema(), "python -m pipeline.manifest.json_schema > manifests/schema.json"


@pytest.mark.parametrize("path", sorted((ROOT / "manifests").glob("*.toml")), ids=lambda p: p.name)
def test_shipped_manifests_validate(path, validator):
    validator.validate(tomllib.loads(path.read_text("utf-8")))


@pytest.mark.parametrize("path", sorted((ROOT / "manifests" / "presets").glob("*.toml")), ids=lambda p: p.name)
def test_shipped_presets_validate(path, validator):
    rules = tomllib.loads(path.read_text("utf-8"))
    wire = next(name for name, source in SOURCES.items() if path.stem in list_presets(MODALITIES[source.modality].manifest))
    table = tomllib.loads(MINIMAL.replace("cc100", wire)) | {"rules": rules}
    validator.validate(table)


@pytest.mark.parametrize(
    "text", ["[rules]\nhiragana_shar = { at_least = 1 }", "[deduplicate]\ntreshold = 1", '[rules]\npreset = "x"', "[rules]\nchars = 1"]
)  # fmt: skip
def test_the_schema_refuses_what_the_build_refuses(refused, text, validator):
    refused(MINIMAL + text)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(tomllib.loads(MINIMAL + text))
    validator.validate(tomllib.loads(MINIMAL))


# -- presets of others


def test_measures_of_presets_are_measured_and_named_in_the_lock():
    manifest = load("cc100-ja", ['measure.presets=["hojichar", "llmjp-v1"]'])
    assert {"hojichar_noun_share", "llmjp_deflate_ratio"} <= {
        *manifest.measures
    } and "hojichar_noun_share" not in manifest.rules
    assert {"hojichar_noun_share", "llmjp_deflate_ratio"} <= {*manifest.measure.also}
    again = type(manifest).model_validate(manifest.model_dump())
    assert again.measures == manifest.measures
    assert not [name for name in load("cc100-ja").measures if name.startswith(("hojichar", "llmjp", "gopher", "swallow"))]


@pytest.mark.parametrize("preset", ["swallow-v1", "fineweb2-ja", "llmjp-v1", "hojichar"])
def test_every_bound_of_others_has_a_source_and_a_reason(preset):
    for name, bound in load("cc100-ja", [f"rules.preset={preset}"]).rules.items():
        assert bound.source and bound.reason, name


def test_a_preset_of_words_needs_what_cuts_them(refused, monkeypatch):
    monkeypatch.setattr("pipeline.core.libraries.find_spec", lambda name: None)
    message = refused(MINIMAL + '[rules]\npreset = "fineweb2-ja"')
    assert "the measure gopher_words needs sudachipy: pip install 'seimai[sudachi]'" in message
    assert load("cc100-ja", ["rules.preset=swallow-v1"]).rules  # the others do without


def test_what_the_core_lacks_is_told_with_the_extra_that_has_it(refused, monkeypatch):
    monkeypatch.setattr("pipeline.core.libraries.find_spec", lambda name: None)
    message = refused(MINIMAL + '[rules]\npreset = "hojichar"')
    assert "the measure hojichar_noun_share needs fugashi: pip install 'seimai[unidic]'" in message
    with pytest.raises(UsageError, match=r"the fingerprint of recordings needs scipy: pip install 'seimai\[speech\]'"):
        load("speech-ja")
    assert load("cc100-ja").rules and load("image-text-ja").rules


@pytest.mark.parametrize(
    ("text", "override", "words"),
    [
        (
            "",
            "shards.size=1GIB2",
            '--set shards.size=1GIB2: a size in bytes is expected, such as 32000000, "512 MB" or "1 GiB"',
        ),
        ("", "deduplicate.threshold=7", "--set deduplicate.threshold=7: Input should be less than or equal to 1"),
        ("", "rules.charz.at_least=3", "--set rules.charz.at_least=3: there is no measure of that name, nor a column"),
        ("", "rules.chars.any_of=['a']", "--set rules.chars.any_of=['a']: this measure takes at_least, at_most or iqr"),
        ("", "deduplicate={treshold=1}", "--set deduplicate={treshold=1}: deduplicate.treshold: there is no such key"),
        ("[deduplicate]\nthreshold = 7", "title='A'", "mine.toml: deduplicate.threshold: "),
    ],
)
def test_what_set_got_wrong_is_said_of_set_and_the_files_faults_of_the_file(refused, text, override, words):
    message = refused(MINIMAL + text, override)
    assert words in message and ("mine.toml" in message) == words.startswith("mine.toml")


@pytest.mark.parametrize("size", ["1GiB", "1 GiB", "1_073_741_824", "1073.741824 MB", 2**30])
def test_sizes_are_read_as_people_write_them(tmp_path, size):
    (tmp_path / "x.toml").write_text(MINIMAL, "utf-8")
    assert load(str(tmp_path / "x.toml"), [f"shards.size={size}", "tokenizer.vocab_size=32k"]).shards.size == 2**30


def test_one_column_to_keep_needs_no_list():
    assert load("jsonl", ["source.keep=doc_id"]).source.keep == ["doc_id"]
    assert load("jsonl", ['source.keep=["doc_id", "score:float"]']).source.keep == ["doc_id", "score:float"]


DATA = {
    "a.jsonl": (b'{"text": "\xe7\x8c\xab", "url": "https://a.jp"}\n', "ja-web"),
    "b c.warc": (b"WARC/1.0\r\nWARC-Type: warcinfo\r\nContent-Length: 0\r\n\r\n\r\n\r\n", "common-crawl-ja"),
    "x.jsonl": (b'{"image_url": "https://a.jp/a.jpg", "text": "a"}\n', None),
    "n.jsonl": (b'{"n": 5}\n', None),
    "text.txt": ("猫である。\n\n犬である。\n".encode(), None),
    "noise": (b"\xff\x00\x01", None),
}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("is_compressed", [False, True])
def test_data_in_place_of_a_manifest_is_told_with_the_command_that_builds_it(tmp_path, monkeypatch, name, is_compressed):
    monkeypatch.chdir(tmp_path)
    content, manifest = DATA[name]
    (tmp_path / name).write_bytes(gzip.compress(content) if is_compressed else content)
    for reference in (name, f"./{name}"):
        with pytest.raises(UsageError) as caught:
            load(reference)
        said, command = str(caught.value), f"python -m pipeline.build {manifest or 'MANIFEST'} --input {shlex.quote(reference)}"
        assert said.startswith(f"{reference} is data, not a manifest. To build a corpus of it") and command in said
        assert ("of recordings: common-voice-ja, " in said) == (manifest is None)


def test_folders_and_urls_in_place_of_a_manifest_are_data(tmp_path):
    for reference in (str(tmp_path), "https://example.com/a.jsonl.gz"):
        with pytest.raises(UsageError, match="is data, not a manifest.* name a manifest for what it holds"):
            load(reference)
    (tmp_path / "mine.manifest").write_text(MINIMAL, "utf-8")  # whatever its name, it is TOML
    assert load(str(tmp_path / "mine.manifest")).name == tomllib.loads(MINIMAL)["name"]
