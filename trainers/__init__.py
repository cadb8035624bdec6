"""One thin trainer per model of the paper. They read shards from disk, and save what `from_pretrained` loads."""

from importlib.util import find_spec

from pipeline.core.interrupts import expect_interrupts

if find_spec("torch") is None:
    raise ModuleNotFoundError("training needs torch and more, which come with an extra: pip install 'seimai[train]'")

expect_interrupts()
