"""What articles and people claim, beside what is found today; anybody may add a claim."""

from __future__ import annotations

import math
from datetime import date

import streamlit as st

from costlab import claims, present, projection, scenarios, store
from costlab.core import CostlabError
from costlab.pages import look
from costlab.pages.overview import projected

HOLDS = ("holds", "within the uncertainty")


@st.cache_resource(max_entries=8, show_spinner="Checking the article …")
def checked(as_of: date, version: str) -> tuple[claims.Finding, ...]:
    """Return the article's claims as found on a day, remembered until the data change."""
    del version
    return claims.article(as_of)


def page() -> None:
    """Draw the page."""
    day = st.date_input("As of", value=scenarios.scenario("social-app").date, key="claims-day")
    try:
        findings = list(checked(day, store.version()))
        findings += [claims.check(claim) for claim in claims.added().values()]
        _answer(findings)
        _ledger(findings)
        look.proof(
            {finding.claim: finding.found for finding in findings if finding.found},
            key="claims-proof",
            title="Open a finding: what does it rest on?",
        )
        _add()
    except CostlabError as error:
        look.refusal(error)


def _answer(findings: list[claims.Finding]) -> None:
    numbers = [finding for finding in findings if finding.found and finding.said]
    holding = [finding for finding in numbers if finding.verdict.startswith(HOLDS)]
    st.header(f"{len(holding)} of {len(numbers)} claims with a number hold")
    st.markdown(
        "Each finding is worked out now, from the prices and ratings of that day and from "
        "measured or predicted seconds; nothing but the claim is typed in."
    )
    far = [
        (finding, float(finding.found.value) / (finding.said.high or 1))
        for finding in numbers
        if finding.said and finding.found and finding not in holding and finding.said.high > 0
    ]
    far = sorted(far, key=lambda pair: -abs(_log(pair[1])))[:8]
    if not far:
        return
    look.chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [finding.claim for finding, _ in far],
                "x": [ratio for _, ratio in far],
                "base": 0,
                "marker": {"color": [look.PALETTE[5 if r > 1 else 0] for _, r in far]},
                "text": [f"{ratio:.2g} ×" for _, ratio in far],
                "textposition": "outside",
                "cliponaxis": False,
                "hovertemplate": "%{y}: %{x:.2f} of what is claimed<extra></extra>",
            }
        ],
        {
            "height": 90 + 34 * len(far),
            "margin": {"r": 48},
            "xaxis": {"title": {"text": "found over claimed (1 is right)"}, "rangemode": "tozero"},
            "yaxis": {"autorange": "reversed"},
            "shapes": [
                {"type": "line", "x0": 1, "x1": 1, "yref": "paper", "y0": 0, "y1": 1,
                 "line": {"color": look.NOT_SERVED, "dash": "dot"}},
            ],
        },
        key="claims-far",
        alt=f"What is found over what is claimed, for the {len(far)} claims furthest off. "
        f"Furthest is {far[0][0].claim}: found {far[0][1]:.2g} times what is claimed.",
    )  # fmt: skip


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio > 0 else -20.0


def _ledger(findings: list[claims.Finding]) -> None:
    st.subheader("The ledger")
    st.dataframe(
        [
            {
                "Claim": finding.claim,
                "Verdict": finding.verdict,
                "Found": present.figure(finding.found) if finding.found else "–",
                "Known": finding.found.basis.value if finding.found else "–",
                "Explore": finding.page,
                "Said by": finding.who,
            }
            for finding in findings
        ],
        hide_index=True,
        height="content",
        column_config={
            "Verdict": st.column_config.TextColumn(width="large"),
            "Claim": st.column_config.TextColumn(width="large"),
            "Found": st.column_config.TextColumn(width="medium"),
            "Known": st.column_config.TextColumn(width="small"),
            "Explore": st.column_config.LinkColumn(width="small"),
            "Said by": st.column_config.TextColumn(width="small"),
        },
    )


def _add() -> None:
    st.subheader("Add a claim")
    known = scenarios.known()
    scenario = st.selectbox(
        "About the scenario", list(known), format_func=lambda k: known[k].title, key="claim-about"
    )
    answer: projection.Projection = projected(known[scenario], store.version())
    figures = answer.figures()
    with st.form("add-claim", border=False, enter_to_submit=False):
        path = st.selectbox("and its figure", list(figures), format_func=look.words)
        text = st.text_input("What is claimed", placeholder="A clip costs us at most 50 cents")
        low, high, who = st.columns(3)
        lowest = low.number_input("From", value=0.0, format="%.4f")
        highest = high.number_input("To", value=0.5, format="%.4f")
        source = who.text_input("Said by", placeholder="Vendor deck, 2026-11")
        if not st.form_submit_button("Add the claim", icon=":material/add:"):
            return
        number = len(claims.added()) + 1
        claim = claims.Claim(
            id=f"claim-{number}", text=text, low=lowest, high=highest, scenario=scenario,
            figure=path, source=source,
        )  # fmt: skip
        found = claims.add(claim, who=source)
        st.success(
            f"Added. Found: {present.figure(found.found) if found.found else '–'}; "
            f"{found.verdict}.".replace("$", r"\$")
        )
