"""The calibration: effects of the factors, found together, with what remains unknown about them.

With the terms of `physics` the model of one clip is

    log seconds = log Σ_t base_t · exp(Σ_f effect_{f, word}) + noise

where an effect is normal around 0 with its factor's spread (partial pooling: a word seen once moves
little, a word seen often goes where the data say). The effects are the posterior mode, found by
Gauss–Newton in the dual form, which costs one solve as wide as there are clips a step; the Laplace
approximation at the mode gives every prediction its standard deviation. A word that was never seen
keeps effect 0 and contributes its whole spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from costlab.performance import physics
from costlab.performance.physics import FACTORS, Case

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_MASK = np.array(
    [[t in factor.terms for t in range(len(physics.TERMS))] for factor in FACTORS], float
)
_SLOPE = [factor.name for factor in FACTORS].index("longer sequence")
NOISE = 0.015
ASSUMED_NOISE = 0.12
"""Noise (log scale) of a published time, and of one whose setting had to be assumed in part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Clips as arrays: terms (n, 8) before calibration, effect numbers (n, factors), log length."""

    base: Floats
    effect: Ints
    length: Floats

    def weights(self) -> Floats:
        """Return the coefficient of each factor's effect: 1, or log length for the slope."""
        coefficients = np.ones(self.effect.shape)
        coefficients[:, _SLOPE] = self.length
        return coefficients


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """The calibrated model.

    ``effects`` by number, the words' ``numbers``, the examples it was made from (``design``) with
    the weight of every factor in them, and K⁻¹ and K⁻¹z of the dual form at the mode.
    """

    numbers: dict[tuple[int, str], int]
    spreads: Floats
    effects: Floats
    design: Design
    weights: Floats
    inverse: Floats
    solved: Floats
    log_seconds: Floats
    log_evidence: float


def design(cases: Sequence[Case], numbers: dict[tuple[int, str], int], *, learn: bool) -> Design:
    """Return the arrays of ``cases``; new words get numbers when ``learn``, else −1.

    A factor that does not apply (its word is None) gets −2 and no uncertainty.
    """
    effect = np.full((len(cases), len(FACTORS)), -1, dtype=np.int64)
    for i, one in enumerate(cases):
        row = effect[i]
        for f, word in enumerate(one.words):
            if word is None:
                row[f] = -2
            elif learn:
                row[f] = numbers.setdefault((f, word), len(numbers))
            else:
                row[f] = numbers.get((f, word), -1)
    return Design(
        base=np.array([one.seconds for one in cases], dtype=float).reshape(len(cases), 8),
        effect=effect,
        length=np.array([one.length for one in cases], dtype=float),
    )


def terms(made: Design, effects: Floats) -> Floats:
    """Return the calibrated seconds of every term, shape (n, 8)."""
    padded = np.append(effects, 0.0)
    chosen = padded[np.where(made.effect >= 0, made.effect, -1)] * made.weights()
    return np.asarray(made.base * np.exp(chosen @ _MASK), dtype=float)


def gradients(made: Design, seconds: Floats) -> Floats:
    """Return d log seconds / d effect of each factor, shape (n, factors)."""
    shares = seconds / seconds.sum(axis=1, keepdims=True)
    found = (shares @ _MASK.T) * made.weights()
    found[made.effect == -2] = 0.0
    return np.asarray(found, dtype=float)


def calibrate(
    cases: Sequence[Case],
    log_seconds: Floats,
    noise: Floats,
    spreads: Floats,
    *,
    near: Fit | None = None,
) -> Fit:
    """Return the effects that best explain ``log_seconds`` given their spreads.

    ``near`` is a fit of these cases or of more, whose effects save most of the steps; words that
    only the others have keep effect 0 and their whole spread.
    """
    numbers = dict(near.numbers) if near else {}
    made = design(cases, numbers, learn=True)
    effects = np.zeros(len(numbers))
    prior = np.zeros(len(numbers))
    for (f, _), number in numbers.items():
        prior[number] = spreads[f] ** 2
    if near:
        effects[: len(near.effects)] = near.effects
    present = made.effect >= 0
    index = np.maximum(made.effect, 0)
    for turn in range(12):
        seconds = terms(made, effects)
        slopes = gradients(made, seconds)
        weights = slopes * spreads
        kernel = shared(made.effect, weights, made.effect, weights) + np.diag(noise**2)
        linear = (slopes * effects[index] * present).sum(axis=1)
        wanted = log_seconds - np.log(seconds.sum(axis=1)) + linear
        solved = np.linalg.solve(kernel, wanted)
        pulled = np.bincount(
            index[present], weights=(slopes * solved[:, None])[present], minlength=len(numbers)
        )
        step = prior * pulled - effects
        effects = effects + step * (1.0 if turn > 1 or near else 0.7)
        if float(np.abs(step).max()) < 1e-6:
            break
    _, log_determinant = np.linalg.slogdet(kernel)
    evidence = -0.5 * (float(wanted @ solved) + float(log_determinant))
    return Fit(
        numbers=numbers,
        spreads=spreads,
        effects=effects,
        design=made,
        weights=weights,
        inverse=np.asarray(np.linalg.inv(kernel), dtype=float),
        solved=np.asarray(solved, dtype=float),
        log_seconds=log_seconds,
        log_evidence=evidence - 0.5 * len(cases) * float(np.log(2 * np.pi)),
    )


def shared(effect: Ints, weights: Floats, others: Ints, other_weights: Floats) -> Floats:
    """Return the prior covariance of log seconds between clips, shape (n, m).

    It is the sum, over the factors whose words two clips share, of both slopes times the spread
    squared. Factor by factor, so that no matrix here is large enough to be worth a second thread.
    """
    found = np.zeros((len(effect), len(others)))
    for f in range(effect.shape[1]):
        alike = effect[:, f, None] == others[None, :, f]
        found += alike * weights[:, f, None] * other_weights[None, :, f]
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """Calibrated seconds by term (n, 8), standard deviation of log seconds, nearest example."""

    seconds: Floats
    deviation: Floats
    nearest: Ints


def forecast(fit: Fit, cases: Sequence[Case]) -> Forecast:
    """Return what the fit says about ``cases``.

    The nearest example has the largest covariance; among equals it is the one nearest in time.
    """
    made = design(cases, fit.numbers, learn=False)
    seconds = terms(made, fit.effects)
    weights = gradients(made, seconds) * fit.spreads
    variance = (weights**2).sum(axis=1) + NOISE**2
    log_seconds = np.log(seconds.sum(axis=1))
    nearest = np.empty(len(cases), dtype=np.int64)
    for start in range(0, len(cases), 2048):
        part = slice(start, start + 2048)
        known = shared(made.effect[part], weights[part], fit.design.effect, fit.weights)
        variance[part] -= ((known @ fit.inverse) * known).sum(axis=1)
        apart = np.abs(log_seconds[part, None] - fit.log_seconds[None])
        nearest[part] = np.argmax(known - 1e-5 * apart, axis=1)
    return Forecast(
        seconds=seconds, deviation=np.sqrt(np.maximum(variance, NOISE**2)), nearest=nearest
    )
