"""How much of a pool's work is handed to someone else when the pool is full."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from costlab.core import InvalidArgument

FloatArray = NDArray[np.float64]


def handed_over(
    arrivals_per_s: float, service_s: float, servers: int, after_wait_s: float = 0.0
) -> float:
    """Return the share of arrivals handed over because they would wait longer than a limit.

    With ``after_wait_s`` 0 that is Erlang's loss formula, which holds for any spread of service
    times of that mean (Sevastyanov, 1957). Otherwise it is exact for exponential service and
    arrivals that see their wait: its density is λ·p(c−1)·e^((λ−cμ)x) up to the limit and falls by
    e^(−cμx) beyond (Barrer, 1957, "Queuing with impatient customers and ordered service"); render
    times of little spread are handed over less often. No servers hand over everything.

    >>> round(handed_over(2.7, 1.0, 3), 6)
    0.308738
    """
    shares = handed_over_by_servers([arrivals_per_s * 3600], service_s, servers, after_wait_s)
    return float(shares[servers])


def handed_over_by_servers(
    arrivals_per_h: Sequence[float], service_s: float, most: int, after_wait_s: float = 0.0
) -> FloatArray:
    """Return the share handed over over all the listed hours with 0, 1, … ``most`` servers.

    Each hour is taken as steady, as `handed_over`. Shape (most + 1,).

    >>> handed_over_by_servers([9720.0], 1.0, 3).round(4).tolist()
    [1.0, 0.7297, 0.4963, 0.3087]
    """
    hours = np.asarray(arrivals_per_h, dtype=np.float64) / 3600
    _check(after_wait_s, most)
    hours = hours[hours > 0]
    if not hours.size or not service_s:
        return np.zeros(most + 1)
    erlangs = hours * service_s
    shares = np.ones(most + 1)
    last_slot = np.ones_like(hours)
    for servers in range(1, most + 1):
        if servers > 1:
            last_slot = erlangs * last_slot / (servers - 1 + erlangs * last_slot)
        beyond = _beyond(hours, service_s, servers, last_slot, after_wait_s)
        shares[servers] = float((beyond * hours).sum() / hours.sum())
    return shares


def _beyond(
    arrivals_per_s: FloatArray,
    service_s: float,
    servers: int,
    last_slot: FloatArray,
    limit_s: float,
) -> FloatArray:
    drift = arrivals_per_s - servers / service_s
    grown = np.minimum(drift * limit_s, 700.0)
    entering = arrivals_per_s * last_slot
    with np.errstate(invalid="ignore", divide="ignore"):
        queued = entering * np.where(drift == 0, limit_s, np.expm1(grown) / drift)
    beyond = entering * np.exp(grown) * service_s / servers
    return np.asarray(beyond / (1 + queued + beyond))


def _check(after_wait_s: float, servers: int) -> None:
    if not (math.isfinite(after_wait_s) and after_wait_s >= 0):
        raise InvalidArgument(f"after_wait_s must be 0 or more, got {after_wait_s}")
    if servers < 0:
        raise InvalidArgument(f"servers must not be negative, got {servers}")
