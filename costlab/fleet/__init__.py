"""The fleet that keeps a promise about waiting for the least money, and what that costs.

::

    projection ─▶ clips for own GPUs ─▶ by hour of the week ─▶ slots by hour (waiting formula)
    GPU types × GPUs per clip × offers of the day ──▶ rent ◀──────┘  a base all week, the rest by
                                                       │             the hour, or all of it on spot
                              the cheapest ─▶ played out clip by clip ─▶ the plan

A slot is the GPUs that make one clip together. Every pool has one kind of GPU and serves one
deployment; what is searched is its GPU, the GPUs of a slot, and how each of them is bought.
"""

from costlab.fleet.answer import (
    PROMISES_S,
    Alternative,
    BreakEven,
    Class,
    FleetPlan,
    PoolPlan,
    Rental,
    plan,
)
from costlab.fleet.check import HourSeen
from costlab.fleet.work import GPUS_PER_CLIP, PURCHASES, Purchase, Wishes

__all__ = [
    "GPUS_PER_CLIP", "PROMISES_S", "PURCHASES", "Alternative", "BreakEven", "Class", "FleetPlan",
    "HourSeen", "PoolPlan", "Purchase", "Rental", "Wishes", "plan",
]  # fmt: skip
