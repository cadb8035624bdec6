"""`python -m pipeline.whatif`."""

from pipeline.whatif.command import main

main()
