"""`python -m pipeline.compare`."""

from pipeline.compare.command import main

main()
