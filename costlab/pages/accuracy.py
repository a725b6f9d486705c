"""How wrong the predictions are, on clips they had not seen."""

from __future__ import annotations

import streamlit as st

from costlab import performance, present, store
from costlab.pages import look
from costlab.performance.accuracy import HeldOut

WAYS = {
    "group": "a whole group: one model size, GPU, count, size and stack with all its twins",
    "GPU": "a whole GPU type",
    "GPU count": "a whole GPU count",
    "GPU, one clip known": "a GPU type but for one clip on it",
}


@st.cache_resource(max_entries=2, show_spinner="Holding out every group in turn …")
def report(version: str) -> performance.Accuracy:
    """Return the accuracy report, remembered until the data changes."""
    del version
    return performance.accuracy_report()


def page() -> None:
    """Draw the page."""
    found = report(store.version())
    group = found["group"]
    st.header(
        f"Half of the predictions are within {present.percent(group.median)} of clips that the "
        "model had not seen"
    )
    st.markdown(
        f"{found.clips} published clips, each predicted by a model that was fitted without its "
        f"group. {present.percent(group.coverage)} lie inside their 90 % interval. The worst is "
        f"*{group.worst.name}*, off by {group.worst.error:+.0%}. Scaling the nearest published "
        f"clip by FLOPs instead gives {present.percent(group.baseline_median)} at the median."
    )
    st.dataframe(
        [
            {
                "Held out": WAYS.get(one.name, one.name),
                "Clips": len(one.points),
                "Groups": one.groups,
                "Median error": one.median,
                "90 % of errors below": one.p90,
                "Inside the interval": one.coverage,
                "Nearest clip: median": one.baseline_median,
                "… 90 % below": one.baseline_p90,
                "Worst": f"{one.worst.name} ({one.worst.error:+.0%})",
            }
            for one in found.held_out
        ],
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="percent")
            for name in (
                "Median error",
                "90 % of errors below",
                "Inside the interval",
                "Nearest clip: median",
                "… 90 % below",
            )
        },
    )
    names = [one.name for one in found.held_out if one.quantity == "seconds"]
    chosen = st.segmented_control(
        "Draw with held out", names, default=names[0], required=True, key="accuracy-way"
    )
    _scatter(found[str(chosen)])
    look.folded(
        f"{len(found.left_out)} published rows that take no part, and why",
        lambda: st.dataframe(
            [{"File": row.file, "Rows": row.rows, "Why": row.reason} for row in found.left_out],
            hide_index=True,
        ),
        key="accuracy-left-out",
    )


def _scatter(one: HeldOut) -> None:
    points = one.points
    low = min(min(p.seen, p.said) for p in points) * 0.8
    high = max(max(p.seen, p.said) for p in points) * 1.25
    look.chart(
        [
            {
                "type": "scatter",
                "mode": "lines",
                "x": [low, high],
                "y": [low, high],
                "line": {"color": "#888", "dash": "dot"},
                "hoverinfo": "skip",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "x": [p.seen for p in points],
                "y": [p.said for p in points],
                "error_y": {
                    "type": "data",
                    "array": [p.high - p.said for p in points],
                    "arrayminus": [p.said - p.low for p in points],
                    "color": "rgba(0,114,178,0.3)",
                },
                "marker": {
                    "color": ["#0072B2" if p.inside else "#D55E00" for p in points],
                    "size": 7,
                },
                "text": [p.name for p in points],
                "hovertemplate": "%{text}<br>published %{x:.4g} s, said %{y:.4g} s<extra></extra>",
            },
        ],
        {
            "height": 520,
            "xaxis": {"title": {"text": "published seconds a clip"}, "type": "log"},
            "yaxis": {"title": {"text": "predicted seconds a clip"}, "type": "log"},
        },
        key="accuracy-scatter",
        alt=f"Predicted against published seconds of {len(points)} clips, held out by {one.name}: "
        f"half are off by {present.percent(one.median)} or less, and "
        f"{present.percent(one.coverage)} lie inside their 90 % interval.",
    )
    st.caption("Orange points lie outside their 90 % interval. Both axes are logarithmic.")
