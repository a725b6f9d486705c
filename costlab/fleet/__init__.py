"""The fleet that keeps a promise about waiting for the least money, and what that costs.

::

    projection ─▶ clips for own GPUs ─▶ by hour of the week ─▶ slots by hour (waiting formula)
    GPU types × GPUs per clip × offers of the day ──▶ rent ◀──────┘  a base all week, the rest by
                                                       │             the hour, alike or another;
                                                       │             too long a wait ─▶ API
                              the cheapest ─▶ played out clip by clip ─▶ the plan

A slot is the GPUs that make one clip together. Every pool serves one deployment; what is searched
is its GPUs, one kind or two, the GPUs of a slot, how each of them is bought, and what goes to an
API when all are busy.
"""

from costlab.fleet.answer import (
    PROMISES_S,
    Alternative,
    BreakEven,
    Class,
    FleetPlan,
    HandedOver,
    PoolPlan,
    Rental,
    listed,
    plan,
)
from costlab.fleet.check import HourSeen
from costlab.fleet.work import GPUS_PER_CLIP, PURCHASES, Purchase, Wishes

__all__ = [
    "GPUS_PER_CLIP", "PROMISES_S", "PURCHASES", "Alternative", "BreakEven", "Class", "FleetPlan",
    "HandedOver", "HourSeen", "PoolPlan", "Purchase", "Rental", "Wishes", "listed", "plan",
]  # fmt: skip
