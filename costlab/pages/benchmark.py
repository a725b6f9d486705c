"""The attached GPU, measurements in the background, and what every run says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import streamlit as st

from costlab import jobs, performance, present, runs, store, wan
from costlab.core import CostlabError
from costlab.pages import look
from costlab.performance.counted import RUNS, MeasuredClip, question_of

STAGES = {
    "text_encode": ("text encoder", "#56B4E9"),
    "vae_encode": ("image encoder", "#CC79A7"),
    "high_noise": ("high-noise expert", "#0072B2"),
    "low_noise": ("low-noise expert", "#009E73"),
    "vae_decode": ("VAE decoder", "#E69F00"),
    "other": ("other", "#9E9E9E"),
}
"""The stages of a clip, each with its name and its colour on every chart."""


def page() -> None:
    """Draw the page."""
    found = _devices()
    cards = found["found"]
    can_measure = find_spec("torch") is not None and find_spec("diffusers") is not None
    if cards:
        st.header(f"{len(cards)} GPU{'s' if len(cards) > 1 else ''} here: {cards[0]['name']}")
        _cards()
    else:
        st.header("No GPU here")
        st.info(
            f"{found['reason'][:1].upper()}{found['reason'][1:]}. Prices, predictions from "
            "published timings and projections all work without one. To measure, run costlab on a "
            "GPU machine, or import the records of one with `costlab bench import FOLDER`.",
            icon=":material/memory:",
        )
    if not can_measure:
        st.warning(
            "Measuring needs torch and diffusers: `make gpu` installs them.",
            icon=":material/download:",
        )
    try:
        if can_measure:
            _start(bool(cards))
        _jobs()
        _runs()
    except CostlabError as error:
        look.refusal(error)


@st.cache_data(ttl=5, show_spinner="Looking for GPUs …")
def _devices() -> dict[str, Any]:
    """Return what ``costlab bench devices`` says."""
    done = _costlab("bench", "devices", "--json")
    if done.returncode:
        return {"found": [], "reason": done.stderr.strip() or "the driver did not answer"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


@st.fragment(run_every=5)
def _cards() -> None:
    for card in _devices()["found"]:
        tiles = st.columns(5)
        tiles[0].metric("GPU", card["gpu"] or card["name"])
        tiles[1].metric("Memory used", _of(card["memory_used_gib"], card["memory_gib"], "GiB"))
        tiles[2].metric("Power", _of(card["power_w"], card["power_limit_w"], "W"))
        busy = card["utilisation"]
        tiles[3].metric("Busy", "–" if busy is None else present.percent(busy))
        tiles[4].metric("Other programs", len(card["processes"]))
        for reading, reason in card["missing"].items():
            st.caption(f"{reading}: {reason}")


def _of(value: float | None, limit: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return f"{value:.0f} of {limit:.0f} {unit}" if limit else f"{value:.0f} {unit}"


def _start(has_gpu: bool) -> None:
    st.subheader("Measure" if has_gpu else "Try the path: a smoke run on the CPU")
    if not has_gpu:
        st.caption("A tiny model runs through the same code; its time never enters a cost.")
    recipes = {row["name"]: row for row in store.read_rows(store.data_dir() / "recipes.yaml")}
    columns = st.columns([3, 3, 2, 2], vertical_alignment="bottom")
    model = columns[0].selectbox("Model", list(wan.ARCHITECTURES), index=2)
    recipe = columns[1].selectbox(
        "Recipe", list(recipes), format_func=lambda name: recipes[name].get("title", name)
    )
    sizes = wan.architecture(model).sizes
    size = columns[2].selectbox("Size", sizes, format_func=lambda s: f"{s[1]}×{s[0]}")
    if columns[3].button("Start run", icon=":material/play_arrow:", type="primary"):
        command = ["bench", "--model", model, "--recipe", recipe]
        command += ["--height", str(size[0]), "--width", str(size[1])]
        jobs.start(command, store.home())
        st.toast("Run started")
    if has_gpu:
        columns = st.columns([3, 7], vertical_alignment="bottom")
        minutes = columns[0].number_input("Minutes for the suite", 1, 240, 8)
        if columns[1].button("Start the suite", icon=":material/playlist_play:"):
            jobs.start(["bench", "suite", "--budget", f"{minutes}m"], store.home())
            st.toast("Suite started")


def _jobs() -> None:
    found = jobs.every(store.home())
    if not found:
        return
    st.subheader("Measurements in the background")
    running = any(job.state == "running" for job in found)
    st.fragment(_job_list, run_every=1.5 if running else None)(running)


def _job_list(was_running: bool) -> None:
    found = jobs.every(store.home())
    if was_running and not any(job.state == "running" for job in found):
        st.rerun()
    for job in found[:6]:
        words = " ".join(job.arguments)
        if job.state == "running":
            bar, button = st.columns([6, 1], vertical_alignment="center")
            stage = job.progress.get("stage", "starting")
            left = job.progress.get("left_s")
            text = f"`costlab {words}` — {stage}"
            if left is not None:
                text += f", about {left:.0f} s left"
            bar.progress(min(max(job.fraction, 0.0), 1.0), text=text)
            if button.button("Cancel", key=f"cancel-{job.id}"):
                jobs.cancel(job.id, store.home())
                st.rerun()
            continue
        marks = {"done": ":material/check:", "cancelled": ":material/cancel:"}
        st.markdown(
            f"{marks.get(job.state, ':material/error:')} {job.started_at}: `costlab {words}` — "
            f"{job.state}"
        )
        if job.state in ("failed", "lost"):
            with st.expander("What it said"):
                st.code(job.output() or "nothing", language=None)


def _runs() -> None:
    st.subheader("Runs")
    for text in store.unreadable(RUNS):
        st.warning(f"A run record is left out. {text}", icon=":material/warning:")
    found = sorted(performance.measured(), key=lambda run: run.started_at, reverse=True)
    if not found:
        st.info(
            "No run yet: every figure of self-hosting is predicted from published timings and "
            "says `estimated`. The first real run on a matching GPU replaces it.",
            icon=":material/hourglass_empty:",
        )
        return
    st.dataframe(
        [_row(run) for run in found],
        hide_index=True,
        placeholder="–",
        column_config={
            "Seconds a clip": st.column_config.NumberColumn(format="%.4g"),
            "Replaces a prediction of": st.column_config.NumberColumn(format="%.4g s"),
            "Share of printed peak": st.column_config.NumberColumn(
                format="percent", help="The roofline: time at the card's printed rates over ours."
            ),
            "kJ": st.column_config.NumberColumn(format="%.4g"),
            "GiB": st.column_config.NumberColumn(format="%.3g"),
        },
    )
    timed = [run for run in found if run.seconds is not None]
    if not timed:
        return
    chosen = st.selectbox("Look into a run", timed, format_func=_title)
    _stages(chosen)
    _power(chosen.id)
    if len(timed) > 1:
        _compare(timed)


def _compare(timed: Sequence[MeasuredClip]) -> None:
    st.subheader("Two runs side by side")
    left, right = st.columns(2)
    a = left.selectbox("Run A", timed, index=1, format_func=_title, key="benchmark-a")
    b = right.selectbox("Run B", timed, index=0, format_func=_title, key="benchmark-b")
    answer = _moves(a.id, b.id)
    st.dataframe(
        [
            {
                "Quantity": move["quantity"].replace("_", " "),
                "A": move["a"],
                "B": move["b"],
                "Unit": move["unit"],
                "Change": move["change"],
                "Verdict": move["verdict"],
            }
            for move in answer["moves"]
        ],
        hide_index=True,
        column_config={"Change": st.column_config.NumberColumn(format="percent")},
    )
    if answer["unlike"]:
        st.caption("Not the same in both: " + "; ".join(answer["unlike"]))


@st.cache_data(max_entries=64, show_spinner="Comparing …")
def _moves(a: str, b: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(_costlab("bench", "compare", a, b, "--json").stdout)
    return answer


def _costlab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a costlab command; the page itself touches neither a driver nor the bench."""
    return subprocess.run(
        [sys.executable, "-m", "costlab.cli", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _title(run: MeasuredClip) -> str:
    kind = "smoke run" if run.smoke else run.gpu
    return f"{run.started_at[:16]} · {run.model} · {run.height}×{run.width} · {run.recipe} · {kind}"


def _row(run: MeasuredClip) -> Mapping[str, Any]:
    reason = performance.why_not(run)
    was = share = None
    if not reason and run.seconds:
        said = performance.replaced(question_of(run))
        was, share = said.seconds, said.floor_s / (run.seconds / run.batch_size)
    return {
        "Started": run.started_at[:16],
        "Model": run.model,
        "Size": f"{run.width}×{run.height}×{run.frames}",
        "Steps": run.steps,
        "Recipe": run.recipe,
        "GPU": run.gpu or "CPU",
        "Seconds a clip": run.seconds,
        "Replaces a prediction of": was,
        "Share of printed peak": share,
        "kJ": run.energy_j / 1000 if run.energy_j is not None else None,
        "GiB": run.peak_gib,
        "Counts": "yes" if not reason else f"no: {reason}",
        "Flags": ", ".join(run.flags),
        "Run": run.id,
    }


def _stages(run: MeasuredClip) -> None:
    parts = [part for part in zip(run.stages, run.stage_seconds, strict=True) if part[1] > 0]
    look.chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "name": STAGES.get(name, (name, "#9E9E9E"))[0],
                "y": ["seconds"],
                "x": [seconds],
                "marker": {"color": STAGES.get(name, (name, "#9E9E9E"))[1]},
                "hovertemplate": f"{name.replace('_', ' ')}: %{{x:.3g}} s<extra></extra>",
            }
            for name, seconds in parts
        ],
        {
            "barmode": "stack",
            "height": 170,
            "showlegend": True,
            "legend": {"orientation": "h", "y": -0.6},
            "xaxis": {"title": {"text": "seconds of one clip"}, "rangemode": "tozero"},
            "yaxis": {"visible": False},
        },
        key="benchmark-stages",
        alt="Seconds of one clip by stage: "
        + ", ".join(f"{STAGES.get(n, (n,))[0]} {present.number(s, 's')}" for n, s in parts)
        + ".",
    )


