"""Why actual is not forecast: an exact split into five causes, independent of their order.

    cost of a route = volume × mix × efficiency × 1/utilisation × price
                      clips    share  units at    units paid /    USD per
                               of all work a clip units at work   paid unit

Each cause gets its Shapley value: its effect averaged over every order in which the five could
have changed from forecast to actual. Units are GPU-seconds, or the seconds of video that an API
bills. All arithmetic is in fractions; a route's parts are rounded by largest remainder, so that
they add up to its difference to the micro-dollar, and the routes to the whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import factorial
from typing import Any, Literal

from costlab import catalog
from costlab.core import CostlabError, plain, usd
from costlab.finance.charges import GPU_HOURS, Charge, Item, View
from costlab.finance.money import whole

Factor = Literal["price", "volume", "mix", "efficiency", "utilisation"]
FACTORS: tuple[Factor, ...] = ("price", "volume", "mix", "efficiency", "utilisation")
Ratio = Callable[[Item, date, date], Fraction | None]
"""How the list price of an item moved between two days; None where a day has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What one route took and cost on one side.

    ``clips`` in millionths; ``used`` and ``paid`` in one unit of the route's own. ``listed`` are
    its charges, from which a list price of another day is worked out.
    """

    route: str
    gpu: bool
    clips: int
    used: Fraction
    paid: Fraction
    micro: int
    listed: tuple[Charge, ...]


def tallies(charges: Iterable[Charge], view: View) -> dict[str, Tally]:
    """Return the tally of each route; charges of no route stand under their own label."""
    groups: dict[str, list[Charge]] = {}
    for charge in charges:
        groups.setdefault(charge.item.route or charge.item.label, []).append(charge)
    return {route: _tally(route, own, view) for route, own in groups.items()}


def _tally(route: str, own: Sequence[Charge], view: View) -> Tally:
    used = Fraction(sum(charge.busy_micro_s for charge in own), 1_000_000)
    gpu = any(charge.item.kind in ("gpu", "owned") for charge in own)
    hours = sum(
        charge.quantity_nano or 0
        for charge in own
        if charge.item.category == "Usage" and charge.item.unit == GPU_HOURS
    )
    return Tally(
        route=route,
        gpu=gpu,
        clips=sum(charge.clips_micro for charge in own),
        used=used,
        paid=Fraction(hours * 3600, 1_000_000_000) if gpu else used,
        micro=sum(charge.micro(view) for charge in own),
        listed=tuple(charge for charge in own if charge.item.category == "Usage"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class VarianceLine:
    """One route: its two amounts and the parts of their difference, in millionths of a dollar."""

    route: str
    forecast_micro: int
    actual_micro: int
    parts: Mapping[Factor, int]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variance:
    """Actual less forecast, by route and by cause."""

    forecast_micro: int
    actual_micro: int
    lines: tuple[VarianceLine, ...]

    @property
    def parts(self) -> dict[Factor, int]:
        """The parts of the whole difference; they sum to it exactly."""
        return {factor: sum(line.parts[factor] for line in self.lines) for factor in FACTORS}

    def to_dict(self) -> dict[str, Any]:
        """Return the stable JSON shape of ``costlab actuals --json`` (docs/json.md)."""
        shape: dict[str, Any] = plain(
            {
                "forecast_usd": usd(self.forecast_micro),
                "actual_usd": usd(self.actual_micro),
                "difference_usd": usd(self.actual_micro - self.forecast_micro),
                "parts": {name: usd(micro) for name, micro in self.parts.items()},
                "lines": [
                    {
                        "route": line.route,
                        "forecast_usd": usd(line.forecast_micro),
                        "actual_usd": usd(line.actual_micro),
                        "parts": {name: usd(micro) for name, micro in line.parts.items()},
                        "note": line.note,
                    }
                    for line in self.lines
                ],
            }
        )
        return shape


def book_ratio(item: Item, own: date, other: date) -> Fraction | None:
    """Return how the book's list price of an item moved from its ``own`` day to the ``other``."""
    if item.kind == "api":
        rates = []
        for day in (own, other):
            rows = catalog.in_force(catalog.prices_of(item.model), day)
            rates.append([row.usd_per_unit for row in rows if row.sku == item.sku])
        before, after = rates
        return Fraction(after[0]) / Fraction(before[0]) if before and after else None
    if item.kind != "gpu":
        return None
    try:
        rents = [catalog.offer(item.sku, as_of=day).usd_per_gpu_hour for day in (own, other)]
    except CostlabError:
        return None
    return Fraction(rents[1]) / Fraction(rents[0])


def variance(
    forecast: Iterable[Charge],
    actual: Iterable[Charge],
    *,
    view: View = "cash",
    ratio: Ratio = book_ratio,
) -> Variance:
    """Return the split of actual less forecast.

    A route on one side only has the list price of the other side's first day there (``ratio``),
    and is worked with as on its own side; where no price is known the whole line is mix. Costs
    without any clips are price where both sides have them and mix where one has; GPUs that made
    clips on one side and stood idle on the other are utilisation.
    """
    before, after = list(forecast), list(actual)
    days = [min((one.starts for one in side), default=None) for side in (before, after)]
    one, two = tallies(before, view), tallies(after, view)
    volumes = [sum(tally.clips for tally in side.values()) for side in (one, two)]
    lines = []
    for route in sorted(one.keys() | two.keys()):
        pair = (one.get(route), two.get(route))
        values, note = _values(pair, days, ratio)
        sides = [tally.micro if tally else 0 for tally in pair]
        if isinstance(values, str):
            parts = dict.fromkeys(FACTORS, Fraction(0))
            parts[values] = Fraction(sides[1] - sides[0])
        else:
            parts = shapley(*_factors(pair, volumes, values))
        rounded = whole(list(parts.values()), sides[1] - sides[0])
        lines.append(
            VarianceLine(
                route=route,
                forecast_micro=sides[0],
                actual_micro=sides[1],
                parts=dict(zip(FACTORS, rounded, strict=True)),
                note=note,
            )
        )
    return Variance(
        forecast_micro=sum(line.forecast_micro for line in lines),
        actual_micro=sum(line.actual_micro for line in lines),
        lines=tuple(lines),
    )


