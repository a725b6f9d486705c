"""``costlab optimise``: the split and fleet that cost least together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from costlab.cli.shared import emit, json_option

if TYPE_CHECKING:
    from costlab.optimise import Optimised, ParetoPoint


@click.command("optimise")
@click.argument("scenario_name", metavar="SCENARIO")
@click.option("--policy", help="Compare with this policy instead of the scenario's.")
@click.option("--clips-per-month", type=float, help="Use this volume instead of the mix's.")
@click.option("--min-quality", type=float, help="Lowest mean arena rating of accepted clips.")
@click.option("--max-wait", "max_wait_s", type=float, help="Seconds that 95 % wait at most.")
@click.option("--budget", "budget_usd", type=float, help="Dollars a month at most.")
@click.option("--spend", multiple=True, metavar="PROVIDER=USD", help="Most a month, repeatable.")
@click.option(
    "--at-once", multiple=True, metavar="PROVIDER=N", help="Clips under way at most, repeatable."
)
@click.option("--gpus", multiple=True, metavar="PURCHASE=N", help="GPUs at most, repeatable.")
@click.option(
    "--buy",
    "purchases",
    multiple=True,
    type=click.Choice(["owned", "reserved", "on_demand", "spot"]),
    help="Ways to buy GPUs, repeatable; left out: all of these.",
)
@click.option(
    "--interruptions-per-hour", type=float, help="Of a spot instance, where no source says."
)
@click.option("--integer", is_flag=True, help="Whole owned and reserved instances in the solver.")
@click.option("--pareto", "points", type=click.IntRange(2, 100), help="Cost by quality instead.")
@json_option
def optimise_command(
    scenario_name: str,
    policy: str | None,
    clips_per_month: float | None,
    min_quality: float | None,
    max_wait_s: float | None,
    budget_usd: float | None,
    spend: tuple[str, ...],
    at_once: tuple[str, ...],
    gpus: tuple[str, ...],
    purchases: tuple[str, ...],
    interruptions_per_hour: float | None,
    integer: bool,
    points: int | None,
    as_json: bool,
) -> None:
    """The cheapest split of SCENARIO over all routes, with the GPUs that it needs."""
    from dataclasses import replace

    from costlab import optimise, routing, scenarios
    from costlab.cli.shared import refuse_other_options
    from costlab.core import plain

    asked = scenarios.scenario(scenario_name)
    if clips_per_month is not None:
        asked = replace(asked, clips_per_month=clips_per_month)
    limits = optimise.Limits(
        min_quality=min_quality,
        max_wait_s=max_wait_s,
        budget_usd=budget_usd,
        spend_usd=_pairs("--spend", spend),
        at_once=_pairs("--at-once", at_once),
        most_gpus=_pairs("--gpus", gpus),
        purchases=tuple(name for name in optimise.PURCHASES if name in purchases)
        or optimise.PURCHASES,
        interruptions_per_hour=interruptions_per_hour,
    )
    if points is not None:
        refuse_other_options(
            "--pareto",
            ("scenario_name", "clips_per_month", "min_quality", "max_wait_s", "budget_usd",
             "spend", "at_once", "gpus", "purchases", "interruptions_per_hour", "points",
             "as_json"),
        )  # fmt: skip
        curve = optimise.pareto(asked, limits=limits, points=points)
        emit(as_json, {"scenario": asked.id, "points": plain(curve)}, lambda: _curve(curve))
        return
    answer = optimise.optimise(
        asked, policy=routing.policy(policy) if policy else None, limits=limits, integer=integer
    )
    emit(as_json, answer.to_dict(), lambda: _words(answer))


def _pairs(option: str, texts: tuple[str, ...]) -> dict[str, float]:
    from costlab.core import InvalidArgument

    found = {}
    for text in texts:
        name, _, amount = text.partition("=")
        try:
            found[name] = float(amount)
        except ValueError:
            raise InvalidArgument(f"{option}: write it as NAME=NUMBER, got {text!r}") from None
    return found


def _words(answer: Optimised) -> str:
    from costlab import present

    money = present.money
    lines = [
        f"{answer.scenario.title} · {answer.scenario.date}",
        "",
        f"  {answer.words}: {money(answer.usd_per_accepted_clip.value)} per accepted clip, "
        f"{money(answer.usd_per_month)} a month",
        f"  solver {money(answer.programme_usd)}, whole GPUs and rounding "
        f"{money(round(answer.rounding_usd, 2))}; none can be under {money(answer.bound_usd)}",
    ]
    if answer.mean_rating is not None:
        lines.append(f"  mean rating {answer.mean_rating:.0f}")
    rows = [
        [
            part.segment,
            part.route,
            present.percent(part.share),
            f"{part.accepted:,.0f}",
            "–" if part.rating is None else f"{part.rating:.0f}",
            money(part.usd) if part.kind == "api" else "GPUs",
        ]
        for part in answer.parts
    ]
    header = ["segment", "route", "share", "accepted", "rating", "API bill"]
    lines += ["", present.table(header, rows)]
    bought = [
        [
            pool.route,
            f"{rental.gpus}",
            "all week" if rental.all_week else "by the hour",
            rental.purchase.replace("_", " "),
            rental.offer,
            money(rental.usd),
        ]
        for pool in answer.pools
        for rental in pool.rentals
    ]
    if bought:
        header = ["GPUs for", "at most", "when", "bought", "offer", "month"]
        lines += ["", present.table(header, bought)]
    rows = [
        [
            base.name,
            base.words,
            "–" if base.usd_per_month is None else money(base.usd_per_month),
            present.percent(base.served_share),
            "–" if base.mean_rating is None else f"{base.mean_rating:.0f}",
        ]
        for base in answer.baselines
    ]
    lines += ["", present.table(["beside it", "", "month", "served", "rating"], rows)]
    lines += ["", *(price.words for price in answer.shadow_prices)]
    lines += ["", *(f"! {text}" for text in answer.notes)]
    return "\n".join(lines).rstrip()


def _curve(curve: tuple[ParetoPoint, ...]) -> str:
    from costlab import present

    rows = [
        [
            f"{point.mean_rating:.0f}",
            present.money(point.usd_per_month),
            present.money(point.usd_per_accepted_clip),
            ", ".join(f"{present.percent(s)} {r}" for r, s in point.split.items() if s >= 0.005),
        ]
        for point in curve
    ]
    return present.table(["mean rating", "USD a month", "accepted clip", "split"], rows)
