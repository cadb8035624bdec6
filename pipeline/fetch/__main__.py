"""`python -m pipeline.fetch`."""

from pipeline.fetch.command import main

main()
