"""What knowing more is worth before deciding: in dollars, over all months of the scenario.

The decision is between the policy with its own GPUs and the best APIs; D is what own GPUs save.
Without knowing more one takes max(E[D], 0); knowing x, max(E[D | x], 0); after a sample y about x,
max(E[D | y], 0). Two-level simulation: the outer level goes through values of x, the inner one
through draws of all other inputs, the same ones at every x (common random numbers), read between 12
values on straight lines; the sample is integrated over by its likelihood on a fine grid, which
makes EVSI at most EVPPI and never below zero, as it must be. Intervals: bootstrap over the inner
draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from costlab.core import Basis, InvalidArgument
from costlab.performance.counted import SPREAD_FLOOR
from costlab.uncertainty.breakeven import comparable
from costlab.uncertainty.draws import Draws, evaluate, saved
from costlab.uncertainty.inputs import PRINTED, Z90, Input
from costlab.uncertainty.model import Floats, Model, gpus_of
from costlab.unitcost import Deployment, clip_size, hourly_price

DAYS_OF_SAMPLE = 7
MEASURING_MINUTES = 2.0
"""What a composed measurement of one configuration is given on the GPU."""
_NODES, _VALUES = 12, 192
_CELLS = 400
_RESAMPLES = 200
Way = Literal["measure", "quote", "count", "know"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Worth:
    """What one measurement, quote or count is worth: USD over all months, with a 90 % interval.

    ``sample`` says what is learnt; ``perfect`` is what knowing the input exactly is worth, ``usd``
    what this sample of it is. ``moves_usd`` is the standard deviation that the input gives to what
    is expected to be saved. ``costs_usd`` is the price of getting it, None where nobody bills it;
    ``command`` are the arguments of ``costlab`` that measure it, none where it cannot be measured.
    """

    input: Input
    way: Way
    sample: str
    usd: float
    low: float
    high: float
    perfect: float
    moves_usd: float
    costs_usd: float | None = None
    command: tuple[str, ...] = ()

    @property
    def resolved(self) -> bool:
        """Whether its interval tells it from nothing."""
        return self.low > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Information:
    """Knowing everything (``perfect``, its 90 % interval), and what each thing learnt is worth."""

    perfect: float
    low: float
    high: float
    worth: tuple[Worth, ...]


def perfect(draws: Draws, seed: int = 1) -> tuple[float, float, float]:
    """Return the expected value of knowing everything (EVPI) with its 90 % interval, in dollars.

    E[max(D, 0)] − max(E[D], 0) over the draws; interval by bootstrap of 200 resamples.
    """
    gain = draws.saved_usd
    pick = np.random.default_rng(seed).integers(0, len(gain), (_RESAMPLES, min(len(gain), 20_000)))
    again = gain[pick]
    found = np.maximum(again, 0).mean(axis=1) - np.maximum(again.mean(axis=1), 0)
    low, high = np.quantile(found, [0.05, 0.95])
    return float(np.maximum(gain, 0).mean() - max(gain.mean(), 0.0)), float(low), float(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What would be learnt about an input: ``noise`` on its law's own scale, 0 for all of it."""

    input: Input
    way: Way
    words: str
    noise: float
    costs_usd: float | None = None
    command: tuple[str, ...] = ()


def samples(model: Model, *, reviewed: int | None = None) -> tuple[Sample, ...]:
    """Return what could be learnt about each uncertain input.

    A week's clips of a segment tell its share kept and its failures; ``reviewed`` replaces how many
    of them are looked at. A measurement leaves the spread between runs, a firm quote nothing.
    """
    if reviewed is not None and reviewed < 1:
        raise InvalidArgument(f"reviewed must be at least 1, got {reviewed}")
    return tuple(_sample(model, item, reviewed) for item in model.uncertain)


