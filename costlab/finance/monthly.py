"""Up to three years of months: cash and amortised, by route and tenant, in any currency.

epochs + terms ─▶ charges ─▶ months ─▶ cost per accepted clip, second, active user; margin
                                   └─▶ by tenant, by fiscal quarter, in another currency
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from costlab import routing, store, traffic
from costlab.core import Figure, InvalidArgument, Range, brief, micro_usd, plain, usd
from costlab.finance import epochs as _epochs
from costlab.finance import ledger
from costlab.finance.charges import VIEWS, Charge, View, total
from costlab.finance.epochs import Epoch, Event
from costlab.finance.money import Currency, Fiscal, fiscal, share_out
from costlab.finance.terms import Terms, month_of
from costlab.scenarios import Scenario

if TYPE_CHECKING:
    import pandas as pd

MOST_MONTHS = 36


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """One month: its epochs and its charges, which add up to its bill in either view.

    ``active_users`` and ``sold_micro`` (clips × price) are None where nothing was entered.
    """

    starts: date
    epochs: tuple[Epoch, ...]
    charges: tuple[Charge, ...]
    events: tuple[Event, ...]
    wanted: float
    served: float
    accepted: float
    accepted_seconds: float
    active_users: float | None
    sold_micro: int | None

    @property
    def name(self) -> str:
        """Such as 2026-11."""
        return self.starts.strftime("%Y-%m")

    @property
    def ends(self) -> date:
        """The first day of the next month."""
        return month_of(self.starts, 1)

    def micro(self, view: View) -> int:
        """Return the month's bill in millionths of a dollar."""
        return total(self.charges, view)

    def by(self, key: Callable[[Charge], str], view: View) -> dict[str, int]:
        """Return the bill by whatever ``key`` says of a charge, in millionths of a dollar."""
        found: dict[str, int] = {}
        for charge in self.charges:
            name = key(charge)
            found[name] = found.get(name, 0) + charge.micro(view)
        return found

    def showback(self, view: View) -> dict[str, int]:
        """Return what each tenant owes, in millionths of a dollar; the sum is the month's bill.

        A segment's charges go to its tenant. What no segment caused (unused commitments, fees,
        credits, taxes) is shared by what the tenants use, amortised; where nothing is used, by
        the clips they want.
        """
        tenants = sorted({charge.item.tenant for charge in self.charges if charge.item.segment})
        wants: dict[str, float] = {}
        for epoch in self.epochs:
            for one in epoch.demands:
                name = one.segment.tenant
                wants[name] = wants.get(name, 0.0) + one.wanted * float(epoch.share)
        owed = dict.fromkeys(sorted({*tenants, *wants}), 0)
        used = dict.fromkeys(owed, 0)
        for charge in self.charges:
            if charge.item.segment:
                owed[charge.item.tenant] += charge.micro(view)
                used[charge.item.tenant] += max(charge.effective_micro, 0)
        shared = sum(charge.micro(view) for charge in self.charges if not charge.item.segment)
        weights = list(used.values())
        if not any(weights):
            weights = [round(wants.get(name, 0.0) * 1e6) for name in owed]
        for name, part in zip(owed, share_out(shared, weights), strict=True):
            owed[name] += part
        return owed

    def figures(self) -> dict[str, Figure]:
        """Return the month's figures by name; each opens to its charges and what lies under them.

        ``usd_cash``, ``usd_amortised``, ``accepted_clips``, ``usd_per_accepted_clip`` and
        ``usd_per_second`` (amortised), and where entered ``usd_per_active_user``, ``usd_sold``,
        ``usd_margin``.
        """
        found = {f"usd_{view}": self._bill(view) for view in VIEWS}
        cost = found["usd_amortised"]
        accepted = Figure.entered("accepted clips", self.accepted, "clips", ref="mix")
        found["accepted_clips"] = accepted
        seconds = Figure.entered("seconds of accepted video", self.accepted_seconds, "s", ref="mix")
        ratios = [
            ("usd_per_accepted_clip", "cost of an accepted clip", "USD/clip", accepted),
            ("usd_per_second", "cost of an accepted second", "USD/s", seconds),
        ]
        if self.active_users is not None:
            users = Figure.entered("active users", self.active_users, "users", ref="terms")
            ratios.append(("usd_per_active_user", "cost of an active user", "USD/user", users))
        for name, words, unit, part in ratios:
            if part.value:
                found[name] = _over(cost, part, words, unit)
        if self.sold_micro is not None:
            sold = Figure.derived(
                "clips sold", usd(self.sold_micro), "USD", "accepted clips × price", (accepted,)
            )
            found["usd_sold"] = sold
            found["usd_margin"] = Figure.derived(
                "margin",
                usd(self.sold_micro - self.micro("amortised")),
                "USD",
                "clips sold less the amortised bill",
                (sold, cost),
                range=cost.range
                and Range(
                    low=float(sold.value) - cost.range.high, high=float(sold.value) - cost.range.low
                ),
            )
        return found

    def _bill(self, view: View) -> Figure:
        low, high = self._spread()
        amount = usd(self.micro(view))
        return Figure.derived(
            f"bill of {self.name}, {view}",
            amount,
            "USD",
            "sum of the month's charges; the interval is that of the projections",
            [charge.figure(view) for charge in self.charges if charge.micro(view)],
            range=Range(low=float(amount) - low, high=float(amount) + high)
            if low or high
            else None,
        )

    def _spread(self) -> tuple[float, float]:
        """Return how far below and above the bill the projections' intervals reach, USD."""
        low = high = 0.0
        for epoch in self.epochs:
            bill = epoch.projection and epoch.projection.summary["usd_per_month"]
            if bill and bill.range:
                low += (float(bill.value) - bill.range.low) * float(epoch.share)
                high += (bill.range.high - float(bill.value)) * float(epoch.share)
        return low, high


