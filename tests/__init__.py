"""Tests of the lake; where two processes of them share a machine, Polars takes one thread in each."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("POLARS_MAX_THREADS", "1")
