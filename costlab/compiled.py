"""Loops that are compiled, once for all runs where a folder can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on first use; keep the machine code where a folder can be written, else for now."""
    try:
        made: Callable[P, R] = numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:  # no folder that numba may write its cache to
        made = numba.njit(nogil=True, error_model="numpy")(function)
    return made
