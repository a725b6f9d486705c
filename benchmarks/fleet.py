"""How long a whole fleet plan takes for each shipped scenario, and for a large one.

    python benchmarks/fleet.py [--rounds 5] [--clips 1200000]

Each round forgets all plans and all answers of the waiting formula, so that nothing but compiled
code and the data are warm; the first plan, which compiles or loads compiled code, is shown apart.
Medians of the rounds, as wall and processor seconds. The floor is a projection of the same scenario
in the same round: on a machine that others use too, the ratio says more than the seconds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

from costlab import fleet, projection, scenarios
from costlab.capacity import queueing, sizing
from costlab.core import CannotServe
from costlab.fleet import answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Wall and processor seconds."""

    wall_s: float
    cpu_s: float


def timed(run: Callable[[], object]) -> Timing:
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return Timing(wall_s=time.perf_counter() - wall, cpu_s=time.process_time() - cpu)


def forget() -> None:
    answer._REMEMBERED.clear()
    sizing._ANSWERED.clear()
    for remembered in (queueing._constant_service_queue, queueing._kinds, queueing._at_node):
        remembered.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=float, default=1_200_000)
    options = parser.parse_args()

    shipped = scenarios.known()
    first = timed(lambda: fleet.plan(shipped["brand-studio"]))
    print(f"first plan, compile or load from cache: {first.cpu_s:.1f} CPU s (left out below)")
    large = replace(shipped["social-app"], clips_per_month=options.clips)
    asked = {**shipped, f"social-app, {options.clips:,.0f} clips": large}
    print(f"{'scenario':34} {'wall s':>7} {'CPU s':>7} {'worst':>7} {'× a projection':>15}")
    for name, scenario in asked.items():
        plans: list[Timing] = []
        ratios: list[float] = []
        for _ in range(options.rounds):
            forget()
            floor = timed(lambda asked=scenario: projection.project(asked))
            forget()
            try:
                plans.append(timed(lambda asked=scenario: fleet.plan(asked)))
            except CannotServe as error:
                print(f"{name:34} {error}")
                break
            ratios.append(plans[-1].cpu_s / floor.cpu_s)
        else:
            print(
                f"{name:34} {median(one.wall_s for one in plans):7.2f} "
                f"{median(one.cpu_s for one in plans):7.2f} {max(one.cpu_s for one in plans):7.2f} "
                f"{median(ratios):15.1f}"
            )


if __name__ == "__main__":
    main()
