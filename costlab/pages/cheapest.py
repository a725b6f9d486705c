"""The section of the Routing page that looks for the cheapest split, and its cost by quality."""

from __future__ import annotations

import streamlit as st

from costlab import optimise, present, routing, scenarios, store
from costlab.core import content_hash, plain
from costlab.pages import background, look

POINTS = 10
SERIES = {
    "best single model": "Best single model",
    "given policy": "The scenario's policy",
    "article": "The article's router",
    "given policy, GPUs as here": "The scenario's policy, GPUs as here",
    "oracle": "Oracle, out of reach",
}


@st.cache_resource(max_entries=64, show_spinner="Looking for the cheapest split …")
def optimised(
    asked: scenarios.Scenario, limits: optimise.Limits, version: str
) -> optimise.Optimised:
    """Return the optimum of a scenario, remembered until the data or the question changes."""
    del version
    return optimise.optimise(asked, limits=limits)


def section(asked: scenarios.Scenario) -> None:
    """Draw the section; raises what `optimise.optimise` raises."""
    st.caption(
        "Looks for the share of every kind of request on every route, hour by hour, together with "
        "the GPUs to buy for it (owned, reserved, on demand, spot), within these limits."
    )
    limits = _limits(asked)
    found = optimised(asked, limits, store.version())
    cost = found.usd_per_accepted_clip.value
    st.markdown(
        f"**{found.words}: {present.money(cost)} per accepted clip, "
        f"{present.money(found.usd_per_month)} a month**".replace("$", r"\$")
    )
    rows = [("This split", float(found.usd_per_month), found.mean_rating, True)]
    rows += [
        (SERIES.get(b.name, b.name), float(b.usd_per_month), b.mean_rating, False)
        for b in found.baselines
        if b.usd_per_month is not None
    ]
    rows.sort(key=lambda row: row[1])
    look.chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [name for name, *_ in rows],
                "x": [usd for _, usd, _, _ in rows],
                "marker": {
                    "color": [look.PALETTE[0] if mine else look.QUIET for *_, mine in rows]
                },
                "text": [present.money(usd) for _, usd, _, _ in rows],
                "textposition": "outside",
                "cliponaxis": False,
                "hovertemplate": "%{y}: $%{x:,.2f} a month<extra></extra>",
            }
        ],
        {
            "height": 90 + 32 * len(rows),
            "margin": {"r": 56},
            "xaxis": {
                "title": {"text": "USD a month"}, "tickprefix": "$", "rangemode": "tozero",
            },
            "yaxis": {"autorange": "reversed"},
        },
        key="cheapest-bars",
        alt="Cost a month, cheapest first: "
        + "; ".join(f"{name} {present.money(usd)}" for name, usd, *_ in rows)
        + ".",
    )  # fmt: skip
    left, right = st.columns(2)
    with left:
        _parts(found)
    with right:
        _limits_cost(found)
    if st.button("Keep this split as a policy", icon=":material/save:"):
        name = f"{asked.id}-cheapest-{content_hash([asked, limits])[:6]}"[-64:]
        if name not in routing.policies():
            routing.save_policy(plain(found.policy(name)), why="the cheapest split found")
        st.success(f"Kept as `{name}`; choose it at the top.")
    _frontier(asked, limits)
    with st.expander("What this rests on"):
        st.markdown(
            "\n".join(
                [
                    f"- the solver's own sum is {present.money(found.programme_usd)}; whole GPUs "
                    f"and rounding add {present.money(found.rounding_usd)}; no split can cost less "
                    f"than {present.money(found.bound_usd)}",
                    *(f"- {note}" for note in found.notes),
                ]
            ).replace("$", r"\$")
        )


