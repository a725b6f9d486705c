"""Servers whose render times are one of two exponentials: the queue M/H2/c, solved exactly.

A mixture of clip lengths keeps some servers for long while short clips queue for the others. Two
exponential kinds of clip, short and long, are the smallest system that does so, and the state
(clips present, long ones under way) makes it a Markov chain::

    0 .. c − 1 clips present     a level each, filled from below by elimination
    c, c + 1, …                  π(c + k) = π(c) R^k, R by logarithmic reduction
                                 (Latouche and Ramaswami, 1993, Journal of Applied Probability 30)

Render times are in units of their mean, and so are waits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TwoKinds:
    """Exponential render times of two means; ``shares`` of the clips have each; 1 on average."""

    means: tuple[float, float]
    shares: tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseWait:
    """The wait in M/H2/c.

    The queue has k clips or more and ``full`` states of the servers at chances ``full`` R^k, with
    ``repeat`` R; ``arrivals`` per render time.
    """

    p_wait: float
    mean_wait: float
    arrivals: float
    full: Array
    repeat: Array

    def law(self, count: int) -> tuple[Array, Array]:
        """Return ``count`` waits, and −log of their chance to be exceeded by those who wait.

        A clip leaves as many behind in the queue as arrived while it waited, so an eigenvalue z of
        R is an exponential of rate arrivals · (1 − z)/z in the wait.
        """
        fall, vectors = np.linalg.eig(self.repeat)
        parts = (self.full @ vectors) * np.linalg.solve(vectors, np.ones(len(fall))) / (1 - fall)
        weights, rates = (parts / parts.sum()).real, (self.arrivals * (1 - fall) / fall).real
        waits = _DEEP / float(rates.min()) * np.linspace(0, 1, count) ** 2
        longer = np.exp(-np.multiply.outer(waits, rates)) @ weights
        return waits, np.maximum.accumulate(-np.log(np.maximum(longer, math.exp(-_DEEP))))


_DEEP = 24.0
"""Where a law ends: a chance of exp(−24) to wait longer."""


def two_kinds(lengths: Array, shares: Array) -> TwoKinds:
    """Return the two kinds that stand for exponentials of many means (``lengths``, ``shares``).

    They share the first two moments and the mean of the least of three services under way, which
    decides how fast short clips get through between long ones.
    """
    held = shares * lengths
    held = held / held.sum()
    lengths = lengths / float(shares @ lengths)
    long_run = float(held @ lengths)
    wanted = _least_of_three(lengths, held)

    def kinds(share: float) -> tuple[Array, Array]:
        rest = 1 - share
        middle = long_run + rest - share
        short = 2 * rest * long_run / (middle + np.sqrt(middle**2 - 4 * rest**2 * long_run))
        return np.array([short, (long_run - rest * short) / share]), np.array([rest, share])

    low, high = 1e-9, 1 - 1e-9
    for _ in range(60):
        share = (low + high) / 2
        if _least_of_three(*kinds(share)) < wanted:
            low = share
        else:
            high = share
    means, held = kinds(low)
    each = held / means
    return TwoKinds(
        means=(float(means[0]), float(means[1])),
        shares=(float(each[0] / each.sum()), float(each[1] / each.sum())),
    )


def gamma_kinds(scv: float) -> TwoKinds:
    """Return the two kinds that share three moments with gamma distributed times of ``scv`` > 1.

    Whitt (1982, "Approximating a point process by a renewal process", Operations Research 30).
    """
    second, third = (1 + scv) / 2, (1 + scv) * (1 + 2 * scv) / 6
    both = (third - second) / (second - 1)
    apart = float(np.sqrt(both**2 - 4 * (both - second)))
    short, long = (both - apart) / 2, (both + apart) / 2
    of_long = (1 - short) / (long - short)
    return TwoKinds(means=(short, long), shares=(1 - of_long, of_long))


def _least_of_three(means: Array, held: Array) -> float:
    """Return the mean time until the first of three exponentials ends, of servers ``held``."""
    rates = 1 / means
    three = rates[:, None, None] + rates[:, None] + rates
    return float(np.einsum("i,j,k,ijk", held, held, held, 1 / three))


def phase_wait(load: float, kinds: TwoKinds, servers: int) -> PhaseWait:
    """Return the wait in M/H2/c at a ``load`` within (0, 1)."""
    arrivals = load * servers
    short, long = (1 / mean for mean in kinds.means)
    of_short, of_long = kinds.shares
    below = np.ones(1)
    from_below = np.zeros((1, 1))
    for present in range(servers):
        under_way = np.arange(present + 2.0)
        done_short = (short * under_way[:0:-1])[:, None]
        done_long = (long * under_way[1:])[:, None]
        leave = np.diag(arrivals + short * under_way[-2::-1] + long * under_way[:-1])
        inverse = np.linalg.inv(leave - from_below)
        down = np.zeros((present + 2, present + 1))
        down[:-1] = done_short * inverse
        down[1:] += done_long * inverse
        below = 1 + down @ below
        from_below = np.zeros((present + 2, present + 2))
        from_below[:, :-1] = arrivals * of_short * down
        from_below[:, 1:] += arrivals * of_long * down

    under_way = np.arange(servers + 1.0)
    ends_short, ends_long = short * under_way[::-1], long * under_way
    next_one = np.diag(ends_long * of_long + ends_short * of_short)
    next_one += np.diag(ends_long[1:] * of_short, -1) + np.diag(ends_short[:-1] * of_long, 1)
    out = arrivals + ends_short + ends_long
    repeat = arrivals * np.linalg.inv(np.diag(out) - arrivals * _descent(arrivals, out, next_one))
    balance = from_below - np.diag(out) + repeat @ next_one
    balance[:, 0] = 1
    full = np.linalg.solve(balance.T, np.eye(servers + 1)[0])

    onward = np.linalg.inv(np.eye(servers + 1) - repeat)
    queueing = full @ onward
    total = float(full @ (below - 1)) + float(queueing.sum())
    return PhaseWait(
        p_wait=float(queueing.sum()) / total,
        mean_wait=float(queueing @ repeat @ onward.sum(axis=1)) / total / arrivals,
        arrivals=arrivals,
        full=full,
        repeat=np.asarray(repeat, np.float64),
    )


def _descent(arrivals: float, out: Array, next_one: Array) -> Array:
    """Return the chances of each state in which the queue is first one shorter."""
    up, down = np.diag(arrivals / out), next_one / out[:, None]
    total, ahead = down, up
    for _ in range(60):
        around = np.linalg.inv(np.eye(len(out)) - up @ down - down @ up)
        up, down = around @ up @ up, around @ down @ down
        step = ahead @ down
        total = total + step
        if step.max() < 1e-15:
            break
        ahead = ahead @ up
    return total
