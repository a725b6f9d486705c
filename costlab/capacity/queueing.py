"""How long clips wait for a free server, by formula.

A *server* is one slot that renders one clip at a time (the g GPUs that share a clip). Clips arrive
at random (Poisson), queue first come first served, and are rendered for a length that depends on
what was asked::

    arrivals ──▶ │ queue │ ──▶ servers 1 … c ──▶ done          load = arrivals × service / servers
      λ per s     wait W          S seconds each

===========  ===================================  ==================================================
`mdc`        every clip takes the same time       exact (embedded chain)
`mmc`        exponential render times             exact (Erlang C)
`mgc`        a few constant lengths, mixed        close: exact for one server or one length
`wait`       mean and spread only                 exact at a spread of 0 and 1, close elsewhere
`impatient`  people leave after a while           exact (Erlang A)
`day`        load and fleet change by the hour    close: a fluid carries the backlog over
===========  ===================================  ==================================================

Formulas take one system at a time as floats; only `Wait.tail` is evaluated point by point.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from costlab.capacity.phases import TwoKinds, gamma_kinds, phase_wait, two_kinds
from costlab.core import InvalidArgument

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The stationary wait for a server, before service starts.

    ``tail`` gives the chance that a clip waits longer than so many seconds.
    """

    utilisation: float
    p_wait: float
    mean_wait_s: float
    tail: Callable[[float], float] = field(repr=False, compare=False)

    @property
    def p95_wait_s(self) -> float:
        """The wait that 95 % of clips do not exceed."""
        return self.quantile_s(0.95)

    def quantile_s(self, share: float) -> float:
        """Return the wait, in seconds, that ``share`` of the clips do not exceed.

        Zero where at least that share does not wait at all.
        """
        if not 0 <= share < 1:
            raise InvalidArgument(f"share must be in [0, 1), got {share}")
        missed = 1 - share
        if self.p_wait <= missed:
            return 0.0
        low, high = 0.0, 3 * self.mean_wait_s / self.p_wait
        while self.tail(high) > missed:
            low, high = high, 2 * high
        return _root(lambda x: math.log(max(self.tail(x), 1e-300) / missed), low, high)


_NOTHING = 1e-30
"""Erlangs below which nothing arrives."""
_NO_WAIT = Wait(utilisation=0.0, p_wait=0.0, mean_wait_s=0.0, tail=lambda _wait_s: 0.0)


def erlang_c(servers: int, erlangs: float) -> float:
    """Return the chance that a clip must wait in M/M/c, from ``erlangs`` = arrivals × service.

    By the recursion of the Erlang B loss formula, which only adds positive terms (Erlang, 1917).

    >>> round(erlang_c(3, 2.7), 6)
    0.817061
    """
    _check_stable(erlangs, servers)
    blocked = _erlang_b(servers, erlangs)
    return blocked / (1 - erlangs / servers * (1 - blocked))


def _erlang_b(servers: int, erlangs: float) -> float:
    blocked = 1.0
    for busy in range(1, servers + 1):
        blocked = erlangs * blocked / (busy + erlangs * blocked)
    return blocked


def mmc(arrivals_per_s: float, service_s: float, servers: int) -> Wait:
    """Return the wait where render times are exponential: exact, from Erlang C.

    >>> round(mmc(2.7, 1.0, 3).mean_wait_s, 6)
    2.723537
    """
    erlangs = _offered(arrivals_per_s, service_s, servers)
    if erlangs < _NOTHING:
        return _NO_WAIT
    p_wait = erlang_c(servers, erlangs)
    drain_per_s = (servers - erlangs) / service_s
    return Wait(
        utilisation=erlangs / servers,
        p_wait=p_wait,
        mean_wait_s=p_wait / drain_per_s,
        tail=lambda wait_s: p_wait * math.exp(-drain_per_s * max(wait_s, 0.0)),
    )


def mdc(arrivals_per_s: float, service_s: float, servers: int) -> Wait:
    """Return the wait where every clip renders for the same time: exact.

    Seen every ``service_s`` seconds, the number of clips in the queue is a random walk that steps
    by (Poisson arrivals − servers) and never falls below zero (Crommelin, 1932). Its law is the
    Wiener–Hopf factor of 1 − E[z^step], taken here from the Laurent series of the logarithm by one
    Fourier transform on the circle |z| = 1/load, where the step's generating function is smallest.
    The wait then is a sum of positive terms (Franx, 2001, "A simple solution for the M/D/c waiting
    time distribution", Operations Research Letters 29). Steady to twelve digits up to 1000 servers
    and a load of 0.999.

    >>> round(mdc(7.2, 1.0, 8).mean_wait_s, 5)
    0.44997
    """
    erlangs = _offered(arrivals_per_s, service_s, servers)
    if erlangs < _NOTHING:
        return _NO_WAIT
    mean_queue, excess, decay = _constant_service_queue(erlangs, servers)

    def tail(wait_s: float) -> float:
        return float(
            _constant_tail(erlangs, servers, excess, decay, np.array([wait_s / service_s]))[0]
        )

    return Wait(
        utilisation=erlangs / servers,
        p_wait=tail(0.0),
        mean_wait_s=mean_queue / arrivals_per_s,
        tail=tail,
    )


