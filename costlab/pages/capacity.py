"""How many GPUs, bought how, and how long people wait: the cheapest fleet that keeps a promise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from costlab import fleet, present, routing, scenarios, store
from costlab.core import CannotServe, CostlabError
from costlab.pages import choose, look

PURCHASES = {
    "owned": ("Own hardware", "#009E73"),
    "reserved": ("Reserved", "#0072B2"),
    "on_demand": ("On demand", "#56B4E9"),
    "spot": ("Spot", "#E69F00"),
    "community": ("Other people's machines", "#8C6D31"),
    "serverless": ("Serverless", "#CC79A7"),
}
BUSY, IDLE, COLD, WAITING, HANDED = "#D55E00", "#9E9E9E", "#56B4E9", "#CC79A7", "#F0E442"
WAYS = {
    "one kind": "one kind of GPU",
    "mixed": "two kinds of GPU",
    "spot beside": "spot beside steady GPUs",
    "serverless": "serverless",
    "handed over": "some clips to an API",
}
MOST_SQUARES = 1500
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@st.cache_resource(max_entries=64, show_spinner="Looking for the cheapest GPUs …")
def planned(asked: scenarios.Scenario, wishes: fleet.Wishes, version: str) -> fleet.FleetPlan:
    """Return the plan of a scenario, remembered until the data, the scenario or a wish changes."""
    del version
    return fleet.plan(asked, wishes=wishes)


def page() -> None:
    """Draw the page."""
    left, right = st.columns([3, 2])
    with left:
        asked = choose.scenario("Scenario", "fleet")
    policies = routing.policies()
    policy = right.selectbox(
        "Routing policy",
        list(policies),
        index=list(policies).index(asked.policy),
        format_func=lambda key: policies[key].title,
        key=f"fleet-policy-{asked.id}",
    )
    asked = replace(asked, policy=policy)
    answer, rest = st.container(), st.container()
    with rest:
        st.subheader("What the GPUs do through the week")
        buying = st.container()
        week = st.container()
        st.subheader("What the promise costs")
        curve, waits, promise = st.columns([3, 3, 2])
    with promise:
        promised = _promise(asked)
    with buying:
        wishes = _wishes(asked)
    try:
        plan = planned(promised, wishes, store.version())
    except CannotServe as error:
        with answer:
            st.info(f"{error}", icon=":material/info:")
            st.caption(
                "Pick another scenario or policy, or change what is allowed below: ways to buy, "
                "the promise."
            )
        return
    except CostlabError as error:
        with answer:
            look.refusal(error)
        return
    with answer:
        _answer(plan)
    with week:
        _week(plan)
    with curve:
        _curve(plan)
    with waits:
        _waits(plan)
    with rest:
        st.subheader("Look closer")
        look.tabs(
            {
                "The busiest day": partial(_day, plan),
                "Own GPUs or an API?": partial(_break_even, plan),
                "Where the rent goes": partial(_rent, plan),
                "Every rental, and what came second": partial(_rentals, plan),
                "Other rules": partial(_what_if, plan),
            },
            key="capacity-section",
        )
        look.proof(plan.figures(), key="fleet-proof")


# ── What a person can change ──────────────────────────────────────────────────────────────────


def _promise(asked: scenarios.Scenario) -> scenarios.Scenario:
    offered = sorted({*fleet.PROMISES_S, asked.p95_wait_s})
    promise_s = st.select_slider(
        "95 % of people wait at most",
        offered,
        value=asked.p95_wait_s,
        format_func=_time,
        key=f"fleet-promise-{asked.id}",
        help="For a free GPU, in the busiest hour of the week. Rendering comes on top.",
    )
    return replace(asked, p95_wait_s=promise_s)


def _wishes(asked: scenarios.Scenario) -> fleet.Wishes:
    usual = fleet.Wishes()
    bought = st.pills(
        "Ways to buy",
        list(fleet.PURCHASES),
        selection_mode="multi",
        default=list(usual.purchases),
        format_func=lambda name: PURCHASES[name][0],
        key=f"fleet-buy-{asked.id}",
        help="The scenario's own offer is always allowed.",
    )
    kinds, hand, more = st.columns(3, vertical_alignment="bottom")
    mix = kinds.toggle(
        "Two kinds of GPU may share the work",
        value=True,
        key=f"fleet-mix-{asked.id}",
        help="A base of one kind all week, and another kind, or spot, by the hour.",
    )
    hand_over = hand.select_slider(
        "When all are busy, an API may take",
        [None, 0.01, 0.05, 0.2, 0.5],
        value=None,
        format_func=lambda share: "what the policy says" if share is None else f"up to {share:.0%}",
        key=f"fleet-hand-{asked.id}",
        help="Of any hour's clips, those that would wait longer than promised go to the cheapest "
        "API of the scenario that can make them (overflow).",
    )
    growth = more.number_input(
        "Growth a month (%)", 0.0, 100.0, 5.0, 1.0, format="%.0f", key=f"fleet-growth-{asked.id}"
    )
    hours, start, spot = st.columns(3, vertical_alignment="bottom")
    by_the_hour = hours.toggle(
        "Give GPUs back in quiet hours",
        value=True,
        key=f"fleet-hours-{asked.id}",
        help="What is rented on demand, on spot or from other people is paid only while needed; "
        "each start costs its loading time.",
    )
    cold_start_s = start.select_slider(
        "A rented GPU starts in",
        [60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0],
        value=usual.cold_start_s,
        format_func=_time,
        key=f"fleet-cold-{asked.id}",
        help="From order to first clip: the machine, the model's weights, the slow first clip. "
        "Paid where the seller bills it (cold start).",
    )
    rate = spot.select_slider(
        "A spot GPU is taken away",
        [None, 0.001, 0.01, 0.05, 0.2],
        value=None,
        format_func=_often,
        key=f"fleet-spot-{asked.id}",
        help="Most sellers do not say how often. A clip that is cut off starts over.",
    )
    return fleet.Wishes(
        purchases=tuple(name for name in fleet.PURCHASES if name in bought),
        by_the_hour=by_the_hour,
        cold_start_s=cold_start_s,
        interruptions_per_hour=rate,
        growth_per_month=growth / 100,
        mix=mix,
        hand_over=hand_over,
    )


def _often(rate: float | None) -> str:
    return "as sources say" if rate is None else f"every {1 / rate:,.0f} h"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    amount, unit = (seconds / 60, "min") if seconds < 7200 else (seconds / 3600, "h")
    return f"{round(amount, 1):g} {unit}"


# ── The answer ────────────────────────────────────────────────────────────────────────────────


def _fleet_words(plan: fleet.FleetPlan) -> str:
    """Say which GPUs, alike ones of all pools together."""
    counts: dict[str, int] = {}
    for pool in plan.pools:
        for rental in pool.rentals:
            bought = rental.offer.purchase
            how = {
                "owned": "owned {}s",
                "reserved": "reserved {}s",
                "spot": "{}s on spot",
                "community": "{}s from other people",
                "on_demand": "{}s rented",
                "serverless": "{}s, serverless,",
            }[bought].format(rental.offer.gpu)
            when = "all week" if rental.all_week else "by the hour"
            if bought == "serverless":
                when = "kept warm" if rental.all_week else "paid by use"
            text = how if bought in ("owned", "reserved") else f"{how} {when}"
            counts[text] = counts.get(text, 0) + rental.gpus
    return fleet.listed([f"{count} {text}" for text, count in counts.items()])


def _answer(plan: fleet.FleetPlan) -> None:
    summary = plan.summary
    month = summary["usd_per_month"]
    goal = (
        f"keep 95 % of waits under {_time(plan.scenario.p95_wait_s)}"
        if "p95_wait_s" in summary
        else "do the month's work, for which nobody waits"
    )
    st.header(f"{_fleet_words(plan)} {goal}, for {present.money(month.value)} a month")
    own = summary["own_usd_per_month"]
    st.markdown(
        f"The scenario's own GPUs, paid around the clock, come to {present.money(own.value)} a "
        f"month. {_handed(plan)} {_cheapest_api(plan)} {_outgrown(plan)}".replace("$", r"\$")
    )
    tiles = st.columns(5)
    with tiles[0]:
        look.tile("USD a month", month, "Rent of all these GPUs, idle hours and starts included.")
    with tiles[1]:
        look.tile(
            "USD per accepted clip",
            summary["usd_per_accepted_clip"],
            "The whole rent over the clips from own GPUs that users keep (allocation basis). "
            "Busy seconds alone (usage basis) come to "
            f"{present.money(summary['usage_usd_per_accepted_clip'].value)}.",
        )
    with tiles[2]:
        look.tile("GPUs at most at once", summary["gpus"], "In the busiest hour of the week.")
    with tiles[3]:
        look.tile(
            "Rented hours that render",
            summary["utilisation"],
            "The rest is spare for the moments when many people come at once (utilisation).",
        )
    with tiles[4]:
        look.tile(
            "95 % wait at most (s)",
            summary.get("p95_wait_s"),
            "Simulated clip by clip in the week's busiest hour, with its 90 % interval.",
        )
    look.remarks(plan.warnings)


def _handed(plan: fleet.FleetPlan) -> str:
    """Say what goes to APIs when the GPUs are busy, and what it costs."""
    handed = plan.summary.get("handed_over_usd_per_month")
    if handed is None:
        return ""
    parts = [part for pool in plan.pools for part in pool.handed_over]
    apis = fleet.listed(sorted({part.api for part in parts}))
    share = math.fsum(part.attempts_per_month for part in parts) / math.fsum(
        one.attempts_per_month for pool in plan.pools for one in pool.classes
    )
    return (
        f"When all GPUs are busy, **{apis}** takes {present.percent(share)} of the clips, for "
        f"{present.money(handed.value)} of that."
    )


def _cheapest_api(plan: fleet.FleetPlan) -> str:
    able = [one for one in plan.break_even if one.usd_per_accepted_clip is not None]
    if not able:
        return "No API of the scenario can make all of these clips."
    best = able[0]
    price = present.money(best.usd_per_accepted_clip or 0)
    return (
        f"The cheapest API that can make these clips, **{best.api}**, takes {price} a clip kept; "
        f"own GPUs are cheaper {best.words}."
    )


def _outgrown(plan: fleet.FleetPlan) -> str:
    if plan.exhausted_on is None:
        return ""
    if plan.exhausted_on == plan.scenario.date:
        return "The busiest hour leaves no room to grow: more clips need another GPU at once."
    return (
        f"At {present.percent(plan.growth_per_month)} growth a month these GPUs are "
        f"outgrown on {plan.exhausted_on}."
    )


# ── Charts ────────────────────────────────────────────────────────────────────────────────────


def _week(plan: fleet.FleetPlan) -> None:
    rentals = sorted(
        (rental for pool in plan.pools for rental in pool.rentals),
        key=lambda rental: not rental.all_week,
    )
    hours = list(range(168))
    labels = [f"{DAYS[hour // 24]} {hour % 24}:00" for hour in hours]
    areas = [
        {
            "type": "scatter",
            "x": hours,
            "y": list(rental.gpus_by_hour),
            "customdata": labels,
            "name": rental.words,
            "stackgroup": "rented",
            "line": {"shape": "hv", "width": 0},
            "fillcolor": PURCHASES[rental.offer.purchase][1],
            "hovertemplate": "%{customdata}: %{y} rented<extra>%{fullData.name}</extra>",
        }
        for rental in rentals
    ]
    rented = [sum(hour) for hour in zip(*(r.gpus_by_hour for r in rentals), strict=True)]
    rendering = [sum(hour) for hour in zip(*(p.busy_by_hour for p in plan.pools), strict=True)]
    busy = {
        "type": "scatter",
        "x": hours,
        "y": rendering,
        "customdata": [
            [label, share] for label, share in zip(labels, plan.utilisation_by_hour, strict=True)
        ],
        "name": "rendering",
        "line": {"color": BUSY, "width": 2},
        "hovertemplate": "%{customdata[0]}: %{y:.1f} render, %{customdata[1]:.0%} of those rented"
        "<extra></extra>",
    }
    look.chart(
        [*areas, busy],
        {
            "height": 360,
            "showlegend": True,
            "legend": {"orientation": "h", "y": -0.2},
            "xaxis": {
                "tickvals": [24 * day + 12 for day in range(7)],
                "ticktext": list(DAYS),
                "title": {"text": "hour of the week"},
            },
            "yaxis": {"title": {"text": "GPUs"}, "rangemode": "tozero"},
        },
        key="fleet-week",
        alt="GPUs rented and GPUs rendering in each hour of a week: at most "
        f"{max(rented, default=0)} are rented, and at most {max(rendering, default=0.0):.1f} "
        "render.",
    )


@look.part
def _what_if(plan: fleet.FleetPlan) -> None:
    """Put other rules for renting beside the plan's, when asked to."""
    if not st.toggle(
        "Compare other rules: spot, keeping GPUs on, slow starts, an API when busy",
        key=f"fleet-what-if-{plan.scenario.id}",
    ):
        return
    asked, wishes = plan.scenario, plan.wishes
    spot = tuple(name for name in fleet.PURCHASES if name in (*wishes.purchases, "spot"))
    variants: dict[str, fleet.Wishes] = {
        "as planned": wishes,
        "GPUs stay on all week": replace(wishes, by_the_hour=False),
        "a start takes 30 min": replace(wishes, cold_start_s=1800.0),
        "spot, taken away every 100 h": replace(
            wishes, purchases=spot, interruptions_per_hour=0.01
        ),
        "spot, taken away every 5 h": replace(wishes, purchases=spot, interruptions_per_hour=0.2),
        "one kind of GPU": replace(wishes, mix=False),
        "up to 5 % to an API when busy": replace(wishes, hand_over=0.05),
        "up to 20 % to an API when busy": replace(wishes, hand_over=0.2),
    }
    here = float(plan.summary["usd_per_month"].value)
    rows: list[dict[str, Any]] = []
    for title, other in variants.items():
        try:
            found = planned(asked, other, store.version())
        except CannotServe as error:
            rows.append({"If": title, "Fleet": str(error)})
            continue
        cost = float(found.summary["usd_per_month"].value)
        wait = found.summary.get("p95_wait_s")
        rows.append(
            {
                "If": title,
                "USD a month": cost,
                "Change": cost - here,
                "95 % wait at most": _time(float(wait.value)) if wait else None,
                "Fleet": found.words,
            }
        )
    st.dataframe(
        rows,
        hide_index=True,
        placeholder="–",
        column_config={
            "USD a month": st.column_config.NumberColumn(format="$%,.0f"),
            "Change": st.column_config.NumberColumn(format="%+,.0f"),
        },
    )


