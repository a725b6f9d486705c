"""The compiled loop: one draw is a whole scenario, its fleet sized anew every month.

A draw's numbers come from a counter, not from a state: number d of draw n under a seed is
SplitMix64 (Steele, Lea and Flood, 2014, "Fast splittable pseudorandom number generators") at
n · inputs + d, made normal by Wichura's AS 241 (1988). So the same seed gives the same digits
however many threads share the work, and draw n is the same whether ten or a million are drawn.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from costlab.compiled import compiled
from costlab.core import InvalidArgument
from costlab.uncertainty.inputs import PRINTED
from costlab.uncertainty.model import (
    API_FAILURE,
    FULL,
    GROWTH,
    PEAK,
    VOLUME,
    Arrays,
    Floats,
    Model,
)

MOST_DRAWS = 20_000_000
COST, ACCEPTED, API_COST, API_ACCEPTED, RENT, BUSY_USD, SLOT_HOURS, BUSY_HOURS = range(8)
"""What a draw yields over all months: bill, accepted clips, both on the best APIs, the rent inside
the bill and the part of it for busy seconds, paid and busy slot-hours."""
OUT = 8
VOLUMES, RENTS, SECONDS, API_PRICES, UTILISATION = range(5)
"""Places of what multiplies a whole draw; `UTILISATION` above 0 fixes how busy slots are."""
_CHUNK = 4096
_BINS, _DECADES = 4096, 8.0
REACH, FAR = 0.8, 2.6
"""Logarithms of the factors on seconds for which slots are tabled: in draws, and in searches."""


@compiled
def _uniform(seed: int, counter: int) -> float:
    x = np.uint64(seed) + np.uint64(counter) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    return ((x >> np.uint64(11)) + 0.5) / 9007199254740992.0


@compiled
def _normal(p: float) -> float:
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return (
            q
            * (((((((2509.0809287301226727 * r + 33430.575583588128105) * r
                + 67265.770927008700853) * r + 45921.953931549871457) * r
                + 13731.693765509461125) * r + 1971.5909503065514427) * r
                + 133.14166789178437745) * r + 3.387132872796366608)
            / (((((((5226.495278852545925 * r + 28729.085735721942674) * r
                + 39307.89580009271061) * r + 21213.794301586595867) * r
                + 5394.1960214247511077) * r + 687.1870074920579083) * r
                + 42.313330701600911252) * r + 1.0)
        )  # fmt: skip
    r = math.sqrt(-math.log(p if q < 0 else 1 - p))
    if r <= 5:
        r -= 1.6
        value = (((((((7.7454501427834140764e-4 * r + 0.0227238449892691845833) * r
            + 0.24178072517745061177) * r + 1.27045825245236838258) * r
            + 3.64784832476320460504) * r + 5.7694972214606914055) * r
            + 4.6303378461565452959) * r + 1.42343711074968357734) / (
            ((((((1.05075007164441684324e-9 * r + 5.475938084995344946e-4) * r
            + 0.0151986665636164571966) * r + 0.14810397642748007459) * r
            + 0.68976733498510000455) * r + 1.6763848301838038494) * r
            + 2.05319162663775882187) * r + 1.0)  # fmt: skip
    else:
        r -= 5
        value = (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r
            + 0.0012426609473880784386) * r + 0.026532189526576123093) * r
            + 0.29656057182850489123) * r + 1.7848265399172913358) * r
            + 5.4637849111641143699) * r + 6.6579046435011037772) / (
            ((((((2.04426310338993978564e-15 * r + 1.4215117583164458887e-7) * r
            + 1.8463183175100546818e-5) * r + 7.868691311456132591e-4) * r
            + 0.0148753612908506148525) * r + 0.13692988092273580531) * r
            + 0.59983220655588793769) * r + 1.0)  # fmt: skip
    return -value if q < 0 else value


@compiled
def _value(code: int, centre: float, below: float, above: float, z: float) -> float:
    if code == PRINTED:
        return below + 0.5 * math.erfc(-z / math.sqrt(2.0)) * (above - below)
    x = centre + z * (below if z < 0 else above)
    if code == 1:
        return math.exp(x)
    if code == 2:
        return 1.0 / (1.0 + math.exp(-x))
    return x


@compiled
def _slots(
    erlangs: float, table: NDArray[np.float64], nodes: NDArray[np.float64], stretch: float
) -> float:
    """Return the fewest slots whose tabled load reaches ``erlangs``, read between stretches."""
    last = len(nodes) - 1
    j = 0
    while j < last - 1 and stretch > nodes[j + 1]:
        j += 1
    part = min(1.0, max(0.0, (stretch - nodes[j]) / (nodes[j + 1] - nodes[j])))
    most = len(table) - 1
    low = int(min(float(most), math.floor(erlangs)))
    if table[most, j] + part * (table[most, j + 1] - table[most, j]) < erlangs:
        spare = most - (table[most, j] + part * (table[most, j + 1] - table[most, j]))
        beta = spare / math.sqrt(float(most))
        return float(math.ceil((beta / 2 + math.sqrt(beta * beta / 4 + erlangs)) ** 2))
    step = 1
    high = low + 1
    while high < most and table[high, j] + part * (table[high, j + 1] - table[high, j]) < erlangs:
        low = high
        high = min(most, high + step)
        step *= 2
    while high - low > 1:
        middle = (low + high) // 2
        if table[middle, j] + part * (table[middle, j + 1] - table[middle, j]) < erlangs:
            low = middle
        else:
            high = middle
    return float(high)


@compiled
def _play(
    v: NDArray[np.float64],
    times: NDArray[np.float64],
    fixed: NDArray[np.float64],
    tables: NDArray[np.float64],
    nodes: NDArray[np.float64],
    m: Arrays,
    work: NDArray[np.float64],
    by_month: NDArray[np.float64],
    slots: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """Work one draw out: values ``v``, multipliers ``times``; results in the last three."""
    peak, growth0, full = fixed[0], fixed[1], v[FULL]
    peak = 1.0 + (peak - 1.0) * v[PEAK]
    parts = len(m.own)
    for u in range(parts):
        p_api = (1 - v[API_FAILURE]) * v[m.kept_at[u]]
        p = (1 - v[m.failed_at[u]]) * v[m.kept_at[u]]
        left, left_api = 1.0, 1.0
        for _ in range(m.tries[u]):
            left *= 1 - p
            left_api *= 1 - p_api
        if m.tries[u] == 0:
            left, left_api = 0.0, 0.0
        tries = (1 - left) / p
        work[u, 0] = 1 - left
        work[u, 1] = tries
        failed = v[m.failed_at[u]]
        if m.own[u]:
            factor = v[m.seconds_at[u]]
            power = m.shorter[u] if factor < 1 else m.longer[u]
            seconds = m.render_s[u] * times[SECONDS]
            if power == 1.0:
                seconds *= factor
            elif power != 0.0:
                seconds *= factor**power
            exposure = m.theta[u] * v[m.theta_at[u]] * seconds / 3600.0
            if exposure > 0:
                seconds *= math.expm1(min(exposure, 500.0)) / exposure
            work[u, 2] = seconds
        else:
            price = m.usd[u] * v[m.price_at[u]] * times[API_PRICES]
            work[u, 2] = price * tries * ((1 - failed) + failed * m.billed[u])
        best = math.inf
        failed = v[API_FAILURE]
        for o in range(m.option_from[u], m.option_from[u + 1]):
            price = m.option_usd[o] * v[m.option_at[o]]
            best = min(best, price * ((1 - failed) + failed * m.option_billed[o]))
        work[u, 3] = best * times[API_PRICES] * (1 - left_api) / p_api
        work[u, 4] = 1 - left_api
    out[:] = 0.0
    by_month[:] = 0.0
    ratio = max(0.0, (1 + v[GROWTH]) / (1 + growth0))
    grown, on = 1.0, 0
    for e in range(len(m.month)):
        while on < m.on[e]:
            grown *= ratio
            on += 1
        clips = v[VOLUME] * times[VOLUMES] * grown
        bill = 0.0
        first, after = m.pool_from[e], m.pool_from[e + 1]
        for j in range(first, after):
            work[parts + j - first, :] = 0.0
        for k in range(m.use_from[e], m.use_from[e + 1]):
            u = m.use_part[k]
            wanted = clips * m.use_wanted[k]
            out[ACCEPTED] += wanted * work[u, 0] * m.share[e]
            out[API_COST] += wanted * work[u, 3] * m.share[e]
            out[API_ACCEPTED] += wanted * work[u, 4] * m.share[e]
            if m.own[u]:
                j = parts + m.use_pool[k]
                attempts = wanted * work[u, 1]
                busy = attempts * work[u, 2]
                work[j, 0] += busy
                if not m.batch[u]:
                    work[j, 1] += attempts
                    work[j, 2] += busy
            else:
                bill += wanted * work[u, 2]
        for j in range(first, after):
            row = parts + j - first
            busy_hours = work[row, 0] / 3600.0
            count = 0.0
            if times[UTILISATION] > 0:
                count = math.ceil(busy_hours / m.hours[e] / times[UTILISATION])
            elif busy_hours > 0:
                count = math.ceil(busy_hours / m.hours[e] / full)
                if work[row, 1] > 0:
                    erlangs = work[row, 2] / (m.hours[e] * 3600.0) * peak
                    stretch = math.log(work[row, 2] / work[row, 1] / m.pool_mean_s[j])
                    count = max(count, _slots(erlangs, tables[m.pool_table[j]], nodes, stretch))
            slots[j] = count
            rate = m.pool_gpus[j] * m.pool_usd[j] * v[m.pool_at[j]] * times[RENTS]
            rent = count * m.hours[e] * rate
            bill += rent
            out[RENT] += rent * m.share[e]
            out[BUSY_USD] += busy_hours * rate * m.share[e]
            out[SLOT_HOURS] += count * m.hours[e] * m.share[e]
            out[BUSY_HOURS] += busy_hours * m.share[e]
        out[COST] += bill * m.share[e]
        by_month[m.month[e]] += bill * m.share[e]


@compiled
def _chunk(
    seed: int,
    start: int,
    stop: int,
    laws: NDArray[np.float64],
    places: NDArray[np.int64],
    centre: NDArray[np.float64],
    fixed: NDArray[np.float64],
    tables: NDArray[np.float64],
    nodes: NDArray[np.float64],
    m: Arrays,
    scale: NDArray[np.float64],
    out: NDArray[np.float64],
    counts: NDArray[np.int64],
) -> None:
    """Draw ``start`` to ``stop``; count each month's bill in bins around ``scale``."""
    v = centre.copy()
    times = np.ones(5)
    times[4] = 0.0
    work = np.zeros((len(m.own) + len(m.pool_gpus) + 1, 5))
    by_month = np.zeros(len(counts))
    slots = np.zeros(max(1, len(m.pool_gpus)))
    inputs = len(places)
    bins = counts.shape[1]
    for n in range(start, stop):
        for d in range(inputs):
            z = _normal(_uniform(seed, n * inputs + d + 1))
            v[places[d]] = _value(int(laws[d, 0]), laws[d, 1], laws[d, 2], laws[d, 3], z)
        _play(v, times, fixed, tables, nodes, m, work, by_month, slots, out[n])
        for i in range(len(by_month)):
            if by_month[i] > 0 and scale[i] > 0:
                place = bins * (0.5 + math.log10(by_month[i] / scale[i]) / 8.0)
                counts[i, int(min(bins - 1.0, max(0.0, place)))] += 1
            else:
                counts[i, 0] += 1


