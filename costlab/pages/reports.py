"""Reports for those who pay: choose, read, download; a month closed for good."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from costlab import finance, present, report, routing, scenarios, store
from costlab.core import CostlabError, InvalidArgument, canonical_json, content_hash, plain
from costlab.pages import background, choose, look
from costlab.report import close, paper, text

MONTHS = (1, 3, 6, 12, 24, 36)
PREVIEW_HEIGHT = 640
_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip


@st.cache_data(max_entries=64, show_spinner=False)
def made(key: str, form: str, _report: report.Report) -> bytes:
    """Return a report as a file, remembered by what it is about."""
    del key
    return report.contents(_report, form)


def page() -> None:
    """Draw the page."""
    known = scenarios.known()
    linked = [name for name in st.query_params.get("report", "").split(",") if name in known]
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    chosen = left.multiselect(
        "Scenarios; the first is what the others are compared with",
        list(known),
        default=linked or [choose.FIRST],
        max_selections=report.MOST_SCENARIOS,
        format_func=lambda name: known[name].title,
        key="reported",
    )
    st.query_params["report"] = ",".join(chosen)
    count = right.select_slider("Months", MONTHS, value=12, key="report-months")
    answer = st.container()
    try:
        terms, policy = _settings()
    except CostlabError as error:
        with answer:
            look.refusal(error)
        return
    rest = st.container()
    asked = [replace(known[name], policy=policy or known[name].policy) for name in chosen]
    if asked:
        _report(asked, count, terms, answer, rest)
    else:
        answer.info("Choose one to four scenarios.", icon=":material/description:")
    _closed(list(dict.fromkeys([*chosen, *known])), terms, policy)


# ── What a person can change ──────────────────────────────────────────────────────────────────


def _settings() -> tuple[finance.Terms, str | None]:
    """Let a person change policy, currency, taxes and the like; return terms and policy."""
    policies = routing.policies()
    with st.expander("Policy, currency, tax, contingency, fiscal year, price of a clip"):
        first, second, third, fourth = st.columns(4)
        policy = first.selectbox(
            "Routing policy",
            [None, *policies],
            format_func=lambda name: policies[name].title if name else "each scenario's own",
            key="report-policy",
        )
        fiscal = second.selectbox(
            "Fiscal year starts in",
            range(1, 13),
            format_func=lambda month: _NAMES[month - 1],
            key="report-fiscal",
        )
        contingency = third.number_input(
            "Contingency, %", 0.0, 100.0, 0.0, 1.0, help="Set aside on top.", key="report-spare"
        )
        tax = fourth.number_input(
            "Tax, %", 0.0, 100.0, 0.0, 1.0, help="Of charges and contingency.", key="report-tax"
        )
        first, second, third, fourth = st.columns(4)
        price = first.number_input(
            "USD an accepted clip is sold for", 0.0, None, None, key="report-price"
        )
        users = second.number_input("Active users", 1.0, None, None, key="report-users")
        code = third.text_input("Currency", "USD", max_chars=3, key="report-currency")
        rate = fourth.text_input("What one USD buys", key="report-rate", placeholder="0.86")
        third, fourth = st.columns(4)[2:]
        day = third.date_input("Rate from", date(date.today().year, 1, 1), key="report-day")  # noqa: DTZ011
        who = fourth.text_input("Rate entered by", key="report-by")
    return finance.Terms(
        contingency=_share(contingency),
        tax=_share(tax),
        usd_per_accepted_clip=None if price is None else Decimal(str(price)),
        active_users=users,
        fiscal_year_starts=fiscal,
        currency=_currency(code.strip().upper(), rate, day, who.strip()),
    ), policy


def _share(percent: float) -> Decimal:
    return Decimal(str(percent)) / 100


def _currency(code: str, rate: str, day: date, who: str) -> finance.Currency:
    if code in ("", "USD"):
        return finance.USD
    try:
        amount = Decimal(rate.strip())
    except ArithmeticError as error:
        raise InvalidArgument(f"say what one USD buys in {code}, such as 0.86") from error
    if not who:
        raise InvalidArgument(f"say who entered the {code} rate")
    entered = finance.Rate(day=day, per_usd=amount, source=f"entered by {who}")
    return finance.Currency(code=code, rates=(entered,))


# ── The report ────────────────────────────────────────────────────────────────────────────────


def _report(
    asked: list[scenarios.Scenario],
    count: int,
    terms: finance.Terms,
    answer: DeltaGenerator,
    rest: DeltaGenerator,
) -> None:
    """Work the report out behind the page; its answer goes above the settings, the rest below."""
    key = content_hash([plain(asked), count, plain(terms), store.version()])

    def work(progress: Callable[[int, int], None]) -> report.Report:
        progress(0, len(asked))
        finished = 0

        def run(one: scenarios.Scenario, **settings: Any) -> finance.Months:
            nonlocal finished
            months = finance.months(one, **settings)
            finished += 1
            progress(finished, len(asked))
            return months

        return report.gather(asked, months=count, terms=terms, run=run)

    shown = background.start(f"report-{key}", "Scenarios worked out:", work)
    with answer:
        if not background.watch(shown):
            return
    found: report.Report = shown.result
    try:
        written = paper.written(found)
    except CostlabError as error:
        with answer:
            look.refusal(error)
        return
    with answer:
        st.header(written.answer.replace("$", r"\$"))
        st.caption(written.subtitle.replace("$", r"\$"))
        _tiles(found)
    with rest:
        _download(found, key)
        _chart(found)
        with st.container(height=PREVIEW_HEIGHT):
            st.markdown(text.body(written, level=4).replace("$", r"\$"))


def _tiles(found: report.Report) -> None:
    if len(found.parts) > 1:
        return
    part = found.parts[0]
    tiles = st.columns(5)
    named = {
        "usd_per_accepted_clip": "USD per accepted clip",
        "usd_cash": "USD to be paid",
        "usd_margin": "USD margin",
        "accepted_clips": "Accepted clips",
        "served_share": "Served",
        "gpus": f"GPUs in {part.run.months[0].name}",
    }
    kept = [name for name in named if name in part.summary][: len(tiles)]
    for tile, name in zip(tiles, kept, strict=False):
        with tile:
            look.tile(named[name], part.summary[name])


def _download(found: report.Report, key: str) -> None:
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    form = left.selectbox(
        "File",
        list(report.FORMATS),
        format_func=lambda name: report.FORMATS[name].title,
        key="report-format",
    )
    right.download_button(
        "Download",
        partial(made, key, form, found),
        file_name=report.file_name(found, form),
        mime=report.FORMATS[form].mime,
        on_click="ignore",
        icon=":material/download:",
        type="primary",
        key=f"report-download-{form}",
    )


def _chart(found: report.Report) -> None:
    if len(found.parts) > 1:
        priced = [part for part in found.parts if "usd_per_accepted_clip" in part.summary]
        look.cost_bars(
            [part.name for part in priced],
            [part.summary["usd_per_accepted_clip"] for part in priced],
            key="report-bars",
            unit="USD per accepted clip",
            colours=[look.PALETTE[number] for number in range(len(priced))],
        )
        return
    months = found.parts[0].run.months
    figures = [month.figures() for month in months]
    amortised = [one["usd_amortised"] for one in figures]
    values = [float(one.value) for one in amortised]
    differ = sum(one["usd_cash"].value != one["usd_amortised"].value for one in figures)
    look.chart(
        [
            {
                "type": "bar",
                "name": "amortised",
                "x": [month.name for month in months],
                "y": values,
                "marker": {"color": look.PALETTE[0]},
                "error_y": {
                    "type": "data",
                    "array": [
                        one.range.high - value if one.range else 0
                        for one, value in zip(amortised, values, strict=True)
                    ],
                    "arrayminus": [
                        value - one.range.low if one.range else 0
                        for one, value in zip(amortised, values, strict=True)
                    ],
                    "color": "#666",
                    "visible": any(one.range for one in amortised),
                },
                "hovertemplate": "%{x}: $%{y:,.2f} amortised<extra></extra>",
            },
            {
                "type": "scatter",
                "mode": "markers",
                "name": "to be paid, where it differs",
                "x": [month.name for month in months],
                "y": [
                    None
                    if one["usd_cash"].value == one["usd_amortised"].value
                    else float(one["usd_cash"].value)
                    for one in figures
                ],
                "marker": {"color": look.PALETTE[1], "size": 9, "line": {"width": 1}},
                "hovertemplate": "%{x}: $%{y:,.2f} to be paid<extra></extra>",
            },
        ],
        {
            "height": 320,
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.12},
            "xaxis": {"type": "category"},
            "yaxis": {"title": {"text": "USD a month"}, "tickprefix": "$", "rangemode": "tozero"},
        },
        key="report-months-chart",
        alt=f"Amortised cost of each of {len(months)} months: "
        f"{present.money(values[0])} in {months[0].name}, {present.money(values[-1])} in "
        f"{months[-1].name}; in {differ} of them another sum is to be paid.",
    )


# ── Closed months ─────────────────────────────────────────────────────────────────────────────


def _closed(names: list[str], terms: finance.Terms, policy: str | None) -> None:
    st.subheader("Closed months")
    st.caption(
        "A closed month is kept as it is, with its hash. Closing it again after a change makes a "
        "new version and shows what moved; nothing is overwritten."
    )
    if said := st.session_state.pop("report-closed-now", None):
        st.success(said, icon=":material/lock:")
    with st.expander("Close a month"):
        _close(names, terms, policy)
    found = close.versions()
    if not found:
        st.info("No month is closed yet.", icon=":material/lock_open:")
        return
    st.dataframe(
        [
            {
                "Scenario": one.scenario,
                "Month": one.period,
                "Version": one.version,
                "Cash": f"{one.usd('cash')} {one.currency}",
                "Amortised": f"{one.usd('amortised')} {one.currency}",
                "Closed": one.closed_at,
                "By": one.who,
                "Why": one.why,
                "Hash": one.hash[:16],
                "Intact": one.intact,
            }
            for one in reversed(found)
        ],
        hide_index=True,
    )
    _version(found)


def _close(names: list[str], terms: finance.Terms, policy: str | None) -> None:
    with st.form("report-close", border=False):
        first, second = st.columns([3, 2])
        name = first.selectbox("Scenario", names, key="report-close-scenario")
        period = second.text_input("Month", placeholder="2026-11", key="report-close-month")
        first, second = st.columns(2)
        who = first.text_input("Your name", key="report-close-who")
        why = second.text_input("Why", placeholder="month end", key="report-close-why")
        st.caption("It is closed under the policy, currency and taxes chosen above.")
        pressed = st.form_submit_button("Close the month", icon=":material/lock:")
    if not pressed:
        return
    try:
        asked = scenarios.scenario(name)
        with st.spinner("Freezing the month …"):
            kept = close.close(
                replace(asked, policy=policy or asked.policy),
                period.strip(),
                who=who,
                why=why,
                terms=terms,
            )
    except CostlabError as error:
        look.refusal(error)
        return
    st.session_state.pop("report-version", None)
    st.session_state["report-closed-now"] = (
        f"{kept.period} of {kept.scenario} is closed as version {kept.version}."
    )
    st.rerun()


def _version(found: tuple[close.Closed, ...]) -> None:
    chosen = st.selectbox(
        "A closed month",
        list(reversed(found)),
        format_func=lambda one: f"{one.scenario} {one.period}, version {one.version}",
        key="report-version",
    )
    last = close.before(chosen)
    if last:
        st.markdown(f"**Against version {last.version}**")
        _difference(close.difference(last.body, chosen.body))
    left, right = st.columns(2)
    again = left.button("What would come out differently today?", key="report-since")
    right.download_button(
        "Download the frozen report",
        partial(canonical_json, chosen.body),
        file_name=f"{chosen.scenario}-{chosen.period}-v{chosen.version}.json",
        mime="application/json",
        on_click="ignore",
        icon=":material/download:",
        key="report-frozen",
    )
    if again:
        try:
            with st.spinner("Working it out again …"):
                moved = close.since(chosen)
        except CostlabError as error:
            look.refusal(error)
            return
        if moved.none:
            st.success("Nothing: every figure comes out the same.", icon=":material/check:")
        else:
            _difference(moved)


def _difference(found: close.Difference) -> None:
    if found.none:
        st.caption("Nothing moved.")
        return
    rows = [
        {"What": shift.name, "Was": shift.was or "not there", "Is": shift.now or "gone"}
        for shift in found.settings
    ]
    rows += [
        {
            "What": f"{one.leaf} [{one.ref}]" if one.ref else one.leaf,
            "Was": one.was or "not there",
            "Is": one.now or "gone",
        }
        for one in found.moved
    ]
    if rows:
        st.caption("Settings and rows behind it that changed")
        st.dataframe(rows, hide_index=True)
    st.caption(f"{len(found.figures)} figures that moved")
    st.dataframe(
        [
            {"Figure": look.words(shift.name), "Was": shift.was or "–", "Is": shift.now or "–"}
            for shift in found.figures
        ],
        hide_index=True,
    )