def _curve(plan: fleet.FleetPlan) -> None:
    if not plan.curve:
        st.caption("Nobody waits for these clips, so there is no promise to pay for.")
        return
    st.caption(
        "Each point is the cheapest fleet found. Start to finish may take what the scenario's own "
        "GPUs would need with that wait, so a looser promise lets slower GPUs in."
    )
    waits = [s for s, _ in plan.curve]
    dollars = [cost for _, cost in plan.curve]
    here = waits.index(plan.scenario.p95_wait_s)
    look.chart(
        [
            {
                "type": "scatter",
                "x": waits,
                "y": dollars,
                "mode": "lines+markers",
                "line": {"color": look.PALETTE[0], "shape": "hv"},
                "customdata": [_time(s) for s in waits],
                "hovertemplate": "95 %% within %{customdata}: $%{y:,.0f} a month<extra></extra>",
            },
            {
                "type": "scatter",
                "x": [waits[here]],
                "y": [dollars[here]],
                "mode": "markers+text",
                "marker": {"size": 14, "color": BUSY},
                "text": [present.money(dollars[here])],
                "textposition": "top right",
                "hoverinfo": "skip",
            },
        ],
        {
            "height": 320,
            "xaxis": {
                "type": "log",
                "title": {"text": "95 % wait at most"},
                "tickvals": waits[::2],
                "ticktext": [_time(s) for s in waits[::2]],
            },
            "yaxis": {
                "title": {"text": "USD a month"},
                "range": [0, 1.15 * max(dollars)],
                "tickprefix": "$",
            },
        },
        key="fleet-curve",
        alt="Cost a month by the promised 95 % wait: "
        f"{present.money(dollars[0])} for {_time(waits[0])}, {present.money(dollars[-1])} for "
        f"{_time(waits[-1])}; the promise of {_time(waits[here])} costs "
        f"{present.money(dollars[here])}.",
    )


