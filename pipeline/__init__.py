"""Seimai: raw Japanese text in, training shards out. `python -m pipeline.build MANIFEST`."""

import gc
import sys

from pipeline.core.interrupts import expect_interrupts, starts_command

# A command is about to be imported, as `python -m pipeline.build`: there is no garbage yet, and looking for it takes a fifth of the time.
# `pipeline.core.command.report_errors`, which commands run under, lets Python look again. Programs that import Seimai are left as they are.
if sys.argv[:1] == ["-m"] and starts_command():
    gc.disable()

expect_interrupts()
