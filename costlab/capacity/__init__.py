"""How many servers a promise needs, and how long people wait: by formula and by simulation.

`queueing` holds the formulas, `sizing` turns a month of work into servers, `simulate` plays the
queue out clip by clip. The compiled simulation loads only when one of its names is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from costlab.capacity.queueing import (
    Wait,
    erlang_c,
    mdc,
    mgc,
    mmc,
    servers_needed,
    servers_needed_for_mix,
    wait,
)
from costlab.capacity.sizing import Load, PeakHour, slots_needed

if TYPE_CHECKING:
    from costlab.capacity.simulate import wait_report

_SIMULATED = ("wait_report",)
__all__ = [
    "Load",
    "PeakHour",
    "Wait",
    "erlang_c",
    "mdc",
    "mgc",
    "mmc",
    "servers_needed",
    "servers_needed_for_mix",
    "slots_needed",
    "wait",
    "wait_report",
]


def __getattr__(name: str) -> Any:
    if name not in _SIMULATED:
        raise AttributeError(f"module 'costlab.capacity' has no attribute {name!r}")
    return getattr(import_module("costlab.capacity.simulate"), name)
