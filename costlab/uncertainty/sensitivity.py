"""Which inputs move the answer: one at a time (tornado), and shares of its variance (Sobol).

Sobol indices: Saltelli et al. (2010, "Variance based sensitivity analysis of model output",
Computer Physics Communications 181) for the first order, Jansen (1999) for the total, on 2 · d
columns of a Sobol sequence shifted at random (Cranley and Patterson, 1976), with bootstrap
intervals that take the points as independent, which is careful: such points err less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from costlab.core import InvalidArgument
from costlab.uncertainty.draws import ACCEPTED, COST, evaluate, saved
from costlab.uncertainty.inputs import Input
from costlab.uncertainty.model import Floats, Model

Z80 = 1.2815515655446004
"""Standard deviations from the middle to P10 or P90."""
RESOLVED = 0.1
"""An index whose 95 % interval is wider than this is not resolved."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Swing:
    """One input at its P10 and P90, everything else at its centre.

    ``values`` are the input's, ``usd_per_clip`` and ``saved_usd`` (over all months, beside the best
    APIs) what the answer then is.
    """

    input: Input
    values: tuple[float, float]
    usd_per_clip: tuple[float, float]
    saved_usd: tuple[float, float]

    @property
    def width_usd(self) -> float:
        """How far it moves what is saved."""
        return abs(self.saved_usd[1] - self.saved_usd[0])

    @property
    def flips(self) -> bool:
        """Whether the answer is another at one end than at the other."""
        return self.saved_usd[0] * self.saved_usd[1] < 0


def tornado(model: Model) -> tuple[Swing, ...]:
    """Return every uncertain input's swing, the widest first."""
    count = len(model.uncertain)
    z = np.full((2 * count, count), np.nan)
    for place in range(count):
        z[2 * place, place], z[2 * place + 1, place] = -Z80, Z80
    rows, _ = evaluate(model, z)
    clip, kept = rows[:, COST] / rows[:, ACCEPTED], saved(rows)
    swings = [
        Swing(
            input=item,
            values=(item.at(-Z80), item.at(Z80)),
            usd_per_clip=(float(clip[2 * i]), float(clip[2 * i + 1])),
            saved_usd=(float(kept[2 * i]), float(kept[2 * i + 1])),
        )
        for i, item in enumerate(model.uncertain)
    ]
    order = {id(one): abs(one.usd_per_clip[1] - one.usd_per_clip[0]) for one in swings}
    return tuple(sorted(swings, key=lambda one: (-one.width_usd, -order[id(one)], one.input.id)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One input's share of the variance: alone (``first``), with its interactions (``total``).

    Each as (value, low, high) with a 95 % bootstrap interval.
    """

    name: str
    first: tuple[float, float, float]
    total: tuple[float, float, float]

    @property
    def resolved(self) -> bool:
        """Whether both intervals are narrow enough to tell the value."""
        return all(high - low <= RESOLVED for _, low, high in (self.first, self.total))


def sobol(
    function: Callable[[Floats], Floats],
    names: tuple[str, ...],
    *,
    base: int = 4096,
    seed: int = 1,
    resamples: int = 200,
) -> tuple[Index, ...]:
    """Return the indices of ``function`` of independent uniforms, in the order of ``names``.

    It takes (n, inputs) and gives (n,), and is asked for ``base`` · (inputs + 2) values; ``base``
    is a power of two. All indices of a constant are zero.
    """
    count = len(names)
    if base < 2 or base & (base - 1):
        raise InvalidArgument(f"base must be a power of two, got {base}")
    if not count:
        return ()
    from scipy.stats import qmc

    shift = np.random.default_rng(seed).random(2 * count)
    sample = (qmc.Sobol(2 * count, scramble=False).random(base) + shift) % 1.0
    a, b = sample[:, :count], sample[:, count:]
    mixed = np.broadcast_to(a, (count, base, count)).copy()
    for place in range(count):
        mixed[place, :, place] = b[:, place]
    values = function(np.concatenate([a, b, mixed.reshape(-1, count)]))
    centred = values - values[: 2 * base].mean()
    f_a, f_b = centred[:base], centred[base : 2 * base]
    f_mixed = centred[2 * base :].reshape(count, base).T
    terms = np.concatenate(
        [
            f_b[:, None] * (f_mixed - f_a[:, None]),
            (f_a[:, None] - f_mixed) ** 2 / 2,
            np.column_stack([f_a, f_b, f_a**2 + f_b**2]),
        ],
        axis=1,
    )
    picked = np.random.default_rng(seed + 1).multinomial(
        base, np.full(base, 1 / base), size=resamples
    )
    means = np.concatenate([terms.mean(axis=0)[None], picked @ terms / base])
    middle = (means[:, -3] + means[:, -2]) / 2
    variance = means[:, -1] / 2 - middle**2
    if variance[0] <= 1e-18 * max(1.0, float(values[0]) ** 2):
        nothing = (0.0, 0.0, 0.0)
        return tuple(Index(name=name, first=nothing, total=nothing) for name in names)
    found = means[:, : 2 * count] / variance[:, None]
    low, high = np.quantile(found[1:], [0.025, 0.975], axis=0)

    def triple(place: int) -> tuple[float, float, float]:
        return float(found[0, place]), float(low[place]), float(high[place])

    return tuple(
        Index(name=name, first=triple(i), total=triple(count + i)) for i, name in enumerate(names)
    )


def indices(model: Model, *, base: int = 4096, seed: int = 1) -> tuple[Index, ...]:
    """Return the Sobol indices of what is saved per accepted clip, the largest total first."""
    from scipy.special import ndtri

    def per_clip(uniforms: Floats) -> Floats:
        rows, _ = evaluate(model, ndtri(np.clip(uniforms, 1e-12, 1 - 1e-12)))
        return np.asarray(saved(rows) / rows[:, ACCEPTED])

    names = tuple(item.id for item in model.uncertain)
    found = sobol(per_clip, names, base=base, seed=seed)
    return tuple(sorted(found, key=lambda one: -one.total[0]))
