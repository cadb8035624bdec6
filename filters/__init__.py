"""Measures of Japanese text, usable alone in a notebook.

>>> import polars as pl, filters
>>> frame = pl.DataFrame({"text": ["吾輩は猫である。名前はまだ無い。"]})
>>> filters.measure_frame(frame, ["sentences", "hiragana_share"]).row(0)[1:]
(2, 0.5)
"""

# Importing these modules registers their measures.
from filters.audio import measures as audio_measures
from filters.caption import measures as caption_measures
from filters.image import measures as image_measures
from filters.published import measures as published_measures
from filters.registry import MEASURES, Measure, compute, measure, measure_frame, measure_text, order_measures
from filters.text import measures as text_measures
from filters.text.normalisation import normalise
from filters.transcript import measures as transcript_measures
from filters.url import measures as url_measures

__all__ = ["MEASURES", "Measure", "compute", "measure", "measure_frame", "measure_text", "normalise"]

# The ledger has its columns in this order of modules, whatever order they are imported in.
order_measures(
    audio_measures, text_measures, published_measures, url_measures, caption_measures, image_measures, transcript_measures
)
