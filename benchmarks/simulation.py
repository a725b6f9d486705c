"""How fast the compiled simulation is beside simpy and ciw, on the same requests in the same run.

    python benchmarks/simulation.py [--requests 1000000] [--peer-requests 60000] [--rounds 5]

All replay requests drawn beforehand, in turns: a round times costlab and the peer one after the
other, and the median of the rounds' ratios counts. Compile time is shown and left out; processor
seconds count, so that a busy machine does not decide. On the same requests first come first served
must give the same waits; with preemption simpy puts a stopped clip at the back of its class and
costlab at the front, so delays differ a little.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from costlab.capacity import Demand, Pool, Workload, mdc, simulate_pools

SERVERS = 20
LOAD = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Requests a second, and the mean wait they saw."""

    per_s: float
    mean_wait_s: float


def timed(play: Callable[[Demand], float], demand: Demand, runs: int) -> Timing:
    seconds, mean_wait_s = [], 0.0
    for _ in range(runs):
        start = time.process_time()
        mean_wait_s = play(demand)
        seconds.append(time.process_time() - start)
    return Timing(per_s=len(demand.arrival_s) / median(seconds), mean_wait_s=mean_wait_s)


def first_come(requests: int) -> Demand:
    rate = LOAD * SERVERS
    clip = Workload(name="clip", service_s={"gpu": 1.0})
    return Demand.drawn([(clip, rate * 3600)], requests / rate / 3600, 1)


def first_come_costlab(demand: Demand) -> float:
    return float(simulate_pools([Pool(name="gpu", servers=SERVERS)], demand).wait_s.mean())


def first_come_simpy(demand: Demand) -> float:
    import simpy

    env = simpy.Environment()
    fleet = simpy.Resource(env, SERVERS)
    waits: list[float] = []

    def clip() -> Iterator[Any]:
        arrived = env.now
        with fleet.request() as gpu:
            yield gpu
            waits.append(env.now - arrived)
            yield env.timeout(1.0)

    def arrivals() -> Iterator[Any]:
        for gap_s in np.diff(demand.arrival_s, prepend=0.0).tolist():
            yield env.timeout(gap_s)
            env.process(clip())

    env.process(arrivals())
    env.run()
    return float(np.mean(waits))


def first_come_ciw(demand: Demand) -> float:
    import ciw

    gaps_s = np.diff(demand.arrival_s, prepend=0.0).tolist()
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Sequential([*gaps_s, math.inf])],
        service_distributions=[ciw.dists.Deterministic(value=1.0)],
        number_of_servers=[SERVERS],
    )
    simulation = ciw.Simulation(network)
    simulation.simulate_until_max_customers(len(gaps_s), method="Finish")
    return float(np.mean([record.waiting_time for record in simulation.get_all_records()]))


URGENT_S, BATCH_S, API_S, OVERFLOW_QUEUE = 1.0, 4.0, 0.6, 4


def two_classes(requests: int) -> Demand:
    urgent_per_s, batch_per_s = 9.0, 2.4
    urgent = Workload(
        name="urgent",
        service_s={"gpu": URGENT_S, "api": API_S},
        steps=10**6,
        overflow_to="api",
        overflow_queue=OVERFLOW_QUEUE,
    )
    batch = Workload(name="batch", service_s={"gpu": BATCH_S}, priority=1, steps=10**6)
    return Demand.drawn(
        [(urgent, urgent_per_s * 3600), (batch, batch_per_s * 3600)],
        requests / (urgent_per_s + batch_per_s) / 3600,
        1,
    )


def two_classes_costlab(demand: Demand) -> float:
    pools = [Pool(name="gpu", servers=SERVERS, preemptive=True), Pool(name="api", servers=10)]
    outcome = simulate_pools(pools, demand)
    return float(outcome.start_to_finish_s[outcome.of("batch")].mean() - BATCH_S)


def two_classes_simpy(demand: Demand) -> float:
    import simpy

    env = simpy.Environment()
    fleet = simpy.PreemptiveResource(env, SERVERS)
    api = simpy.Resource(env, 10)
    delays: list[float] = []
    queued = [0]

    def urgent() -> Iterator[Any]:
        if queued[0] >= OVERFLOW_QUEUE:
            with api.request() as place:
                yield place
                yield env.timeout(API_S)
            return
        queued[0] += 1
        with fleet.request(priority=0) as gpu:
            yield gpu
            queued[0] -= 1
            yield env.timeout(URGENT_S)

    def batch() -> Iterator[Any]:
        arrived, left_s = env.now, BATCH_S
        while left_s > 0:
            with fleet.request(priority=1) as gpu:
                yield gpu
                begun = env.now
                try:
                    yield env.timeout(left_s)
                    left_s = 0.0
                except simpy.Interrupt:
                    left_s -= env.now - begun
        delays.append(env.now - arrived - BATCH_S)

    def arrivals() -> Iterator[Any]:
        gaps_s = np.diff(demand.arrival_s, prepend=0.0).tolist()
        for gap_s, kind in zip(gaps_s, demand.kind.tolist(), strict=True):
            yield env.timeout(gap_s)
            env.process(batch() if kind else urgent())

    env.process(arrivals())
    env.run()
    return float(np.mean(delays))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--peer-requests", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    start = time.perf_counter()
    first_come_costlab(first_come(1000))
    two_classes_costlab(two_classes(1000))
    print(f"compile or load from cache: {time.perf_counter() - start:.1f} s (left out below)")
    exact = mdc(LOAD * SERVERS, 1.0, SERVERS).mean_wait_s
    print("ratios count processor seconds; ≡ is the mean on the peer's own requests")
    for title, drawn, ours, peers in (
        (
            f"first come first served, {SERVERS} servers at {LOAD:.0%}; exact mean {exact:.4f} s",
            first_come,
            first_come_costlab,
            {"simpy": first_come_simpy, "ciw": first_come_ciw},
        ),
        (
            "two priorities, preemption, overflow to an API; mean delay of batch clips",
            two_classes,
            two_classes_costlab,
            {"simpy": two_classes_simpy},
        ),
    ):
        print(f"\n{title}")
        few, many = drawn(options.peer_requests), drawn(options.requests)
        same = ours(few)
        ours(many)
        fast: list[Timing] = []
        for name, play in peers.items():
            slow: list[Timing] = []
            ratios: list[float] = []
            for _ in range(options.rounds):
                fast.append(timed(ours, many, runs=9))
                slow.append(timed(play, few, runs=1))
                ratios.append(fast[-1].per_s / slow[-1].per_s)
            print(
                f"  {name:7} {median(one.per_s for one in slow) / 1e6:8.3f} M requests/s   "
                f"{slow[0].mean_wait_s:.4f} s   costlab is {median(ratios):.0f}× as fast "
                f"({min(ratios):.0f} to {max(ratios):.0f})"
            )
        print(
            f"  costlab {median(one.per_s for one in fast) / 1e6:8.2f} M requests/s   "
            f"{fast[0].mean_wait_s:.4f} s   ≡ {same:.4f} s"
        )


if __name__ == "__main__":
    main()
