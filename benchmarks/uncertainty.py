"""How fast and how true draws are: a year of a shipped scenario, beside a floor and beside SALib.

    python benchmarks/uncertainty.py [--draws 1000000]

The floor only makes each draw's normal numbers. Sizing is compared with the exact one on sampled
draws. Sobol indices of Ishigami's function are compared with SALib's in the same run, best of
three, and with the values known from theory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np

from costlab import scenarios, uncertainty
from costlab.uncertainty import check

ISHIGAMI_FIRST = np.array([0.313905, 0.442411, 0.0])
ISHIGAMI_TOTAL = np.array([0.557589, 0.442411, 0.243684])


def best_s(runs: int, work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def draws(count: int) -> None:
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    print("scenario, 12 months       inputs  10,000 s  "
          f"{count:,} s  floor s  ratio  P(own wins)  fleets equal  off by  bill off")  # fmt: skip
    for name, asked in scenarios.known().items():
        model = uncertainty.compile(asked)
        uncertainty.draw(model, 5000)
        uncertainty.normals(5000, len(model.uncertain), 1)
        few = best_s(3, lambda model=model: uncertainty.draw(model, 10_000))
        many = best_s(1, lambda model=model: uncertainty.draw(model, count))
        width = len(model.uncertain)
        floor = best_s(1, lambda width=width: uncertainty.normals(count, width, 1))
        win = (uncertainty.draw(model, 100_000).saved_usd > 0).mean()
        sized = check.sizing(model, draws=20)
        print(f"{name:<24}  {width:>6}  {few:>8.3f}  {many:>11.2f}  {floor:>7.2f}  "
              f"{many / floor:>5.1f}  {win:>11.4f}  {sized.equal:>11.1%}  "
              f"{sized.most_slots:>6}  {sized.most_usd:>8.2%}")  # fmt: skip


def decision() -> None:
    model = uncertainty.compile(scenarios.scenario("social-app-few-step"))
    drawn = uncertainty.draw(model, 10_000)
    parts = {
        "compile 12 months": lambda: uncertainty.compile(model.scenario),
        "tornado": lambda: uncertainty.tornado(model),
        "Sobol, 4096 rows": lambda: uncertainty.indices(model),
        "five break-evens": lambda: [uncertainty.break_even(model, d) for d in uncertainty.DRIVERS],
        "value of information": lambda: uncertainty.information(drawn),
    }
    print("\nsocial-app-few-step, seconds, best of two warm runs")
    for name, work in parts.items():
        work()
        print(f"  {name:<22} {best_s(2, work):.3f}")


def ishigami(uniforms: np.ndarray) -> np.ndarray:
    x = np.pi * (2 * uniforms - 1)
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def sobol(base: int) -> None:
    names = ("a", "b", "c")
    ours = uncertainty.sobol(ishigami, names, base=base)
    own_s = best_s(3, lambda: uncertainty.sobol(ishigami, names, base=base))
    first = np.array([one.first[0] for one in ours])
    total = np.array([one.total[0] for one in ours])
    print(f"\nIshigami, base {base}")
    worst = max(abs(first - ISHIGAMI_FIRST).max(), abs(total - ISHIGAMI_TOTAL).max())
    print(f"  costlab {own_s:.3f} s, first {first.round(4)}, total {total.round(4)}, "
          f"largest error {worst:.4f}")  # fmt: skip
    try:
        from SALib.analyze import sobol as analyze
        from SALib.sample import sobol as sample
    except ImportError:
        print("  SALib is not installed: skipped")
        return
    problem = {"num_vars": 3, "names": list(names), "bounds": [[0, 1]] * 3}

    def theirs() -> dict[str, np.ndarray]:
        asked = sample.sample(problem, base, calc_second_order=False, seed=1)
        found: dict[str, np.ndarray] = analyze.analyze(
            problem, ishigami(asked), calc_second_order=False, num_resamples=200, seed=1
        )
        return found

    found = theirs()
    their_s = best_s(3, theirs)
    worst = max(abs(found["S1"] - ISHIGAMI_FIRST).max(), abs(found["ST"] - ISHIGAMI_TOTAL).max())
    print(f"  SALib   {their_s:.3f} s, first {found['S1'].round(4)}, total {found['ST'].round(4)}, "
          f"largest error {worst:.4f}")  # fmt: skip
    gap = max(
        statistics.fmean(abs(first - found["S1"])), statistics.fmean(abs(total - found["ST"]))
    )
    print(f"  {their_s / own_s:.1f} times as fast, mean difference {gap:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=1_000_000)
    parser.add_argument("--base", type=int, default=4096)
    chosen = parser.parse_args()
    draws(chosen.draws)
    decision()
    sobol(chosen.base)
