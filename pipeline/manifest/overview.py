"""Manifests, presets and measures by name: `python -m pipeline.build --list`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from filters import MEASURES
from pipeline.core.help import wrap_cells
from pipeline.core.language import translate
from pipeline.manifest.presets import list_presets, parse_toml, read_preset
from pipeline.manifest.shipped import list_manifests, manifest_folder
from pipeline.modalities import MODALITIES

_WIDTH = 78  # cells, whatever the terminal: lists are read in pipes, too


def print_names(console: Console) -> None:
    """Print the names of manifests with their titles, of presets with the records that they are for, and of measures by kind."""
    _print_table(console, "manifests", list_titles())
    console.print()
    _print_table(console, "presets", list_preset_kinds())
    for kind, names in list_measures().items():
        console.print()
        console.print(f"{translate('measures')}: {translate(kind)}", style="bold")
        for line in wrap_cells("  ".join(names), _WIDTH):
            console.print(f"  {line}")
    console.print()
    others = sum(measure.on_request for measure in MEASURES.values())
    console.print(f"{others} more are those of other projects, for their presets (swallow_…, gopher_…, hojichar_… and others)")
    console.print("docs/measures.md says what each measure is; any of them can be a rule: --set rules.NAME.at_least=0.1")


def _print_table(console: Console, title: str, rows: Iterator[tuple[str, str]]) -> None:
    table = Table(box=None, pad_edge=False, show_header=False, width=_WIDTH + 2, padding=(0, 0, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for row in rows:
        table.add_row(*row)
    console.print(translate(title), style="bold")
    console.print(table)


def list_titles() -> Iterator[tuple[str, str]]:
    """Yield the names of the shipped manifests with their titles."""
    for name in list_manifests():
        text = (manifest_folder() / f"{name}.toml").read_text("utf-8")
        yield name, str(parse_toml(text, name).get("title", ""))


def list_preset_kinds() -> Iterator[tuple[str, str]]:
    """Yield the names of the shipped presets, with the modalities that they are for and how many rules they have."""
    of = {modality.name: set(list_presets(modality.manifest)) for modality in MODALITIES.values()}
    for name in list_manifests("presets"):
        modalities = ", ".join(translate(modality.replace("_", "-")) for modality, presets in of.items() if name in presets)
        yield name, f"{modalities}; {len(read_preset(name))} {translate('rules')}"


def list_measures() -> dict[str, list[str]]:
    """Return the names of measures by the kind of what they measure, without those of other projects."""
    own = {name: measure.kind for name, measure in MEASURES.items() if not measure.on_request}
    return {kind: [name for name in own if own[name] == kind] for kind in dict.fromkeys(own.values())}
