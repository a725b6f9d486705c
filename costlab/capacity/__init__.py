"""How many servers a promise needs, and how long people wait: by formula and by simulation.

`queueing` holds the formulas, `sizing` turns a month of work into servers, `simulate` plays the
queue out clip by clip. The compiled simulation loads only when one of its names is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from costlab.capacity.overflow import handed_over, handed_over_by_servers
from costlab.capacity.queueing import (
    HourWait,
    ImpatientWait,
    Wait,
    day,
    erlang_c,
    impatient,
    mdc,
    mgc,
    mmc,
    servers_needed,
    servers_needed_for_mix,
    wait,
)
from costlab.capacity.sizing import Load, PeakHour, slots_needed

if TYPE_CHECKING:
    from costlab.capacity.simulate import (
        Demand,
        Observed,
        Outcome,
        Pool,
        Workload,
        observe,
        simulate_pools,
        wait_report,
    )

_SIMULATED = (
    "Demand",
    "Observed",
    "Outcome",
    "Pool",
    "Workload",
    "observe",
    "simulate_pools",
    "wait_report",
)
__all__ = [
    "Demand",
    "HourWait",
    "ImpatientWait",
    "Load",
    "Observed",
    "Outcome",
    "PeakHour",
    "Pool",
    "Wait",
    "Workload",
    "day",
    "erlang_c",
    "handed_over",
    "handed_over_by_servers",
    "impatient",
    "mdc",
    "mgc",
    "mmc",
    "observe",
    "servers_needed",
    "servers_needed_for_mix",
    "simulate_pools",
    "slots_needed",
    "wait",
    "wait_report",
]


def __getattr__(name: str) -> Any:
    if name not in _SIMULATED:
        raise AttributeError(f"module 'costlab.capacity' has no attribute {name!r}")
    return getattr(import_module("costlab.capacity.simulate"), name)