def shapley(
    before: Mapping[Factor, Fraction], after: Mapping[Factor, Fraction]
) -> dict[Factor, Fraction]:
    """Return each factor's Shapley value in the change of their product.

    φ_k = Σ over sets S without k of |S|! (n − |S| − 1)! / n! · (v(S + k) − v(S)), where v(S) is the
    product with the factors of S after and the others before.

    >>> two = shapley({"price": Fraction(2), "volume": Fraction(3)},
    ...               {"price": Fraction(4), "volume": Fraction(5)})
    >>> int(two["price"]), int(two["volume"])
    (8, 6)
    """
    names = list(before)
    count = len(names)
    value: dict[int, Fraction] = {}
    for chosen in range(1 << count):
        product = Fraction(1)
        for k, name in enumerate(names):
            product *= (after if chosen >> k & 1 else before)[name]
        value[chosen] = product
    found = {}
    for k, name in enumerate(names):
        share = Fraction(0)
        for chosen in range(1 << count):
            if not chosen >> k & 1:
                size = chosen.bit_count()
                weight = Fraction(factorial(size) * factorial(count - size - 1), factorial(count))
                share += weight * (value[chosen | 1 << k] - value[chosen])
        found[name] = share
    return found


_Known = Literal["used", "paid", "clips"]
_UNTOLD: dict[_Known, str] = {
    "used": "",
    "paid": "no seconds at work on one side: efficiency holds utilisation",
    "clips": "no seconds on one side: price is that of a clip and holds efficiency",
}
_Side = tuple[Fraction, Fraction, Fraction]
"""Units at work a clip, paid over working units, micro-dollars a paid unit."""


def _values(
    pair: tuple[Tally | None, Tally | None], days: Sequence[date | None], ratio: Ratio
) -> tuple[tuple[_Side, _Side] | Factor, str]:
    """Return efficiency, 1/utilisation and price of both sides, or the one cause of it all."""
    made = [tally is not None and tally.clips > 0 for tally in pair]
    cost = [tally.micro if tally else 0 for tally in pair]
    if not any(made):
        both = pair[0] is not None and pair[1] is not None
        return ("price", "no clips: all price") if both else ("mix", "no clips, one side: all mix")
    sides = [tally for tally, has in zip(pair, made, strict=True) if tally and has]
    known = _known(sides)
    if len(sides) == 2:
        return (_side(sides[0], known), _side(sides[1], known)), _UNTOLD[known]
    own = 0 if made[0] else 1
    here = sides[0]
    if cost[1 - own]:
        idle: Factor = "utilisation" if here.gpu else "mix"
        return idle, f"no clips on one side, yet a cost: all {idle}"
    there = days[1 - own]
    price = _listed(here, there, ratio, known) if there else None
    if price is None:
        return "mix", "one side only, no list price on the other: all mix"
    side = _side(here, known)
    other = (side[0], side[1], price)
    note = f"one side only: list price of {there} on the other"
    return ((side, other) if own == 0 else (other, side)), note


def _known(sides: Sequence[Tally]) -> _Known:
    """Return how much every side tells: units at work too, units paid only, or clips alone."""
    if all(tally.paid > 0 for tally in sides):
        return "used" if all(tally.used > 0 for tally in sides) else "paid"
    return "clips"


def _side(tally: Tally, known: _Known) -> _Side:
    clips = Fraction(tally.clips, 1_000_000)
    if known == "clips":
        return Fraction(1), Fraction(1), Fraction(tally.micro) / clips
    price = Fraction(tally.micro) / tally.paid
    if known == "paid":
        return tally.paid / clips, Fraction(1), price
    return tally.used / clips, tally.paid / tally.used, price


def _listed(tally: Tally, day: date, ratio: Ratio, known: _Known) -> Fraction | None:
    """Return the list price, in micro-dollars a paid unit, of a route's own basket on a day."""
    cost = Fraction(0)
    for charge in tally.listed:
        moved = ratio(charge.item, charge.starts, day) if charge.list_micro else Fraction(0)
        if moved is None:
            return None
        cost += charge.list_micro * moved
    if not cost:
        return None
    return cost / (Fraction(tally.clips, 1_000_000) if known == "clips" else tally.paid)


def _factors(
    pair: tuple[Tally | None, Tally | None], volumes: Sequence[int], sides: tuple[_Side, _Side]
) -> list[dict[Factor, Fraction]]:
    found: list[dict[Factor, Fraction]] = []
    shares = [
        Fraction(tally.clips if tally else 0, volume) if volume else None
        for tally, volume in zip(pair, volumes, strict=True)
    ]
    for k, (efficiency, idle, price) in enumerate(sides):
        share = shares[k] if shares[k] is not None else shares[1 - k]
        assert share is not None
        found.append(
            {
                "price": price,
                "volume": Fraction(volumes[k], 1_000_000),
                "mix": share,
                "efficiency": efficiency,
                "utilisation": idle,
            }
        )
    return found
