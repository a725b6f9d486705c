"""The answer first: what a clip costs under a scenario, where it goes, and how that is known."""

from __future__ import annotations

from decimal import Decimal

import streamlit as st

from costlab import present, projection, scenarios, store
from costlab.core import ClipRequest, CostlabError
from costlab.pages import choose, look, welcome
from costlab.unitcost import every_route


@st.cache_resource(max_entries=128, show_spinner="Working out the bill …")
def projected(asked: scenarios.Scenario, version: str) -> projection.Projection:
    """Return the projection of a scenario, remembered until the data or the scenario changes."""
    del version
    return projection.project(asked)


def page() -> None:
    """Draw the page."""
    welcome.show()
    asked = choose.scenario("Scenario", "scenario")
    try:
        answer = projected(asked, store.version())
        _answer(answer)
        left, right = st.columns(2)
        with left:
            st.subheader("Where the clips go")
            _flows(answer)
        with right:
            st.subheader("What one attempt costs on each route")
            _routes(answer)
        _segments(answer)
        _fleet(answer)
        st.markdown(
            "What articles say of all this, and what is found instead: [Claims](claims). "
            "Two scenarios side by side: [Compare](compare)."
        )
        look.proof(answer.figures(), key="overview-proof")
    except CostlabError as error:
        look.refusal(error)


def _answer(answer: projection.Projection) -> None:
    summary = answer.summary
    cost, month = summary.get("usd_per_accepted_clip"), summary["usd_per_month"]
    if cost is None:
        st.header("No clip is served: no route of this scenario can make what the mix wants.")
    else:
        busiest = max(answer.split, key=lambda route: answer.split[route])
        st.header(
            f"{present.money(cost.value)} per accepted clip, {present.money(month.value)} a month"
        )
        st.markdown(
            f"Routed by *{answer.policy.title}*: {present.percent(answer.split[busiest])} of the "
            f"clips go to **{busiest}**. "
            f"{_cheaper(answer)}"
        )
    tiles = st.columns(5)
    with tiles[0]:
        look.tile(
            "USD per accepted clip",
            cost,
            "Everything that the month costs, idle GPUs included, over the clips that users keep.",
        )
    with tiles[1]:
        look.tile("USD a month", month, "API bills and GPU rent of the scenario's month.")
    with tiles[2]:
        look.tile(
            "GPUs",
            summary.get("gpus"),
            f"Enough that 95 % of people wait at most {answer.scenario.p95_wait_s:g} s for a free "
            "GPU in the busiest hour of the week.",
        )
    with tiles[3]:
        look.tile(
            "Clips per paid GPU-hour",
            summary.get("clips_per_gpu_hour"),
            "Accepted clips over all the hours that the GPUs are paid for, busy or not.",
        )
    with tiles[4]:
        look.tile(
            "Clips not served",
            summary["unserved_share"],
            "The policy sends them to a model that cannot make them (no sound, no image input, "
            "too long, too large).",
        )
    look.remarks(answer.warnings)


def _cheaper(answer: projection.Projection) -> str:
    """Say how the same traffic costs under the cheapest capable routing."""
    if answer.policy.id == "cheapest-capable":
        return ""
    from dataclasses import replace

    other = projected(replace(answer.scenario, policy="cheapest-capable"), store.version())
    there = other.summary.get("usd_per_accepted_clip")
    here = answer.summary["usd_per_accepted_clip"]
    if there is None:
        return ""
    text = f"The cheapest capable routing costs {present.money(there.value)} per accepted clip"
    share = float(other.summary["served_share"].value)
    served = float(answer.summary["served_share"].value)
    if share > served:
        text += (
            f" and serves {present.percent(share)} of the clips "
            f"instead of {present.percent(served)}"
        )
    change = float(there.value) / float(here.value) - 1
    text += f" ({present.percent(abs(change))} {'less' if change < 0 else 'more'})"
    old = sorted({str(r.route) for r in other.segments if r.unit and r.unit.stale})
    if old:
        text += f", resting on undated or old prices of {', '.join(old)}"
    return f"{text}. {_weighed(answer, other)}"


def _weighed(answer: projection.Projection, other: projection.Projection) -> str:
    """Say what people think of the pictures on both sides, or that nobody knows."""
    mine, theirs = (side.summary.get("mean_rating") for side in (answer, other))
    if mine and theirs:
        return (
            f"In blind votes its pictures are rated {float(theirs.value):.0f} on average, "
            f"here {float(mine.value):.0f}."
        )
    unrated = sorted(
        {str(r.route) for side in (answer, other) for r in side.segments if r.unit and not r.rating}
    )
    return f"Pictures cannot be compared: no public rating of {', '.join(unrated)}."


def _flows(answer: projection.Projection) -> None:
    look.flows(
        [
            (
                result.segment.name,
                "not served" if result.reason else str(result.route),
                result.segment.share,
            )
            for result in answer.segments
            if result.segment.share > 0
        ],
        key="overview-flows",
    )


