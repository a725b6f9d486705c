"""The optimiser at size: 200 segments × 20 models × 168 hours, every hour and segment different.

A made-up month: 12 APIs of 6 sellers, four of which take so many clips at once; 8 deployments with
owned (at most 128 GPUs in all), reserved and on-demand offers; a fifth of the segments is batch
work. Prints one JSON line each for the continuous programme (limit 10 s), the one with whole owned
and reserved instances to 0.1 % (limit 60 s), and the one that a mean rating binds:
``python benchmarks/optimise.py [--pareto]``; ``--pareto`` adds a ten-point frontier.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace

import numpy as np

from costlab import optimise

SEGMENTS, APIS, DEPLOYMENTS, HOURS = 200, 12, 8, 168
LIMIT_S = {"continuous": 10.0, "integer": 60.0}


def made_up(seed: int = 1) -> optimise.Problem:
    rng = np.random.default_rng(seed)
    hour = np.sin((np.arange(HOURS) % 24 - 9) / 24 * 2 * np.pi)
    shape = 1 + 0.6 * hour * rng.uniform(0.5, 1, (SEGMENTS, 1))
    shape *= rng.uniform(0.9, 1.1, (SEGMENTS, HOURS))
    segment, route = (grid.ravel() for grid in np.indices((SEGMENTS, APIS + DEPLOYMENTS)))
    own = route >= APIS
    rate = np.sort(rng.uniform(0.03, 0.4, APIS + DEPLOYMENTS))
    tries = 1 / (
        (1 - rng.uniform(0, 0.05, len(rate))[route]) * rng.uniform(0.4, 1, SEGMENTS)[segment]
    )
    seconds = rng.uniform(4, 10, SEGMENTS)[segment]
    usd = tries * seconds * rate[route] * rng.uniform(0.95, 1.05, len(route))
    slot_s = seconds * rng.uniform(20, 60, len(rate))[route] * rng.uniform(0.9, 1.1, len(route))
    api_s = rng.uniform(60, 120, len(rate))[route]
    at_once = np.full(APIS // 2, np.inf)
    at_once[:4] = rng.uniform(20, 80, 4)
    price = np.repeat(rng.uniform(1.5, 4, DEPLOYMENTS), 3)
    kind = np.tile([0, 1, 2], DEPLOYMENTS)
    size = np.array([8.0, 8.0, 1.0])[kind]
    none = np.full(APIS // 2, np.inf)
    return optimise.Problem(
        segments=tuple(f"segment {i}" for i in range(SEGMENTS)),
        batch=rng.random(SEGMENTS) < 0.2,
        clips=shape * rng.lognormal(3, 1, (SEGMENTS, 1)),
        weeks=30 * 24 / HOURS,
        routes=tuple(f"model {i}" for i in range(APIS + DEPLOYMENTS)),
        arc_segment=segment,
        arc_route=route,
        usd=np.where(own, 0.0, usd),
        attempts=tries,
        accepted=np.ones(len(route)),
        rating=(1000 + 600 * rate + rng.normal(0, 30, len(rate)))[route],
        slot_hours=np.where(own, tries * slot_s / 3600, 0.0),
        api_hours=np.where(own, 0.0, tries * api_s / 3600),
        pool=np.where(own, route - APIS, -1),
        provider=np.where(own, -1, route // 2),
        pools=tuple(f"pool {i}" for i in range(DEPLOYMENTS)),
        utilisation=np.full((DEPLOYMENTS, HOURS), 0.85),
        batch_utilisation=0.95,
        providers=tuple(f"seller {i}" for i in range(APIS // 2)),
        at_once=at_once,
        per_hour=none,
        spend_usd=none,
        buy_pool=np.repeat(np.arange(DEPLOYMENTS), 3),
        buy_kind=kind,
        buy_usd=price * np.array([0.55, 0.65, 1.0])[kind] * size,
        buy_slots=size,
        buy_gpus=size,
        buy_all_week=kind < 2,
        kinds=("owned", "reserved", "on_demand"),
        most_gpus=np.array([128.0, np.inf, np.inf]),
    )


def main() -> int:
    problem = made_up()
    late = False
    cheapest = None
    for name in ("continuous", "integer", "rating"):
        asked = problem
        if name == "rating" and cheapest is not None:
            asked = replace(problem, min_rating=cheapest.mean_rating + 5)
        found = optimise.solve(asked, integer=name == "integer")
        cheapest = cheapest or found
        late |= found.seconds["total"] > LIMIT_S.get(name, np.inf)
        print(
            json.dumps(
                {
                    "programme": name,
                    "columns": found.columns,
                    "handed_to_the_solver": found.handed,
                    "rows": found.rows,
                    "nonzeros": found.nonzeros,
                    "usd_per_month": round(found.usd_per_month, 2),
                    "gap": found.usd_per_month / found.bound - 1,
                    **{f"{part}_s": round(s, 2) for part, s in found.seconds.items()},
                    "limit_s": LIMIT_S.get(name),
                }
            ),
            flush=True,
        )
    if "--pareto" in sys.argv:
        began = time.perf_counter()
        for point in optimise.frontier(
            problem, 10, lambda done, of: print(f"{done}/{of}", flush=True)
        ):
            print(round(point.mean_rating, 1), round(point.usd_per_month))
        print(json.dumps({"programme": "pareto", "total_s": round(time.perf_counter() - began, 2)}))
    return int(late)


if __name__ == "__main__":
    sys.exit(main())
