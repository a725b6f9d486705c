"""``costlab decide``: own GPUs or APIs, how sure, and what to find out first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from costlab.cli.shared import emit, json_option
from costlab.core import InvalidArgument

if TYPE_CHECKING:
    from costlab.uncertainty import BreakEven, Decision


@click.command("decide")
@click.argument("scenario_name", metavar="SCENARIO")
@click.option("--draws", type=int, default=10_000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--months", type=int, default=12, show_default=True, help="1 to 36.")
@click.option("--policy", help="Use this policy instead of the scenario's.")
@click.option(
    "--range",
    "ranges",
    multiple=True,
    metavar="INPUT=LOW:HIGH",
    help="Put another 90 % interval on an input, repeatable; equal ends make it certain.",
)
@json_option
def decide(
    scenario_name: str,
    draws: int,
    seed: int,
    months: int,
    policy: str | None,
    ranges: tuple[str, ...],
    as_json: bool,
) -> None:
    """Whether own GPUs beat APIs for SCENARIO (an id or a YAML file), and how fragile that is."""
    from costlab import routing, scenarios, uncertainty

    answer = uncertainty.decide(
        scenarios.scenario(scenario_name),
        draws=draws,
        seed=seed,
        months=months,
        policy=routing.policy(policy) if policy else None,
        ranges=dict(_range(text) for text in ranges),
    )
    emit(as_json, answer.to_dict(), lambda: _words(answer))


def _range(text: str) -> tuple[str, tuple[float, float]]:
    name, _, ends = text.rpartition("=")
    low, _, high = ends.partition(":")
    try:
        return name, (float(low), float(high))
    except ValueError as error:
        raise InvalidArgument(
            f"--range: write it as INPUT=LOW:HIGH, such as volume=0.8:1.2; found {text!r}"
        ) from error


def _words(answer: Decision) -> str:
    from costlab import present

    model = answer.model
    lines = [
        f"{model.scenario.title} · {model.policy.title} · {model.months} months from "
        f"{model.scenario.date:%Y-%m} · {len(answer.draws.rows):,} draws, seed {answer.draws.seed}",
        "",
        f"  {answer.words}",
        "",
    ]
    rows = [
        [name, *(present.money(value) for value in three), present.money(centre)]
        for name, three, centre in (
            ("USD in all months", answer.usd, answer.centre_usd),
            ("USD per accepted clip", answer.usd_per_clip, answer.centre_usd_per_clip),
        )
    ]
    if answer.saved_usd and answer.api_usd_per_clip:
        rows.append(["the same on the best APIs", *map(present.money, answer.api_usd_per_clip), ""])
        rows.append(
            ["USD saved in all months", *map(present.money, answer.saved_usd),
             present.money(answer.centre_saved_usd)]
        )  # fmt: skip
    lines += [present.table(["", "P10", "P50", "P90", "projected"], rows), ""]
    header = ["input", "90 % of cases", "clip at P10", "clip at P90", "saved at P10", "at P90", ""]
    lines += [
        present.table(
            header,
            [
                [
                    one.input.label,
                    f"{one.input.low:.3g} to {one.input.high:.3g} {one.input.unit}",
                    *(present.money(value) for value in one.usd_per_clip),
                    *(("–", "–") if answer.compared else map(present.money, one.saved_usd)),
                    "flips the answer" if one.flips and not answer.compared else "",
                ]
                for one in answer.swings
            ],
        ),
        "",
    ]
    if answer.indices:
        header = ["share of the variance of what is saved", "alone", "with interactions", ""]
        lines += [
            present.table(
                header,
                [
                    [
                        model.input(one.name).label,
                        *(f"{v:.2f} ({low:.2f} to {high:.2f})" for v, low, high in
                          (one.first, one.total)),
                        "" if one.resolved else "not resolved",
                    ]
                    for one in answer.indices
                ],
            ),
            "",
        ]  # fmt: skip
    lines += [f"  {_flip(one)}" for one in answer.break_evens]
    lines += [""] if answer.break_evens else []
    if answer.information:
        known = answer.information
        lines += [
            f"Knowing everything would be worth {present.money(known.perfect)} "
            f"({present.money(known.low)} to {present.money(known.high)}); one thing alone:",
            present.table(
                ["find out", "worth", "90 % interval", "known exactly", "costs"],
                [
                    [
                        one.sample,
                        present.money(one.usd) if one.resolved else
                        f"{present.money(one.usd)}, not resolved" if one.usd else "nothing",
                        f"{present.money(one.low)} to {present.money(one.high)}",
                        present.money(one.perfect),
                        "–" if one.costs_usd is None else present.money(one.costs_usd),
                    ]
                    for one in known.worth
                ],
            ),
            "",
        ]  # fmt: skip
    lines += ["Where each range comes from:"]
    lines += [
        f"  {item.label}: {item.what} [{item.basis}]"
        + (f" · {item.source.publisher}, {item.source.document}" if item.source else "")
        for item in model.inputs
    ]
    notes = [*([model.stand_in] if model.stand_in else []), *model.warnings]
    lines += ["", *(f"! {text}" for text in notes)]
    return "\n".join(lines).rstrip()


def _flip(one: BreakEven) -> str:
    middle = one.quantiles("first")
    unit = "" if one.driver == "utilisation" else "×"
    today = f"today {one.today:.2f}" if one.driver == "utilisation" else "today 1"
    if middle is None:
        side = "own GPUs" if one.always_own > one.always_api else "APIs"
        searched = f"{one.at[0]:.2g} to {one.at[-1]:.2g}"
        return f"{one.title}: {side} stay cheaper in every draw, from {searched}"
    low, half, high = middle
    text = f"{one.title}: flips at {half:.2f}{unit} ({low:.2f} to {high:.2f}; {today})"
    if one.flips < 0.995:
        text += f" in {one.flips:.0%} of draws"
    if one.several:
        text += f"; {one.several:.0%} cross more than once"
    return text
