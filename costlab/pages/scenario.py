"""Change a scenario beside its answer; save it; put scenarios side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from costlab import catalog, performance, present, projection, routing, scenarios, store, traffic
from costlab.core import CostlabError, plain
from costlab.pages import choose, drafts, look
from costlab.pages.overview import projected

SEGMENT_COLUMNS = (
    "name", "share", "stage", "tier", "quality", "mode", "seconds", "resolution", "audio",
    "batch", "acceptance", "max_tries",
)  # fmt: skip
DEPLOYMENT_COLUMNS = (
    "model", "gpu", "offer", "gpus_per_clip", "steps", "guidance", "precision", "usd_per_gpu_hour",
    "interruptions_per_hour", "failure_share",
)  # fmt: skip


def page() -> None:
    """Draw the page."""
    st.header("Change a scenario and see what moves")
    asked = choose.scenario("Start from", "edited")
    try:
        before = projected(asked, store.version())
        history = drafts.of(asked, before.mix)
        steps = st.container()
        edited, mix = _edit(*history.now, key=history.key)
        history.keep(edited, mix)
        with steps:
            _steps(history)
        after = projection.project(edited, mix=mix)
        _difference(before, after)
        _save(edited, mix)
        _file(edited, mix)
    except CostlabError as error:
        look.refusal(error)


def _steps(history: drafts.Drafts) -> None:
    """Draw undo, redo and start over; what they do is seen at once."""
    undo, redo, over, _ = st.columns([1, 1, 1, 4])
    undo.button(
        "Undo", icon=":material/undo:", on_click=history.undo, disabled=not history.can_undo,
        width="stretch",
    )  # fmt: skip
    redo.button(
        "Redo", icon=":material/redo:", on_click=history.redo, disabled=not history.can_redo,
        width="stretch",
    )  # fmt: skip
    over.button(
        "Start over", icon=":material/restart_alt:", on_click=history.start_over,
        disabled=not history.changed, width="stretch",
    )  # fmt: skip


def _edit(
    asked: scenarios.Scenario, drawn: traffic.TrafficMix, *, key: str
) -> tuple[scenarios.Scenario, traffic.TrafficMix]:
    policies = routing.policies()
    first, second, third, fourth = st.columns(4)
    policy = first.selectbox(
        "Routing policy",
        list(policies),
        index=list(policies).index(asked.policy),
        format_func=lambda item: policies[item].title,
        key=f"{key}policy",
    )
    volume = second.number_input(
        "Clips wanted a month",
        value=float(drawn.clips_per_month if asked.clips_per_month is None
                    else asked.clips_per_month),
        step=1000.0,
        format="%.0f",
        key=f"{key}volume",
    )  # fmt: skip
    wait = third.number_input(
        "95 % wait at most (s)",
        value=float(asked.p95_wait_s),
        step=10.0,
        format="%.0f",
        key=f"{key}wait",
        help="For a free GPU, in the busiest hour of the week.",
    )
    day = fourth.date_input("Prices as of", value=asked.date, key=f"{key}day")
    st.markdown("**Traffic** — shares must sum to 1")
    segments = st.data_editor(
        [_cells(segment, SEGMENT_COLUMNS) for segment in drawn.segments],
        num_rows="dynamic",
        key=f"{key}segments",
        column_config={
            **_labels(SEGMENT_COLUMNS),
            "share": st.column_config.NumberColumn(min_value=0, max_value=1, format="%.3f"),
            "stage": _choice("preview", "final"),
            "quality": _choice("standard", "premium"),
            "mode": _choice("t2v", "i2v", help="From text, or from an image."),
            "resolution": _choice("480p", "720p", "1080p", "4k"),
            "acceptance": st.column_config.NumberColumn(
                min_value=0.01, max_value=1, help="Share of delivered clips that users keep."
            ),
            "max_tries": st.column_config.NumberColumn(
                "max tries", min_value=1, step=1, help="Empty: until one is accepted."
            ),
        },
    )
    st.markdown("**Self-hosted deployments**")
    offers = [offer.id for offer in catalog.offers(asked.date)]
    deployments = st.data_editor(
        [_cells(item, DEPLOYMENT_COLUMNS) for item in asked.deployments],
        num_rows="dynamic",
        key=f"{key}deployments",
        column_config={
            **_labels(DEPLOYMENT_COLUMNS),
            "model": _choice(*(m.id for m in catalog.models() if m.kind == "self_hosted")),
            "gpu": _choice(*(gpu.id for gpu in performance.gpus())),
            "offer": _choice(*offers, help="Where the GPU is rented, and how."),
            "steps": st.column_config.NumberColumn(
                min_value=1, step=1, help="Empty: the authors' default (40, or 50 for the 5B)."
            ),
            "usd_per_gpu_hour": st.column_config.NumberColumn(
                "USD a GPU-hour", help="Your contract's price; empty: the offer's list price."
            ),
        },
    )
    apis = st.multiselect(
        "APIs that a cheapest policy may use",
        [model.id for model in catalog.models() if model.kind == "api"],
        default=[catalog.model(api).id for api in asked.apis],
        key=f"{key}apis",
    )
    mix = traffic.parse_mix(
        {
            **plain(drawn),
            "segments": _over(drawn.segments, _rows(segments)),
            "clips_per_month": volume,
        },
        "traffic table",
    )
    edited = scenarios.parse_scenario(
        {
            **plain(asked),
            "policy": policy,
            "p95_wait_s": wait,
            "date": day,
            "clips_per_month": volume,
            "deployments": _rows(deployments),
            "apis": apis,
        },
        "edited scenario",
    )
    return edited, mix


def _labels(columns: tuple[str, ...]) -> dict[str, Any]:
    return {name: st.column_config.Column(name.replace("_", " ")) for name in columns}


def _choice(*options: str, help: str | None = None) -> Any:
    return st.column_config.SelectboxColumn(options=list(options), required=True, help=help)


def _cells(record: Any, columns: tuple[str, ...]) -> dict[str, Any]:
    return {
        name: float(value) if name in ("seconds", "usd_per_gpu_hour") and value else value
        for name in columns
        for value in [getattr(record, name)]
    }


def _rows(table: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of an edited table, empty cells left to their defaults."""
    rows = []
    for row in table:
        filled = {k: v for k, v in row.items() if v is not None and v == v and v != ""}
        for name in ("seconds", "usd_per_gpu_hour"):
            if name in filled:
                filled[name] = f"{filled[name]:g}"
        for name in ("steps", "max_tries", "gpus_per_clip"):
            if name in filled:
                filled[name] = int(filled[name])
        rows.append(filled)
    return rows


