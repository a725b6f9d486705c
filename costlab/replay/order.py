"""What depends on the requests before: a budget that runs out, and own GPUs that are full.

    requests in order of time ─▶ budget left? ──no──▶ ``then``
                                     │ yes
                                     ▼
                       a slot free within the limit? ──no──▶ ``to``

Requests of the same moment go in the order of their features, so that the answer never depends on
how a file is sorted. Slots are taken first come first served (Kiefer and Wolfowitz, 1955); batch
work fills quiet hours and neither takes a slot from a person nor is handed over.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from costlab.compiled import compiled

BASE, THEN, OVER = 0, 1, 2
STEPS = ("base", "then", "over")

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(slots=True, kw_only=True)
class Walk:
    """The state of a walk through the requests, and what each group of them asks.

    Arrays are by group: ``month`` (index), ``cost`` (micro-dollars, and of a failed
    attempt) where the policy sends it, ``pool`` and ``slot_s`` of that route; ``capped`` whether
    the budget pays for it, ``then_pool`` and ``then_slot_s`` where it goes afterwards (−1: no
    pool); ``hands_over`` whether its clips can go elsewhere when a pool is full. ``cap`` is a
    month's budget in micro-dollars, −1 for none, ``slots`` the size of each pool, ``after_s`` the
    longest wait, −1 where nothing is handed over.
    """

    month: Ints
    cost: Ints
    failed_cost: Ints
    pool: Ints
    slot_s: Floats
    capped: Flags
    then_pool: Ints
    then_slot_s: Floats
    hands_over: Flags
    cap: int
    after_s: float
    slots: Ints
    months: int
    spent: Ints = field(init=False)
    over_budget: Flags = field(init=False)
    free_at: Floats = field(init=False)
    tally: Ints = field(init=False)

    def __post_init__(self) -> None:
        self.spent = np.zeros(self.months, dtype=np.int64)
        self.over_budget = np.zeros(self.months, dtype=np.bool_)
        most = int(self.slots.max()) if len(self.slots) else 0
        self.free_at = np.full((max(len(self.slots), 1), max(most, 1)), -np.inf)
        self.tally = np.zeros((len(self.month), len(STEPS), 5), dtype=np.int64)

    def take(self, at_s: Floats, group: Ints, accepted: Flags, failed: Flags, paid: Ints) -> None:
        """Walk on through requests that come next, ``at_s`` seconds after some fixed moment.

        ``paid`` is what the log says was paid, −1 where it does not say. Afterwards
        ``tally[group, step]`` holds requests, accepted, failed, told payments and their sum.
        """
        _walk(
            at_s, group, accepted, failed, paid, self.month, self.cost,
            self.failed_cost, self.pool, self.slot_s, self.capped, self.then_pool,
            self.then_slot_s, self.hands_over, self.cap, self.after_s, self.slots, self.spent,
            self.over_budget, self.free_at, self.tally,
        )  # fmt: skip


@compiled
def _walk(
    at_s: Any, group: Any, accepted: Any, failed: Any, paid: Any, month: Any, cost: Any,
    failed_cost: Any, pool: Any, slot_s: Any, capped: Any, then_pool: Any, then_slot_s: Any,
    hands_over: Any, cap: int, after_s: float, slots: Any, spent: Any, over_budget: Any,
    free_at: Any, tally: Any,
) -> None:  # fmt: skip
    for i in range(len(at_s)):
        g = group[i]
        step = BASE
        p = pool[g]
        takes_s = slot_s[g]
        if cap >= 0 and capped[g]:
            m = month[g]
            bill = failed_cost[g] if failed[i] else cost[g]
            if not over_budget[m] and spent[m] + bill > cap:
                over_budget[m] = True
            if over_budget[m]:
                step = THEN
                p = then_pool[g]
                takes_s = then_slot_s[g]
            else:
                spent[m] += bill
        if after_s >= 0 and p >= 0:
            size = slots[p]
            earliest = free_at[p, 0] if size else np.inf
            if hands_over[g] and earliest - at_s[i] > after_s:
                step = OVER
            elif size:
                ends = max(earliest, at_s[i]) + takes_s
                j = 1
                while j < size and free_at[p, j] < ends:
                    free_at[p, j - 1] = free_at[p, j]
                    j += 1
                free_at[p, j - 1] = ends
        tally[g, step, 0] += 1
        tally[g, step, 1] += accepted[i]
        tally[g, step, 2] += failed[i]
        if paid[i] >= 0:
            tally[g, step, 3] += 1
            tally[g, step, 4] += paid[i]
