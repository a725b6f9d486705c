"""How wrong the predictions are: every published clip predicted by a model that never saw its like.

Clips are held out in whole groups, because batch twins and text/image twins of one setting are
near-copies. Beside the model stands the naive answer: the nearest clip's time, scaled by FLOPs,
printed rate and GPU count.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from costlab import store, wan
from costlab.core import plain
from costlab.performance import answer, fit, physics, published, resources
from costlab.performance.answer import CALIBRATION, Calibration, Example, Model
from costlab.performance.ask import Question, question
from costlab.performance.fit import Floats
from costlab.performance.gpus import gpus
from costlab.performance.physics import FACTORS


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One clip predicted without its group: what was seen, what was said, and in which interval."""

    name: str
    group: str
    ref: str
    seen: float
    said: float
    low: float
    high: float
    deviation: float
    evidence: str
    baseline: float

    @property
    def error(self) -> float:
        """Said over seen, less one."""
        return self.said / self.seen - 1

    @property
    def inside(self) -> bool:
        """Whether the 90 % interval holds what was seen."""
        return self.low <= self.seen <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldOut:
    """The errors of one way of holding out, each clip one vote, and each group one vote."""

    name: str
    quantity: str
    points: tuple[Point, ...]

    @property
    def median(self) -> float:
        """Median size of the relative error over clips."""
        return float(np.median(self._sizes()))

    @property
    def p90(self) -> float:
        """Error that 90 % of the clips stay below."""
        return float(np.quantile(self._sizes(), 0.9))

    @property
    def group_median(self) -> float:
        """Median with one vote per group, so that twins do not count many times."""
        return weighted_quantile(self._sizes(), self._votes(), 0.5)

    @property
    def group_p90(self) -> float:
        """90th percentile with one vote per group."""
        return weighted_quantile(self._sizes(), self._votes(), 0.9)

    @property
    def coverage(self) -> float:
        """Share of clips inside their 90 % interval."""
        return sum(point.inside for point in self.points) / len(self.points)

    @property
    def group_coverage(self) -> float:
        """Coverage with one vote per group."""
        votes = self._votes()
        return float(votes @ np.array([point.inside for point in self.points]) / votes.sum())

    @property
    def baseline_median(self) -> float:
        """Median error of the nearest clip scaled by FLOPs, printed rate and count."""
        return float(np.median([abs(p.baseline / p.seen - 1) for p in self.points]))

    @property
    def baseline_p90(self) -> float:
        """90th percentile error of that baseline."""
        return float(np.quantile([abs(p.baseline / p.seen - 1) for p in self.points], 0.9))

    @property
    def worst(self) -> Point:
        """The clip with the largest error in log scale."""
        return max(self.points, key=lambda point: abs(math.log(point.said / point.seen)))

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return len({point.group for point in self.points})

    def _sizes(self) -> Floats:
        return np.array([abs(point.error) for point in self.points])

    def _votes(self) -> Floats:
        count = Counter(point.group for point in self.points)
        return np.array([1 / count[point.group] for point in self.points])

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain JSON data, without the points."""
        names = ("name", "quantity", "groups", "median", "p90", "group_median", "group_p90",
                 "coverage", "group_coverage", "baseline_median", "baseline_p90")  # fmt: skip
        found = {name: plain(getattr(self, name)) for name in names}
        worst = {"name": self.worst.name, "error": plain(self.worst.error)}
        return {**found, "clips": len(self.points), "worst": worst}


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Every way of holding out, and what never entered."""

    held_out: tuple[HeldOut, ...]
    left_out: tuple[published.LeftOut, ...]
    clips: int

    def __getitem__(self, name: str) -> HeldOut:
        """Return one way of holding out by name; raises `KeyError`."""
        return {one.name: one for one in self.held_out}[name]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data: ``costlab accuracy --json``."""
        return {
            "clips": self.clips,
            "held_out": [
                {**one.to_dict(), "points": plain(one.points)} for one in self.held_out
            ],
            "left_out": plain(self.left_out),
        }  # fmt: skip


def weighted_quantile(values: Floats, weights: Floats, level: float) -> float:
    """Return the smallest value at which the cumulated weight reaches ``level``."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][np.searchsorted(reached, level - 1e-12)])


def _chip(one: Example) -> str:
    return physics.silicon(one.recipe.gpu)


WAYS: Mapping[str, Callable[[Example], str]] = {
    "group": lambda one: one.group,
    "GPU": _chip,
    "GPU count": lambda one: (
        f"{_chip(one)} {one.recipe.stack} {one.question.num_gpus}"
        if one.question.num_gpus > 1
        else one.group
    ),
    "model on GPU": lambda one: f"{_chip(one)} {one.recipe.arch.id} {one.recipe.stack}",
    "model size": lambda one: str(one.recipe.arch.dim),
    "stack": lambda one: physics.kin(one.recipe.stack),
}
"""What is left out together: the way's name, and the key that clips left out together share."""


