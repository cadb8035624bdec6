"""One thin trainer per model of the paper. They read shards from disk, and save what `from_pretrained` loads."""

import os
from importlib.util import find_spec

from pipeline.core.interrupts import expect_interrupts

if find_spec("torch") is None:
    raise ModuleNotFoundError("training needs torch and more, which come with an extra: pip install 'seimai[train]'")

# Read once, as torch is loaded, which no module of this package does before this line. A thread of OpenMP that waits for others must
# sleep: one that spins keeps the core from whoever it waits for, where other processes are at work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # GNU's library, torch's own
os.environ.setdefault("KMP_BLOCKTIME", "0")  # Intel's and LLVM's

expect_interrupts()
