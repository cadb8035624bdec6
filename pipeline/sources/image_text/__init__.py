"""Image-text pairs: what a corpus of them looks like in the formats of `pipeline.sources.formats`."""