@compiled
def _rows(
    z: NDArray[np.float64],
    laws: NDArray[np.float64],
    places: NDArray[np.int64],
    centre: NDArray[np.float64],
    times: NDArray[np.float64],
    fixed: NDArray[np.float64],
    tables: NDArray[np.float64],
    nodes: NDArray[np.float64],
    m: Arrays,
    out: NDArray[np.float64],
    slots: NDArray[np.float64],
    start: int,
    stop: int,
) -> None:
    """Work out given draws: a row of normals each, not-a-number for an input at its centre."""
    v = centre.copy()
    work = np.zeros((len(m.own) + len(m.pool_gpus) + 1, 5))
    by_month = np.zeros(m.month.max() + 1 if len(m.month) else 1)
    for n in range(start, stop):
        for d in range(len(places)):
            if math.isnan(z[n, d]):
                v[places[d]] = centre[places[d]]
            else:
                v[places[d]] = _value(int(laws[d, 0]), laws[d, 1], laws[d, 2], laws[d, 3], z[n, d])
        _play(v, times[n], fixed, tables, nodes, m, work, by_month, slots[n], out[n])


@compiled
def _normals(seed: int, start: int, stop: int, out: NDArray[np.float64]) -> None:
    inputs = out.shape[1]
    for n in range(start, stop):
        for d in range(inputs):
            out[n, d] = _normal(_uniform(seed, n * inputs + d + 1))