def examples() -> list[Example]:
    """Return the published clips to learn from (own runs do not enter the accuracy figures)."""
    return [answer.example(clip) for clip in published.clips()]


def hold_out(
    known: Sequence[Example],
    key: Callable[[Example], str],
    calibration: Calibration,
    keep: Callable[[Sequence[int]], int | None] = lambda _: None,
) -> dict[str, list[Point]]:
    """Return the points of seconds, energy and memory with each key left out in turn.

    ``keep`` may name one of the left-out clips that the model sees after all.
    """
    spreads = np.array([calibration.spreads[factor.name] for factor in FACTORS])
    by_key: dict[str, list[int]] = {}
    for i, one in enumerate(known):
        by_key.setdefault(key(one), []).append(i)
    points: dict[str, list[Point]] = {"seconds": [], "energy_j": [], "peak_vram_gib": []}
    for out in by_key.values():
        kept = keep(out)
        tested = [known[i] for i in out if i != kept]
        left = set(out) - {kept}
        seen = [one for i, one in enumerate(known) if i not in left]
        if not tested:
            continue
        model = answer.learn(seen, spreads, calibration.quantiles)
        for name, found in _points(model, tested).items():
            points[name] += found
    return points


def _points(model: Model, tested: Sequence[Example]) -> dict[str, list[Point]]:
    raw = answer.estimate(model, [one.question for one in tested])
    found: dict[str, list[Point]] = {"seconds": [], "energy_j": [], "peak_vram_gib": []}
    for i, one in enumerate(tested):
        said = answer.dress(model, one.question, raw, i)
        closest = model.examples[int(raw.nearest[i])]
        energy_deviation = answer.energy_deviation(raw, i)
        work = _work(one) / _work(closest)
        for name, seen, deviation, baseline in (
            ("seconds", one.seconds, float(raw.deviation[i]), closest.seconds * work),
            ("energy_j", one.energy_j, energy_deviation, _baseline_energy(one, closest, work)),
            ("peak_vram_gib", one.peak_gib, float(raw.gib_deviation[i]),
             closest.peak_gib or one.recipe.gpu.usable_gib),
        ):  # fmt: skip
            if seen is not None:
                found[name].append(
                    Point(
                        name=one.title,
                        group=one.group,
                        ref=one.ref,
                        seen=seen,
                        said=getattr(said, name),
                        low=said.ranges[name].low,
                        high=said.ranges[name].high,
                        deviation=deviation,
                        evidence=said.evidence,
                        baseline=baseline,
                    )
                )
    return found


def _work(one: Example) -> float:
    """Return transformer FLOPs per GPU over the printed rate: seconds at the same efficiency."""
    flops = one.forward_flops * one.question.steps * (2 if one.question.cfg else 1)
    return flops / one.question.num_gpus / one.recipe.gpu.bf16_tflops


def _baseline_energy(one: Example, closest: Example, work: float) -> float:
    watts = [resources.tdp_w(each.recipe) for each in (one, closest)]
    energy = closest.energy_j or closest.seconds * closest.question.num_gpus * watts[1]
    count = one.question.num_gpus / closest.question.num_gpus
    return energy * work * count * watts[0] / watts[1]


def quantiles(known: Sequence[Example], calibration: Calibration) -> dict[str, float]:
    """Return how many standard deviations a 90 % interval needs, by quantity and evidence.

    Split-conformal over groups: the share of |error| / deviation, one vote per group and way of
    holding out, at the level 0.9 · (1 + 1/groups). Interpolation is judged on groups and counts
    held out, extrapolation on whole GPUs, stacks, model sizes and models on a GPU.
    """
    scores: dict[str, list[tuple[float, float, str]]] = {}
    for key in WAYS.values():
        for quantity, points in hold_out(known, key, calibration).items():
            count = Counter((point.group, point.evidence) for point in points)
            for point in points:
                score = abs(math.log(point.said / point.seen)) / point.deviation
                vote = 1 / count[point.group, point.evidence]
                scores.setdefault(f"{quantity} {point.evidence}", []).append(
                    (score, vote, point.group)
                )
    found = {}
    for name, listed in scores.items():
        groups = len({group for _, _, group in listed})
        level = min(0.9 * (1 + 1 / groups), 0.99)
        values = np.array([score for score, _, _ in listed])
        votes = np.array([vote for _, vote, _ in listed])
        found[name] = max(weighted_quantile(values, votes, level), LEAST_QUANTILE)
    return found


LEAST_QUANTILE = 1.3


def accuracy_report() -> Accuracy:
    """Return the errors over every published clip, by way of holding out."""
    return _report(published.CLIPS.fingerprint(), CALIBRATION.fingerprint())


