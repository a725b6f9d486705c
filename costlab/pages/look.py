"""The page's one visual language: colours, badges, charts as plain data, the proof of a figure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

import plotly.graph_objects as go
import streamlit as st

from costlab import lineage, present, store
from costlab.core import Basis, CostlabError, Figure

ICON = str(Path(__file__).with_name("icon.svg"))

# Okabe & Ito's colour-blind-safe palette (https://jfly.uni-koeln.de/color/), black left out.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C6D31")
FAMILY_COLOURS = {
    "wan": "#009E73",
    "veo": "#0072B2",
    "kling": "#E69F00",
    "sora": "#8C8C8C",
    "seedance": "#CC79A7",
    "hailuo": "#D55E00",
    "runway": "#8C6D31",
    "luma": "#56B4E9",
}
NOT_SERVED = "#9E9E9E"
QUIET = "#8FA3B5"

BADGES = {
    Basis.MEASURED: ("green", "measured by costlab on the GPU named"),
    Basis.PUBLISHED: ("blue", "published by the provider or in the source named"),
    Basis.QUOTED: ("violet", "read from a reseller, a list or a third party"),
    Basis.ENTERED: ("gray", "entered by a person"),
    Basis.ESTIMATED: ("orange", "estimated: a fit, a simulation or a prediction"),
}


def colour(name: str) -> str:
    """Return the colour that a model or route keeps on every page."""
    if name == "not served":
        return NOT_SERVED
    lowered = name.lower()
    for family, code in FAMILY_COLOURS.items():
        if family in lowered:
            return code
    return PALETTE[int(hashlib.sha256(lowered.encode()).hexdigest(), 16) % len(PALETTE)]


def badge(basis: Basis) -> str:
    """Return the Markdown badge that says how a figure is known."""
    return f":{BADGES[basis][0]}-badge[{basis.value}]"


def tile(label: str, figure: Figure | None, help_text: str = "") -> None:
    """Show one headline figure with its interval and badge; a dash where there is none.

    The label says per what, so the value stands alone.
    """
    if figure is None:
        st.metric(label, "–", help=help_text or None)
        return
    st.metric(label, _bare(figure.value, figure.unit), help=help_text or None)
    interval = ""
    if figure.range and figure.range.high > figure.range.low:
        low, high = (_bare(end, figure.unit) for end in (figure.range.low, figure.range.high))
        interval = f" {low} – {high}".replace("$", r"\$")
    st.caption(badge(figure.basis) + interval)


def _bare(value: present.Number, unit: str) -> str:
    """Return a value with its sign of money, share or time but without "per …"."""
    if unit.startswith("USD"):
        return present.money(value)
    if unit == "" or unit.startswith(("J", "W")):
        return present.number(value, unit)
    return present.number(value, unit).split(" ")[0]


def remarks(warnings: Sequence[str]) -> None:
    """Show what a person should know before using an answer, one box however many there are."""
    if warnings:
        st.warning("\n".join(f"- {text}" for text in warnings), icon=":material/warning:")


Part = ParamSpec("Part")


def part(draw: Callable[Part, None]) -> Callable[Part, None]:
    """Make a function an independent part of a page: what is changed in it redraws it alone.

    What it refuses is shown in its own place.
    """

    @wraps(draw)
    def guarded(*args: Part.args, **kwargs: Part.kwargs) -> None:
        try:
            with store.still():
                draw(*args, **kwargs)
        except CostlabError as error:
            refusal(error)

    drawn: Callable[Part, None] = st.fragment(guarded)
    return drawn


@part
def folded(title: str, draw: Callable[[], object], *, key: str) -> None:
    """Draw a folded section, worked out and sent only once a person opens it."""
    opened = st.expander(title, key=key, on_change="rerun")
    if opened.open:
        with opened:
            draw()


def editor(title: str, *, key: str) -> AbstractContextManager[Any] | None:
    """Return the folded section of an editor from its first opening on, and None before that.

    What is changed in it holds after it is folded again, so it is then drawn every time.
    """
    section = st.expander(title, key=key, icon=":material/tune:", on_change="rerun")
    seen = f"{key}-seen"
    if section.open:
        st.session_state[seen] = True
    return section if seen in st.session_state else None


@part
def tabs(sections: Mapping[str, Callable[[], object]], *, key: str) -> None:
    """Draw the one of several sections that a person has opened; the address remembers which.

    The others are neither worked out nor sent.
    """
    opened = st.tabs(list(sections), key=key, on_change="rerun", bind="query-params")
    for tab, draw in zip(opened, sections.values(), strict=True):
        if tab.open:
            with tab:
                draw()


def proof(
    figures: Mapping[str, Figure], key: str, title: str = "Open a figure: where does it come from?"
) -> None:
    """Let a person pick a figure and open it down to the price rows and runs under it."""

    def draw() -> None:
        path = st.selectbox("Figure", list(figures), key=key, format_func=words)
        figure = figures[path]
        st.markdown(
            f"**{present.figure(figure)}** {badge(figure.basis)} — known as well as its weakest "
            f"input: *{figure.weakest_input.name}*"
        )
        st.code(present.tree(figure), language=None, wrap_lines=True)
        _rows(figure, key)
        st.caption(f"Content hash {figure.content_hash[:16]}")

    folded(title, draw, key=f"{key}-open")


def _rows(figure: Figure, key: str) -> None:
    """Show the rows that a figure rests on, each with its source, and one of them raw."""
    leaves = [leaf for leaf in lineage.leaves(figure) if leaf.source or ":" in leaf.ref]
    if not leaves:
        return
    st.markdown("**The rows it rests on**")
    st.dataframe(
        [
            {
                "Row": leaf.ref or leaf.name,
                "Value": present.figure(leaf),
                "Known": leaf.basis.value,
                "Read from": f"{leaf.source.publisher}, {leaf.source.document}"
                if leaf.source
                else "",
                "Seen": (leaf.source.seen or "undated") if leaf.source else "",
                "Link": leaf.source.locator
                if leaf.source and str(leaf.source.locator).startswith("http")
                else None,
            }
            for leaf in leaves
        ],
        hide_index=True,
        column_config={"Link": st.column_config.LinkColumn(display_text="open")},
    )
    raw = {
        f"{leaf.ref}, {present.figure(leaf)}": row
        for leaf in leaves
        if (row := lineage.raw(leaf)) is not None
    }
    if raw:
        chosen = st.selectbox("One row, as it stands in the book", list(raw), key=f"{key}-raw")
        st.json(raw[chosen], expanded=1)


def words(path: str) -> str:
    """Return a figure's path as a person would read it."""
    said = path.replace("_", " ").replace("/", " › ")
    return re.sub(
        r"\b(usd|gpus?)\b", lambda m: {"usd": "USD"}.get(m[0], m[0].upper()[:3] + m[0][3:]), said
    )


