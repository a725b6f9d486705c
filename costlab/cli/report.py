"""``costlab report``: a scenario, or several compared, as a file; a period closed for good."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from costlab.cli.shared import Amount, emit, json_option, refuse_other_options

if TYPE_CHECKING:
    from costlab.finance import Rate, Terms
    from costlab.report.close import Closed, Difference

FORMATS = ("xlsx", "pdf", "html", "md", "csv", "parquet", "json", "focus-1.2", "focus-1.4")
_MOST_SHOWN = 12


@click.command("report")
@click.argument("scenario_names", metavar="[SCENARIO]...", nargs=-1)
@click.option("--format", "form", type=click.Choice(FORMATS), default="xlsx", show_default=True)
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="The file to write.")
@click.option(
    "--months", "count", type=click.IntRange(1, 36), default=12, show_default=True, help="How many."
)
@click.option("--policy", help="Use this policy instead of the scenarios' own.")
@click.option(
    "--terms",
    "terms_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A YAML file of commitments, own GPUs, credits … (docs/finance.md); options win over it.",
)
@click.option("--currency", help="Such as EUR; needs a --rate.")
@click.option(
    "--rate", "rates", multiple=True, metavar="DAY=AMOUNT",
    help="What a dollar buys from a day on, such as 2026-11-01=0.86; repeatable.",
)  # fmt: skip
@click.option("--rate-by", help="Who entered the rates.")
@click.option("--fiscal-year-start", type=click.IntRange(1, 12), help="Month of the year.")
@click.option("--contingency", type=Amount(), help="Share set aside on top, such as 0.05.")
@click.option("--tax", type=Amount(), help="Share of charges and contingency, such as 0.19.")
@click.option("--price-per-clip", type=Amount(), help="USD an accepted clip is sold for.")
@click.option("--active-users", type=float, help="Active users of the first month.")
@click.option("--close", "period", metavar="YYYY-MM", help="Freeze this month for good.")
@click.option("--who", default="", help="Who closes it.")
@click.option("--why", default="", help="Why it is closed.")
@click.option("--closed", is_flag=True, help="List closed months; of SCENARIO, what moved since.")
@json_option
def report_command(
    scenario_names: tuple[str, ...],
    form: str,
    out: Path | None,
    count: int,
    policy: str | None,
    terms_file: Path | None,
    period: str | None,
    who: str,
    why: str,
    closed: bool,
    as_json: bool,
    **entered: Any,
) -> None:
    """SCENARIO, or up to four compared, as a workbook, PDF, table or FOCUS file."""
    from costlab import report, scenarios
    from costlab.core import InvalidArgument

    if closed:
        refuse_other_options("--closed", ("scenario_names", "closed", "as_json"))
        _list_closed(scenario_names, as_json)
        return
    if not scenario_names:
        raise InvalidArgument("name a scenario; costlab project lists them")
    asked = [scenarios.scenario(name) for name in scenario_names]
    if policy is not None:
        asked = [replace(scenario, policy=policy) for scenario in asked]
    terms = _terms(terms_file, **entered)
    if period is not None:
        settings = ("scenario_names", "policy", "terms_file", "period", "who", "why", "as_json")
        refuse_other_options("--close", (*settings, *entered))
        if len(asked) > 1:
            raise InvalidArgument("one scenario is closed at a time")
        from costlab.report.close import close

        _show_closed([close(asked[0], period, who=who, why=why, terms=terms)], as_json)
        return
    refuse_other_options("a report without --close", _report_options(entered))
    made = report.gather(asked, months=count, terms=terms)
    target = report.write(made, form, out or Path(report.file_name(made, form)))
    data = target.read_bytes()
    facts = {
        "format": form,
        "file": str(target),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "scenarios": [part.scenario.id for part in made.parts],
    }
    emit(as_json, facts, lambda: f"{target}: {len(data):,} bytes")


def _report_options(entered: dict[str, Any]) -> tuple[str, ...]:
    named = ("scenario_names", "form", "out", "count", "policy", "terms_file", "as_json")
    return (*named, *entered)


def _terms(
    terms_file: Path | None,
    *,
    currency: str | None,
    rates: tuple[str, ...],
    rate_by: str | None,
    fiscal_year_start: int | None,
    contingency: Decimal | None,
    tax: Decimal | None,
    price_per_clip: Decimal | None,
    active_users: float | None,
) -> Terms:
    """Return the terms of the file with what the options say in place of its own."""
    from costlab import finance
    from costlab.core import InvalidArgument

    terms = finance.read_terms(terms_file) if terms_file else finance.Terms()
    changes: dict[str, Any] = {
        "fiscal_year_starts": fiscal_year_start,
        "contingency": contingency,
        "tax": tax,
        "usd_per_accepted_clip": price_per_clip,
        "active_users": active_users,
    }
    if currency is not None or rates or rate_by is not None:
        if not (currency and rates and rate_by and rate_by.strip()):
            raise InvalidArgument(
                "another currency takes --currency, at least one --rate and --rate-by: "
                "a rate is entered by somebody"
            )
        entered = tuple(_rate(text, rate_by) for text in rates)
        changes["currency"] = finance.Currency(code=currency.upper(), rates=entered)
    return replace(terms, **{key: value for key, value in changes.items() if value is not None})


def _rate(text: str, who: str) -> Rate:
    from datetime import date

    from costlab import finance
    from costlab.core import InvalidArgument

    day, _, amount = text.partition("=")
    try:
        return finance.Rate(
            day=date.fromisoformat(day), per_usd=Decimal(amount), source=f"entered by {who.strip()}"
        )
    except (ValueError, InvalidOperation) as error:
        raise InvalidArgument(
            f"--rate takes DAY=AMOUNT such as 2026-11-01=0.86, got {text!r}"
        ) from error


def _list_closed(names: tuple[str, ...], as_json: bool) -> None:
    from costlab.report.close import versions

    found = [one for name in names for one in versions(name)] if names else [*versions()]
    _show_closed(found, as_json, since_too=bool(names))


def _show_closed(found: list[Closed], as_json: bool, *, since_too: bool = False) -> None:
    from costlab.core import plain
    from costlab.report.close import before, difference, since

    rows = []
    for one in found:
        last = before(one)
        rows.append(
            {
                "scenario": one.scenario,
                "period": one.period,
                "version": one.version,
                "who": one.who,
                "why": one.why,
                "closed_at": one.closed_at,
                "hash": one.hash,
                "intact": one.intact,
                "currency": one.currency,
                "cash": one.usd("cash"),
                "amortised": one.usd("amortised"),
                "changed": difference(last.body, one.body) if last else None,
                "since": since(one) if since_too else None,
            }
        )
    emit(
        as_json, plain(rows), lambda: "\n\n".join(_closed_words(row) for row in rows) or "none yet"
    )


def _closed_words(row: dict[str, Any]) -> str:
    lines = [
        f"{row['scenario']} {row['period']}, version {row['version']}: "
        f"{row['cash']} {row['currency']} cash, {row['amortised']} amortised",
        f"  closed {row['closed_at']} by {row['who']}: {row['why']}",
        f"  {row['hash']}" + ("" if row["intact"] else "  ! not as it was written"),
    ]
    if row["changed"]:
        lines += ["  against the version before:", *_difference_words(row["changed"])]
    if row["since"]:
        nothing = row["since"].none
        lines.append(
            "  today it comes out the same" if nothing else "  today, on the same settings:"
        )
        lines += _difference_words(row["since"])
    return "\n".join(lines)


def _difference_words(found: Difference) -> list[str]:
    lines = [f"    {s.name}: {s.was or 'not there'} → {s.now or 'gone'}" for s in found.settings]
    lines += [
        f"    {one.leaf}{f' [{one.ref}]' if one.ref else ''}: {one.was or 'not there'} → "
        f"{one.now or 'gone'}, under {len(one.figures)} figure{'s'[: len(one.figures) > 1]}"
        for one in found.moved
    ]
    summary = [s for s in found.figures if s.name.startswith("summary/")]
    lines += [f"    {s.name}: {s.was or '–'} → {s.now or '–'}" for s in summary[:_MOST_SHOWN]]
    rest = len(found.figures) - len(summary[:_MOST_SHOWN])
    return [*lines, *([f"    and {rest} more figures"] if rest > 0 else [])]
