"""The price book: what a clip costs everywhere, every rate with its source and age."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial

import streamlit as st

from costlab import catalog, present
from costlab.core import RESOLUTIONS, ClipRequest, CostlabError, InvalidArgument, Source
from costlab.pages import look

TODAY_HELP = "Prices are those known on this day; retired models are refused with their successor."


def page() -> None:
    """Draw the page."""
    as_of = st.date_input("Prices as of", value=_today(), key="prices-day", help=TODAY_HELP)
    try:
        _ranking(as_of)
        st.subheader("The book behind it")
        look.tabs(
            {
                "Every rate": partial(_book, as_of),
                "How a price moved": _history,
                "Your contracts and discounts": partial(_contracts, as_of),
                "GPU offers": partial(_offers, as_of),
                "Your own hardware": _owned,
            },
            key="prices-section",
        )
    except CostlabError as error:
        look.refusal(error)


def _today() -> date:
    return date.today()  # noqa: DTZ011  the day where the person sits


def _request() -> ClipRequest:
    columns = st.columns(4)
    seconds = columns[0].number_input(
        "Seconds", min_value=1.0, max_value=120.0, value=5.0, step=1.0
    )
    sizes = list(RESOLUTIONS)
    size = columns[1].selectbox("Size", sizes, index=sizes.index("720p"))
    mode = columns[2].selectbox("From", ["text", "an image"], index=0)
    audio = columns[3].toggle("With sound")
    return ClipRequest(
        seconds=Decimal(f"{seconds:g}"),
        resolution=size,
        mode="t2v" if mode == "text" else "i2v",
        audio=audio,
    )


@look.part
def _ranking(as_of: date) -> None:
    heading = st.empty()
    request = _request()
    ranking = catalog.rank(request, as_of)
    left, right = st.columns(2)
    resellers = left.toggle("Also resellers", value=False)
    old = right.toggle("Also undated and old prices", value=False)
    served = [
        quoted
        for quoted in ranking.served
        if (resellers or quoted.head.channel != "reseller") and (old or not quoted.stale)
    ]
    if not served:
        heading.header("No API of these can make this clip on that day")
    else:
        best = served[0]
        age = ", at a price that wants reading again" if best.stale else ""
        heading.header(
            f"{best.model} makes this clip for {present.money(best.usd)}{age}: "
            f"the cheapest of {len(served)}"
        )
        st.caption("Picture quality is not weighed.")
        shown = served[:15]
        look.cost_bars([q.model for q in shown], [q.figure() for q in shown], key="prices-rank")
        if len(served) > len(shown):
            st.caption(f"The {len(shown)} cheapest are drawn.")
        look.folded("How is it worked out?", partial(_derivation, served), key="prices-how")
    if ranking.refused:
        look.folded(
            f"{len(ranking.refused)} models cannot make it",
            lambda: st.dataframe(
                [{"Model": name, "Why": reason} for name, reason in ranking.refused],
                hide_index=True,
            ),
            key="prices-refused",
        )


def _derivation(served: Sequence[catalog.Quote]) -> None:
    quoted = {one.model: one for one in served}[
        st.selectbox("Price of", [one.model for one in served], key="prices-derivation")
    ]
    st.code(present.quote(quoted), language=None, wrap_lines=True)
    if quoted.stale:
        st.warning(quoted.stale_why, icon=":material/schedule:")


def _book(as_of: date) -> None:
    rows = catalog.prices()
    columns = st.columns(3)
    models = columns[0].multiselect("Models", sorted({row.model for row in rows}))
    sellers = columns[1].multiselect("Sellers", sorted({row.provider for row in rows}))
    everything = columns[2].toggle("Also retired, replaced and conflicting rows", value=False)
    if not everything:
        rows = catalog.in_force(rows, as_of)
    shown = [
        {
            "Model": row.model,
            "Seller": row.provider,
            "Channel": row.channel,
            "Endpoint": row.endpoint,
            "From": ", ".join(row.modes) or "any",
            "USD": float(row.usd_per_unit),
            "Per": row.unit.replace("_", " "),
            "Size": row.resolution or "any",
            "Sound": {True: "yes", False: "no", None: "either"}[row.audio],
            "Option": row.tier,
            "Region": row.region,
            "Seen": row.source.seen or "undated",
            "Age (days)": row.age_days(as_of),
            "State": _state(row, as_of),
            "Publisher": row.source.publisher,
            "Document": row.source.document,
            "Address": _link(row.source),
            "Row": row.sku,
        }
        for row in rows
        if (not models or row.model in models) and (not sellers or row.provider in sellers)
    ]
    stale = sum(row["State"] == "old or undated" for row in shown)
    st.caption(
        f"{len(shown)} rows; {stale} are undated or were last seen over "
        f"{catalog.STALE_AFTER_DAYS} days before that day and want reading again."
    )
    st.dataframe(
        shown,
        hide_index=True,
        column_config={
            "USD": st.column_config.NumberColumn(format="$%.6g"),
            "Address": st.column_config.LinkColumn(display_text="open"),
        },
    )
    st.download_button(
        "Download these rows (CSV)",
        _csv(shown),
        file_name=f"costlab-prices-{as_of}.csv",
        mime="text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    """Return rows as CSV; a cell that a spreadsheet would run as a formula is quoted."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [])
    writer.writeheader()
    for row in rows:
        writer.writerow(
            {
                name: f"'{cell}"
                if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell
                else cell
                for name, cell in row.items()
            }
        )
    return text.getvalue()


