"""`python -m seimai`: the command `seimai`, where its script is not on the path."""

from seimai.command import main

main(prog_name="seimai")
