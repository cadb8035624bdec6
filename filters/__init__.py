"""Measures of Japanese text, usable alone in a notebook.

>>> import polars as pl, filters
>>> frame = pl.DataFrame({"text": ["吾輩は猫である。名前はまだ無い。"]})
>>> filters.measure_frame(frame, ["sentences", "hiragana_share"]).row(0)[1:]
(2, 0.5)
"""

from filters.audio import measures as audio
from filters.caption import measures as caption
from filters.image import measures as image
from filters.registry import MEASURES, Measure, compute, measure, measure_frame
from filters.text import measures as text
from filters.text.normalisation import normalise
from filters.transcript import measures as transcript

__all__ = ["MEASURES", "Measure", "compute", "measure", "measure_frame", "normalise"]

# Importing a module registers its measures; their order here is the order of the ledger's columns.
MEASURE_MODULES = (audio, caption, image, text, transcript)
