"""What README and card promise of mixtures."""

from __future__ import annotations

import pytest

from pipeline.manifest.loading import load_any
from tests.test_contributing import block


@pytest.mark.parametrize("document, heading", [("README.md", "Mix corpora"), ("README.ja.md", "コーパスを混ぜる")])
def test_the_readme_s_manifest_mixes_corpora_by_their_names(build, parts, tmp_path, document, heading):
    (tmp_path / "corpora").mkdir()
    for name, folder in (("wikipedia-ja", "alpha"), ("c4-ja", "beta")):
        (tmp_path / "corpora" / name).symlink_to(parts.folder / folder)
    (tmp_path / "my.toml").write_text(block(document, heading, "toml"), "utf-8")
    done = build("my.toml", "--plan", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in (
        "corpora/wikipedia-ja",
        "corpora/c4-ja",
        "corpora/my-mixture",
        "deduplicate",
        "count",
        "tokenise",
        "Nothing was done.",
    ):
        assert words in done.stdout


def test_the_shipped_mixture():
    manifest = load_any("gpt-ja")
    assert [part.corpus for part in manifest.mixture] == ["wikipedia-ja", "cc100-ja", "c4-ja"]
    assert manifest.unit == "tokens" and manifest.priorities == [3, 2, 1]
