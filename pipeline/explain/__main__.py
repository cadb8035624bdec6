"""`python -m pipeline.explain`."""

from pipeline.explain.command import main

main()