def _waits(plan: fleet.FleetPlan) -> None:
    pools = [pool for pool in plan.pools if pool.waits]
    if not pools:
        return
    worst = max(pools, key=lambda pool: pool.p95_wait_s.value if pool.p95_wait_s else 0)
    st.caption(
        f"How many people wait longer than that for {worst.route}, simulated clip by clip. The "
        "promise holds where the bar at the promised wait stays under the dotted line."
    )
    seconds = [s for s, _, _ in worst.waits]
    look.chart(
        [
            {
                "type": "bar",
                "name": title,
                "x": [f"over {_time(s)}" if s else "at all" for s in seconds],
                "y": [point[place] for point in worst.waits],
                "marker": {"color": colour},
                "hovertemplate": f"%{{y:.1%}} wait %{{x}}<extra>{title}</extra>",
            }
            for place, title, colour in (
                (1, "busiest hour", look.PALETTE[0]),
                (2, "whole week", look.PALETTE[4]),
            )
        ]
        + [
            {
                "type": "scatter",
                "name": "promise: 5 %",
                "x": [f"over {_time(s)}" if s else "at all" for s in seconds],
                "y": [0.05] * len(seconds),
                "mode": "lines",
                "line": {"color": BUSY, "dash": "dot"},
                "hoverinfo": "skip",
            }
        ],
        {
            "height": 360,
            "barmode": "group",
            "showlegend": True,
            "legend": {"orientation": "h", "y": -0.45},
            "xaxis": {"title": {"text": "wait"}},
            "yaxis": {"title": {"text": "share of people"}, "tickformat": ".0%"},
        },
        key="fleet-waits",
        alt=f"Share of people who wait for {worst.route} in the busiest hour: "
        + ", ".join(
            f"{present.percent(rush)} {f'over {_time(s)}' if s else 'at all'}"
            for s, rush, _ in worst.waits
        )
        + ".",
    )