def _over(cost: Figure, part: Figure, words: str, unit: str) -> Figure:
    return Figure.derived(
        words,
        float(cost.value) / float(part.value),
        unit,
        f"amortised bill / {part.name}",
        (cost, part),
        range=cost.range and cost.range.scaled(1 / float(part.value)),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Months:
    """The answer: months in order, and everything that was entered for them."""

    scenario: Scenario
    mix: traffic.TrafficMix
    policy: routing.Policy
    terms: Terms
    months: tuple[Month, ...]
    warnings: tuple[str, ...]

    @property
    def charges(self) -> tuple[Charge, ...]:
        """Every charge, in order of months."""
        return tuple(charge for month in self.months for charge in month.charges)

    def micro(self, view: View) -> int:
        """Return the whole bill in millionths of a dollar."""
        return sum(month.micro(view) for month in self.months)

    def showback(self, view: View) -> dict[str, list[int]]:
        """Return what each tenant owes month by month; every month sums to its bill."""
        by_month = [month.showback(view) for month in self.months]
        names = sorted({name for owed in by_month for name in owed})
        return {name: [owed.get(name, 0) for owed in by_month] for name in names}

    def statement(
        self, view: View, key: Callable[[Charge], str], currency: Currency | None = None
    ) -> dict[str, list[Decimal]]:
        """Return the bill by ``key`` and month in a currency, rounded so that lines sum to totals.

        Each month takes the rate of its first day. Raises `InvalidArgument` where none is entered.
        """
        money = currency or self.terms.currency
        lines: dict[str, list[Decimal]] = {}
        for number, month in enumerate(self.months):
            parts = month.by(key, view)
            amounts = money.amounts(list(parts.values()), month.starts)
            for name, amount in zip(parts, amounts, strict=True):
                lines.setdefault(name, [Decimal(0)] * len(self.months))[number] = amount
        return lines

    def fiscal(self, view: View) -> dict[Fiscal, int]:
        """Return the bill by fiscal month in millionths of a dollar, in order."""
        starts = self.terms.fiscal_year_starts
        return {fiscal(month.starts, starts): month.micro(view) for month in self.months}

    def figures(self) -> dict[str, Figure]:
        """Return every figure by its path: ``summary/…`` and ``month/2026-11/…``."""
        by_month = [(month, month.figures()) for month in self.months]
        found = {
            f"summary/{name}": figure
            for name, figure in self._summary([figures for _, figures in by_month]).items()
        }
        for month, figures in by_month:
            found |= {f"month/{month.name}/{name}": figure for name, figure in figures.items()}
        return found

    def summary(self) -> dict[str, Figure]:
        """Return the figures of the whole run of months, named as a month's."""
        return self._summary([month.figures() for month in self.months])

    def _summary(self, by_month: Sequence[Mapping[str, Figure]]) -> dict[str, Figure]:
        def summed(name: str, words: str, unit: str) -> Figure:
            parts = [figures[name] for figures in by_month if name in figures]
            amounts = [part.value for part in parts]
            ranges = [part.range for part in parts if part.range]
            value = sum(amounts[1:], amounts[0])
            spread = Range(
                low=float(value) - sum(float(p.value) - p.range.low for p in parts if p.range),
                high=float(value) + sum(p.range.high - float(p.value) for p in parts if p.range),
            ) if ranges else None  # fmt: skip
            return Figure.derived(words, value, unit, "sum over the months", parts, range=spread)

        found = {
            "usd_cash": summed("usd_cash", "bill of all months, cash", "USD"),
            "usd_amortised": summed("usd_amortised", "bill of all months, amortised", "USD"),
            "accepted_clips": summed("accepted_clips", "accepted clips", "clips"),
        }
        accepted = found["accepted_clips"]
        if accepted.value:
            found["usd_per_accepted_clip"] = _over(
                found["usd_amortised"], accepted, "cost of an accepted clip", "USD/clip"
            )
        seconds = sum(month.accepted_seconds for month in self.months)
        if seconds:
            part = Figure.entered("seconds of accepted video", seconds, "s", ref="mix")
            found["usd_per_second"] = _over(
                found["usd_amortised"], part, "cost of an accepted second", "USD/s"
            )
        for name, words in (("usd_sold", "clips sold"), ("usd_margin", "margin")):
            if any(name in figures for figures in by_month):
                found[name] = summed(name, words, "USD")
        return found

    def frame(self) -> pd.DataFrame:
        """Return one tidy row per month and figure.

        Columns: scenario, month, fiscal, quantity, value, unit, basis, low, high.
        """
        import pandas as pd

        starts = self.terms.fiscal_year_starts
        return pd.DataFrame(
            [
                {
                    "scenario": self.scenario.id,
                    "month": month.name,
                    "fiscal": fiscal(month.starts, starts).label,
                    "quantity": name,
                    "value": float(figure.value),
                    "unit": figure.unit,
                    "basis": figure.basis.value,
                    "low": figure.range.low if figure.range else None,
                    "high": figure.range.high if figure.range else None,
                }
                for month in self.months
                for name, figure in month.figures().items()
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return the stable JSON shape that ``costlab months --json`` prints (docs/json.md)."""
        starts = self.terms.fiscal_year_starts
        money = self.terms.currency
        shape: dict[str, Any] = plain(
            {
                "scenario": self.scenario.id,
                "policy": self.policy.id,
                "currency": money.code,
                "summary": {name: brief(figure) for name, figure in self.summary().items()},
                "months": [
                    {
                        "month": month.name,
                        "fiscal": fiscal(month.starts, starts).label,
                        "wanted": month.wanted,
                        "served": month.served,
                        "figures": {n: brief(f) for n, f in month.figures().items()},
                        "total": {
                            view: sum(money.amounts([month.micro(view)], month.starts))
                            for view in VIEWS
                        },
                        "charges": [_charge_dict(charge) for charge in month.charges],
                        "showback": {
                            name: usd(micro) for name, micro in month.showback("amortised").items()
                        },
                        "events": [{"day": e.day, "text": e.text} for e in month.events],
                    }
                    for month in self.months
                ],
                "warnings": self.warnings,
            }
        )
        return shape


def _charge_dict(charge: Charge) -> dict[str, Any]:
    item = charge.item
    return {
        "label": item.label,
        "category": item.category,
        "seller": item.seller,
        "route": item.route,
        "segment": item.segment,
        "tenant": item.tenant,
        "term": item.term,
        "status": item.status,
        "starts": charge.starts,
        "ends": charge.ends,
        "quantity": None
        if charge.quantity_nano is None
        else Decimal(charge.quantity_nano).scaleb(-9).normalize() + 0,
        "unit": item.unit,
        "list_usd": usd(charge.list_micro),
        "contracted_usd": usd(charge.contracted_micro),
        "effective_usd": usd(charge.effective_micro),
        "billed_usd": usd(charge.billed_micro),
    }


@store.still()
def months(
    scenario: Scenario,
    *,
    months: int = 12,
    terms: Terms | None = None,
    mix: traffic.TrafficMix | None = None,
    policy: routing.Policy | None = None,
) -> Months:
    """Return ``months`` months from the scenario's own month on.

    Volume grows and has its seasons as the mix says. Raises `BadData` for a scenario that names
    what is not there, `InvalidArgument` for months outside 1 to 36 or terms that do not fit it.
    """
    if not 1 <= months <= MOST_MONTHS:
        raise InvalidArgument(f"months must be from 1 to {MOST_MONTHS}, got {months}")
    terms = terms or Terms()
    mix = mix or traffic.mix(scenario.mix)
    policy = policy or routing.policy(scenario.policy)
    cut, events = _epochs.cut(scenario, mix, policy, terms, months)
    charges = ledger.charges(cut, terms, scenario)
    billed = {charge.item.sku for charge in charges}
    told = [event for event in events if not event.sku or event.sku in billed]
    found: list[Month] = []
    for number in range(months):
        starts = month_of(scenario.date, number)
        ends = month_of(starts, 1)
        own = tuple(epoch for epoch in cut if epoch.starts >= starts and epoch.ends <= ends)
        accepted = sum(epoch.accepted() for epoch in own)
        wanted = sum(epoch.wanted() for epoch in own)
        grown = wanted / found[0].wanted if found and found[0].wanted else 1.0
        price = terms.usd_per_accepted_clip
        found.append(
            Month(
                starts=starts,
                epochs=own,
                charges=tuple(one for one in charges if starts <= one.starts < ends),
                events=tuple(event for event in told if starts <= event.day < ends),
                wanted=wanted,
                served=sum(epoch.served() for epoch in own),
                accepted=accepted,
                accepted_seconds=sum(epoch.accepted_seconds() for epoch in own),
                active_users=None if terms.active_users is None else terms.active_users * grown,
                sold_micro=None if price is None else micro_usd(Decimal(f"{accepted:.6f}") * price),
            )
        )
    return Months(
        scenario=scenario,
        mix=mix,
        policy=policy,
        terms=terms,
        months=tuple(found),
        warnings=_warnings(found),
    )


def _warnings(found: Sequence[Month]) -> tuple[str, ...]:
    """Return each warning of the projections once, with the first month it is of."""
    first: dict[str, str] = {}
    for month in found:
        for epoch in month.epochs:
            for text in epoch.projection.warnings if epoch.projection else ():
                first.setdefault(text, month.name)
    start = found[0].name
    return tuple(text if name == start else f"from {name}: {text}" for text, name in first.items())
