"""Who wants which clips and when: a mix beside its week, its months and its kinds of request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import streamlit as st

from costlab import logs, present, traffic
from costlab.core import HOURS_PER_MONTH, CostlabError, plain
from costlab.pages import look
from costlab.pages.uploads import keep, named

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
COLUMNS = (
    "name", "share", "stage", "tier", "quality", "mode", "seconds", "resolution", "aspect", "audio",
    "faces", "text", "lora", "min_quality", "max_latency_s", "batch", "acceptance", "max_tries",
    "tenant",
)  # fmt: skip


def page() -> None:
    """Draw the page."""
    known = traffic.mixes()
    linked = st.query_params.get("mix", "social-app")
    chosen = st.selectbox(
        "Traffic",
        list(known),
        index=list(known).index(linked if linked in known else "social-app"),
        format_func=lambda name: known[name].title,
        key="mix",
    )
    st.query_params["mix"] = chosen
    answer_here = st.container()
    try:
        mix = _edit(known[chosen])
        with answer_here:
            _answer(mix)
            left, right = st.columns([3, 2])
            with left:
                st.subheader("A week, hour by hour")
                _week(mix)
            with right:
                st.subheader("The next two years")
                _months(mix)
            _kinds(mix)
        _keep(mix, known)
    except CostlabError as error:
        look.refusal(error)
    _from_a_log(known)


def _answer(mix: traffic.TrafficMix) -> None:
    hour = mix.clips_per_month / HOURS_PER_MONTH
    st.header(
        f"{mix.clips_per_month:,.0f} clips a month; the busiest hour wants "
        f"{present.significant(hour * mix.peak_factor)}, {mix.peak_factor:.1f} times the mean"
    )
    if mix.note:
        st.caption(mix.note)
    people = sum(s.share for s in mix.segments if not s.batch)
    shares = {
        "People wait for": (people, "The rest is batch work, which may wait for a quiet hour."),
        "Previews": (_share(mix, "stage", "preview"), "Drafts that may lead to a final clip."),
        "With sound": (_share(mix, "audio", True), "Wan 2.2 makes silent clips."),
        "From an image": (_share(mix, "mode", "i2v"), "They need a model that takes an image."),
    }
    for column, (label, (share, help_text)) in zip(
        st.columns(len(shares)), shares.items(), strict=True
    ):
        column.metric(label, present.percent(share), help=help_text)
        column.caption("of wanted clips")


def _share(mix: traffic.TrafficMix, name: str, value: Any) -> float:
    return sum(segment.share for segment in mix.segments if getattr(segment, name) == value)


def _week(mix: traffic.TrafficMix) -> None:
    mean = mix.clips_per_month / HOURS_PER_MONTH
    hours = [mean * factor for factor in mix.hours_of_week]
    rows = [hours[24 * day : 24 * day + 24] for day in range(len(DAYS))]
    busiest = hours.index(max(hours))
    look.chart(
        [
            {
                "type": "heatmap",
                "x": list(range(24)),
                "y": list(DAYS),
                "z": rows,
                "zmin": 0,
                "colorscale": [[0, "rgba(0,114,178,0.05)"], [1, "rgba(0,114,178,1)"]],
                "colorbar": {"title": {"text": "clips an hour"}, "thickness": 12},
                "hovertemplate": "%{y} %{x}:00: %{z:,.0f} clips an hour<extra></extra>",
            }
        ],
        {
            "height": 300,
            "xaxis": {"title": {"text": "hour of the day"}, "dtick": 3},
            "yaxis": {"autorange": "reversed"},
        },
        key="traffic-week",
        alt=f"Clips wanted in each hour of a week: most on {DAYS[busiest // 24]} at "
        f"{busiest % 24}:00, {hours[busiest]:,.0f} clips an hour, with a mean of {mean:,.0f}.",
    )


def _months(mix: traffic.TrafficMix) -> None:
    start = date.today().replace(day=1)  # noqa: DTZ011
    months = [
        date(start.year + (start.month - 1 + k) // 12, (start.month - 1 + k) % 12 + 1, 1)
        for k in range(24)
    ]
    wanted = [mix.volume(mix.clips_per_month, start, month) for month in months]
    look.chart(
        [
            {
                "type": "bar",
                "x": [month.strftime("%Y-%m") for month in months],
                "y": wanted,
                "marker": {"color": look.PALETTE[0]},
                "hovertemplate": "%{x}: %{y:,.0f} clips<extra></extra>",
            }
        ],
        {
            "height": 300,
            "yaxis": {"title": {"text": "clips a month"}, "rangemode": "tozero"},
            "xaxis": {"type": "category", "nticks": 8},
        },
        key="traffic-months",
        alt=f"Clips wanted a month over two years: {wanted[0]:,.0f} in {months[0]:%Y-%m}, "
        f"{wanted[-1]:,.0f} in {months[-1]:%Y-%m}.",
    )


def _kinds(mix: traffic.TrafficMix) -> None:
    st.subheader("Kinds of request")
    ordered = sorted(mix.segments, key=lambda segment: -segment.share)
    look.chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [segment.name for segment in ordered],
                "x": [segment.share for segment in ordered],
                "text": [_said(segment) for segment in ordered],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {
                    "color": [look.PALETTE[4 if s.stage == "preview" else 0] for s in ordered]
                },
                "hovertemplate": "%{y}: %{x:.1%}<extra></extra>",
            }
        ],
        {
            "height": 90 + 34 * len(ordered),
            "xaxis": {
                "title": {"text": "share of wanted clips"}, "tickformat": ".0%", "range": [0, 1],
            },
            "yaxis": {"autorange": "reversed"},
        },
        key="traffic-kinds",
        alt="Share of wanted clips by kind of request: "
        + ", ".join(f"{segment.name} {present.percent(segment.share)}" for segment in ordered)
        + ".",
    )  # fmt: skip


def _said(segment: traffic.Segment) -> str:
    parts = [f"{segment.seconds:f} s", segment.resolution, segment.mode]
    parts += [
        word for word in ("audio", "batch", "faces", "text", "lora") if getattr(segment, word)
    ]
    parts.append(f"{present.percent(segment.acceptance)} kept")
    return ", ".join(parts)


# ── The editor ────────────────────────────────────────────────────────────────────────────────


def _edit(mix: traffic.TrafficMix) -> traffic.TrafficMix:
    """Return the mix as edited; raises `BadData` naming what it gets wrong."""
    key = f"mix-{mix.id}"
    section = look.editor("Change the traffic", key="traffic-edit")
    if section is None:
        return mix
    with section:
        first, second = st.columns(2)
        clips = first.number_input(
            "Clips wanted a month", value=float(mix.clips_per_month), step=1000.0, min_value=0.0,
            format="%.0f", key=f"{key}-clips",
        )  # fmt: skip
        growth = second.number_input(
            "Growth a month (%)", value=100 * mix.growth_per_month, step=1.0, format="%.1f",
            key=f"{key}-growth",
        )  # fmt: skip
        st.markdown("**Kinds of request** — shares must sum to 1")
        rows = st.data_editor(
            [_cells(segment) for segment in mix.segments],
            num_rows="dynamic",
            key=f"{key}-segments",
            column_config={
                **{name: st.column_config.Column(name.replace("_", " ")) for name in COLUMNS},
                "share": st.column_config.NumberColumn(min_value=0, max_value=1, format="%.3f"),
                "stage": _choice("preview", "final"),
                "quality": _choice("standard", "premium"),
                "mode": _choice("t2v", "i2v"),
                "resolution": _choice("480p", "720p", "1080p", "4k"),
                "audio": st.column_config.CheckboxColumn("sound", default=False),
                **{
                    name: st.column_config.CheckboxColumn(default=False)
                    for name in ("batch", "faces", "text", "lora")
                },
                "min_quality": st.column_config.NumberColumn(
                    "rated at least", help="Arena points; empty: any."
                ),
                "max_latency_s": st.column_config.NumberColumn(
                    "within (s)", help="From request to video; empty: any."
                ),
                "acceptance": st.column_config.NumberColumn(
                    min_value=0.01, max_value=1, help="Share of delivered clips that users keep."
                ),
                "max_tries": st.column_config.NumberColumn(
                    min_value=1, step=1, help="Empty: until one is accepted."
                ),
            },
        )
        st.markdown("**Shape** — relative weights")
        weights = {
            name: _weights(getattr(mix, name), labels, f"{key}-{name}")
            for name, labels in (
                ("hourly", [f"{hour}:00" for hour in range(24)]),
                ("weekly", DAYS),
                ("seasonality", MONTHS),
            )
        }
    body = plain(mix) | {
        "clips_per_month": clips,
        "growth_per_month": growth / 100,
        "segments": [_segment(row) for row in rows],
        **weights,
    }
    return traffic.parse_mix(body, "traffic as edited")


def _choice(*options: str) -> Any:
    return st.column_config.SelectboxColumn(
        options=list(options), default=options[0], required=True
    )


def _weights(now: Sequence[float], labels: Sequence[str], key: str) -> list[float]:
    shown = [dict(zip(labels, now, strict=True))]
    (row,) = st.data_editor(shown, key=key, hide_index=True)
    return [float(row[label] or 0) for label in labels]


def _cells(segment: traffic.Segment) -> dict[str, Any]:
    cells = {name: getattr(segment, name) for name in COLUMNS}
    return cells | {"seconds": float(segment.seconds)}


def _segment(row: Mapping[str, Any]) -> dict[str, Any]:
    filled = {k: v for k, v in row.items() if v is not None and v == v and v != ""}
    if "seconds" in filled:
        filled["seconds"] = f"{filled['seconds']:g}"
    if "max_tries" in filled:
        filled["max_tries"] = int(filled["max_tries"])
    return filled


def _keep(mix: traffic.TrafficMix, known: Mapping[str, traffic.TrafficMix]) -> None:
    st.subheader("Keep it")
    with st.form("keep-mix", border=False, enter_to_submit=False):
        first, second, third = st.columns(3)
        identity = first.text_input("Save as", placeholder="my-traffic").strip()
        title = second.text_input("Title", placeholder=f"{mix.title}, changed").strip()
        person = third.text_input("Your name", placeholder="optional").strip()
        if not st.form_submit_button("Save traffic", icon=":material/save:"):
            return
        if not identity:
            st.error("Give the traffic a short name to save it under.")
        elif identity in known:
            st.error(f"{identity} is there already: take another name.")
        else:
            kept = replace(mix, id=identity, title=title or identity)
            traffic.save_mix(plain(kept), who=person)
            st.success(f"Saved; scenarios may now name the mix `{identity}`.")


# ── From a log ────────────────────────────────────────────────────────────────────────────────


def _from_a_log(known: Mapping[str, traffic.TrafficMix]) -> None:
    st.subheader("Or take it from a request log")
    st.caption(
        "One row a request, as CSV or Parquet, with at least a time and the seconds of the clip. "
        "Kinds, hours, weekdays, growth and acceptance are read from it; what cannot be is told."
    )
    first, second = st.columns(2)
    brought = first.file_uploader("A log", type=["csv", "parquet", "gz", "tsv"], key="traffic-log")
    typed = second.text_input(
        "or its path on the machine that runs this page", placeholder="/data/requests/*.parquet",
        key="traffic-path",
    ).strip()  # fmt: skip
    if brought is None and not typed:
        return
    try:
        path = named(typed) if brought is None else keep(brought.name, brought.getvalue())
        fitted = logs.fit(logs.open_log(path))
    except CostlabError as error:
        look.refusal(error)
        return
    st.markdown(
        f"**{fitted.used:,} of {fitted.rows:,} requests** from {fitted.first:%Y-%m-%d} to "
        f"{fitted.last:%Y-%m-%d} make {len(fitted.mix.segments)} kinds and "
        f"{fitted.mix.clips_per_month:,.0f} clips a month. To agree with the log, "
        f"{fitted.shares_error:.1%} of requests would have to change kind and "
        f"{fitted.hours_error:.1%} their hour of the week."
    )
    st.dataframe(
        [
            {
                "Kind": segment.name,
                "Share": segment.share,
                "Asks": _said(segment),
            }
            for segment in fitted.mix.segments
        ],
        hide_index=True,
        column_config={"Share": st.column_config.NumberColumn(format="percent")},
    )
    told = [f"{name}: {why}" for name, why in {**fitted.assumed, **fitted.left_out}.items()]
    told += [
        f"{one.column} {one.value or '(empty)'}: {one.count} times, {one.reason}"
        for one in fitted.unmapped
    ]
    told += fitted.notes
    if told:
        with st.expander(f"{len(told)} things were assumed or could not be read"):
            st.markdown("\n".join(f"- {text}" for text in told))
    with st.form("keep-log", border=False, enter_to_submit=False):
        identity = st.text_input("Save as", placeholder="from-our-log").strip()
        if not st.form_submit_button("Save this traffic", icon=":material/save:"):
            return
        if not identity or identity in known:
            st.error("Give the traffic a short name that nothing has yet.")
            return
        kept = replace(fitted.mix, id=identity, title=f"From {path.name}")
        traffic.save_mix(logs.mix_body(kept))
        st.success(f"Saved; scenarios may now name the mix `{identity}`.")