def chart(
    data: Sequence[Mapping[str, Any]], layout: Mapping[str, Any], *, key: str, alt: str
) -> None:
    """Draw a Plotly chart given as data, in the page's own theme.

    ``alt`` is read out in the chart's place: a sentence or two of plain words, without markup, that
    say what is drawn and its main finding with its numbers.
    Margins are set for the labels at hand: Plotly would find them by drawing everything twice.
    """
    whole: dict[str, Any] = {"showlegend": False, **layout}
    names = [
        line
        for trace in data
        for name in trace.get("y", ())
        if isinstance(name, str)
        for line in name.split("<br>")
    ]
    x, y = whole.get("xaxis", {}), whole.get("yaxis", {})
    left = 16 + 6.4 * max(map(len, names)) if names else 72 if y.get("title") else 52
    bottom = 50 if x.get("title") else 30
    whole["margin"] = {"l": left, "r": 12, "t": 10, "b": bottom, **whole.get("margin", {})}
    whole["yaxis"] = {"automargin": False, **y}
    if not any(isinstance(at, str) for trace in data for at in trace.get("x", ())[:1]):
        whole["xaxis"] = {"automargin": False, **x}
    figure = go.Figure({"data": list(data), "layout": whole}, skip_invalid=True)
    st.plotly_chart(figure, key=key, config={"displayModeBar": False}, alt=alt)


