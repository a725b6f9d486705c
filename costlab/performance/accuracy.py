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


def markdown(report: Accuracy) -> str:
    """Return the errors as the table of ``docs/prediction.md``."""
    lines = [
        "| held out | clips / groups | median | p90 | median, p90 by group | inside the interval "
        "(by group) | nearest clip: median, p90 | worst |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.name} | {len(one.points)} / {one.groups} | {one.median:.1%} | {one.p90:.1%} "
        f"| {one.group_median:.1%}, {one.group_p90:.1%} | {one.coverage:.0%} "
        f"({one.group_coverage:.0%}) | {one.baseline_median:.0%}, {one.baseline_p90:.0%} "
        f"| {one.worst.error:+.0%}: {one.worst.name} |"
        for one in report.held_out
    ]
    return "\n".join(lines)


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


Folds = Mapping[str, Mapping[str, Sequence[Point]]]
"""Points by way of holding out, then by quantity."""

ONE_KNOWN = "GPU, one clip known"


def cross_validate(known: Sequence[Example], calibration: Calibration) -> Folds:
    """Return the points of every way of holding out, and of GPUs of which one clip is known."""
    spreads = np.array([calibration.spreads[factor.name] for factor in FACTORS])
    whole = answer.learn(known, spreads, calibration.quantiles)

    def points(blocks: Sequence[Sequence[int]]) -> dict[str, list[Point]]:
        found: dict[str, list[Point]] = {quantity: [] for quantity in QUANTITIES}
        for out in map(set, blocks):
            kept = [one for i, one in enumerate(known) if i not in out]
            model = answer.learn(kept, spreads, calibration.quantiles, near=whole.fit)
            for quantity, more in _points(model, [known[i] for i in sorted(out)]).items():
                found[quantity] += more
        return found

    folds = {name: points(_blocks([key(one) for one in known])) for name, key in WAYS.items()}
    chips = _blocks([_chip(one) for one in known])
    shown = [[i for i in out if i != _anchor(known, out)] for out in chips]
    return {**folds, ONE_KNOWN: points([out for out in shown if out])}


QUANTITIES = ("seconds", "energy_j", "peak_vram_gib")


def _points(model: Model, tested: Sequence[Example]) -> dict[str, list[Point]]:
    raw = answer.estimate(model, [one.question for one in tested])
    found: dict[str, list[Point]] = {quantity: [] for quantity in QUANTITIES}
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
                        deviation=answer.whole(deviation, said.evidence),
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


def quantiles(folds: Folds) -> dict[str, float]:
    """Return how many standard deviations a 90 % interval needs, by quantity and evidence.

    Split-conformal over groups: the quantile of |log error| / deviation over all ways of holding
    out, one vote per group and way, at the level 0.9 · (1 + 1/groups).
    """
    scores: dict[str, list[tuple[float, float, str]]] = {}
    for way in WAYS:
        for quantity, points in folds[way].items():
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
        values, votes = (np.array(column) for column in list(zip(*listed, strict=True))[:2])
        level = min(0.9 * (1 + 1 / groups), 0.99)
        found[name] = max(weighted_quantile(values, votes, level), LEAST_QUANTILE)
    return found


LEAST_QUANTILE = 1.3


def accuracy_report() -> Accuracy:
    """Return the errors over every published clip, by way of holding out."""
    folds = current_folds()
    shown = [(name, name, "seconds") for name in (*WAYS, ONE_KNOWN)]
    shown += [
        ("energy, group", "group", "energy_j"),
        ("energy, GPU", "GPU", "energy_j"),
        ("memory, group", "group", "peak_vram_gib"),
    ]
    return Accuracy(
        held_out=tuple(
            HeldOut(name=name, quantity=quantity, points=tuple(folds[way][quantity]))
            for name, way, quantity in shown
        ),
        left_out=published.left_out(),
        clips=len(published.clips()),
    )


def current_folds() -> Folds:
    """Return the points of the clips and constants on file, worked out once."""
    return _folds(published.CLIPS.fingerprint(), CALIBRATION.fingerprint())