def _contracts(as_of: date) -> None:
    st.caption(
        "A contract is one more dated row: the list price stays in the book, every quote shows "
        "both, and taking a contract away is a row too."
    )
    standing = catalog.overrides()
    with st.form("contract", clear_on_submit=True):
        columns = st.columns(4)
        name = columns[0].text_input("Name", placeholder="veo-2026")
        model = columns[1].selectbox(
            "Model", ["", *(m.id for m in catalog.models() if m.kind == "api")]
        )
        seller = columns[2].selectbox("Seller", ["", *catalog.providers()])
        discount = columns[3].number_input("Discount (%)", 0.0, 99.0, 0.0)
        columns = st.columns(4)
        rate = columns[0].selectbox("Or one rate", ["", *sorted({r.sku for r in catalog.prices()})])
        usd = columns[1].text_input("… at USD a unit", placeholder="0.30")
        first = columns[2].date_input("From", value=as_of)
        last = columns[3].date_input("To (empty: open)", value=None)
        left, right = st.columns(2)
        who = left.text_input("Who enters it")
        why = right.text_input("Why", placeholder="framework agreement 2026-114")
        if st.form_submit_button("Enter", icon=":material/edit_document:"):
            catalog.add_override(
                catalog.Override(
                    name=name.strip(),
                    model=model,
                    provider=seller,
                    sku=rate,
                    usd=_amount(usd) if usd.strip() else None,
                    discount=Decimal(f"{discount:g}") / 100 if discount else None,
                    valid_from=first,
                    valid_to=last,
                    who=who.strip(),
                    why=why.strip(),
                )
            )
            st.rerun()
    if standing:
        what, by, because, go = st.columns([3, 3, 3, 2], vertical_alignment="bottom")
        chosen = what.selectbox("Take away", [item.name for item in standing])
        leaver = by.text_input("Who takes it away")
        reason = because.text_input("Why is it taken away")
        if go.button("Take away", icon=":material/undo:"):
            catalog.remove_override(chosen, who=leaver.strip(), why=reason.strip())
            st.rerun()
    rows = catalog.audit()
    if rows:
        st.dataframe(
            [
                {
                    "Entered": f"{row.entered_at:%Y-%m-%d %H:%M}",
                    "Name": row.name,
                    "What": row.action,
                    "Who": row.who,
                    "Why": row.why,
                }
                for row in rows
            ],
            hide_index=True,
        )


