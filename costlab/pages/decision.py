"""Own GPUs or APIs, how sure that is, what drives it, where it flips, what to find out first."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from costlab import jobs, present, routing, scenarios, store, uncertainty
from costlab.core import Basis, CostlabError
from costlab.pages import choose, look

DRAWS = 10_000
OWN, API, TODAY, QUIET = "#009E73", "#0072B2", "#D55E00", look.QUIET
DRIVERS = {
    "volume": ("Clips a month", "times today's clips"),
    "utilisation": ("How busy GPUs are", "share of paid GPU hours that render"),
    "gpu_price": ("GPU rent", "times today's rent"),
    "seconds": ("Seconds a clip", "times the predicted seconds"),
    "api_price": ("API prices", "times today's prices"),
}
Ranges = tuple[tuple[str, float, float], ...]


class _Key:
    """A model under the key that it was made from, so that caches need not hash its arrays."""

    def __init__(self, model: uncertainty.Model, ranges: Ranges, text: str) -> None:
        entered = {name: (low, high) for name, low, high in ranges}
        self.model = model.with_ranges(entered) if entered else model
        self.text = f"{text}{ranges}"


_HASH: Any = {_Key: lambda key: key.text}


@st.cache_resource(max_entries=32, show_spinner="Projecting the months …")
def compiled(
    asked: scenarios.Scenario, policy: str, months: int, version: str
) -> uncertainty.Model:
    """Return the model of a scenario, remembered until the data or the scenario changes."""
    del version
    return uncertainty.compile(asked, months=months, policy=routing.policy(policy))


@st.cache_resource(max_entries=64, show_spinner="Drawing …", hash_funcs=_HASH)
def _drawn(key: _Key) -> uncertainty.Decision:
    return uncertainty.drawn(key.model, draws=DRAWS)


@st.cache_resource(max_entries=128, show_spinner="Looking for where the answer flips …",
                   hash_funcs=_HASH)  # fmt: skip
def _flip(key: _Key, driver: Any) -> uncertainty.BreakEven:
    return uncertainty.break_even(key.model, driver)


@st.cache_resource(max_entries=64, show_spinner="Sharing out the uncertainty …", hash_funcs=_HASH)
def _indices(key: _Key) -> tuple[uncertainty.Index, ...]:
    return uncertainty.indices(key.model)


@st.cache_resource(max_entries=64, show_spinner="Weighing what to find out …", hash_funcs=_HASH)
def _information(key: _Key) -> uncertainty.Information:
    return uncertainty.information(_drawn(key).draws)


def page() -> None:
    """Draw the page."""
    left, middle, right = st.columns([3, 3, 2])
    with left:
        asked = choose.scenario("Scenario", "decision")
    policies = routing.policies()
    policy = middle.selectbox(
        "Routing policy",
        list(policies),
        index=list(policies).index(asked.policy),
        format_func=lambda name: policies[name].title,
        key=f"decision-policy-{asked.id}",
    )
    months = right.select_slider("Months ahead", [1, 3, 6, 12, 24, 36], 12, key="decision-months")
    body = st.container()
    try:
        model = compiled(asked, policy, months, store.version())
        st.subheader("What is not certain, and where each range comes from")
        ranges = _edited(model, f"{asked.id}-{policy}-{months}")
        key = _Key(model, ranges, f"{asked!r}{policy}{months}{store.version()}")
        with body:
            _page(key)
    except CostlabError as error:
        with body:
            look.refusal(error)
            st.caption("Pick another policy or scenario above.")


def _page(key: _Key) -> None:
    answer = _drawn(key)
    _answer(answer)
    st.subheader("What an accepted clip may cost")
    _distribution(answer)
    if answer.compared:
        st.subheader("What moves the answer")
        _tornado(answer)
        return
    look.tabs(
        {
            "What moves the answer": partial(_drivers, key),
            "Where the answer flips": partial(_break_even, key),
            "What to find out first": partial(_worth, key),
        },
        key="decision-section",
    )


def _drivers(key: _Key) -> None:
    left, right = st.columns([4, 3])
    with left:
        _tornado(_drawn(key))
    with right:
        _shares(key)


# ── The answer ────────────────────────────────────────────────────────────────────────────────


def _answer(answer: uncertainty.Decision) -> None:
    st.header(answer.headline.replace("$", r"\$"))
    rest = answer.words.removeprefix(f"{answer.headline}, ")
    st.markdown((rest[:1].upper() + rest[1:]).replace("$", r"\$"))
    notes = [f"{answer.model.stand_in}."] if answer.model.stand_in else []
    st.caption(
        " ".join(
            [
                *notes,
                f"{len(answer.draws.rows):,} draws of {answer.model.months} months. In each one "
                "the fleet is sized anew every month, routes are those of the projection; the APIs "
                "compared are the cheapest that give what each clip asks. Both sides are taken to "
                "be kept as often.",
            ]
        )
    )
    tiles = st.columns(5)
    _tile(
        tiles[0],
        "Own GPUs win",
        "–" if answer.p_own_wins is None else present.percent(answer.p_own_wins),
        "",
        "The share of draws in which a kept clip costs less than on the best APIs.",
    )
    _three(tiles[1], "USD per accepted clip", answer.usd_per_clip,
           "Half of the draws lie below; 80 % lie in the range (P50; P10 to P90).")  # fmt: skip
    _three(tiles[2], "The same on APIs", answer.api_usd_per_clip,
           "Each clip on the API that is cheapest for it in that draw.")  # fmt: skip
    _three(tiles[3], f"USD in {answer.model.months} months", answer.usd, "The whole bill.")
    _three(tiles[4], "USD saved by own GPUs", answer.saved_usd,
           "Over all months, for as many kept clips. Below zero APIs are cheaper.")  # fmt: skip
    look.remarks(answer.model.warnings)


def _three(
    tile: Any, label: str, values: tuple[float, float, float] | None, help_text: str
) -> None:
    if values is None:
        _tile(tile, label, "–", "", help_text)
        return
    low, middle, high = (present.money(value) for value in values)
    _tile(tile, label, middle, f"{low} – {high}", help_text)


def _tile(tile: Any, label: str, value: str, interval: str, help_text: str) -> None:
    tile.metric(label, value, help=help_text)
    tile.caption(f"{look.badge(Basis.ESTIMATED)} {interval}".replace("$", r"\$"))


# ── Charts ────────────────────────────────────────────────────────────────────────────────────


def _distribution(answer: uncertainty.Decision) -> None:
    sides = [("own GPUs, as the policy routes", answer.draws.per_clip, OWN)]
    if not answer.compared:
        sides.append(("the best APIs", answer.draws.api_per_clip, API))
    every = np.concatenate([values for _, values, _ in sides])
    low, high = np.quantile(every, [0.002, 0.998])
    edges = np.linspace(low, high, 61)
    bars = []
    tallest = 0.0
    for name, values, colour in sides:
        counts, _ = np.histogram(values, edges)
        shares = counts / len(values)
        tallest = max(tallest, float(shares.max()))
        bars.append(
            {
                "type": "bar",
                "name": name,
                "x": ((edges[1:] + edges[:-1]) / 2).tolist(),
                "y": shares.tolist(),
                "width": float(edges[1] - edges[0]),
                "marker": {"color": colour, "opacity": 0.65},
                "hovertemplate": f"about $%{{x:.3g}}: %{{y:.1%}} of draws<extra>{name}</extra>",
            }
        )
    look.chart(
        [
            *bars,
            {
                "type": "scatter",
                "name": "as projected today",
                "mode": "lines+markers+text",
                "x": [answer.centre_usd_per_clip] * 2,
                "y": [0, 1.08 * tallest],
                "text": ["", f"projected {present.money(answer.centre_usd_per_clip)}"],
                "textposition": "middle right",
                "line": {"color": TODAY, "width": 2},
                "marker": {"size": [0, 10], "color": TODAY},
                "hoverinfo": "skip",
            },
        ],
        {
            "height": 320,
            "barmode": "overlay",
            "showlegend": True,
            "legend": {"orientation": "h", "y": -0.25},
            "xaxis": {"title": {"text": "USD per accepted clip"}, "tickprefix": "$"},
            "yaxis": {
                "title": {"text": "share of draws"},
                "tickformat": ".0%",
                "range": [0, 1.2 * tallest],
            },
        },
        key="decision-distribution",
        alt=f"Cost per accepted clip over {len(sides[0][1]):,} draws. In the middle draw "
        + " and ".join(f"{present.money(np.median(v))} with {name}" for name, v, _ in sides)
        + f"; {present.money(answer.centre_usd_per_clip)} as projected today.",
    )


def _tornado(answer: uncertainty.Decision) -> None:
    shown = answer.swings[:12]
    if not shown:
        st.caption("Every range is closed on its centre: nothing moves the answer.")
        return
    saved = not answer.compared
    centre = answer.centre_saved_usd if saved else answer.centre_usd_per_clip
    st.caption(
        "Each input at its P10 and P90, all others as projected. "
        + ("Where a bar crosses the line at zero the answer is another." if saved else "")
    )
    ends = [one.saved_usd if saved else one.usd_per_clip for one in shown]
    look.chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "name": name,
                "y": [_wrapped(one.input.label) for one in shown],
                "x": [end[place] - centre for end in ends],
                "base": [centre] * len(shown),
                "marker": {"color": colour},
                "customdata": [
                    [f"{one.values[place]:.3g} {one.input.unit}", present.money(end[place])]
                    for one, end in zip(shown, ends, strict=True)
                ],
                "hovertemplate": "%{y} at %{customdata[0]}: %{customdata[1]}<extra></extra>",
            }
            for place, name, colour in ((0, "low (P10)", look.PALETTE[4]),
                                        (1, "high (P90)", look.PALETTE[1]))
        ],
        {
            "height": 110 + 36 * len(shown),
            "barmode": "overlay",
            "showlegend": True,
            "legend": {"orientation": "h", "y": -0.15},
            "xaxis": {
                "title": {
                    "text": f"USD saved by own GPUs in {answer.model.months} months"
                    if saved
                    else "USD per accepted clip"
                },
                "tickprefix": "$",
                "zeroline": saved,
                "zerolinewidth": 2,
            },
            "yaxis": {"autorange": "reversed"},
        },
        key="decision-tornado",
        alt=f"How far each of {len(shown)} inputs moves "
        f"{'what own GPUs save' if saved else 'the cost per accepted clip'}, "
        f"{present.money(centre)} as projected. Furthest: {shown[0].input.label}, to "
        f"{present.money(ends[0][0])} at its P10 and {present.money(ends[0][1])} at its P90.",
    )  # fmt: skip


def _wrapped(label: str) -> str:
    return "<br>".join(textwrap.wrap(label, 26))


def _shares(key: _Key) -> None:
    st.caption(
        "How much of the spread each input makes: alone, and with all it interacts in (Sobol "
        "indices, 95 % interval)."
    )
    found = _indices(key)
    st.dataframe(
        [
            {
                "Input": key.model.input(one.name).label,
                "Alone": _index(*one.first) if one.resolved else "not resolved",
                "With others": _index(*one.total) if one.resolved else "not resolved",
            }
            for one in found
            if one.total[2] >= 0.01
        ],
        hide_index=True,
    )


def _index(value: float, low: float, high: float) -> str:
    return f"{value:.2f} ± {max(high - value, value - low):.2f}"


@look.part
def _break_even(key: _Key) -> None:
    driver = st.segmented_control(
        "What changes",
        list(DRIVERS),
        default="volume",
        format_func=lambda name: DRIVERS[name][0],
        key="decision-driver",
        required=True,
    )
    found = _flip(key, driver)
    st.markdown(_flip_words(found))
    x = found.at.tolist()
    bands = []
    for name, values, colour in (("own GPUs", found.own, OWN), ("best APIs", found.api, API)):
        bands += [
            {"type": "scatter", "x": x, "y": values[0].tolist(), "mode": "lines",
             "line": {"width": 0}, "hoverinfo": "skip", "showlegend": False},
            {"type": "scatter", "x": x, "y": values[2].tolist(), "mode": "lines", "fill": "tonexty",
             "fillcolor": look.faded(colour), "line": {"width": 0}, "hoverinfo": "skip",
             "showlegend": False},
            {"type": "scatter", "x": x, "y": values[1].tolist(), "mode": "lines", "name": name,
             "line": {"color": colour, "width": 3},
             "hovertemplate": f"%{{x:.2g}}: $%{{y:.3g}}<extra>{name}, P50</extra>"},
        ]  # fmt: skip
    here = float(np.interp(found.today, found.at, found.own[1]))
    marks = [
        {"type": "scatter", "x": [found.today], "y": [here], "mode": "markers+text",
         "name": "today", "text": ["today"], "textposition": "top center",
         "marker": {"size": 13, "color": TODAY},
         "hovertemplate": "today: $%{y:.3g}<extra></extra>"}
    ]  # fmt: skip
    crossing = found.quantiles("first")
    top = float(max(found.own[2].max(), found.api[2].max()))
    bottom = float(min(found.own[0].min(), found.api[0].min()))
    shapes = []
    if crossing:
        shapes.append(
            {"type": "rect", "xref": "x", "yref": "paper", "x0": crossing[0], "x1": crossing[2],
             "y0": 0, "y1": 1, "fillcolor": "rgba(204,121,167,0.18)", "line": {"width": 0}}
        )  # fmt: skip
    wide = top > 6 * bottom
    look.chart(
        [*bands, *marks],
        {
            "height": 360,
            "showlegend": True,
            "legend": {"orientation": "h", "y": -0.25},
            "shapes": shapes,
            "xaxis": {"type": "log", "title": {"text": DRIVERS[str(driver)][1]},
                      "tickvals": [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]},
            "yaxis": {"title": {"text": "USD per accepted clip"}, "tickformat": "$.2~f",
                      **({"type": "log", "dtick": "D2"} if wide else {"rangemode": "tozero"})},
        },
        key="decision-flip",
        alt="Cost per accepted clip of own GPUs and of the best APIs by "
        f"{' in '.join(DRIVERS[str(driver)])}. {_flip_words(found).replace('**', '')}",
    )  # fmt: skip
    st.caption(
        "Lines are the middle draw, bands hold 80 % of draws; the pink strip is where the answer "
        "first flips in 80 % of the draws that flip."
    )


def _flip_words(found: uncertainty.BreakEven) -> str:
    first, last = found.quantiles("first"), found.quantiles("last")
    if first is None or last is None:
        side = "own GPUs" if found.always_own >= found.always_api else "APIs"
        return f"Nothing flips it: {side} stay cheaper from {found.at[0]:g} to {found.at[-1]:g}."
    share = found.driver == "utilisation"

    def said(value: float) -> str:
        return present.percent(value) if share else f"{present.significant(value, 2)}×"

    text = (
        f"The answer flips at **{said(first[1])}** ({said(first[0])} to {said(first[2])} in 80 % "
        f"of the draws that flip; today {said(found.today)})"
    )
    if found.flips < 0.995:
        rest = [
            f"{side} always win in {present.percent(part)}"
            for side, part in (("own GPUs", found.always_own), ("APIs", found.always_api))
            if part >= 0.005
        ]
        text += f"; {' and '.join(rest)} of draws"
    if found.several >= 0.005:
        text += (
            f". In {present.percent(found.several)} of draws it flips more than once, for the last "
            f"time at {said(last[1])}: a fleet grows in steps"
        )
    return text + "."


# ── What to find out first ────────────────────────────────────────────────────────────────────


def _worth(key: _Key) -> None:
    found = _information(key)
    best = [one for one in found.worth if one.usd > 0 and one.resolved][:5]
    lead = (
        f"Knowing everything before deciding would be worth **{present.money(found.perfect)}** "
        f"over {key.model.months} months ({present.money(found.low)} to "
        f"{present.money(found.high)})."
    )
    if best:
        lead += " One thing alone:"
        lead += "".join(
            f"\n{place}. **{one.sample}**: {present.money(one.usd)} "
            f"({present.money(one.low)} to {present.money(one.high)})"
            + (f", costs about {present.money(one.costs_usd)}" if one.costs_usd else "")
            for place, one in enumerate(best, 1)
        )
    else:
        lead += " No single measurement, quote or count would change the decision."
    st.markdown(lead.replace("$", r"\$"))
    _measure(found)
    look.folded(
        "Everything that could be found out", partial(_everything, found), key="decision-all"
    )


def _everything(found: uncertainty.Information) -> None:
    st.dataframe(
        [
            {
                "Find out": one.sample,
                "Worth": one.usd,
                "Low": one.low,
                "High": one.high,
                "Known exactly": one.perfect,
                "Moves the saving by ±": one.moves_usd,
                "Costs": one.costs_usd,
            }
            for one in found.worth
        ],
        hide_index=True,
        placeholder="–",
        column_config={
            name: st.column_config.NumberColumn(format="$%,.0f")
            for name in ("Worth", "Low", "High", "Known exactly", "Moves the saving by ±")
        }
        | {"Costs": st.column_config.NumberColumn(format="$%.2f")},
    )


@look.part
def _measure(found: uncertainty.Information) -> None:
    able = [one for one in found.worth if one.way == "measure"]
    if not able:
        return
    for one in able:
        here = _devices()
        cards = {card["gpu"] for card in here["found"]}
        reason = ""
        if not one.command:
            reason = "no recipe of costlab measures this deployment as it is"
        elif not cards:
            reason = f"no GPU here: {here['reason'] or 'none found'}"
        elif one.input.of not in cards:
            reason = f"the GPU here is {', '.join(map(str, cards))}, not {one.input.of}"
        button, text = st.columns([2, 5], vertical_alignment="center")
        if button.button(
            "Start this measurement", key=f"decision-measure-{one.input.id}",
            icon=":material/play_arrow:", disabled=bool(reason), help=reason or None,
        ):  # fmt: skip
            jobs.start(list(one.command), store.home())
            st.toast("Measurement started; the Benchmark page shows its progress")
        worth = present.money(one.usd) if one.usd else "nothing by itself"
        text.caption(
            f"{one.sample}: worth {worth}.".replace("$", r"\$")
            + (f" Not now: {reason}." if reason else "")
        )


@st.cache_data(ttl=300, show_spinner=False)
def _devices() -> dict[str, Any]:
    """Return what ``costlab bench devices`` says; the page itself touches no driver."""
    done = subprocess.run(
        [sys.executable, "-m", "costlab.cli", "bench", "devices", "--json"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if done.returncode:
        return {"found": [], "reason": done.stderr.strip() or "the driver did not answer"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


# ── What a person can change ──────────────────────────────────────────────────────────────────


def _edited(model: uncertainty.Model, key: str) -> Ranges:
    """Show every range with its source, and return those that a person changed."""
    st.caption("90 % of cases lie between low and high. Change either to ask what if.")
    rows = [
        {
            "Input": item.label,
            "Low": float(f"{item.low:.6g}"),
            "Projected": float(f"{item.centre:.6g}"),
            "High": float(f"{item.high:.6g}"),
            "Unit": item.unit,
            "Known": item.basis.value,
            "Where the range comes from": item.what
            + (f" — {item.source.publisher}, {item.source.document}" if item.source else ""),
        }
        for item in model.inputs
    ]
    edited = st.data_editor(
        rows,
        hide_index=True,
        key=f"decision-ranges-{key}",
        disabled=["Input", "Projected", "Unit", "Known", "Where the range comes from"],
        column_config={
            name: st.column_config.NumberColumn(format="%.4g")
            for name in ("Low", "Projected", "High")
        },
    )
    return tuple(
        (item.id, float(now["Low"]), float(now["High"]))
        for item, was, now in zip(model.inputs, rows, edited, strict=True)
        if (was["Low"], was["High"]) != (now["Low"], now["High"])
    )