def _power(run_id: str) -> None:
    folders = (store.data_dir() / "measurements", store.home() / "runs")
    run = next((run for run in runs.read_all(*folders) if run.id == run_id), None)
    if run is None:
        return
    times, watts = _series(run.samples, "t_s"), _series(run.samples, "power_w")
    seen = [value for value in watts if value is not None]
    if len(times) > 1 and seen:
        look.chart(
            [
                {
                    "type": "scatter",
                    "mode": "lines",
                    "x": times,
                    "y": watts,
                    "line": {"color": "#D55E00"},
                    "hovertemplate": "%{y:.0f} W at %{x:.1f} s<extra></extra>",
                }
            ],
            {
                "height": 220,
                "xaxis": {"title": {"text": "seconds since the start"}},
                "yaxis": {"title": {"text": "board power (W)"}, "rangemode": "tozero"},
            },
            key="benchmark-power",
            alt=f"Board power over the run: {min(seen):.0f} to {max(seen):.0f} W "
            f"in {len(seen)} readings.",
        )
    with st.expander("The environment, the switches and the raw record"):
        st.json(
            {
                "environment": {
                    name: getattr(run.environment, name) for name in run.environment.__slots__
                },
                "switches": dict(run.switches),
                "command": run.command,
                "method": run.method,
                "weights": run.weights,
            },
            expanded=False,
        )


def _series(samples: Mapping[str, Any], name: str) -> Sequence[float | None]:
    values = samples.get(name, [])
    return values if isinstance(values, list) else []