@look.part
def _day(plan: fleet.FleetPlan) -> None:
    pools = [pool for pool in plan.pools if pool.day]
    if not pools:
        st.info("Only batch clips are made here, and nobody waits for them.")
        return
    names = [pool.route for pool in pools]
    left, right = st.columns([3, 2], vertical_alignment="center")
    hour = left.select_slider(
        "Hour", list(range(24)), value=_busiest(pools[0].day), key="fleet-hour",
        format_func=lambda h: f"{h}:00",
    )  # fmt: skip
    route = names[0]
    if len(names) > 1:
        route = right.selectbox("Clips of", names, key="fleet-pool")
    pool = pools[names.index(route)]
    seen = pool.day[hour]
    st.markdown(
        f"**{hour}:00 to {hour + 1}:00** — {seen.asked:,} clips are asked for. At half past, "
        f"{seen.rendering:,} of {max(seen.slots, seen.rendering):,} {_places(pool)} are at work, "
        f"and {seen.waiting:,} people wait.{_sent_away(seen)} Of those who ask in this hour 95 % "
        f"start within {_time(seen.p95_wait_s)}; the longest wait is {_time(seen.longest_wait_s)}."
    )
    _squares(pool, seen)


def _sent_away(seen: fleet.HourSeen) -> str:
    if not seen.handed_over:
        return ""
    return f" In this hour {seen.handed_over:,} clips are handed over."