@dataclass(frozen=True, eq=False, kw_only=True)
class Draws:
    """What came out: one row a draw, over all months (columns `COST` and so on).

    ``month_counts`` counts each month's bill in bins from 10⁻⁴ to 10⁴ times its centre.
    """

    model: Model
    seed: int
    rows: Floats
    month_counts: NDArray[np.int64]
    month_scale: Floats

    @property
    def usd(self) -> Floats:
        """The bill of all months, per draw."""
        return self.rows[:, COST]

    @property
    def per_clip(self) -> Floats:
        """USD per accepted clip, per draw."""
        return self.rows[:, COST] / self.rows[:, ACCEPTED]

    @property
    def api_per_clip(self) -> Floats:
        """USD per accepted clip with every served clip on the API that is cheapest for it."""
        return self.rows[:, API_COST] / self.rows[:, API_ACCEPTED]

    @property
    def saved_usd(self) -> Floats:
        """What the policy saves over all months beside the best APIs, for the same clips kept."""
        return saved(self.rows)

    def month_usd(self, share: float) -> list[float]:
        """Return each month's bill that ``share`` of the draws do not exceed, within 0.3 %."""
        found = []
        for counts, scale in zip(self.month_counts, self.month_scale, strict=True):
            reached = np.cumsum(counts)
            place = int(np.searchsorted(reached, share * reached[-1]))
            before = reached[place - 1] if place else 0
            part = (share * reached[-1] - before) / max(1, counts[place])
            found.append(float(scale * 10 ** (_DECADES * ((place + part) / _BINS - 0.5))))
        return found


