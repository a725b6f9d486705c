"""What the requests of a log would have cost: under a policy, request by request."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import streamlit as st

from costlab import logs, present, replay, routing, scenarios, store, traffic
from costlab.core import CostlabError, content_hash, usd
from costlab.logs.example import draw
from costlab.pages import background, choose, look, uploads

BY = ("month", "segment", "tenant", "model", "route")
MOST = 3
EXAMPLE_REQUESTS = 20_000
EXAMPLE_DAYS = 60


def page() -> None:
    """Draw the page."""
    asked = choose.scenario("Who serves: the deployments and APIs of", "replayed")
    try:
        path = _log(asked)
    except CostlabError as error:
        look.refusal(error)
        return
    if path is None:
        st.header("Bring a log and see what it would have cost")
        st.markdown(
            "A log has one row a request, as CSV or Parquet, with at least a **time** and the "
            "**seconds** of the clip; columns are recognised by their usual names. It is read "
            "where it is, by DuckDB, and may have 100 million rows. The command line does the "
            "same: `costlab replay LOG --policy article`."
        )
        return
    known = routing.policies()
    chosen = st.multiselect(
        "Policies to try",
        list(known),
        default=[asked.policy, *(p for p in ("cheapest-capable",) if p != asked.policy)],
        max_selections=MOST,
        format_func=lambda name: known[name].title,
        key="replay-policies",
    )
    try:
        log = logs.open_log(path)
        tasks = [_started(path, log, asked, known[name]) for name in chosen]
        done = [task.result for task in tasks if background.watch(task)]
        if done:
            _answer(done)
            _groups(done)
            _told(done[0])
    except CostlabError as error:
        look.refusal(error)


def _log(asked: scenarios.Scenario) -> Path | None:
    first, second, third = st.columns([2, 2, 1], vertical_alignment="bottom")
    brought = first.file_uploader("A log", type=["csv", "parquet", "gz", "tsv"], key="replay-log")
    typed = second.text_input(
        "or its path on the machine that runs this page", placeholder="/data/requests/*.parquet",
        key="replay-path",
    ).strip()  # fmt: skip
    third.button(
        "Try an example", icon=":material/casino:", on_click=_take_example, args=(asked,),
        help="A log drawn from this scenario's traffic; nothing in it was ever asked for.",
    )  # fmt: skip
    if brought is not None:
        return uploads.keep(brought.name, brought.getvalue())
    if typed:
        return uploads.named(typed)
    example = st.session_state.get("replay-example")
    if example and Path(example).is_file():
        st.caption(f"An example of {EXAMPLE_REQUESTS:,} requests, drawn from a scenario's traffic.")
        return Path(example)
    return None


def _take_example(asked: scenarios.Scenario) -> None:
    mix = traffic.mix(asked.mix)
    start = asked.date - timedelta(days=EXAMPLE_DAYS)
    path = uploads.folder() / f"example-{content_hash([mix, start])[:16]}.csv"
    if not path.exists():
        draw(mix, path, requests=EXAMPLE_REQUESTS, start=start, days=EXAMPLE_DAYS, seed=1)
    st.session_state["replay-example"] = str(path)


def _started(
    path: Path, log: logs.Log, asked: scenarios.Scenario, policy: routing.Policy
) -> background.Task:
    sizes = [[file, Path(file).stat().st_mtime_ns] for file in log.files]
    key = "replay-" + content_hash([str(path), sizes, asked, policy]) + store.version()
    return background.start(
        key,
        f"Pricing every request under {policy.title}",
        lambda _: replay.replay(log, asked, policy),
    )


def _answer(done: Sequence[replay.Replay]) -> None:
    best = min(done, key=lambda found: found.micro_usd)
    first = done[0]
    paid = [row for row in first.by() if row["paid"]]
    said = f"{first.rows:,} requests would have cost {present.money(best.usd)}"
    if best.policy:
        said += f" under {best.policy.title}"
    st.header(said)
    if paid:
        was = usd(paid[0]["paid_micro_usd"])
        st.markdown(
            f"The log says that {present.money(was)} was paid for "
            f"{paid[0]['paid']:,} of them.".replace("$", r"\$")
        )
    look.chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [found.policy.title if found.policy else "as logged" for found in done],
                "x": [float(found.usd) for found in done],
                "marker": {"color": [look.PALETTE[n] for n in range(len(done))]},
                "text": [present.money(found.usd) for found in done],
                "textposition": "inside",
                "insidetextanchor": "start",
                "hovertemplate": "%{y}: $%{x:,.2f}<extra></extra>",
            }
        ],
        {
            "height": 90 + 34 * len(done),
            "xaxis": {
                "title": {"text": "USD over the log"}, "tickprefix": "$", "rangemode": "tozero",
            },
            "yaxis": {"autorange": "reversed"},
        },
        key="replay-bars",
        alt="Cost of the whole log: "
        + "; ".join(
            f"{found.policy.title if found.policy else 'as logged'} {present.money(found.usd)}"
            for found in done
        )
        + ".",
    )  # fmt: skip
    st.dataframe(
        [
            {
                "Policy": found.policy.title if found.policy else "as logged",
                "USD": float(found.usd),
                "Priced": found.priced,
                "Not served": found.rows - found.priced,
                "Own GPUs all month": sum(float(pool.usd_per_month) for pool in found.fleet)
                if found.fleet
                else None,
                "Checked one by one": found.checked.requests,
                "of it different": len(found.checked.mismatches),
            }
            for found in done
        ],
        hide_index=True,
        placeholder="–",
        column_config={
            "USD": st.column_config.NumberColumn(
                format="$%,.2f", help="Own GPUs by busy seconds: usage basis."
            ),
            "Priced": st.column_config.NumberColumn(format="%,d"),
            "Not served": st.column_config.NumberColumn(format="%,d"),
            "Own GPUs all month": st.column_config.NumberColumn(
                format="$%,.0f", help="What the GPUs for this traffic cost, idle hours included."
            ),
        },
    )


def _groups(done: Sequence[replay.Replay]) -> None:
    st.subheader("Sum it up by")
    left, right = st.columns([2, 1])
    names = left.segmented_control(
        "Group", list(BY), default=["month", "model"], selection_mode="multi", key="replay-by",
        label_visibility="collapsed",
    )  # fmt: skip
    titles = [found.policy.title if found.policy else "as logged" for found in done]
    which = right.selectbox("Policy", titles, key="replay-which", label_visibility="collapsed")
    found = done[titles.index(which)]
    rows = [
        {
            **{name: row[name] for name in names},
            "requests": row["requests"],
            "USD": row["micro_usd"] / 1e6,
        }
        for row in found.by(*names)
    ]
    st.dataframe(
        rows,
        hide_index=True,
        column_config={
            "requests": st.column_config.NumberColumn(format="%,d"),
            "USD": st.column_config.NumberColumn(format="$%,.2f"),
        },
    )
    st.download_button(
        "Download these sums", _csv(rows), "replay.csv", "text/csv",
        on_click="ignore", icon=":material/download:",
    )  # fmt: skip


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    written = csv.DictWriter(text, list(rows[0]) if rows else [])
    written.writeheader()
    written.writerows(rows)
    return text.getvalue()


def _told(found: replay.Replay) -> None:
    with st.expander("What could not be read, priced or served", expanded=bool(found.refused)):
        if not found.refused and not found.unmapped:
            st.success("Every row was read, priced and served.", icon=":material/check:")
        tables: list[tuple[str, list[dict[str, Any]]]] = [
            (
                "Requests without a price",
                [{"Why": one.reason, "Requests": one.requests} for one in found.refused],
            ),
            (
                "Cells that could not be mapped",
                [
                    {
                        "Column": one.column, "Value": one.value or "(empty)",
                        "How often": one.count, "First row": one.first_row, "Why": one.reason,
                    }
                    for one in found.unmapped
                ],
            ),
        ]  # fmt: skip
        for title, rows in tables:
            if rows:
                st.markdown(f"**{title}**")
                st.dataframe(rows, hide_index=True)
        for note in found.notes:
            st.markdown(f"- {note}".replace("$", r"\$"))