@lru_cache(maxsize=2)
def _folds(*_fingerprints: str) -> Folds:
    return cross_validate(examples(), store.records(CALIBRATION)[0])


def _anchor(known: Sequence[Example], out: Sequence[int]) -> int:
    """Return the one clip of a GPU that is shown: on fewest GPUs, nearest to the middle in time."""
    fewest = min(known[i].question.num_gpus for i in out)
    few = [i for i in out if known[i].question.num_gpus == fewest]
    middle = float(np.median([math.log(known[i].seconds) for i in few]))
    return min(few, key=lambda i: abs(math.log(known[i].seconds) - middle))


# ── Tuning ────────────────────────────────────────────────────────────────────────────────────

_WEIGHTS = {"group": 1.5, "GPU": 1.0, "GPU count": 1.0, "model on GPU": 1.0, "model size": 0.5,
            "stack": 0.7}  # fmt: skip


def tune(known: Sequence[Example], first: Floats | None = None, sweeps: int = 6) -> Floats:
    """Return the factors' spreads that predict held-out groups best.

    Coordinate search over the log spreads. The score is the mean Student-t log density of clips
    left out in every way of `WAYS` (one vote per group; leave-out in closed form at the mode:
    residual [K⁻¹]_GG⁻¹ [K⁻¹z]_G), plus a little of the log evidence, less a pull to the factors'
    own guesses. ``first`` is where the search starts, those guesses by default.
    """
    score = _Score(answer.merged(known))
    least = np.array([factor.least for factor in FACTORS])
    spreads = score.guess.copy() if first is None else first.copy()
    step = np.full(len(FACTORS), 0.5 if first is None else 0.1)
    best = score(spreads)
    for _ in range(sweeps):
        for i in range(len(spreads)):
            for way in (1.0, -1.0):
                tried = spreads.copy()
                tried[i] = np.clip(tried[i] * math.exp(way * step[i]), least[i], 0.8)
                reached = score(tried)
                if reached > best + 1e-5:
                    spreads, best = tried, reached
                    break
            else:
                step[i] *= 0.55
    return spreads


class _Score:
    """How well spreads predict clips that were left out."""

    def __init__(self, known: Sequence[Example]) -> None:
        self.cases = [one.case for one in known]
        self.log_seconds = np.log([one.seconds for one in known])
        self.noise = np.array([one.noise for one in known])
        self.guess = np.array([factor.spread for factor in FACTORS])
        count = Counter(one.group for one in known)
        self.votes = np.array([1 / count[one.group] for one in known])
        self.votes /= self.votes.sum()
        self.blocks = {name: _blocks([key(one) for one in known]) for name, key in WAYS.items()}
        self.last: fit.Fit | None = None

    def __call__(self, spreads: Floats) -> float:
        made = fit.calibrate(self.cases, self.log_seconds, self.noise, spreads, near=self.last)
        self.last = made
        inverse, solved = made.inverse, made.solved
        total = 0.0
        for name, blocks in self.blocks.items():
            residual, variance = np.empty(len(self.cases)), np.empty(len(self.cases))
            for out in blocks:
                block = np.linalg.inv(inverse[np.ix_(out, out)])
                residual[out] = block @ solved[out]
                variance[out] = np.diag(block)
            # Student-t with 5 degrees of freedom, up to a constant
            density = -3.0 * np.log1p(residual**2 / variance / 5.0) - 0.5 * np.log(variance)
            total += _WEIGHTS[name] * float(self.votes @ density)
        pull = 0.012 * 0.5 * float((np.log(spreads / self.guess) ** 2).sum()) / 0.7**2
        return total + 0.004 * made.log_evidence - pull


def _blocks(keys: Sequence[str]) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for i, key in enumerate(keys):
        found.setdefault(key, []).append(i)
    return list(found.values())


def shipped_questions() -> list[Question]:
    """Return the questions whose answers are frozen: every GPU, every model, and every clip."""
    found = [
        question(model=model, gpu=card.id, num_gpus=count)
        for card in gpus()
        for model in wan.ARCHITECTURES
        for count in (1, 8)
    ]
    return found + list(dict.fromkeys(clip.question for clip in published.clips()))
