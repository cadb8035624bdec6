"""Japanese tokenizers: trained on what the pipeline kept, evaluated, exported, and applied to make token shards."""

from pipeline.core.interrupts import expect_interrupts

expect_interrupts()