def _constant_tail(
    erlangs: float, servers: int, excess: Array, decay: float, waits: Array
) -> Array:
    """Return the chance that the wait in M/D/c is longer than each of ``waits``, in services.

    A clip waits longer than w whole services and a part if c · (w + 1) places do not hold the queue
    at the start of the service under way and the arrivals of its remaining part.
    """
    whole, part = np.divmod(np.maximum(waits, 0.0), 1.0)
    mean = erlangs * (1 - part)[:, None]
    j = np.arange(math.ceil(erlangs + 12 * math.sqrt(erlangs) + 40))
    factorials = _log_factorials(1 << len(j).bit_length())[: len(j)]
    arrivals = np.exp(j * np.log(mean) - mean - factorials)
    left = (whole[:, None] + 1) * servers - 1 - j
    known = np.clip(left, 0, len(excess) - 1).astype(np.int64)
    longer = np.where(left < 0, 0.0, excess[known] * decay ** np.maximum(left - known, 0.0))
    within = np.where(left < 0, 0.0, arrivals)
    beyond = np.maximum(0.0, 1 - within.sum(axis=1))
    return np.asarray(np.minimum(1.0, (arrivals * longer).sum(axis=1) + beyond))


@lru_cache(maxsize=64)
def _constant_service_queue(erlangs: float, servers: int) -> tuple[float, Array, float]:
    """Return the mean queue of M/D/c, P(queue > k) for k = 0, 1, …, and its decay per place after.

    With φ(z) = exp(a(z − 1))/z^c and z0 > 1 the root of φ(z) = 1, the function
    (1 − φ(z)) / ((1 − 1/z)(1 − z/z0)) has neither zero nor winding on the circle, so the positive
    powers L of its logarithm give E[z^queue] = (1 − 1/z0)/(1 − z/z0) · exp(L(1) − L(z)).
    """
    load = erlangs / servers
    beyond = _decay_root(load)
    radius = 1 / load
    size = max(256, 1 << math.ceil(math.log2(32 * math.sqrt(servers))))
    angle, turn, shift = _circle(size)
    z = radius * (1 + turn)
    z_less_1 = (radius - 1) + radius * turn
    log_phi = erlangs * z_less_1 - servers * (math.log(radius) + 1j * angle)
    log_ratio = (
        np.log(-np.expm1(log_phi))
        - np.log(z_less_1 / z)
        - np.log((beyond - z_less_1) / (1 + beyond))
    )
    power = np.arange(size)
    half = size // 2
    scaled = np.fft.fft(log_ratio) / size * shift
    scaled[0] = 0
    scaled[half:] = 0
    shrink = radius ** -power[:half].astype(float)
    factor = np.exp(-np.fft.ifft(scaled / shift) * size)
    series = (np.fft.fft(factor) / size * shift).real[:half] * shrink
    log_series = scaled.real[:half] * shrink
    decay = 1 / (1 + beyond)
    geometric = decay ** power[:half].astype(float)
    spectrum = np.fft.rfft(series, size) * np.fft.rfft(geometric, size)
    chance = np.fft.irfft(spectrum, size)[:half]
    chance *= (1 - decay) * math.exp(log_series.sum())
    after = chance[-1] / beyond
    excess = np.append(np.cumsum(chance[:0:-1])[::-1], 0.0) + after
    mean = 1 / beyond - float(power[:half] @ log_series)
    return max(mean, 0.0), np.clip(excess, 0.0, 1.0), decay


@lru_cache(maxsize=8)
def _circle(size: int) -> tuple[Array, NDArray[np.complex128], NDArray[np.complex128]]:
    """Return angles on a circle, points there less 1, and what a first angle above −π turns."""
    angle = math.pi * ((2 * np.arange(size) + 1) / size - 1)
    turn = -2 * np.sin(angle / 2) ** 2 + 1j * np.sin(angle)
    return angle, turn, np.exp(-1j * np.arange(size) * angle[0])


def _decay_root(load: float) -> float:
    """Return w > 0 with log(1 + w) = load · w; Newton falls to it from a bound above."""
    if load > 0.1:
        w = (1 - load) * (1 + load) / load**2
    else:
        w = 2 / load * math.log(2 / load)
    for _ in range(100):
        step = (math.log1p(w) - load * w) / (1 / (1 + w) - load)
        w -= step
        if abs(step) <= 1e-15 * w:
            break
    return w


@lru_cache(maxsize=32)
def _log_factorials(count: int) -> Array:
    return np.array([math.lgamma(j + 1.0) for j in range(count)])


