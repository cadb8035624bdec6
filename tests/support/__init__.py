"""What several test files need: corpora that are made up, builds, a server that misbehaves. Imported as `tests.support.…`."""