def _sample(model: Model, item: Input, reviewed: int | None) -> Sample:
    if item.kind == "seconds":
        return _measurement(model, item)
    if item.kind == "api_price":
        return Sample(input=item, way="quote", words=f"a firm quote for {item.of}", noise=0.0)
    if item.kind == "gpu_price":
        return Sample(input=item, way="quote", words=f"a firm {item.label}", noise=0.0)
    if item.kind in ("acceptance", "failure"):
        count = reviewed or _weekly(model, item)
        noise = 1 / math.sqrt(count * item.centre * (1 - item.centre))
        looked = "reviewed clips" if item.kind == "acceptance" else "attempts"
        words = f"{count:,} {looked} of {item.of}, about a week" if reviewed is None else \
            f"{count:,} {looked} of {item.of}"  # fmt: skip
        return Sample(input=item, way="count", words=words, noise=noise)
    return Sample(input=item, way="know", words=f"knowing {item.label} exactly", noise=0.0)


def _measurement(model: Model, item: Input) -> Sample:
    """Return the measurement of the largest clip that the GPU makes in the first month."""
    answer = model.epochs[0].projection
    made = [
        (float(result.unit.slot_s.value), pool.deployment, result.segment.resolution)
        for pool in (answer.pools if answer else ())
        for result in (answer.segments if answer else ())
        if result.route == pool.route
        and result.unit
        and result.unit.slot_s
        and item.of == gpus_of(pool.deployment)
    ]
    noise = math.log1p(SPREAD_FLOOR) / Z90
    more = "more " if item.basis is Basis.MEASURED else ""
    if not made:
        return Sample(input=item, way="measure", words=f"minutes on {item.of}", noise=noise)
    _, deployment, resolution = max(made, key=lambda one: one[0])
    rate = float(hourly_price(deployment, model.scenario.date).value) * deployment.gpus_per_clip
    return Sample(
        input=item,
        way="measure",
        words=f"{MEASURING_MINUTES:g} {more}minutes on {item.of} at {resolution}",
        noise=noise,
        costs_usd=rate * MEASURING_MINUTES / 60,
        command=_command(deployment, resolution),
    )


def _command(deployment: Deployment, resolution: str) -> tuple[str, ...]:
    """Return the arguments of ``costlab`` that measure a deployment; none where no recipe does."""
    plain = deployment.precision == "bf16" and deployment.gpus_per_clip == 1
    if deployment.attention or deployment.offload or deployment.stack or not plain:
        return ()
    if deployment.steps is None and deployment.guidance and not deployment.technique:
        recipe = "default"
    elif deployment.steps in (4, 8) and not deployment.guidance:
        recipe = f"distilled-{deployment.steps}"
    else:
        return ()
    height, width = clip_size(deployment.model_id, resolution)
    return ("bench", "--model", deployment.model_id, "--recipe", recipe,
            "--height", str(height), "--width", str(width))  # fmt: skip


def _weekly(model: Model, item: Input) -> int:
    """Return the attempts of a week that tell an input of acceptance or failure."""
    answer = model.epochs[0].projection
    if answer is None:
        return 1
    told = [
        result.attempts
        for result in answer.segments
        if item.of in (result.of, result.route) or (item.of == "APIs" and result.unit
                                                    and result.unit.kind == "api")
    ]  # fmt: skip
    return max(1, round(math.fsum(told) * 24 * DAYS_OF_SAMPLE / answer.hours))


@dataclass(frozen=True, eq=False, kw_only=True)
class Levels:
    """The two levels for one input: equally likely values ``x`` on its law's scale, and the gain.

    ``gain`` (nodes, inner draws) is what own GPUs save at a few values; ``read`` (values, nodes)
    says how each value is read from them, None where every value is a node.
    """

    input: Input
    x: Floats
    gain: Floats
    read: Floats | None = None

    def mean(self, picked: Floats | None = None) -> Floats:
        """Return the expected gain at each value, a column for each resample ``picked``."""
        found = (
            self.gain.mean(axis=1, keepdims=True)
            if picked is None
            else np.einsum("vi,ir->vr", self.gain, picked)
        )
        return np.asarray(found if self.read is None else self.read @ found)

    def worth(self, noise: float, picked: Floats | None = None) -> Floats:
        """Return what a sample with that noise is worth, per resample of the inner draws.

        ``noise`` 0 tells x exactly (EVPPI). ``picked`` (inner draws, resamples) weighs the draws;
        without it each counts the same and one value comes back.
        """
        mean = self.mean(picked)
        if (mean > 0).all() or (mean < 0).all():
            return np.zeros(mean.shape[1])
        prior = np.maximum(mean.mean(axis=0), 0)
        nothing = 1e-9 * np.abs(self.gain).max()
        if noise == 0:
            return _at_least(np.maximum(mean, 0).mean(axis=0) - prior, nothing)
        from scipy.special import ndtr

        edges = np.linspace(self.x.min() - 5 * noise, self.x.max() + 5 * noise, _CELLS + 1)
        reached = ndtr((edges[None, 1:-1] - self.x[:, None]) / noise)
        padded = np.concatenate(
            [np.zeros((len(self.x), 1)), reached, np.ones((len(self.x), 1))], axis=1
        )
        chance = np.diff(padded, axis=1) / len(self.x)
        return _at_least(np.maximum(chance.T @ mean, 0).sum(axis=0) - prior, nothing)