def _busiest(day: Sequence[fleet.HourSeen]) -> int:
    return max(day, key=lambda seen: seen.asked).hour


def _places(pool: fleet.PoolPlan) -> str:
    return "GPUs" if pool.gpus_per_clip == 1 else f"groups of {pool.gpus_per_clip} GPUs"


def _squares(pool: fleet.PoolPlan, seen: fleet.HourSeen) -> None:
    """Draw one square for each place, full where it works, and one dot for each who waits."""
    most = max(one.slots for one in pool.day)
    kinds = [
        ("■", BUSY, seen.rendering, "at work"),
        ("□", PURCHASES["owned"][1], seen.slots - seen.rendering, "ready"),
        ("▫", IDLE, most - max(seen.slots, seen.rendering), "given back"),
        ("●", WAITING, seen.waiting, "people wait"),
    ]
    shown = [kind for kind in kinds if kind[2] > 0]
    squares = "".join(
        f'<span style="color:{colour}">{mark * min(count, MOST_SQUARES)}</span>'
        for mark, colour, count, _ in shown
    )
    legend = " ".join(
        f'<span style="white-space:nowrap"><span style="color:{colour}">{mark}</span> '
        f"{count:,} {words}&emsp;</span>"
        for mark, colour, count, words in shown
    )
    st.html(
        f'<div aria-hidden="true" style="font-size:1.35rem;line-height:1.25;letter-spacing:.18em;'
        f'overflow-wrap:anywhere">{squares}</div><div>{legend}</div>'
    )


