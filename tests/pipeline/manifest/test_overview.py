"""`python -m pipeline.build --list`."""

import pytest
from click.testing import CliRunner
from rich.cells import cell_len

from filters import MEASURES
from pipeline.build import main
from pipeline.manifest.shipped import list_manifests


@pytest.mark.parametrize(("language", "heading"), [("en", "measures: text"), ("ja", "計測値: テキスト")])
def test_names_fit_on_a_terminal(language, heading):
    done = CliRunner().invoke(main, ["--list"], env={"COLUMNS": "80", "SEIMAI_LANG": language})
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert heading in lines
    assert max(cell_len(line) for line in lines if not line.startswith("docs/")) <= 100
    words = set(done.stdout.split())
    assert {*list_manifests(), *list_manifests("presets")} <= words
    assert {name for name, measure in MEASURES.items() if not measure.on_request} <= words


def test_without_a_manifest_the_list_is_named():
    done = CliRunner().invoke(main, [], env={"SEIMAI_LANG": "en"})
    assert done.exit_code == 2 and "python -m pipeline.build --list has them" in done.stderr