@look.part
def _routes(answer: projection.Projection) -> None:
    columns = st.columns([2, 3, 2], vertical_alignment="bottom")
    seconds = columns[0].select_slider("Seconds", [4, 5, 6, 8, 10], value=5, key="overview-seconds")
    resolution = columns[1].segmented_control(
        "Size", ["480p", "720p", "1080p"], default="720p", required=True, key="overview-size"
    )
    audio = columns[2].toggle("With sound", key="overview-audio")
    request = ClipRequest(seconds=Decimal(seconds), resolution=str(resolution), audio=audio)
    asked = answer.scenario
    served, refused = routes(asked, request, answer.policy.named_routes, store.version())
    if served:
        look.cost_bars(
            [cost.route for cost in served], [cost.usd for cost in served], key="overview-routes"
        )
    st.caption(
        "One attempt, paid by use: an API's bill, or busy GPU seconds with their 90 % interval. "
        "Idle GPUs, retries and rejects come on top in the figures above."
    )
    if refused:
        with st.expander(f"{len(refused)} of the scenario's routes cannot make this clip"):
            st.markdown("\n".join(f"- **{item.route}**: {item.reason}" for item in refused))


@st.cache_resource(max_entries=256, show_spinner=False)
def routes(
    asked: scenarios.Scenario, request: ClipRequest, named: tuple[str, ...], version: str
) -> tuple:  # type: ignore[type-arg]
    """Return who can make one clip at what cost, and who cannot and why."""
    del version
    apis = scenarios.api_models(asked, named)
    return every_route(request, asked.deployments, apis, asked.date)


def _segments(answer: projection.Projection) -> None:
    st.subheader("Segment by segment")
    dollars = st.column_config.NumberColumn(format="$%.3f")
    st.dataframe(
        [
            {
                "Segment": result.segment.name,
                "Share": result.segment.share,
                "Route": "not served" if result.reason else result.route,
                "Attempts": result.attempts,
                "Accepted": result.accepted,
                "USD an attempt": _value(result.unit.usd if result.unit else None),
                "USD an accepted clip": _value(result.per_accepted),
                "of it busy": _value(result.usage_per_accepted),
                "USD a month": _value(result.usd_per_month),
            }
            for result in answer.segments
        ],
        hide_index=True,
        placeholder="–",
        column_config={
            "Share": st.column_config.NumberColumn(format="percent"),
            "Attempts": st.column_config.NumberColumn(format="%,.0f", help="In the month."),
            "Accepted": st.column_config.NumberColumn(format="%,.0f", help="In the month."),
            "USD an attempt": dollars,
            "USD an accepted clip": dollars,
            "of it busy": st.column_config.NumberColumn(
                format="$%.3f", help="The same without idle GPU hours: usage basis."
            ),
            "USD a month": st.column_config.NumberColumn(format="$%,.0f"),
        },
    )
    for result in answer.segments:
        unit = result.unit
        if unit and unit.slot_s and unit.replaced_s:
            st.markdown(
                f"{look.badge(unit.slot_s.basis)} **{result.segment.name}**: a clip takes "
                f"{present.figure(unit.slot_s)} on {unit.route}; before the run it was predicted "
                f"to take {present.figure(unit.replaced_s)}."
            )


def _assumed(answer: projection.Projection) -> str:
    """Say how the clips are rendered where the scenario leaves that open."""
    words = []
    for pool in answer.pools:
        d = pool.deployment
        how = [d.stack or "plain diffusers", d.attention or "PyTorch's own attention", d.precision]
        if d.technique:
            how.append(d.technique)
        words.append(f"{pool.route}: {', '.join(how)}")
    return (
        "Rendered with " + "; ".join(words) + ". Other attention kernels and serving stacks can be "
        "much faster: try them on the Prediction page."
    )


def _value(figure: object) -> float | None:
    from costlab.core import Figure

    return float(figure.value) if isinstance(figure, Figure) else None


def _fleet(answer: projection.Projection) -> None:
    if not answer.pools:
        return
    st.subheader("The GPUs behind it")
    st.dataframe(
        [
            {
                "Deployment": pool.route,
                "GPUs": int(pool.gpus.value),
                "USD a GPU-hour": float(pool.price.value),
                "USD a month": float(pool.usd_per_month.value),
                "Busy, month": float(pool.utilisation.value),
                "Busy, peak hour": _value(pool.peak_utilisation),
                "p95 wait (s)": _value(pool.p95_wait_s),
                "Clips/GPU-h, full": float(pool.clips_per_gpu_hour.value),
                "Accepted/paid GPU-h": float(pool.sold_clips_per_gpu_hour.value),
            }
            for pool in answer.pools
        ],
        hide_index=True,
        placeholder="–",
        column_config={
            "USD a GPU-hour": st.column_config.NumberColumn(format="$%.2f"),
            "USD a month": st.column_config.NumberColumn(format="$%,.0f"),
            "Busy, month": st.column_config.NumberColumn(format="percent"),
            "Busy, peak hour": st.column_config.NumberColumn(format="percent"),
            "p95 wait (s)": st.column_config.NumberColumn(format="%.1f"),
            "Clips/GPU-h, full": st.column_config.NumberColumn(format="%.2f"),
            "Accepted/paid GPU-h": st.column_config.NumberColumn(format="%.2f"),
        },
    )
    st.caption(_assumed(answer))