@lru_cache(maxsize=2)
def _report(*_fingerprints: str) -> Accuracy:
    calibration = store.records(CALIBRATION)[0]
    known = examples()
    found = []
    for name, key in WAYS.items():
        points = hold_out(known, key, calibration)
        found.append(HeldOut(name=name, quantity="seconds", points=tuple(points["seconds"])))
        if name == "group":
            energy, memory = points["energy_j"], points["peak_vram_gib"]
        if name == "GPU":
            energy_gpu = points["energy_j"]
    one_point = hold_out(known, _chip, calibration, lambda out: _anchor(known, out))
    found += [
        HeldOut(name="GPU, one clip known", quantity="seconds", points=tuple(one_point["seconds"])),
        HeldOut(name="energy, group", quantity="energy_j", points=tuple(energy)),
        HeldOut(name="energy, GPU", quantity="energy_j", points=tuple(energy_gpu)),
        HeldOut(name="memory, group", quantity="peak_vram_gib", points=tuple(memory)),
    ]
    return Accuracy(held_out=tuple(found), left_out=published.left_out(), clips=len(known))


def _anchor(known: Sequence[Example], out: Sequence[int]) -> int:
    """Return the one clip of a GPU that is shown: on fewest GPUs, nearest to the middle in time."""
    fewest = min(known[i].question.num_gpus for i in out)
    few = [i for i in out if known[i].question.num_gpus == fewest]
    middle = float(np.median([math.log(known[i].seconds) for i in few]))
    return min(few, key=lambda i: abs(math.log(known[i].seconds) - middle))


# ── Tuning ────────────────────────────────────────────────────────────────────────────────────

_WEIGHTS = {"group": 1.5, "GPU": 1.0, "GPU count": 1.0, "model on GPU": 1.0, "model size": 0.5,
            "stack": 0.7}  # fmt: skip


def tune(known: Sequence[Example], sweeps: int = 6) -> Floats:
    """Return the factors' spreads that predict held-out groups best.

    Coordinate search over the log spreads. The score is the mean Student-t log density of clips
    left out in every way of `WAYS` (one vote per group; leave-out in closed form at the mode:
    residual [K⁻¹]_GG⁻¹ [K⁻¹z]_G), plus a little of the log evidence, less a pull to the first
    guess.
    """
    start = np.array([factor.spread for factor in FACTORS])
    least = np.array([factor.least for factor in FACTORS])
    spreads, step = start.copy(), np.full(len(FACTORS), 0.5)
    keys = {name: [key(one) for one in known] for name, key in WAYS.items()}
    count = Counter(one.group for one in known)
    votes = np.array([1 / count[one.group] for one in known])
    votes /= votes.sum()
    best = _score(known, keys, votes, spreads, start)
    for _ in range(sweeps):
        for i in range(len(spreads)):
            for way in (1.0, -1.0):
                tried = spreads.copy()
                tried[i] = np.clip(tried[i] * math.exp(way * step[i]), least[i], 0.8)
                score = _score(known, keys, votes, tried, start)
                if score > best + 1e-5:
                    spreads, best = tried, score
                    break
            else:
                step[i] *= 0.55
    return spreads


def _score(
    known: Sequence[Example],
    keys: Mapping[str, list[str]],
    votes: Floats,
    spreads: Floats,
    start: Floats,
) -> float:
    log_seconds = np.log([one.seconds for one in known])
    noise = np.array([one.noise for one in known])
    made = fit.calibrate([one.case for one in known], log_seconds, noise, spreads, rounds=8)
    inverse, solved = fit.dual(made, log_seconds, noise)
    total = 0.0
    for name, key in keys.items():
        by_key: dict[str, list[int]] = {}
        for i, word in enumerate(key):
            by_key.setdefault(word, []).append(i)
        residual, variance = np.empty(len(known)), np.empty(len(known))
        for out in by_key.values():
            block = np.linalg.inv(inverse[np.ix_(out, out)])
            residual[out] = block @ solved[out]
            variance[out] = np.diag(block)
        # Student-t with 5 degrees of freedom, up to a constant
        density = -3.0 * np.log1p(residual**2 / variance / 5.0) - 0.5 * np.log(variance)
        total += _WEIGHTS[name] * float(votes @ density)
    pull = 0.012 * 0.5 * float((np.log(spreads / start) ** 2).sum()) / 0.7**2
    return total + 0.004 * made.log_evidence - pull


def shipped_questions() -> list[Question]:
    """Return the questions whose answers are frozen: every GPU, every model, and every clip."""
    found = [
        question(model=model, gpu=card.id, num_gpus=count)
        for card in gpus()
        for model in wan.ARCHITECTURES
        for count in (1, 8)
    ]
    return found + list(dict.fromkeys(clip.question for clip in published.clips()))
