"""``costlab months`` and ``costlab actuals``: a scenario over time, and what it really came to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import click

from costlab.cli.shared import Day, emit, json_option

if TYPE_CHECKING:
    from datetime import date

    from costlab.core import Figure
    from costlab.finance import Charge, Currency, Months, Variance, View
    from costlab.scenarios import Scenario

_terms_option = click.option(
    "--terms",
    "terms_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file of commitments, own GPUs, credits, tax … (docs/finance.md).",
)
_view_option = click.option(
    "--view",
    type=click.Choice(["cash", "amortised"]),
    default="cash",
    show_default=True,
    help="What is paid when, or what each month uses.",
)
_policy_option = click.option("--policy", help="Use this policy instead of the scenario's.")
_KEYS: dict[str, Callable[[Charge], str]] = {
    "route": lambda charge: charge.item.route or charge.item.label,
    "segment": lambda charge: charge.item.segment or charge.item.label,
    "seller": lambda charge: charge.item.seller,
    "category": lambda charge: charge.item.category,
}


@click.command("months")
@click.argument("scenario_name", metavar="SCENARIO")
@click.option(
    "--months", "count", type=click.IntRange(1, 36), default=12, show_default=True, help="How many."
)
@_policy_option
@click.option("--clips-per-month", type=float, help="Use this volume in the first month.")
@_terms_option
@_view_option
@click.option(
    "--by",
    type=click.Choice([*_KEYS, "tenant"]),
    default="route",
    show_default=True,
    help="What the lines are.",
)
@json_option
def months_command(
    scenario_name: str,
    count: int,
    policy: str | None,
    clips_per_month: float | None,
    terms_file: Path | None,
    view: View,
    by: str,
    as_json: bool,
) -> None:
    """SCENARIO (an id or a YAML file) month by month: growth, price changes, commitments, taxes."""
    asked = _scenario(scenario_name, policy, clips_per_month)
    answer = _months(asked, count, terms_file)
    emit(as_json, answer.to_dict(), lambda: _words(answer, view, by))


@click.command("actuals")
@click.argument("scenario_name", metavar="SCENARIO")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--month", type=Day(), help="Any day of the month; left out: the file's first.")
@click.option(
    "--route",
    "routes",
    multiple=True,
    metavar="NAME=ROUTE",
    help="The route that a SkuId, ServiceName or provider of a FOCUS file stands for, repeatable.",
)
@_policy_option
@_terms_option
@_view_option
@json_option
def actuals_command(
    scenario_name: str,
    file: Path,
    month: date | None,
    routes: tuple[str, ...],
    policy: str | None,
    terms_file: Path | None,
    view: View,
    as_json: bool,
) -> None:
    """Why FILE (invoice lines as CSV, or FOCUS as CSV or Parquet) is not what SCENARIO forecast."""
    from costlab import finance
    from costlab.core import InvalidArgument

    unclear = [name for name in routes if "=" not in name]
    if unclear:
        raise InvalidArgument(f"--route takes NAME=ROUTE, got {unclear[0]!r}")
    charges = finance.read(file, routes=dict(name.rsplit("=", 1) for name in routes))
    if not charges:
        raise InvalidArgument(f"{file.name} holds no charges")
    first = finance.month_of(month or min(charge.starts for charge in charges))
    asked = _scenario(scenario_name, policy, None)
    start = finance.month_of(asked.date)
    number = (first.year - start.year) * 12 + first.month - start.month
    if not 0 <= number < finance.MOST_MONTHS:
        raise InvalidArgument(
            f"{first:%Y-%m} is not among the {finance.MOST_MONTHS} months from the scenario's "
            f"{start:%Y-%m}: name another --month, or date the scenario earlier"
        )
    forecast = _months(asked, number + 1, terms_file).months[number]
    actual = finance.of_month(charges, first)
    if not actual:
        raise InvalidArgument(f"{file.name} has no charge that starts in {first:%Y-%m}")
    found = finance.variance(forecast.charges, actual, view=view)
    emit(
        as_json,
        {"month": f"{first:%Y-%m}", "view": view} | found.to_dict(),
        lambda: _why(found, f"{first:%Y-%m}"),
    )


def _scenario(name: str, policy: str | None, clips_per_month: float | None) -> Scenario:
    from costlab import scenarios

    asked = scenarios.scenario(name)
    if policy is not None:
        asked = replace(asked, policy=policy)
    if clips_per_month is not None:
        asked = replace(asked, clips_per_month=clips_per_month)
    return asked


def _months(asked: Scenario, count: int, terms_file: Path | None) -> Months:
    from costlab import finance

    terms = finance.read_terms(terms_file) if terms_file else finance.Terms()
    return finance.months(asked, months=count, terms=terms)


def _words(answer: Months, view: View, by: str) -> str:
    from costlab import finance, present

    money = answer.terms.currency
    header = ["month", "fiscal", f"cash {money.code}", f"amortised {money.code}"]
    header += ["accepted clips", f"{money.code} per accepted clip"]
    rows = []
    for month in answer.months:
        figures = month.figures()
        totals = [money.amounts([month.micro(name)], month.starts)[0] for name in finance.VIEWS]
        clip = figures.get("usd_per_accepted_clip")
        period = finance.fiscal(month.starts, answer.terms.fiscal_year_starts)
        rows.append(
            [
                month.name,
                period.label,
                *(f"{amount:,}" for amount in totals),
                f"{month.accepted:,.0f}",
                "–" if clip is None else _clip(clip, money, month.starts),
            ]
        )
    summary = answer.summary()
    lines = [f"{answer.scenario.title} · {len(answer.months)} months · {answer.policy.title}", ""]
    lines += [
        f"  {name.replace('_', ' '):<22} {present.figure(item)} [{item.basis}]"
        for name, item in summary.items()
    ]
    lines += ["", present.table(header, rows), "", _lines(answer, view, by)]
    events = [event for month in answer.months for event in month.events]
    lines += ["", *(f"{event.day} {event.text}" for event in events)]
    lines += ["", *(f"! {text}" for text in answer.warnings)]
    return "\n".join(lines).rstrip()


def _clip(usd: Figure, money: Currency, day: date) -> str:
    """Return a clip's cost in the report's currency, dollars with their interval."""
    from costlab import present

    if money.code == "USD":
        return present.figure(usd)
    return present.significant(float(usd.value) * float(money.on(day).per_usd))


def _lines(answer: Months, view: View, by: str) -> str:
    """Return the bill of all months by ``by``, which adds up to its total."""
    from costlab import present

    money = answer.terms.currency
    if by == "tenant":
        parts: dict[str, Sequence[Decimal]] = {}
        owed = answer.showback(view)
        for number, month in enumerate(answer.months):
            micro = [own[number] for own in owed.values()]
            for name, amount in zip(owed, money.amounts(micro, month.starts), strict=True):
                parts[name or "no tenant"] = [*parts.get(name or "no tenant", []), amount]
    else:
        parts = dict(answer.statement(view, _KEYS[by]))
    sums = {name: sum(amounts, Decimal(0)) for name, amounts in parts.items()}
    rows = [[name, f"{amount:,}"] for name, amount in sums.items()]
    rows.append(["total", f"{sum(sums.values(), Decimal(0)):,}"])
    return present.table([by, f"{view} {money.code}, all months"], rows)


def _why(found: Variance, month: str) -> str:
    from costlab import finance, present
    from costlab.core import usd

    def signed(micro: int) -> str:
        return f"{usd(micro):+,.2f}"

    whole = found.actual_micro - found.forecast_micro
    lines = [
        f"{month}: {usd(found.actual_micro):,.2f} USD billed, {usd(found.forecast_micro):,.2f} "
        f"forecast, {signed(whole)}",
        "",
        *(f"  {name:<12} {signed(found.parts[name]):>16}" for name in finance.FACTORS),
        "",
    ]
    rows = [
        [
            line.route,
            f"{usd(line.forecast_micro):,.2f}",
            f"{usd(line.actual_micro):,.2f}",
            *(signed(line.parts[name]) for name in finance.FACTORS),
        ]
        for line in found.lines
    ]
    lines.append(present.table(["route", "forecast", "actual", *finance.FACTORS], rows))
    lines += ["", *(f"! {line.route}: {line.note}" for line in found.lines if line.note)]
    return "\n".join(lines).rstrip()
