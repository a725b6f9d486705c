"""Up to four scenarios side by side, and why each costs another sum than the first."""

from __future__ import annotations

import streamlit as st

from costlab import comparison, present, projection, scenarios, store
from costlab.core import CostlabError
from costlab.pages import look
from costlab.pages.overview import projected

MOST = 4
SHOWN = {
    "usd_per_accepted_clip": "USD per accepted clip",
    "usage_usd_per_accepted_clip": "of it busy",
    "usd_per_month": "USD a month",
    "accepted_clips_per_month": "Accepted clips a month",
    "served_share": "Served",
    "gpus": "GPUs",
    "utilisation": "GPUs busy",
    "mean_rating": "Mean rating",
}


@st.cache_resource(max_entries=64, show_spinner="Working out what each change is worth …")
def compared(
    first: scenarios.Scenario, second: scenarios.Scenario, version: str
) -> comparison.Comparison:
    """Return two scenarios compared, remembered until the data or either changes."""
    return comparison.compare(first, second, project=lambda s: projected(s, version))


def page() -> None:
    """Draw the page."""
    known = scenarios.known()
    linked = [name for name in st.query_params.get("compare", "").split(",") if name in known]
    chosen = st.multiselect(
        "Scenarios, the first is what the others are compared with",
        list(known),
        default=linked or ["social-app", "social-app-few-step"],
        max_selections=MOST,
        format_func=lambda name: known[name].title,
        key="compared",
    )
    st.query_params["compare"] = ",".join(chosen)
    if len(chosen) < 2:
        st.info("Choose two to four scenarios.", icon=":material/compare_arrows:")
        return
    try:
        picked = [known[name] for name in chosen]
        answers = [projected(one, store.version()) for one in picked]
        _answer(answers)
        look.cost_bars(
            [
                answer.scenario.title
                for answer in answers
                if "usd_per_accepted_clip" in answer.summary
            ],
            [
                answer.summary["usd_per_accepted_clip"]
                for answer in answers
                if "usd_per_accepted_clip" in answer.summary
            ],
            key="compare-bars",
            unit="USD per accepted clip",
            colours=[look.PALETTE[n] for n in range(len(answers))],
        )
        _table(answers)
        for other in picked[1:]:
            _why(compared(picked[0], other, store.version()))
    except CostlabError as error:
        look.refusal(error)


def _answer(answers: list[projection.Projection]) -> None:
    priced = [a for a in answers if "usd_per_accepted_clip" in a.summary]
    if not priced:
        st.header("None of these serves a clip")
        return
    best = min(priced, key=lambda a: float(a.summary["usd_per_accepted_clip"].value))
    cost = best.summary["usd_per_accepted_clip"]
    st.header(f"{best.scenario.title} is cheapest: {present.money(cost.value)} an accepted clip")


def _table(answers: list[projection.Projection]) -> None:
    rows = []
    for name, label in SHOWN.items():
        row = {"": label}
        for answer in answers:
            figure = answer.summary.get(name)
            title = f"{answer.scenario.title} ({answer.scenario.id})"
            row[title] = present.figure(figure) if figure else "–"
        rows.append(row)
    rows.append(
        {"": "Routed by"}
        | {f"{a.scenario.title} ({a.scenario.id})": a.policy.title for a in answers}
    )
    st.dataframe(rows, hide_index=True)


def _why(found: comparison.Comparison) -> None:
    first, second = found.before, found.after
    dollars = found.micro_usd / 1e6
    st.subheader(
        f"{second.scenario.title} costs {present.money(abs(dollars))} a month "
        f"{'more' if dollars >= 0 else 'less'} than {first.scenario.title}"
    )
    if not found.changes:
        st.caption("They do not differ in anything that moves money.")
        return
    for change in found.changes:
        part = f"{'+' if change.usd >= 0 else '−'}{present.money(abs(change.usd))}"
        said = "; ".join(change.words) or "changed"
        st.markdown(f"- **{change.name}** {part} a month: {said}".replace("$", r"\$"))
    totals = [float(a.summary["usd_per_month"].value) for a in (first, second)]
    labels = [first.scenario.title, *(c.name for c in found.changes), second.scenario.title]
    if labels[0] == labels[-1]:
        labels[0], labels[-1] = first.scenario.id, second.scenario.id
    largest = max(found.changes, key=lambda change: abs(change.usd))
    look.chart(
        [
            {
                "type": "waterfall",
                "x": labels,
                "y": [totals[0], *(change.usd for change in found.changes), totals[1]],
                "measure": ["absolute", *("relative" for _ in found.changes), "total"],
                "text": [
                    present.money(totals[0]),
                    *(present.money(change.usd) for change in found.changes),
                    present.money(totals[1]),
                ],
                "textposition": "outside",
                "cliponaxis": False,
                "increasing": {"marker": {"color": look.PALETTE[5]}},
                "decreasing": {"marker": {"color": look.PALETTE[2]}},
                "totals": {"marker": {"color": look.PALETTE[0]}},
                "hovertemplate": "%{x}: $%{y:,.2f}<extra></extra>",
            }
        ],
        {
            "height": 340,
            "margin": {"t": 28},
            "yaxis": {"title": {"text": "USD a month"}, "tickprefix": "$", "rangemode": "tozero"},
        },
        key=f"why-{first.scenario.id}-{second.scenario.id}",
        alt=f"From {present.money(totals[0])} a month for {labels[0]} to "
        f"{present.money(totals[1])} for {labels[-1]}, change by change. The largest is "
        f"{largest.name}, {present.money(largest.usd)}.",
    )
    st.caption(
        "Each change's part is its effect averaged over every order of making the changes "
        "(Shapley value), so the parts sum to the difference."
    )
