"""One thin trainer per model of the paper. They read shards from disk, and save what `from_pretrained` loads."""

from importlib.util import find_spec

if find_spec("torch") is None:
    raise ModuleNotFoundError("training needs torch and more, which come with an extra: pip install 'seimai[train]'")