def _break_even(plan: fleet.FleetPlan) -> None:
    able = [one for one in plan.break_even if one.usd_per_accepted_clip is not None]
    costs = [cost for _, cost in plan.cost_by_volume]
    costs += [one.usd_per_accepted_clip or 0 for one in able]
    wide = max(costs) > 4 * min(costs)
    clips = [volume for volume, _ in plan.cost_by_volume]
    lines = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": one.api,
            "x": [clips[0], clips[-1]],
            "y": [one.usd_per_accepted_clip] * 2,
            "line": {"color": look.colour(one.api), "dash": "dot"},
            "hovertemplate": f"{one.api}: $%{{y:.3f}}<extra></extra>",
        }
        for one in able
    ]
    own = {
        "type": "scatter",
        "mode": "lines+markers",
        "name": "own GPUs",
        "x": clips,
        "y": [cost for _, cost in plan.cost_by_volume],
        "line": {"color": look.FAMILY_COLOURS["wan"], "width": 3},
        "hovertemplate": "%{x:,.0f} clips a month: $%{y:.3f}<extra>own GPUs</extra>",
    }
    look.chart(
        [*lines, own],
        {
            "height": 360,
            "showlegend": True,
            "legend": {"orientation": "h", "y": -0.25},
            "xaxis": {
                "type": "log",
                "title": {"text": "clips wanted a month"},
                "dtick": 1,
                "tickformat": "~s",
            },
            "yaxis": {
                "title": {"text": "USD per accepted clip"},
                "tickformat": "$.2~f",
                **({"type": "log", "dtick": "D2"} if wide else {"rangemode": "tozero"}),
            },
        },
        key="fleet-volume",
        alt="Cost per accepted clip by clips wanted a month: on own GPUs "
        + " and ".join(
            f"{present.money(cost)} at {volume:,.0f}"
            for volume, cost in (plan.cost_by_volume[0], plan.cost_by_volume[-1])
        )
        + "".join(
            f"; {one.api}, the cheapest API, {present.money(one.usd_per_accepted_clip or 0)}"
            for one in able[:1]
        )
        + ".",
    )
    st.dataframe(
        [
            {
                "API": one.api,
                "USD a kept clip": one.usd_per_accepted_clip,
                "Own GPUs are cheaper": one.words,
            }
            for one in plan.break_even
        ],
        hide_index=True,
        placeholder="–",
        column_config={"USD a kept clip": st.column_config.NumberColumn(format="$%.3f")},
    )


