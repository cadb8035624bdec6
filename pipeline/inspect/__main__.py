"""`python -m pipeline.inspect`."""

from pipeline.inspect.command import main

main()