def mgc(
    arrivals_per_s: float, lengths_s: Sequence[float], shares: Sequence[float], servers: int
) -> Wait:
    """Return the wait where render times are a mixture of a few constants: close, not exact.

    ``lengths_s`` and ``shares`` (adding up to one) say how long clips render and how many do.

    Long clips hold servers while short ones queue for the rest. That is kept by M/H2/c, solved
    exactly for two exponential kinds of clip (`phases`), and simulations show that what constant
    instead of exponential times then change hardly depends on the mixture: it is near enough what
    they change between M/M/c and M/D/c, in the chance to wait, in the mean and in every quantile of
    those who wait. So `mdc` comes out exactly where all clips are alike and Pollaczek–Khinchine for
    one server; what is left is fitted (`_UNEVEN`). The law of the wait leans on one fast server's
    (`_one_fast_server`) where servers are few. Above 16 servers, M/H2/c is carried over from 8 and
    16 servers with the same Erlang C probability.

    Against simulations (2026-11-22): of 320 mixtures of two or three lengths drawn at random with a
    squared coefficient of variation up to 5, on 1 to 64 servers at loads of 0.5 to 0.98, 313 were
    within 3 % or 0.5 % of a service time in the mean and 5 % or 2 % of one in the p95, whichever is
    larger; the worst missed by 1.4 times that in the mean and 1.6 times in the p95. It is worst
    where 10 to 45 % of clips wait: for 2 to 6 servers at loads up to 0.6, and near 0.7 on 16, the
    p95 of hard mixtures (5 % of clips twenty times as long) is up to 18 % off; their means hold.
    Beyond a squared coefficient of variation of 5, simulate.
    """
    lengths, weights = _mixture(lengths_s, shares)
    service_s = float(lengths @ weights)
    erlangs = _offered(arrivals_per_s, service_s, servers)
    if erlangs < _NOTHING:
        return _NO_WAIT
    if len(lengths) == 1:
        return mdc(arrivals_per_s, service_s, servers)
    random = mmc(arrivals_per_s, service_s, servers)
    if random.p_wait <= _LIGHT:
        return random
    load = erlangs / servers
    kinds = _kinds(tuple(lengths.tolist()), tuple(weights.tolist()))
    likelier, longer, stretch = _beside_exponential(servers, random.p_wait, kinds)
    constant = mdc(arrivals_per_s, service_s, servers)
    spread = float((weights @ lengths**3) * service_s / (weights @ lengths**2) ** 2) - 1
    mixed = -math.expm1(-spread / _UNEVEN.spread)
    light = 0.5 + (servers / (servers + 1) - 0.5) * (1 - random.p_wait**_UNEVEN.path)
    shorter = constant.mean_wait_s / random.mean_wait_s
    shorter += mixed * max(0.0, light - shorter)
    rarer = constant.p_wait / random.p_wait
    rarer += mixed * _UNEVEN.waiting * (1 - rarer)
    p_wait = min(1.0, random.p_wait * likelier * rarer)
    mean_s = random.mean_wait_s * longer * shorter

    def law() -> tuple[Array, Array]:
        alike, depth = _constant_law(erlangs, servers, constant.p_wait)
        waits_s = _scaled(alike * np.interp(depth, _DEPTHS, stretch), depth, mean_s / p_wait)
        if servers < _FEW:
            exact_s, reached = _one_fast_server(lengths, weights, servers, load, mean_s / p_wait)
            part = (_FEW - servers) / (_FEW - 1)
            waits_s += part * (np.interp(depth, reached, exact_s) - waits_s)
            waits_s, depth = waits_s[depth < _LATTICE], depth[depth < _LATTICE]
        return waits_s, depth

    return _by_depth(load, p_wait, mean_s, law)


def _constant_law(erlangs: float, servers: int, p_wait: float) -> tuple[Array, Array]:
    """Return waits in M/D/c, in services, and −log of their chance to be exceeded by who waits."""
    _, excess, decay = _constant_service_queue(erlangs, servers)
    drain = servers * math.log1p(_decay_root(erlangs / servers))
    waits = min(22.0, math.log(p_wait / 1e-14)) / drain * np.linspace(0, 1, 56) ** 2
    known = _constant_tail(erlangs, servers, excess, decay, waits)
    return waits, -np.log(known / p_wait)


def _by_depth(
    load: float, p_wait: float, mean_s: float, law: Callable[[], tuple[Array, Array]]
) -> Wait:
    """Return a wait whose law is worked out when first asked for.

    ``law`` lists waits and their depths, −log of their chance to be exceeded by those who wait.
    """
    known = lru_cache(maxsize=1)(law)

    def tail(wait_s: float) -> float:
        if wait_s <= 0:
            return p_wait
        waits_s, depth = known()
        if wait_s < waits_s[-1]:
            return p_wait * math.exp(-float(np.interp(wait_s, waits_s, depth)))
        slope_per_s = (depth[-1] - depth[-9]) / (waits_s[-1] - waits_s[-9])
        return p_wait * math.exp(-float(depth[-1] + slope_per_s * (wait_s - waits_s[-1])))

    return Wait(utilisation=load, p_wait=p_wait, mean_wait_s=mean_s, tail=tail)