def _limits(asked: scenarios.Scenario) -> optimise.Limits:
    first, second, third = st.columns(3)
    quality = first.number_input(
        "Mean rating at least", value=None, step=10.0, format="%.0f", placeholder="any picture",
        key=f"cheapest-quality-{asked.id}",
        help="Arena points over accepted clips; routes without a public rating are left out then.",
    )  # fmt: skip
    wait = second.number_input(
        "95 % wait at most (s)", value=asked.p95_wait_s, min_value=1.0, step=10.0, format="%.0f",
        key=f"cheapest-wait-{asked.id}",
    )  # fmt: skip
    budget = third.number_input(
        "At most USD a month", value=None, step=1000.0, min_value=0.0, format="%.0f",
        placeholder="any bill", key=f"cheapest-budget-{asked.id}",
    )  # fmt: skip
    return optimise.Limits(min_quality=quality, max_wait_s=wait, budget_usd=budget)


def _parts(found: optimise.Optimised) -> None:
    st.markdown("**Where each kind of request goes**")
    st.dataframe(
        [
            {
                "Segment": part.segment,
                "Route": part.route,
                "Share": part.share,
                "Rating": part.rating,
                "API bill": float(part.usd) if part.kind == "api" else None,
            }
            for part in found.parts
        ],
        hide_index=True,
        placeholder="–",
        column_config={
            "Share": st.column_config.NumberColumn(format="percent"),
            "Rating": st.column_config.NumberColumn(format="%.0f"),
            "API bill": st.column_config.NumberColumn(format="$%,.0f"),
        },
    )
    rented = [
        {
            "GPUs for": pool.route,
            "At most": rental.gpus,
            "Bought": rental.purchase.replace("_", " "),
            "When": "all week" if rental.all_week else "by the hour",
            "USD a month": float(rental.usd),
        }
        for pool in found.pools
        for rental in pool.rentals
    ]
    if rented:
        st.dataframe(
            rented,
            hide_index=True,
            column_config={"USD a month": st.column_config.NumberColumn(format="$%,.0f")},
        )


def _limits_cost(found: optimise.Optimised) -> None:
    st.markdown("**What the limits cost**")
    if not found.shadow_prices:
        st.caption("No limit presses: loosening one would not save anything.")
    for price in found.shadow_prices:
        st.markdown(f"- {price.words}".replace("$", r"\$"))


def _frontier(asked: scenarios.Scenario, limits: optimise.Limits) -> None:
    st.markdown("**What a better picture costs**")
    key = "pareto-" + content_hash([asked, limits.max_wait_s, limits.budget_usd]) + store.version()
    shown = background.task(key)
    if shown is None:
        if not st.button("Draw cost against quality", icon=":material/show_chart:"):
            st.caption(f"{POINTS} splits, solved in the background; the page stays usable.")
            return
        without_floor = optimise.Limits(max_wait_s=limits.max_wait_s, budget_usd=limits.budget_usd)
        shown = background.start(
            key,
            "Solving for cost against quality",
            lambda tell: optimise.pareto(asked, limits=without_floor, points=POINTS, progress=tell),
        )
    if not background.watch(shown):
        return
    points: tuple[optimise.ParetoPoint, ...] = shown.result
    look.chart(
        [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [point.mean_rating for point in points],
                "y": [point.usd_per_accepted_clip for point in points],
                "text": [
                    "<br>".join(
                        f"{present.percent(share)} {route}" for route, share in point.split.items()
                    )
                    for point in points
                ],
                "line": {"color": look.PALETTE[0]},
                "hovertemplate": "%{x:.0f} points: $%{y:.3f} an accepted clip<br>%{text}"
                "<extra></extra>",
            }
        ],
        {
            "height": 320,
            "xaxis": {"title": {"text": "mean rating of accepted clips (arena points)"}},
            "yaxis": {
                "title": {"text": "USD per accepted clip"}, "tickprefix": "$",
                "rangemode": "tozero",
            },
        },
        key="cheapest-pareto",
        alt="Cost per accepted clip by mean rating: "
        + " and ".join(
            f"{present.money(point.usd_per_accepted_clip)} at {point.mean_rating:.0f} points"
            for point in (points[0], points[-1])
        )
        + f", the ends of {len(points)} splits.",
    )  # fmt: skip
    st.caption("Only routes with a public rating are on this curve. Hover to see each split.")
