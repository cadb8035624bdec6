"""Seimai: raw Japanese text in, training shards out. `python -m pipeline.build MANIFEST`."""
