"""Seimai: raw Japanese text in, training shards out. `python -m pipeline.build MANIFEST`."""

from pipeline.core.interrupts import expect_interrupts

expect_interrupts()
