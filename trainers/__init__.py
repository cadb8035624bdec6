"""One thin trainer per model of the paper. They read shards from disk, and save what `from_pretrained` loads."""

from pipeline.core.interrupts import expect_interrupts

expect_interrupts()
