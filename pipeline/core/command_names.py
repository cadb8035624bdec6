"""What commands are called: `python -m MODULE`, and `seimai WORDS` where the command `seimai` was started.

Messages, also those of workers, name commands as `python -m MODULE`; a terminal shows them as the user starts them.
"""

from __future__ import annotations

import re

import click

CONSOLE_COMMAND = "seimai"
WORDS = {
    "pipeline.build": "build",
    "pipeline.fetch": "fetch",
    "pipeline.compare": "compare",
    "pipeline.inspect": "inspect",
    "pipeline.explain": "explain",
    "pipeline.whatif": "whatif",
    "pipeline.verify": "verify",
    "tokenizer.train": "train tokenizer",
    "tokenizer.encode": "encode",
    "tokenizer.evaluate": "evaluate",
    "tokenizer.export": "export",
    "trainers.gpt": "train gpt",
    "trainers.clip": "train clip",
    "trainers.diffusion": "train diffusion",
    "trainers.hubert": "train hubert",
    "trainers.ctc": "train ctc",
    "trainers.targets": "train units",
    "trainers.generate": "generate",
    "filters.train_quality": "train quality",
}
_PYTHON_COMMAND = re.compile(rf"\bpython -m ({'|'.join(map(re.escape, WORDS))})(?![\w.])")


def show_commands(text: str) -> str:
    """Return a text whose commands are called as the user started this one."""
    context = click.get_current_context(silent=True)
    if context is None or context.find_root().command.name != CONSOLE_COMMAND:
        return text
    return _PYTHON_COMMAND.sub(lambda match: f"{CONSOLE_COMMAND} {WORDS[match[1]]}", text)