def _at_least(values: Floats, nothing: float) -> Floats:
    """Return the values with what is only rounding put to zero."""
    return np.asarray(np.where(np.abs(values) <= nothing, 0.0, values))


def levels(model: Model, item: Input, *, inner: int = 256, seed: int = 1) -> Levels:
    """Return the two levels of simulation for one input; ``inner`` is a power of two."""
    comparable(model)
    from scipy.special import ndtri
    from scipy.stats import qmc

    count = len(model.uncertain)
    place = [one.id for one in model.uncertain].index(item.id)
    base = ndtri(
        np.clip(qmc.Sobol(count, rng=np.random.default_rng(seed)).random(inner), 1e-9, 1 - 1e-9)
    )
    own = ndtri((np.arange(_VALUES) + 0.5) / _VALUES)
    nodes = np.linspace(own[0], own[-1], _NODES)
    z = np.tile(base, (_NODES, 1))
    z[:, place] = np.repeat(nodes, inner)
    rows, _ = evaluate(model, z)
    read = np.maximum(1 - np.abs(own[:, None] - nodes) / (nodes[1] - nodes[0]), 0.0)
    code, centre, below, above = item.law()
    x = centre + own * np.where(own < 0, below, above)
    if code == PRINTED:
        x = np.array([item.at(float(one)) for one in own])
    return Levels(input=item, x=x, gain=saved(rows).reshape(_NODES, inner), read=read)


@lru_cache(maxsize=8)
def _picks(inner: int, seed: int) -> Floats:
    """Return how each resample weighs the inner draws, shape (inner draws, resamples)."""
    chance = np.full(inner, 1 / inner)
    counts = np.random.default_rng(seed + 1).multinomial(inner, chance, size=_RESAMPLES)
    return np.ascontiguousarray(counts.T / inner)


def worth(model: Model, sample: Sample, *, inner: int = 256, seed: int = 1) -> Worth:
    """Return what one sample is worth, with its 90 % interval."""
    found = levels(model, sample.input, inner=inner, seed=seed)
    low, high = np.quantile(found.worth(sample.noise, _picks(inner, seed)), [0.05, 0.95])
    return Worth(
        input=sample.input,
        way=sample.way,
        sample=sample.words,
        usd=float(found.worth(sample.noise)[0]),
        low=max(0.0, float(low)),
        high=float(high),
        perfect=float(found.worth(0.0)[0]),
        moves_usd=float(found.mean().std()),
        costs_usd=sample.costs_usd,
        command=sample.command,
    )


def information(
    draws: Draws,
    *,
    asked: Sequence[Sample] | None = None,
    inner: int = 256,
    seed: int = 1,
) -> Information:
    """Return what everything, and each thing that could be learnt, is worth; the dearest first."""
    model = draws.model
    comparable(model)
    every, low, high = perfect(draws, seed)
    found = [
        worth(model, sample, inner=inner, seed=seed)
        for sample in (samples(model) if asked is None else asked)
    ]
    found.sort(key=lambda one: (-one.usd, -one.perfect, -one.moves_usd, one.input.id))
    return Information(perfect=every, low=low, high=high, worth=tuple(found))