def _scaled(waits: Array, depth: Array, mean_s: float) -> Array:
    """Return ``waits`` in proportion, such that their mean is ``mean_s``."""
    area = np.diff(waits) * -np.diff(np.exp(-depth)) / np.diff(depth)
    return waits * (mean_s / float(area.sum()))


_LIGHT = 1e-9
"""A chance to wait below which the spread of times is left out; `mdc` keeps few digits there."""
_FEW = 7
"""Servers from which on one fast server is no guide to the law of the wait."""
_LATTICE = 15.0
"""Depth down to which `_one_fast_server` is good: it folds a chance of 1e-8 back."""


class _Uneven(NamedTuple):
    """How a mixture of constants differs from one constant beyond what M/H2/c and M/D/c say.

    ``spread`` of the length of clips found under way (its squared coefficient of variation) at
    which two thirds of the difference show, ``path`` the power of Erlang C along which the mean
    falls to its limit at full load, and ``waiting`` the share of the difference that the chance to
    wait keeps.
    """

    spread: float
    path: float
    waiting: float


_UNEVEN = _Uneven(spread=0.15, path=0.16, waiting=0.55)
"""Fitted on 2026-11-22 to 648 simulations: 18 mixtures, 2 to 64 servers, loads 0.5 to 0.98."""
_SOLVED = 16
"""Servers up to which two kinds of clip are solved as they are, not carried over from fewer."""


@lru_cache(maxsize=256)
def _kinds(lengths_s: tuple[float, ...], weights: tuple[float, ...]) -> TwoKinds:
    return two_kinds(np.array(lengths_s), np.array(weights))


