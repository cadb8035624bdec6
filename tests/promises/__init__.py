"""The nine promises of `docs/reliability.md`: one file each, with real builds, real processes and real kills."""
