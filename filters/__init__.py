"""Measures of Japanese text, usable alone in a notebook.

>>> import polars as pl, filters
>>> frame = pl.DataFrame({"text": ["吾輩は猫である。名前はまだ無い。"]})
>>> filters.measure_frame(frame, ["sentences", "hiragana_share"]).row(0)[1:]
(2, 0.5)
"""

from filters import audio as audio
from filters import caption as caption
from filters import image as image
from filters import japanese as japanese
from filters import transcript as transcript
from filters.registry import MEASURES, Measure, compute, measure, measure_frame
from filters.text import normalise

__all__ = ["MEASURES", "Measure", "compute", "measure", "measure_frame", "normalise"]