def _over(segments: Sequence[traffic.Segment], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return edited rows, with what the table does not show kept from the segment so named."""
    hidden = {
        segment.name: {k: v for k, v in plain(segment).items() if k not in SEGMENT_COLUMNS}
        for segment in segments
    }
    return [hidden.get(str(row.get("name")), {}) | row for row in rows]


def _difference(before: projection.Projection, after: projection.Projection) -> None:
    st.subheader("The answer now")
    names = {
        "usd_per_accepted_clip": "USD per accepted clip",
        "usd_per_month": "USD a month",
        "gpus": "GPUs",
        "unserved_share": "Clips not served",
    }
    for column, (name, label) in zip(st.columns(len(names)), names.items(), strict=True):
        with column:
            figure, old = after.summary.get(name), before.summary.get(name)
            look.tile(label, figure)
            if figure and old and figure.value != old.value:
                st.caption(f"was {present.number(old.value, old.unit)}")
    look.remarks(after.warnings)
    look.proof(after.figures(), key="scenario-proof")


def _save(edited: scenarios.Scenario, mix: traffic.TrafficMix) -> None:
    st.subheader("Keep it")
    with st.form("save", border=False, enter_to_submit=False):
        name, title, who = st.columns(3)
        identity = name.text_input("Save as", placeholder="my-scenario").strip()
        new_title = title.text_input("Title", placeholder=f"{edited.title}, changed").strip()
        person = who.text_input("Your name", placeholder="optional").strip()
        over = st.checkbox("Replace a scenario of mine with that name")
        if not st.form_submit_button("Save scenario", icon=":material/save:"):
            return
        if not identity:
            st.error("Give the scenario a short name to save it under.")
            return
        if identity in scenarios.known() and not over:
            st.error(
                f"{identity} is there already: tick the box to replace it, or take another name."
            )
            return
        new_title = new_title or identity
        own_mix = {**plain(mix), "id": f"{identity}-mix", "title": f"Traffic of {new_title}"}
        kept = replace(edited, id=identity, title=new_title)
        scenarios.save(kept, traffic.parse_mix(own_mix), who=person)
        st.success(f"Saved; the command line has it too: `costlab project {identity}`")


@look.part
def _file(edited: scenarios.Scenario, mix: traffic.TrafficMix) -> None:
    """Let a person take the scenario along as a file, or bring one."""
    left, right = st.columns(2)
    with left:
        st.subheader("Take it along")
        st.caption(
            "The file holds the scenario with its traffic. The address above opens this very view, "
            "edits included, wherever the same prices are installed."
        )
        st.download_button(
            "Download the scenario", partial(drafts.as_file, edited, mix), f"{edited.id}.yaml",
            "application/yaml", on_click="ignore", icon=":material/download:",
        )  # fmt: skip
    with right:
        st.subheader("Bring one")
        brought = st.file_uploader("A scenario file", type=["yaml", "yml"], key="brought")
        if brought is None:
            return
        try:
            scenario, traffic_mix = drafts.from_file(brought.getvalue(), brought.name)
        except CostlabError as error:
            look.refusal(error)
            return
        st.markdown(f"**{scenario.title}**, {traffic_mix.clips_per_month:,.0f} clips a month")
        if st.button("Keep it as mine", icon=":material/save:"):
            if scenario.id in scenarios.known():
                scenario = replace(scenario, id=f"{scenario.id}-brought"[:64])
            own = replace(traffic_mix, id=f"{scenario.id}-mix"[:64])
            scenarios.save(scenario, own)
            st.success(f"Saved as `{scenario.id}`; choose it at the top.")