def _amount(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise InvalidArgument(f"USD a unit: {text!r} is not a number") from error


def _link(source: Source) -> str | None:
    return source.locator if source.locator and source.locator.startswith("http") else None


def _state(row: catalog.Price, as_of: date) -> str:
    if row.retired_on and row.retired_on <= as_of:
        return f"retired {row.retired_on}"
    if row.status != "list":
        return row.status
    return "old or undated" if row.stale(as_of) else "current"


def _history() -> None:
    dated = [row for row in catalog.prices() if row.opens and row.unit == "second"]
    counts: dict[str, set[date]] = {}
    for row in dated:
        if row.opens:
            counts.setdefault(row.model, set()).add(row.opens)
    moved = sorted(name for name, days in counts.items() if len(days) > 1)
    if not moved:
        st.info("No model has been read on two different days yet.")
        return
    model = st.selectbox("Model", moved, key="prices-history-model")
    series: dict[str, list[catalog.Price]] = {}
    for row in dated:
        if row.model == model:
            series.setdefault(row.sku, []).append(row)
    seen = [row.usd_per_unit for rows in series.values() for row in rows]
    changed = sum(len({row.usd_per_unit for row in rows}) > 1 for rows in series.values())
    look.chart(
        [
            {
                "type": "scatter",
                "mode": "lines+markers",
                "line": {"shape": "hv", "color": look.PALETTE[n % len(look.PALETTE)]},
                "name": sku,
                "x": [row.opens.isoformat() for row in rows if row.opens],
                "y": [float(row.usd_per_unit) for row in rows],
            }
            for n, (sku, rows) in enumerate(sorted(series.items()))
            for rows in [sorted(rows, key=lambda row: row.opens or date.min)]
        ],
        {
            "height": 340,
            "showlegend": True,
            "legend": {"orientation": "h", "y": -0.2},
            "yaxis": {"title": {"text": "USD per second of video"}, "rangemode": "tozero"},
            "xaxis": {"title": {"text": "first seen on"}},
        },
        key="prices-history",
        alt=f"Price of a second of {model} by the day it was first seen, sold in {len(series)} "
        f"ways: {present.money(min(seen))} to {present.money(max(seen))}; {changed} of these "
        "prices moved.",
    )


def _offers(as_of: date) -> None:
    offers = catalog.offers(as_of)
    gpus = st.multiselect("GPUs", sorted({offer.gpu for offer in offers}), key="prices-gpus")
    st.dataframe(
        [
            {
                "GPU": offer.gpu,
                "Seller": offer.provider,
                "Bought": offer.purchase.replace("_", " "),
                "USD per GPU-hour": float(offer.usd_per_gpu_hour),
                "GPUs per machine": offer.gpus_per_instance,
                "Region": offer.region,
                "Seen": offer.source.seen or "undated",
                "State": "old or undated" if offer.stale(as_of) else "current",
                "Publisher": offer.source.publisher,
                "Document": offer.source.document,
                "Offer": offer.id,
            }
            for offer in offers
            if not gpus or offer.gpu in gpus
        ],
        hide_index=True,
        column_config={"USD per GPU-hour": st.column_config.NumberColumn(format="$%.3f")},
    )


def _owned() -> None:
    defaults = catalog.owned_inputs()
    chosen: dict[str, float] = {}
    columns = st.columns(3)
    for number, (name, row) in enumerate(defaults.items()):
        said = f"{row.source.publisher}, {row.source.document}"
        bounds = f" From {row.low} to {row.high}." if row.low and row.high else ""
        entered = columns[number % 3].number_input(
            f"{name.replace('_', ' ')} ({row.unit})" if row.unit else name.replace("_", " "),
            value=float(row.value),
            format="%.4g",
            help=f"{row.note} {said}.{bounds}".strip(),
            key=f"owned-{name}",
        )
        if entered != float(row.value):
            chosen[name] = entered
    offer = catalog.owned_offer(inputs=chosen)
    st.markdown(
        f"{look.badge(offer.source.basis)} An hour of an owned {offer.gpu} costs "
        f"**{present.money(offer.usd_per_gpu_hour)}**, busy or not. Put it into a deployment as "
        "its contract price on the Scenario page."
    )
    look.proof({"USD per GPU-hour": catalog.owned_figure(inputs=chosen)}, key="owned-proof")