def _beside_exponential(servers: int, p_wait: float, kinds: TwoKinds) -> tuple[float, float, Array]:
    """Return how M/H2/c compares with M/M/c where that makes a share ``p_wait`` of the clips wait.

    As factors on the chance to wait, on the mean wait, and on the wait that is exceeded with
    chances exp(−`_DEPTHS`) by those who wait.
    """
    if servers <= _SOLVED:
        found = _solved(servers, p_wait, kinds)
        return float(found[0]), float(found[1]), found[2:]
    fewer, most = (_solved(n, p_wait, kinds) for n in (_SOLVED // 2, _SOLVED))
    far, near, here = (n**-0.7 for n in (_SOLVED // 2, _SOLVED, servers))
    found = most + (near - here) / (far - near) * (most - fewer)
    return float(found[0]), float(found[1]), most[2:]


def _solved(servers: int, p_wait: float, kinds: TwoKinds) -> Array:
    """Return the factors of `_beside_exponential` in one row, on the line between two nodes."""
    place = _NODES * p_wait ** (1 / 3)
    node = min(int(place), _NODES - 1)
    low, high = _at_node(servers, node, kinds), _at_node(servers, node + 1, kinds)
    return np.asarray(low + (place - node) * (high - low))


_NODES = 40
"""Nodes between nobody and everybody waiting: a search asks for many loads of the same mixture."""
_DEPTHS = 22 * np.linspace(0.01, 1, 60) ** 2


@lru_cache(maxsize=4096)
def _at_node(servers: int, node: int, kinds: TwoKinds) -> Array:
    p_wait = min(max((node / _NODES) ** 3, 1e-9), 1 - 1e-4)
    load = _root(lambda load: p_wait - erlang_c(servers, servers * load), 0.0, 1 - 1e-12)
    queue = phase_wait(load, kinds, servers)
    drain = servers * (1 - load)
    waits, reached = queue.law(160)
    stretch = np.interp(_DEPTHS, reached, waits) * drain / _DEPTHS
    return np.append([queue.p_wait / p_wait, queue.mean_wait * drain / p_wait], stretch)


def _first_residual_s(lengths: Array, weights: Array, servers: int) -> float:
    """Return the mean of the first of ``servers`` residual services: the integral of G^c."""
    level = _residual_tail(lengths, weights, np.append(0.0, lengths))
    slope = -np.diff(level) / np.diff(np.append(0.0, lengths))
    powers = level ** (servers + 1)
    return float(np.sum(-np.diff(powers) / slope)) / (servers + 1)


def _residual_tail(lengths: Array, weights: Array, at: Array) -> Array:
    """Return the chance that a service under way lasts longer than ``at`` from now."""
    left = np.maximum(lengths[:, None] - at, 0.0)
    return np.asarray(weights @ left / (weights @ lengths))


def _one_fast_server(
    lengths: Array, weights: Array, servers: int, load: float, mean_s: float
) -> tuple[Array, Array]:
    """Return waits, ``mean_s`` on average, and −log of their chance to be exceeded by who waits.

    The first of the services under way, stretched to the mean, plus the wait for one server c times
    as fast: Tijms, van Hoorn and Federgruen (1981, "Approximations for the steady-state
    probabilities in the M/G/c queue", Advances in Applied Probability 13). Exact for one server. On
    a lattice: with G the residual service of the fast server, E[z^wait] is
    E[z^first] · (1 − load)/(1 − load · G(z)), read off on a circle so small that the tail which
    folds back is under 1e-8.
    """
    fast = lengths / servers
    first_s = _first_residual_s(lengths, weights, servers)
    queue_s = float(fast**2 @ weights) / (2 * float(fast @ weights)) * load / (1 - load)
    share = min(1.0, max(0.0, mean_s - first_s) / queue_s)
    stretch = max(1e-2, 1 + (mean_s - first_s - share * queue_s) / first_s)
    size = 2048
    decay = _decay_rate(fast, weights, load / float(fast @ weights))
    first_end = min(float(lengths[-1]), 40 * first_s)
    step = (12 / decay + stretch * first_end) / size
    place = np.arange(size + 1, dtype=np.float64) * step

    ahead = weights @ np.maximum(fast[:, None] - place, 0.0) ** 2 / (2 * step * (weights @ fast))
    residual = np.append(1 + ahead[1] - ahead[0], np.diff(ahead, 2))
    middle = (place[:-1] + step / 2) / stretch
    first = -np.diff(_residual_tail(lengths, weights, middle) ** servers, prepend=1.0)
    shrink = 10.0 ** (-8 * np.arange(size) / size)
    queue = (1 - load) / (1 - load * np.fft.rfft(residual * shrink))
    law = np.fft.irfft(np.fft.rfft(first * shrink) * (1 - share + share * queue), size)
    after = 1 - np.cumsum(law / shrink)
    longer = np.append(1.0, (after[:-1] + after[1:]) / 2)
    depth = -np.log(np.maximum(np.minimum.accumulate(longer), math.exp(-_LATTICE - 1)))
    return place[:-1], depth


def _decay_rate(lengths: Array, weights: Array, rate: float) -> float:
    """Return δ > 0 with rate · (E[exp(δ S)] − 1) = δ: how fast M/G/1 waits die out.

    By bisection between zero and the heavy-load limit, where the left side is the larger; a decay
    to nothing within the longest service is fast enough.
    """
    mean, square = float(lengths @ weights), float(lengths**2 @ weights)
    low, high = 0.0, min(2 * (1 - rate * mean) / (rate * square), 500 / float(lengths[-1]))
    for _ in range(200):
        middle = (low + high) / 2
        with np.errstate(over="ignore"):  # an almost idle queue: the side is simply large
            side = rate * float(np.expm1(middle * lengths) @ weights) / middle
        low, high = (middle, high) if side < 1 else (low, middle)
        if high - low < 1e-13 * high:
            break
    return (low + high) / 2


def wait(arrivals_per_s: float, service_s: float, servers: int, scv: float) -> Wait:
    """Return the wait from the mean and spread of the render time.

    ``scv`` is the squared coefficient of variation of the render time: 0 where every clip takes the
    same time (`mdc`), 1 where it is exponential (`mmc`); elsewhere times are taken as gamma
    distributed. Between 0 and 1 the chance to wait, the mean and the quantiles of those who wait
    lie on the line between the two (Björklund and Elldin, 1964; Tijms, 1994, "Stochastic Models: An
    Algorithmic Approach"). Above 1 they are those of M/H2/c with the same three moments.

    Against simulated gammas (2026-11-22, 2 to 32 servers, loads 0.6 to 0.9) the mean was within
    2 % up to an ``scv`` of 2 and up to 4 % low at 4, the p95 within 2 % or 2 % of a service time up
    to 2 and within 2 % or 4 % of one at 4. `limits` says where that was not tried.
    """
    if not (math.isfinite(scv) and scv >= 0):
        raise InvalidArgument(f"scv must be 0 or more, got {scv}")
    if scv == 0:
        return mdc(arrivals_per_s, service_s, servers)
    if scv == 1:
        return mmc(arrivals_per_s, service_s, servers)
    _offered(arrivals_per_s, service_s, servers)
    if scv > 1:
        return _gamma_above_exponential(arrivals_per_s, service_s, servers, scv)
    return _gamma_below_exponential(arrivals_per_s, service_s, servers, scv)


def limits(service_s: float, servers: int, scv: float, answer: Wait) -> str | None:
    """Return in words why ``answer`` of `wait` lies outside what was tried, or None."""
    if scv in (0, 1):
        if servers > 1000 or answer.utilisation > 0.999:
            return "the exact formula was tried with 1 to 1000 servers at loads up to 0.999"
        return None
    if scv > 4:
        return "the formula was tried for a squared coefficient of variation up to 4"
    if servers > 64 or answer.utilisation > 0.98:
        return "the formula was tried with 1 to 64 servers at loads up to 0.98"
    if scv > 2 and answer.p_wait < 0.2 and answer.mean_wait_s > 0.01 * service_s:
        return "at so wide a spread where few clips wait, the formula is up to 9 % low in the p95"
    return None


def _gamma_below_exponential(
    arrivals_per_s: float, service_s: float, servers: int, scv: float
) -> Wait:
    """Return the wait where render times are gamma distributed, less spread than exponential."""
    constant, random = (
        mdc(arrivals_per_s, service_s, servers),
        mmc(arrivals_per_s, service_s, servers),
    )
    if random.p_wait <= _LIGHT:
        return random
    p_wait = constant.p_wait + scv * (random.p_wait - constant.p_wait)
    mean_s = constant.mean_wait_s + scv * (random.mean_wait_s - constant.mean_wait_s)

    def law() -> tuple[Array, Array]:
        alike_s, depth = _constant_law(arrivals_per_s * service_s, servers, constant.p_wait)
        drain_per_s = (servers - random.utilisation * servers) / service_s
        waits_s = (1 - scv) * alike_s * service_s + scv * depth / drain_per_s
        return _scaled(waits_s, depth, mean_s / p_wait), depth

    return _by_depth(random.utilisation, p_wait, mean_s, law)


def _gamma_above_exponential(
    arrivals_per_s: float, service_s: float, servers: int, scv: float
) -> Wait:
    """Return the wait where render times are gamma distributed, more spread than exponential."""
    random = mmc(arrivals_per_s, service_s, servers)
    if random.p_wait <= _LIGHT:
        return random
    load = random.utilisation
    likelier, longer, stretch = _beside_exponential(servers, random.p_wait, gamma_kinds(scv))
    p_wait = min(1.0, random.p_wait * likelier)
    mean_s = random.mean_wait_s * longer

    def law() -> tuple[Array, Array]:
        depth = np.linspace(0, 20, 128)
        return _scaled(depth * np.interp(depth, _DEPTHS, stretch), depth, mean_s / p_wait), depth

    return _by_depth(load, p_wait, mean_s, law)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImpatientWait(Wait):
    """Seconds spent in the queue by all, those who leave it included; ``p_leave`` do."""

    p_leave: float


def impatient(
    arrivals_per_s: float, service_s: float, servers: int, patience_s: float
) -> ImpatientWait:
    """Return the wait where people whose clip has not begun leave after a while: exact M/M/c+M.

    Render times and patience are exponential, of means ``service_s`` and ``patience_s``; any load
    is steady. The wait offered to a patient person has density proportional to
    exp(λ·patience·(1 − exp(−x/patience)) − c·x/service), an incomplete gamma function (Baccelli
    and Hebuterne, 1981, "On queues with impatient customers"; Garnett, Mandelbaum and Reiman, 2002,
    "Designing a call center with impatient customers", name it Erlang A).
    """
    if not (math.isfinite(patience_s) and patience_s > 0):
        raise InvalidArgument(f"patience_s must be greater than 0, got {patience_s}")
    erlangs = _offered(arrivals_per_s, service_s)
    if servers < 1:
        raise InvalidArgument(f"servers must be at least 1, got {servers}")
    if erlangs < _NOTHING:
        return ImpatientWait(
            utilisation=0.0, p_wait=0.0, mean_wait_s=0.0, p_leave=0.0, tail=_NO_WAIT.tail
        )
    from scipy.special import gammainc, gammaln

    shape = servers * patience_s / service_s
    start = arrivals_per_s * patience_s

    def series(z: float) -> float:
        steps = np.arange(1, math.ceil(12 * math.sqrt(shape)) + 200)
        return 1 + float(np.cumprod(z / (shape + steps)).sum())

    if start < shape:
        log_length = math.log(series(start) * service_s / servers)
    else:
        log_length = (
            start
            - shape * math.log(start)
            + float(gammaln(shape) + np.log(gammainc(shape, start)))
            + math.log(patience_s)
        )
    blocked = _erlang_b(servers - 1, erlangs)
    log_odds = math.log(arrivals_per_s * blocked) + log_length if blocked else -math.inf
    p_wait = 1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0.0
    last_free = blocked * (1 - p_wait)
    p_leave = min(1.0, max(0.0, last_free - p_wait * (servers / erlangs - 1)))

    def tail(wait_s: float) -> float:
        x = max(wait_s, 0.0) / patience_s
        still = start * math.exp(-x)
        if start < shape:
            offered = math.exp(start - still - shape * x) * series(still) / series(start)
        else:
            offered = float(gammainc(shape, still) / gammainc(shape, start))
        return p_wait * offered * math.exp(-x)

    return ImpatientWait(
        utilisation=erlangs / servers * (1 - p_leave),
        p_wait=p_wait,
        mean_wait_s=p_leave * patience_s,
        p_leave=p_leave,
        tail=tail,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HourWait:
    """The wait of clips that arrive in one hour of a repeating day; ``queue`` is the mean line."""

    hour: int
    arrivals: float
    servers: int
    utilisation: float
    queue: float
    mean_wait_s: float
    p95_wait_s: float


def day(
    arrivals_per_h: Sequence[float], service_s: float, servers: int | Sequence[int], scv: float
) -> tuple[HourWait, ...]:
    """Return the wait hour by hour where load, or fleet, changes with the hour and repeats: close.

    ``arrivals_per_h`` has one rate an hour (24 for a day, 168 for a week), ``servers`` one number
    or as many; ``scv`` as in `wait`. An hour may be overloaded if the whole cycle is not.

    The mean number of clips present moves by arrivals minus what a steady system with as many
    clips would finish (the pointwise stationary fluid flow of Wang, Tipper and Banerjee, 1996), so
    backlog is carried over and a long steady spell gives `wait`. Its variance follows the same
    flow, linearised, and moves the p95 away from the steady one. Against simulated days
    (2026-11-22, 2 to 20 servers, busiest hour at 0.94 to 1.2 of capacity) means of busy hours came
    out up to 20 % high, and p95 up to 20 % high while the queue grew and 45 % high while a large
    backlog drained; in the hour when such a backlog runs out both can be several times too low.
    """
    rates = np.asarray(arrivals_per_h, dtype=np.float64) / 3600
    if not rates.size or not np.isfinite(rates).all() or (rates < 0).any():
        raise InvalidArgument("arrivals_per_h must list rates of 0 or more")
    fleet = [servers] * len(rates) if isinstance(servers, int) else list(servers)
    if len(fleet) != len(rates):
        raise InvalidArgument(f"{len(rates)} hours need as many servers, got {len(fleet)}")
    if min(fleet) < 1:
        raise InvalidArgument(f"servers must be at least 1 in every hour, got {min(fleet)}")
    erlangs = _offered(float(rates.mean()), service_s)
    if not erlangs < sum(fleet) / len(fleet):
        raise InvalidArgument(
            f"the load over the whole cycle is {erlangs * len(fleet) / sum(fleet):.3g}: these "
            f"servers never catch up, {servers_at_least(erlangs)} all along would"
        )
    steady = {count: _steady_states(service_s, count, scv) for count in set(fleet)}
    step_s = 3600 / _STEPS_PER_HOUR
    present = variance = 0.0
    for _ in range(20):
        before, hours = present, []
        for hour, (rate, count) in enumerate(zip(rates.tolist(), fleet, strict=True)):
            seen = np.zeros(4)
            for _ in range(_STEPS_PER_HOUR):
                busy, slope, _ = steady[count](present)
                relax = count / service_s * slope
                noise = rate + scv * count * busy / service_s
                kept = math.exp(-2 * relax * step_s)
                variance = variance * kept + noise * (1 - kept) / (2 * relax)
                change = rate - count * busy / service_s
                present = max(0.0, present + step_s * change / (1 + relax * step_s))
                busy, slope, p95_s = steady[count](present)
                queue = max(0.0, present - count * busy)
                mean_s = queue * service_s / (count * busy) if busy else 0.0
                if mean_s:
                    second_s = service_s / count
                    usual = noise * service_s / (2 * count * slope)
                    p95_s *= _gamma_p95(mean_s, math.sqrt(variance) * second_s) / _gamma_p95(
                        mean_s, math.sqrt(usual) * second_s
                    )
                seen += (busy, queue, mean_s, p95_s)
            busy, queue, mean_s, p95_s = (seen / _STEPS_PER_HOUR).tolist()
            hours.append(
                HourWait(
                    hour=hour,
                    arrivals=rate * 3600,
                    servers=count,
                    utilisation=busy,
                    queue=queue,
                    mean_wait_s=mean_s,
                    p95_wait_s=p95_s,
                )
            )
        if abs(present - before) <= 1e-3 * (1 + present):
            break
    return tuple(hours)


_STEPS_PER_HOUR = 60


def _steady_states(
    service_s: float, servers: int, scv: float
) -> Callable[[float], tuple[float, float, float]]:
    """Return a function from clips present to utilisation, its slope and the p95 wait, if steady.

    Beyond the table, where the idle share falls as one over the clips present, it goes on so.
    """
    idle = np.append(np.geomspace(1, 0.02, 24)[1:], np.geomspace(0.02, 1e-4, 24)[1:])
    waits = [wait(float(1 - i) * servers / service_s, service_s, servers, scv) for i in idle]
    present = [0.0] + [w.utilisation * servers * (1 + w.mean_wait_s / service_s) for w in waits]
    busy = [0.0] + [w.utilisation for w in waits]
    p95_s = [0.0] + [w.p95_wait_s for w in waits]

    def at(clips: float) -> tuple[float, float, float]:
        if clips >= present[-1]:
            idle_share = (1 - busy[-1]) * present[-1] / clips
            return 1 - idle_share, idle_share / clips, p95_s[-1] * clips / present[-1]
        i = bisect_right(present, clips) - 1
        part = (clips - present[i]) / (present[i + 1] - present[i])
        slope = (busy[i + 1] - busy[i]) / (present[i + 1] - present[i])
        return (
            busy[i] + part * (busy[i + 1] - busy[i]),
            slope,
            p95_s[i] + part * (p95_s[i + 1] - p95_s[i]),
        )

    return at


def _gamma_p95(mean: float, deviation: float) -> float:
    """Return the 95th percentile of a gamma law, by Wilson and Hilferty (1931)."""
    shape = max(0.05, (mean / max(deviation, 1e-9 * mean)) ** 2)
    return mean * max(1e-3, 1 - 1 / (9 * shape) + 1.645 / (3 * math.sqrt(shape))) ** 3


def servers_needed(arrivals_per_s: float, service_s: float, scv: float, p95_wait_s: float) -> int:
    """Return the fewest servers with which 95 % of clips wait at most ``p95_wait_s``.

    Zero where nothing arrives. ``scv`` as in `wait`.

    >>> servers_needed(arrivals_per_s=0.05, service_s=100, scv=0, p95_wait_s=60)
    7
    """
    return _fewest(
        lambda servers: wait(arrivals_per_s, service_s, servers, scv),
        _offered(arrivals_per_s, service_s),
        p95_wait_s,
    )


def servers_needed_for_mix(
    arrivals_per_s: float, lengths_s: Sequence[float], shares: Sequence[float], p95_wait_s: float
) -> int:
    """Return `servers_needed` where render times are a mixture of constants, as in `mgc`."""
    lengths, weights = _mixture(lengths_s, shares)
    return _fewest(
        lambda servers: mgc(arrivals_per_s, lengths_s, shares, servers),
        _offered(arrivals_per_s, float(lengths @ weights)),
        p95_wait_s,
    )


def _fewest(wait_with: Callable[[int], Wait], erlangs: float, p95_wait_s: float) -> int:
    if not p95_wait_s >= 0:
        raise InvalidArgument(f"p95_wait_s must be 0 or more, got {p95_wait_s}")
    if erlangs < _NOTHING:
        return 0

    def kept(servers: int) -> bool:
        return wait_with(servers).tail(p95_wait_s) <= 0.05

    most = servers_at_least(erlangs)
    least, step = most - 1, 1
    while not kept(most):
        least, most, step = most, most + step, 2 * step
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (least, middle) if kept(middle) else (middle, most)
    return most


def servers_at_least(erlangs: float) -> int:
    """Return the fewest servers that keep up with a load of ``erlangs`` at all."""
    return math.floor(erlangs) + 1


def _offered(arrivals_per_s: float, service_s: float, servers: int | None = None) -> float:
    """Return the offered load in erlangs; refuse a load that ``servers`` cannot keep up with."""
    if not (math.isfinite(arrivals_per_s) and arrivals_per_s >= 0):
        raise InvalidArgument(f"arrivals_per_s must be 0 or more, got {arrivals_per_s}")
    if not (math.isfinite(service_s) and service_s > 0):
        raise InvalidArgument(f"service_s must be greater than 0, got {service_s}")
    erlangs = arrivals_per_s * service_s
    if servers is not None:
        _check_stable(erlangs, servers)
    return erlangs


def _check_stable(erlangs: float, servers: int) -> None:
    if servers < 1:
        raise InvalidArgument(f"servers must be at least 1, got {servers}")
    if not erlangs < servers:
        raise InvalidArgument(
            f"the load is {erlangs / servers:.3g}: {servers} servers fall behind for ever, "
            f"{servers_at_least(erlangs)} would keep up"
        )


def _mixture(lengths_s: Sequence[float], shares: Sequence[float]) -> tuple[Array, Array]:
    """Return the distinct lengths, shortest first, with their shares."""
    if len(lengths_s) != len(shares) or not len(lengths_s):
        raise InvalidArgument(
            f"every length needs its share: {len(lengths_s)} lengths, {len(shares)} shares"
        )
    if not all(math.isfinite(length) and length > 0 for length in lengths_s):
        raise InvalidArgument(f"lengths_s must be greater than 0, got {list(lengths_s)}")
    if min(shares) < 0 or abs(math.fsum(shares) - 1) > 1e-9:
        raise InvalidArgument(
            f"shares must not be negative and must add up to 1, got {list(shares)}"
        )
    merged: dict[float, float] = {}
    for length, share in zip(lengths_s, shares, strict=True):
        if share > 0:
            merged[float(length)] = merged.get(float(length), 0.0) + share
    lengths = np.array(sorted(merged))
    return lengths, np.array([merged[length] for length in lengths])


def _root(f: Callable[[float], float], low: float, high: float) -> float:
    """Return where falling ``f`` crosses zero between ``low`` and ``high`` (Illinois rule)."""
    f_low, f_high = f(low), f(high)
    for _ in range(100):
        middle = high - f_high * (high - low) / (f_high - f_low)
        if high - low <= 1e-12 * high or f_high == f_low:
            break
        f_middle = f(middle)
        if abs(f_middle) < 1e-13:
            return middle
        if f_middle > 0:
            low, f_low, f_high = middle, f_middle, f_high / 2
        else:
            high, f_high, f_low = middle, f_middle, f_low / 2
    return (low + high) / 2
