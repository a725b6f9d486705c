"""The calibration: effects of the factors, found together, with what remains unknown about them.

With the terms of `physics` the model of one clip is

    log seconds = log Σ_t base_t · exp(Σ_f effect_{f, word}) + noise

where an effect is normal around 0 with its factor's spread (partial pooling: a word seen once moves
little, a word seen often goes where the data say). The effects are the posterior mode, found by
Gauss–Newton in the dual form, which costs one 200 × 200 solve a step; the Laplace approximation
at the mode gives every prediction its standard deviation. A word that was never seen keeps effect 0
and contributes its whole spread.
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
    """The calibrated model: ``effects`` by number, their covariance, and the words' numbers."""

    numbers: dict[tuple[int, str], int]
    spreads: Floats
    effects: Floats
    covariance: Floats
    design: Design
    log_evidence: float
    example_log_seconds: Floats


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
    spreads: Floats | None = None,
    rounds: int = 12,
) -> Fit:
    """Return the effects that best explain ``log_seconds`` given their spreads."""
    spread = np.array([factor.spread for factor in FACTORS]) if spreads is None else spreads
    numbers: dict[tuple[int, str], int] = {}
    made = design(cases, numbers, learn=True)
    prior = np.zeros(len(numbers))
    for (f, _), number in numbers.items():
        prior[number] = spread[f] ** 2
    effects = np.zeros(len(numbers))
    for turn in range(rounds):
        seconds = terms(made, effects)
        jacobian = _jacobian(made, seconds, len(numbers))
        kernel = (jacobian * prior) @ jacobian.T + np.diag(noise**2)
        wanted = log_seconds - np.log(seconds.sum(axis=1)) + jacobian @ effects
        solved = np.linalg.solve(kernel, wanted)
        moved = prior * (jacobian.T @ solved)
        step = moved - effects
        effects = effects + step * (1.0 if turn > 1 else 0.7)
        if float(np.abs(step).max()) < 1e-8:
            break
    lower = np.linalg.cholesky(kernel)
    half = np.linalg.solve(lower, jacobian * prior)
    evidence = -0.5 * float(wanted @ solved) - float(np.log(np.diag(lower)).sum())
    return Fit(
        numbers=numbers,
        spreads=spread,
        effects=effects,
        covariance=np.diag(prior) - half.T @ half,
        design=made,
        example_log_seconds=log_seconds,
        log_evidence=evidence - 0.5 * len(cases) * float(np.log(2 * np.pi)),
    )


def _jacobian(made: Design, seconds: Floats, count: int) -> Floats:
    found = np.zeros((len(seconds), count + 1))
    rows = np.arange(len(seconds))[:, None]
    np.add.at(found, (rows, np.maximum(made.effect, -1)), gradients(made, seconds))
    return found[:, :-1]


def dual(fit: Fit, log_seconds: Floats, noise: Floats) -> tuple[Floats, Floats]:
    """Return K⁻¹ and K⁻¹z at the mode: what leaving clips out in closed form needs."""
    seconds = terms(fit.design, fit.effects)
    jacobian = _jacobian(fit.design, seconds, len(fit.numbers))
    prior = np.zeros(len(fit.numbers))
    for (f, _), number in fit.numbers.items():
        prior[number] = fit.spreads[f] ** 2
    kernel = (jacobian * prior) @ jacobian.T + np.diag(noise**2)
    inverse = np.asarray(np.linalg.inv(kernel), dtype=float)
    wanted = log_seconds - np.log(seconds.sum(axis=1)) + jacobian @ fit.effects
    return inverse, np.asarray(inverse @ wanted, dtype=float)


def forecast(fit: Fit, cases: Sequence[Case]) -> tuple[Floats, Floats]:
    """Return calibrated seconds by term (n, 8) and the standard deviation of log seconds (n,)."""
    made = design(cases, fit.numbers, learn=False)
    seconds = terms(made, fit.effects)
    slopes = gradients(made, seconds)
    known = np.where(made.effect >= 0, slopes, 0.0)
    index = np.maximum(made.effect, 0)
    variance = np.empty(len(cases))
    for start in range(0, len(cases), 1024):
        part = slice(start, start + 1024)
        chosen = fit.covariance[index[part, :, None], index[part, None, :]]
        variance[part] = np.einsum("if,ifg,ig->i", known[part], chosen, known[part])
    fresh = np.where(made.effect == -1, slopes, 0.0) * fit.spreads
    variance += (fresh**2).sum(axis=1) + NOISE**2
    return seconds, np.sqrt(np.maximum(variance, 0.0))


def nearest(fit: Fit, cases: Sequence[Case], seconds: Floats) -> Ints:
    """Return, per case, the number of the example that shares most of its variance.

    The prior covariance of two clips is the sum over the factors whose words they share; among
    equals the one nearest in length and time wins.
    """
    made = design(cases, fit.numbers, learn=False)
    weight = (gradients(made, seconds) * fit.spreads) ** 2
    found = np.empty(len(cases), dtype=np.int64)
    distance = np.log(seconds.sum(axis=1))[:, None] - fit.example_log_seconds[None]
    for i in range(len(cases)):
        shared = (made.effect[i] == fit.design.effect) & (made.effect[i] >= 0)
        found[i] = np.argmax(shared @ weight[i] - 1e-5 * np.abs(distance[i]))
    return found
