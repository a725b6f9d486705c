"""Seconds, energy, memory and dollars of a Wan clip on any GPU, moving as the settings move."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import streamlit as st

from costlab import catalog, performance, present, wan
from costlab.core import CostlabError, Figure
from costlab.pages import look
from costlab.pages.benchmark import STAGES
from costlab.performance.answer import Quantity
from costlab.performance.sweep import sweep

NOT_SAID = "as costlab's own recipe"
ATTENTION = (NOT_SAID, "flash_attn", "flash_attn_3", "sdpa", "sage")
STACKS = (NOT_SAID, "authors", "diffusers", "xdit", "sglang", "vllm-omni", "lightx2v",
          "diffsynth", "tensorrt-llm")  # fmt: skip
SWEEPS = {
    "steps": "Steps",
    "gpu": "GPU",
    "num_gpus": "GPUs per clip",
    "frames": "Frames",
}


def page() -> None:
    """Draw the page."""
    heading = st.empty()
    try:
        question = _question()
        answer = performance.predict(question)
        seconds = answer.figure("seconds")
        price = _price(question)
        many = f"{question.num_gpus} × " if question.num_gpus > 1 else ""
        heading.header(
            f"A clip takes {present.figure(seconds)} on {many}{question.gpu}"
            + ("" if answer.fits else ", if it fitted")
        )
        _tiles(answer, price)
        if not answer.fits:
            st.warning(
                f"It needs about {present.number(answer.peak_vram_gib, 'GiB')} of memory per GPU, "
                f"more than {question.gpu} has: offload, quantise or use more GPUs.",
                icon=":material/memory_alt:",
            )
        st.caption(
            f"{look.badge(answer.basis)} {answer.evidence}; nearest evidence: {answer.nearest}. "
            f"At the card's printed peak rates it could not take less than "
            f"{present.number(answer.floor_s, 's')}; {present.percent(answer.share_of_floor)} of "
            "that is reached."
        )
        left, right = st.columns(2)
        with left:
            st.subheader("Where the seconds go")
            _stages(answer)
        with right:
            st.subheader("What if")
            _what_if(question)
        look.proof(_figures(answer, price), key="prediction-proof")
    except CostlabError as error:
        look.refusal(error)


def _question() -> performance.Question:
    columns = st.columns(4)
    model = columns[0].selectbox("Model", list(wan.ARCHITECTURES), key="p-model",
                                 bind="query-params")  # fmt: skip
    arch = wan.architecture(model)
    gpus = [gpu.id for gpu in performance.gpus()]
    gpu = columns[1].selectbox("GPU", gpus, index=gpus.index("H100-SXM"), key="p-gpu",
                               bind="query-params")  # fmt: skip
    size = columns[2].selectbox(
        "Size", arch.sizes, format_func=lambda s: f"{s[1]}×{s[0]}", key=f"p-size-{model}"
    )
    count = columns[3].select_slider("GPUs per clip", [1, 2, 4, 8], key="p-count")
    columns = st.columns(4)
    steps = columns[0].slider("Steps", 1, 60, arch.steps, key=f"p-steps-{model}")
    frames = columns[1].select_slider(
        "Frames", [4 * k + 1 for k in range(1, 41)], value=arch.frames, key=f"p-frames-{model}",
        help=f"{arch.fps} make a second.",
    )  # fmt: skip
    boundary = arch.boundary
    if boundary is not None:
        boundary = columns[2].slider(
            "Expert boundary", 0.7, 0.99, boundary, 0.005, format="%.3f", key=f"p-boundary-{model}",
            help="Share of the noise range that the high-noise expert takes.",
        )  # fmt: skip
    cfg = columns[3].toggle("Guidance", value=True, key="p-cfg", help="Two forwards a step.")
    with st.expander("How it is served"):
        left, middle, right = st.columns(3)
        precision = left.selectbox("Precision", ["bf16", "fp8", "int8"], key="p-precision")
        attention = middle.selectbox("Attention kernel", ATTENTION, key="p-attention")
        stack = right.selectbox("Serving stack", STACKS, key="p-stack")
    return performance.Question(
        model=model,
        gpu=gpu,
        num_gpus=count,
        height=size[0],
        width=size[1],
        frames=frames,
        steps=steps,
        cfg=cfg,
        precision=precision,
        attention=None if attention == NOT_SAID else attention,
        stack=None if stack == NOT_SAID else stack,
        boundary=boundary,
    )


def _price(question: performance.Question) -> Figure | None:
    today = date.today()  # noqa: DTZ011  the day where the person sits
    offers = catalog.offers(today, gpu=performance.gpu(question.gpu).id)
    rented = sorted(
        (offer for offer in offers if offer.purchase not in ("serverless", "owned")),
        key=lambda offer: offer.purchase != "on_demand",
    )
    if not rented:
        st.caption("No offer for this GPU is in the book: no dollars are shown.")
        return None
    chosen = st.selectbox(
        "Rented from",
        rented,
        format_func=lambda o: (
            f"{o.provider}, {o.purchase.replace('_', ' ')}: ${o.usd_per_gpu_hour:.2f} per GPU-hour"
        ),
        key=f"p-offer-{question.gpu}",
    )
    return chosen.figure()


def _dollars(answer: performance.Prediction, price: Figure) -> Figure:
    work = answer.figure("gpu_seconds")
    per_second = float(price.value) / 3600
    return Figure.derived(
        "cost of a clip, usage basis",
        float(work.value) * per_second,
        "USD/clip",
        "GPU-seconds × USD per GPU-hour / 3600",
        (work, price),
        range=work.range and work.range.scaled(per_second),
    )


def _figures(answer: performance.Prediction, price: Figure | None) -> Mapping[str, Figure]:
    names: tuple[Quantity, ...] = (
        "seconds", "gpu_seconds", "energy_j", "mean_power_w", "peak_vram_gib",
    )  # fmt: skip
    found = {str(name): answer.figure(name) for name in names}
    return found | ({"usd_per_clip": _dollars(answer, price)} if price else {})


def _tiles(answer: performance.Prediction, price: Figure | None) -> None:
    columns = st.columns(5)
    with columns[0]:
        look.tile("Seconds a clip", answer.figure("seconds"))
    with columns[1]:
        cost = _dollars(answer, price) if price else None
        look.tile("USD a clip, GPU busy", cost, "Idle hours, retries and rejects come on top.")
    with columns[2]:
        look.tile("Energy a clip", answer.figure("energy_j"), "All GPUs together.")
    with columns[3]:
        look.tile("Power", answer.figure("mean_power_w"), "Mean over the clip, all GPUs together.")
    with columns[4]:
        look.tile("GiB per GPU", answer.figure("peak_vram_gib"))


def _stages(answer: performance.Prediction) -> None:
    parts = {name: seconds for name, seconds in answer.stages.items() if seconds > 0}
    look.chart(
        [
            {
                "type": "bar",
                "orientation": "h",
                "y": [STAGES.get(name, (name, ""))[0] for name in parts],
                "x": list(parts.values()),
                "marker": {"color": [STAGES.get(name, (name, "#9E9E9E"))[1] for name in parts]},
                "text": [present.number(seconds, "s") for seconds in parts.values()],
                "textposition": "auto",
                "hovertemplate": "%{y}: %{x:.4g} s<extra></extra>",
            }
        ],
        {
            "height": 300,
            "xaxis": {"title": {"text": "seconds"}, "rangemode": "tozero"},
            "yaxis": {"autorange": "reversed"},
        },
        key="prediction-stages",
        alt="Seconds of one clip by stage: "
        + ", ".join(f"{STAGES.get(n, (n,))[0]} {present.number(s, 's')}" for n, s in parts.items())
        + ".",
    )
    st.caption(
        f"{answer.high_noise_steps} steps on the high-noise expert, "
        f"{answer.low_noise_steps} on the low-noise one."
    )


def _what_if(question: performance.Question) -> None:
    by = st.segmented_control(
        "Along", list(SWEEPS), default="steps", required=True, format_func=SWEEPS.__getitem__,
        key="p-sweep",
    )  # fmt: skip
    names, asked = sweep(question, str(by))
    answers = [
        (name, answer)
        for name, answer in zip(names, performance.predict_all(asked), strict=True)
        if answer.fits
    ]
    if not answers:
        st.info("None of these fits in memory.")
        return
    values = [answer.seconds for _, answer in answers]
    ranges = [answer.ranges["seconds"] for _, answer in answers]
    ordered = sorted(zip(values, (name for name, _ in answers), strict=True))
    (least, fastest), (most, slowest) = ordered[0], ordered[-1]
    line = by != "gpu"
    bars = {
        "type": "data",
        "array": [r.high - v for r, v in zip(ranges, values, strict=True)],
        "arrayminus": [v - r.low for r, v in zip(ranges, values, strict=True)],
        "color": "#888",
    }
    look.chart(
        [
            {
                "type": "scatter" if line else "bar",
                "mode": "lines+markers",
                "x": [name for name, _ in answers],
                "y": values,
                "error_y": bars,
                "marker": {"color": look.colour("wan")},
                "hovertemplate": "%{x}: %{y:.4g} s<extra></extra>",
            }
        ],
        {
            "height": 340,
            "yaxis": {"title": {"text": "seconds a clip"}, "rangemode": "tozero"},
            "xaxis": {"title": {"text": SWEEPS[str(by)]}},
        },
        key="prediction-sweep",
        alt=f"Seconds a clip by {SWEEPS[str(by)]}, {len(values)} drawn: "
        f"{present.number(least, 's')} with {fastest} at best, "
        f"{present.number(most, 's')} with {slowest} at worst.",
    )
    if len(answers) < len(names):
        left_out = len(names) - len(answers)
        st.caption(f"{left_out} of {len(names)} do not fit in memory and are not drawn.")
