"""What the command line sets in its own process's environment, and what the processes it starts are given of it."""

from __future__ import annotations

import os

# Looking for Pydantic's plugins reads every installed package; NumPy starts threads for large matrices: there are none.
OWN = ("PYDANTIC_DISABLE_PLUGINS", "OPENBLAS_NUM_THREADS")


def quicken() -> None:
    """Let this process begin sooner, where nobody said otherwise."""
    for name in OWN:
        os.environ.setdefault(name, "1")


def inherited() -> dict[str, str]:
    """Return the environment for another program, without what is meant for a command of the lake alone."""
    return {name: value for name, value in os.environ.items() if name not in OWN}
