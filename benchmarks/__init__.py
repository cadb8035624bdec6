"""Benchmarks against other tools. Run from the repository root, for example `python -m benchmarks.minhash`.

Everything is measured on one core: the thread pools of polars, rayon and BLAS are held to one thread before they are made.
"""

import os

THREAD_LIMITS = ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
for _name in THREAD_LIMITS:
    os.environ.setdefault(_name, "1")