def _rent(plan: fleet.FleetPlan) -> None:
    parts = (
        ("making clips", "busy_usd_per_month", BUSY),
        ("ready, not used", "idle_usd_per_month", IDLE),
        ("starting up", "cold_start_usd_per_month", COLD),
        ("made by an API", "handed_over_usd_per_month", HANDED),
    )
    figures = [
        (title, plan.summary[name], colour) for title, name, colour in parts if name in plan.summary
    ]
    look.chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [title for title, _, _ in figures],
                "x": [float(figure.value) for _, figure, _ in figures],
                "marker": {"color": [colour for _, _, colour in figures]},
                "text": [present.money(figure.value) for _, figure, _ in figures],
                "textposition": "auto",
                "hovertemplate": "%{y}: $%{x:,.0f}<extra></extra>",
            }
        ],
        {
            "height": 220,
            "xaxis": {"title": {"text": "USD a month"}, "tickprefix": "$", "rangemode": "tozero"},
            "yaxis": {"autorange": "reversed"},
        },
        key="fleet-rent",
        alt="Where the month's money goes: "
        + "; ".join(f"{title} {present.money(figure.value)}" for title, figure, _ in figures)
        + ".",
    )
    summary = plan.summary
    total, used = summary["usd_per_accepted_clip"], summary["usage_usd_per_accepted_clip"]
    st.dataframe(
        [
            {
                "A clip that is kept costs": "with everything that is paid (allocation)",
                "USD": float(total.value),
                "of the month": present.money(summary["usd_per_month"].value),
            },
            {
                "A clip that is kept costs": "by its own seconds alone (usage)",
                "USD": float(used.value),
                "of the month": present.money(
                    float(summary["usd_per_month"].value) * float(used.value) / float(total.value)
                ),
            },
        ],
        hide_index=True,
        column_config={"USD": st.column_config.NumberColumn(format="$%.3f")},
    )


def _rentals(plan: fleet.FleetPlan) -> None:
    st.subheader("The GPUs, and what came second")
    st.dataframe(
        [
            {
                "Clips of": pool.route + (", batch" if pool.batch else ""),
                "GPUs": rental.gpus,
                "Type": rental.offer.gpu,
                "For one clip": rental.gpus_per_clip,
                "When": rental.when,
                "Bought": PURCHASES[rental.offer.purchase][0],
                "From": rental.offer.provider,
                "USD a GPU-hour": float(rental.price.value),
                "USD a month": rental.line.micro_usd / 1e6,
            }
            for pool in plan.pools
            for rental in pool.rentals
        ]
        + [
            {
                "Clips of": pool.route,
                "When": "when all are busy",
                "Bought": f"{part.attempts_per_month:,.0f} clips of '{part.segment}'",
                "From": part.api,
                "USD a month": part.line.micro_usd / 1e6,
            }
            for pool in plan.pools
            for part in pool.handed_over
        ],
        hide_index=True,
        placeholder="–",
        column_config={
            "USD a GPU-hour": st.column_config.NumberColumn(format="$%.2f"),
            "USD a month": st.column_config.NumberColumn(format="$%,.0f"),
        },
    )
    second = [
        f"- **{pool.route}**: {pool.runner_up.words} — {pool.runner_up.why}"
        for pool in plan.pools
        if pool.runner_up
    ]
    second += [
        f"- **{pool.route}**, best with {WAYS[other.way]}: {other.words} — {other.why}"
        for pool in plan.pools
        for other in pool.others
    ]
    if second:
        st.markdown(
            "Second best, and the best of other kinds:\n" + "\n".join(second).replace("$", r"\$")
        )
    look.folded(
        "What was not searched, and why",
        lambda: st.markdown("\n".join(f"- {text}" for text in plan.left_out)),
        key="fleet-left-out",
    )