def saved(rows: Floats) -> Floats:
    """Return what the policy saves beside the best APIs for as many accepted clips, in dollars."""
    api = rows[:, API_COST] / rows[:, API_ACCEPTED] * rows[:, ACCEPTED]
    return np.asarray(api - rows[:, COST])


def _threads() -> int:
    return max(1, min(int(numba.get_num_threads()), os.cpu_count() or 1))


def _shared(work: Callable[[int, int], None], count: int) -> None:
    """Run ``work`` over 0 … count in chunks on as many threads as numba may use."""
    edges = [(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    if len(edges) == 1 or _threads() == 1:
        for start, stop in edges:
            work(start, stop)
        return
    with ThreadPoolExecutor(_threads()) as pool:
        for done in [pool.submit(work, start, stop) for start, stop in edges]:
            done.result()


def _laws(model: Model) -> tuple[Floats, NDArray[np.int64]]:
    found = model.uncertain
    laws = np.array([item.law() for item in found], dtype=np.float64).reshape(len(found), 4)
    return laws, np.array([item.place for item in found], dtype=np.int64)


def _fixed(model: Model) -> Floats:
    return np.array([model.peak_factor, model.mix.growth_per_month])


def _check(count: int, what: str) -> None:
    if not 1 <= count <= MOST_DRAWS:
        raise InvalidArgument(f"{what} must be from 1 to {MOST_DRAWS:,}, got {count}")


def draw(model: Model, count: int, seed: int = 1) -> Draws:
    """Return ``count`` draws of the model; the same seed gives the same digits on any machine."""
    _check(count, "draws")
    if not 0 <= seed < 2**63:
        raise InvalidArgument(f"seed must be from 0 to 2^63 − 1, got {seed}")
    laws, places = _laws(model)
    nodes, tables = model.tables(REACH)
    scale = np.zeros(model.months)
    for epoch, month in zip(model.epochs, model.arrays.month, strict=True):
        if epoch.projection:
            bill = float(epoch.projection.summary["usd_per_month"].value)
            scale[month] += bill * float(epoch.share)
    rows = np.empty((count, OUT))
    counted: dict[int, NDArray[np.int64]] = {}

    def work(start: int, stop: int) -> None:
        counts = np.zeros((model.months, _BINS), dtype=np.int64)
        _chunk(_key(seed), start, stop, laws, places, model.values, _fixed(model), tables, nodes,
               model.arrays, scale, rows, counts)  # fmt: skip
        counted[start] = counts

    _shared(work, count)
    total = np.zeros((model.months, _BINS), dtype=np.int64)
    for counts in counted.values():
        total += counts
    return Draws(model=model, seed=seed, rows=rows, month_counts=total, month_scale=scale)


def _key(seed: int) -> Any:
    """Return a seed spread over 64 bits, so that seeds 1 and 2 do not share a stretch of draws."""
    x = (seed * 0xD1342543DE82EF95 + 0x2545F4914F6CDD1D) % 2**64
    return np.uint64((x ^ (x >> 29)) * 0xBF58476D1CE4E5B9 % 2**64)


def normals(count: int, inputs: int, seed: int) -> Floats:
    """Return the standard normals that `draw` would use, shape (count, inputs)."""
    out = np.empty((count, inputs))
    _shared(lambda start, stop: _normals(_key(seed), start, stop, out), count)
    return out


def evaluate(
    model: Model, z: Floats, times: Floats | None = None, *, far: bool = False
) -> tuple[Floats, Floats]:
    """Return (rows, slots) of given draws: shapes (n, 8) and (n, pools of all epochs).

    ``z`` has a column for each of `Model.uncertain`; not-a-number leaves an input at its centre.
    ``times`` (n, 5) multiplies clips, rents, seconds and API prices, and its last column fixes how
    busy slots are where it is above 0. ``far`` tables slots for seconds up to 13 times as long.
    """
    laws, places = _laws(model)
    nodes, tables = model.tables(FAR if far else REACH)
    count = len(z)
    if times is None:
        times = np.tile(UNCHANGED, (count, 1))
    out = np.empty((count, OUT))
    slots = np.zeros((count, max(1, len(model.arrays.pool_gpus))))
    z = np.ascontiguousarray(z, dtype=np.float64)

    def work(start: int, stop: int) -> None:
        _rows(z, laws, places, model.values, times, _fixed(model), tables, nodes, model.arrays,
              out, slots, start, stop)  # fmt: skip

    _shared(work, count)
    return out, slots


UNCHANGED = np.array([1.0, 1.0, 1.0, 1.0, 0.0])


def at_centre(model: Model) -> Floats:
    """Return the row of the centre: what `projection.project` says, in floating point."""
    rows, _ = evaluate(model, np.full((1, len(model.uncertain)), np.nan))
    return np.asarray(rows[0])


__all__ = ["Draws", "at_centre", "draw", "evaluate", "normals", "saved"]
