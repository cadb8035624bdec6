"""`python -m pipeline.explain CORPUS ID`: the life of one record; `--text`: whether rules would keep a text, and why."""