def cost_bars(
    names: Sequence[str],
    figures: Sequence[Figure],
    *,
    key: str,
    unit: str = "USD per clip",
    colours: Sequence[str] | None = None,
) -> None:
    """Draw costs as horizontal bars from zero with their intervals, cheapest on top.

    Without ``colours`` each bar has its name's own.
    """
    values = [float(figure.value) for figure in figures]
    above = [f.range.high - v if f.range else None for f, v in zip(figures, values, strict=True)]
    below = [v - f.range.low if f.range else None for f, v in zip(figures, values, strict=True)]
    costs = f"{unit.replace('USD', 'Cost')}, {len(names)} drawn"
    if names:
        ordered = sorted(zip(values, names, strict=True))
        (least, cheapest), (most, dearest) = ordered[0], ordered[-1]
        costs += f": {cheapest} is cheapest at {present.money(least)}"
        costs += f", {dearest} dearest at {present.money(most)}" if len(names) > 1 else ""
    chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": list(names),
                "x": values,
                "marker": {"color": colours or [colour(name) for name in names]},
                "error_x": {
                    "type": "data",
                    "array": above,
                    "arrayminus": below,
                    "color": "#808080",
                    "visible": any(above + below),
                },
                "text": [present.money(value) for value in values],
                "textposition": "auto",
                "textangle": 0,
                "insidetextanchor": "start",
                "customdata": [figure.basis.value for figure in figures],
                "hovertemplate": "%{y}: $%{x:.6f}, %{customdata}<extra></extra>",
            }
        ],
        {
            "height": 90 + 30 * len(names),
            "xaxis": {"title": {"text": unit}, "rangemode": "tozero", "tickprefix": "$"},
            "yaxis": {"autorange": "reversed"},
        },
        key=key,
        alt=f"{costs}.",
    )


def flows(parts: Iterable[tuple[str, str, float]], *, key: str) -> None:
    """Draw where clips go, a bar for each route made of its segments, the busiest on top.

    ``parts`` are (segment, route, share of wanted clips).
    """
    by_route: dict[str, dict[str, float]] = {}
    for segment, route, share in parts:
        mine = by_route.setdefault(route, {})
        mine[segment] = mine.get(segment, 0.0) + share
    whole = {route: sum(mine.values()) for route, mine in by_route.items()}
    bars: list[tuple[str, str, float, float]] = []
    busiest = sorted(whole, key=lambda name: -whole[name])
    for route in busiest:
        start = 0.0
        for segment, share in sorted(by_route[route].items(), key=lambda item: -item[1]):
            bars.append((route, segment, start, share))
            start += share
    chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [route for route, *_ in bars],
                "base": [start for *_, start, _ in bars],
                "x": [share for *_, share in bars],
                "customdata": [share for *_, share in bars],
                "text": [segment for _, segment, *_ in bars],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "marker": {
                    "color": [colour(route) for route, *_ in bars],
                    "line": {"color": _paper(), "width": 2},
                },
                "hovertemplate": "%{text}: %{customdata:.1%} of the clips on %{y}<extra></extra>",
            }
        ],
        {
            "barmode": "overlay",
            "height": 70 + 44 * len(whole),
            "uniformtext": {"minsize": 10, "mode": "hide"},
            "xaxis": {"tickformat": ".0%", "range": [0, 1.15 * max(whole.values(), default=1)]},
            "yaxis": {"autorange": "reversed"},
            "annotations": [
                {
                    "x": share,
                    "y": route,
                    "text": f"<b>{present.percent(share)}</b>",
                    "showarrow": False,
                    "xanchor": "left",
                }
                for route, share in whole.items()
            ],
        },
        key=key,
        alt="Where the wanted clips go: "
        + (", ".join(f"{name} {present.percent(whole[name])}" for name in busiest) or "nowhere")
        + ".",
    )


def _paper() -> str:
    """Return the ground of the theme that the person sees."""
    return str(st.get_option(f"theme.{st.context.theme.type or 'light'}.backgroundColor"))


def faded(code: str) -> str:
    """Return a colour such as ``#0072B2`` as one that lets the ground through."""
    red, green, blue = (int(code[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.35)"


def refusal(error: CostlabError) -> None:
    """Show why something was refused, in a box, never as a traceback."""
    st.error(str(error).replace("\n", "  \n"), icon=":material/block:")
