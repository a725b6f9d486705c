"""The article's product patterns, each with what it costs, what moves it, and how that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import streamlit as st

from costlab import catalog, patterns, present, scenarios, store
from costlab.core import CostlabError, Figure, canonical_json, plain
from costlab.pages import choose, look

TITLES = {
    "preview": "Preview, then final",
    "spot": "Batch on spot",
    "lora": "Fine-tuned tier",
    "develop": "Development and test",
    "next": "The next model",
}
BLUE, ORANGE, GREEN, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#9E9E9E"
TILES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "preview": {
        "usd_per_accepted_final": ("USD per accepted final", "All previews and retries included."),
        "straight_usd_per_accepted_final": ("Without previews", "Every look is a final."),
        "saved_share": ("Saved", "Previews against going straight to the final."),
        "break_even_preview_usd": (
            "A preview may cost",
            "Dearer than this, previews no longer pay.",
        ),
    },
    "spot": {
        "usd_per_accepted_clip": ("USD per accepted clip", "On spot, lost work included."),
        "on_demand_usd": ("On demand", "The same clip on GPUs that stay."),
        "saved_share": ("Saved, net", "After interruptions, not the discount of the GPU-hour."),
        "break_even_interruptions_per_hour": (
            "Breaks even at (an hour)",
            "Interruptions of one instance in an hour from which spot is dearer.",
        ),
    },
    "lora": {
        "margin_usd": ("Left of a clip's price", "Price less serving and storage."),
        "serving_usd": ("Serving an accepted clip", "Swaps, rejects and idle hours included."),
        "training_usd": ("Training a client's style", "All runs until one is accepted."),
        "payback_clips": ("Clips until it is paid", "Training and people's time over the margin."),
    },
    "develop": {
        "machine_usd_per_month": ("Own GPUs, USD a month", "Whole GPUs, idle hours included."),
        "api_usd_per_month": ("API, USD a month", "Every test clip is billed."),
        "gpus": ("GPUs", "What a workday's clips need."),
        "first_break_even": ("Break-even (clips a day)", "The first volume at which both match."),
    },
    "next": {
        "saved_usd": ("Saved by the end", "Over all months looked at."),
        "before_usd_per_accepted_clip": ("Accepted clip before", "Every segment's cheapest route."),
        "after_usd_per_accepted_clip": ("Accepted clip after", "With the newcomer at hand."),
        "taken_share": ("Clips that move", "Share of wanted clips that change their route."),
    },
}


@st.cache_resource(max_entries=256, show_spinner="Working it out …")
def answered(name: str, inputs: str, version: str, _inputs: Any) -> patterns.Answer:
    """Return a pattern's answer, remembered until the data or an input changes."""
    del inputs, version
    return patterns.PATTERNS[name][1](_inputs)


def page() -> None:
    """Draw the page."""
    linked = st.query_params.get("pattern", "preview")
    name = (
        st.segmented_control(
            "Pattern",
            list(TITLES),
            default=linked if linked in TITLES else "preview",
            format_func=TITLES.__getitem__,
            key="pattern-chosen",
            label_visibility="collapsed",
        )
        or "preview"
    )
    st.query_params["pattern"] = name
    key = f"{name}-on"
    st.query_params.setdefault(key, patterns.EXAMPLES[name])
    answer_here = st.container()
    left, right = st.columns([3, 2], gap="large")
    with right:
        asked = choose.scenario("Start from", key)
    try:
        edit = _Edit(name=name, scenario=asked, inputs=patterns.PATTERNS[name][0](asked))
        with right:
            INPUTS[name](edit)
            edit.others()
        inputs = patterns.change(edit.inputs, edit.changes, TITLES[name])
        answer = answered(name, canonical_json(inputs), store.version(), inputs)
    except CostlabError as error:
        with answer_here:
            look.refusal(error)
        return
    with answer_here:
        _answer(answer)
    with left:
        CHARTS[name](answer)
    for table, rows in answer.tables.items():
        _table(table, rows)
    look.remarks(answer.warnings)
    look.proof(answer.figures(), key=f"pattern-proof-{name}")
    _sources(name)


def _answer(answer: patterns.Answer) -> None:
    head, rest = _split(answer.words)
    st.header(head)
    if rest:
        st.markdown(rest.replace("$", r"\$"))
    for column, (name, (label, help_text)) in zip(
        st.columns(4), TILES[answer.pattern].items(), strict=True
    ):
        with column:
            look.tile(label, answer.summary.get(name), help_text)


def _split(words: str) -> tuple[str, str]:
    """Return the first clause of a sentence, and the rest as a sentence of its own."""
    places = [place for mark in ("; ", ". ") if (place := words.find(mark)) > 0]
    if not places:
        return words.removesuffix("."), ""
    first, rest = words[: min(places)], words[min(places) + 2 :]
    return first, rest[0].upper() + rest[1:]


# ── What a person can change ──────────────────────────────────────────────────────────────────


@dataclass(slots=True, kw_only=True)
class _Edit:
    """The inputs of a pattern beside the widgets that change them."""

    name: str
    scenario: scenarios.Scenario
    inputs: Any
    changes: dict[str, Any] = field(default_factory=dict)
    shown: set[str] = field(default_factory=set)

    def key(self, path: str) -> str:
        return f"{self.name}-{self.scenario.id}-{path}"

    def value(self, path: str) -> Any:
        value = self.inputs
        for part in path.split("."):
            value = getattr(value, part)
        return value

    def take(self, path: str, before: Any, now: Any) -> None:
        self.shown.add(path)
        if now != before:
            self.changes[path] = now

    def number(
        self, path: str, label: str, *, low: float = 0.0, high: float | None = None,
        step: float = 1.0, form: str = "%g", help_text: str = "",
    ) -> None:  # fmt: skip
        before = float(self.value(path))
        now = st.number_input(
            label, min_value=low, max_value=high, value=before, step=step, format=form,
            key=self.key(path), help=self._help(path, help_text),
        )  # fmt: skip
        self.take(path, before, now)

    def share(self, path: str, label: str, *, low: float = 0.0, help_text: str = "") -> None:
        before = round(100 * float(self.value(path)), 6)
        now = st.number_input(
            f"{label} (%)", min_value=low, max_value=100.0, value=before, step=5.0, format="%.1f",
            key=self.key(path), help=self._help(path, help_text),
        )  # fmt: skip
        self.shown.add(path)
        if now != before:
            self.changes[path] = now / 100

    def choice(
        self, path: str, label: str, options: Sequence[Any],
        words: Callable[[Any], str] = str, help_text: str = "",
    ) -> Any:  # fmt: skip
        before = self.value(path)
        known = list(dict.fromkeys([*options, before]))
        now = st.selectbox(
            label, known, index=known.index(before), format_func=words, key=self.key(path),
            help=help_text or None,
        )  # fmt: skip
        self.take(path, before, now)
        return now

    def toggle(self, path: str, label: str, help_text: str = "") -> None:
        before = bool(self.value(path))
        now = st.toggle(label, value=before, key=self.key(path), help=help_text or None)
        self.take(path, before, now)

    def _help(self, path: str, text: str) -> str | None:
        rows = patterns.readings(self.name, path) or patterns.readings(
            "shared", path.split(".")[-1]
        )
        said = [f"{row.value:g}: {row.what} ({row.source.publisher})" for row in rows]
        return "\n\n".join([text, *said] if text else said).replace("$", r"\$") or None

    def others(self) -> None:
        """Let a person change every other input in a table."""
        body = plain(self.inputs)
        rows = []
        for path in patterns.input_names(self.inputs):
            if any(path == name or path.startswith(f"{name}.") for name in self.shown):
                continue
            value = body
            for part in path.split("."):
                value = value[part]
            rows.append({"input": path, "value": canonical_json(value).strip('"')})
        with st.expander("All other inputs"):
            st.caption("Change a value; a list or a record is written as JSON.")
            edited = st.data_editor(
                rows, key=self.key("others"), disabled=["input"], hide_index=True
            )
        for before, now in zip(rows, edited, strict=True):
            if now["value"] != before["value"]:
                text = str(now["value"] or "null")
                self.changes[before["input"]] = store.load_yaml(text, before["input"])


def _apis(words: str = "the cheapest") -> tuple[list[str], Callable[[str], str]]:
    found = ["", *(one.id for one in catalog.models() if one.kind == "api")]
    return found, lambda name: name or words


def _own(edit: _Edit) -> list[str]:
    return ["", *(one.route for one in edit.inputs.deployments), *edit.inputs.apis]


def _preview(edit: _Edit) -> None:
    a, b = st.columns(2)
    with a:
        edit.choice("preview_route", "Previews on", _own(edit), lambda name: name or "the cheapest")
        edit.number("previews_per_concept", "Previews of a concept", low=1.0, step=0.5,
                    help_text="Looked at before a person says yes or gives up.")  # fmt: skip
        edit.share("final_kept", "Finals kept", low=1.0,
                   help_text="Of finals rendered after a preview was approved.")  # fmt: skip
    with b:
        edit.choice("final_route", "Finals on", _own(edit), lambda name: name or "the cheapest")
        edit.share("approval_rate", "Concepts approved", low=1.0,
                   help_text="Previews of abandoned concepts are paid all the same.")  # fmt: skip
        edit.share("losses.utilisation", "GPUs busy", low=1.0,
                   help_text="Own GPUs are paid while they wait, too.")  # fmt: skip
    before = edit.inputs.straight_kept
    known = st.toggle(
        "I know how many finals are kept without previews", value=before is not None,
        key=edit.key("straight-known"),
        help="Otherwise: those whose concept would have been approved and that come out well.",
    )  # fmt: skip
    if known:
        rows = patterns.readings("preview", "straight_kept")
        said = "\n\n".join(f"{row.value:.1%}: {row.what} ({row.source.publisher})" for row in rows)
        share = st.number_input(
            "Finals kept without previews (%)", 0.1, 100.0, 100 * (before or 0.25), 5.0, "%.1f",
            key=edit.key("straight"), help=said,
        )  # fmt: skip
        edit.changes["straight_kept"] = share / 100
    elif before is not None:
        edit.changes["straight_kept"] = None
    edit.shown.add("straight_kept")


def _spot(edit: _Edit) -> None:
    gpu = edit.inputs.deployment.gpu

    def offers(purchase: str) -> list[str]:
        found = catalog.offers(edit.inputs.as_of, gpu=gpu, purchase=purchase)
        return [one.id for one in found]

    a, b = st.columns(2)
    with a:
        edit.choice("deployment.offer", "Spot offer", offers("spot"))
        edit.number("interruptions_per_hour", "Taken away, times an hour", step=0.01, high=50.0,
                    form="%.4f", help_text="Of one rented instance.")  # fmt: skip
        edit.number("load_s", "Loading the model (s)", step=10.0)
    with b:
        edit.choice("on_demand_offer", "Instead, on demand", offers("on_demand"))
        edit.share("api_discount", "API's discount for waiting")
        edit.number("clips_per_month", "Accepted clips a month", step=1000.0, form="%.0f")
    edit.toggle("checkpoint", "Save after every step", "A clip goes on where it was cut off.")
    edit.toggle("provision_billed", "A new instance is billed while it starts")


def _lora(edit: _Edit) -> None:
    a, b = st.columns(2)
    with a:
        edit.number("price_usd", "Price of an accepted clip (USD)", step=1.0, form="%.2f")
        edit.number("clips_per_client_month", "Clips of a client a month", low=1.0, step=10.0)
        edit.share("kept", "Clips kept", low=1.0)
        edit.share("losses.utilisation", "GPUs busy", low=1.0)
    with b:
        way = edit.choice("training", "Training", ["own", "hosted", "entered"],
                          {"own": "on rented GPUs", "hosted": "hosted trainer",
                           "entered": "I know the cost"}.__getitem__)  # fmt: skip
        if way == "own":
            edit.number("training_hours", "Hours of one expert", step=0.5)
        elif way == "hosted":
            edit.number("hosted_steps", "Steps of a run", step=100.0)
        else:
            cost = st.number_input("USD of one run", 0.0, None, 40.0, 5.0,
                                   key=edit.key("training_usd"))  # fmt: skip
            edit.shown.add("training_usd")
            edit.changes["training_usd"] = cost
        edit.number("trainings", "Runs until one is accepted", low=1.0, step=1.0)
        edit.share("swap_share", "Attempts that swap adapters")
        edit.number("clients", "Clients", low=0.0, step=1.0)


def _develop(edit: _Edit) -> None:
    names = [one.name for one in edit.inputs.machines]
    a, b = st.columns(2)
    with a:
        edit.choice("machine", "Own GPUs", ["", *names], lambda name: name or "the cheapest")
        edit.number("developers", "Developers", step=1.0)
        edit.number("clips_per_developer_day", "Clips of each a day", step=5.0)
    with b:
        edit.choice("api", "Instead, through", ["", *edit.inputs.apis],
                    lambda name: name or "the cheapest API")  # fmt: skip
        edit.number("automatic_clips_per_day", "Clips of automatic tests a day", step=20.0)
        edit.number("hours_per_day", "Hours a rented GPU is on", low=1.0, high=24.0, step=1.0)
    edit.share("fill", "GPUs busy at most", low=1.0)


def _next(edit: _Edit) -> None:
    kinds = {
        "price_cut": "A price falls",
        "api": "A model at an API",
        "self_hosted": "A model to run ourselves",
    }
    kind = st.radio(
        "What arrives", list(kinds), format_func=kinds.__getitem__, key=edit.key("kind"),
        horizontal=True,
    )  # fmt: skip
    edit.shown.add("newcomer")
    edit.changes["newcomer"] = _newcomer(edit, kind)
    a, b = st.columns(2)
    when = a.date_input("On", value=edit.inputs.arrives_on, key=edit.key("arrives_on"))
    edit.shown.add("arrives_on")
    if isinstance(when, date):
        edit.changes["arrives_on"] = when
    with b:
        months = st.slider("Months to look at", 1, 36, edit.inputs.months, key=edit.key("months"))
        edit.take("months", edit.inputs.months, months)
    floor = st.number_input(
        "Finals must be rated at least (arena points)", 0.0, 2000.0,
        float(edit.inputs.min_quality or 0), 50.0, "%.0f", key=edit.key("min_quality"),
        help="0: the picture is not weighed. A route without a public rating does not meet it.",
    )  # fmt: skip
    edit.take("min_quality", edit.inputs.min_quality, floor or None)
    edit.share("losses.utilisation", "GPUs busy", low=1.0)


def _newcomer(edit: _Edit, kind: str) -> dict[str, Any]:
    base = {**plain(edit.inputs.newcomer), "kind": kind, "usd_per_second": None}
    a, b = st.columns(2)
    if kind == "price_cut":
        options = [*edit.inputs.apis, *(one.route for one in edit.inputs.deployments)]
        names = [catalog.model(one).id if "@" not in one else one for one in options]
        first = edit.inputs.newcomer.name
        name = a.selectbox(
            "Of", names, index=names.index(first) if first in names else 0, key=edit.key("cut-of")
        )
        cut = b.number_input("Price cut (%)", 0.0, 99.0, 30.0, 5.0, "%.0f", key=edit.key("cut"))
        return {**base, "name": name, "cut": cut / 100}
    if kind == "api":
        known, words = _apis("one that is not on the list")
        known = [*known[1:], ""]
        name = a.selectbox(
            "Model", known, index=known.index("wan-3.0") if "wan-3.0" in known else 0,
            format_func=words, key=edit.key("api-name"),
        )  # fmt: skip
        if name:
            b.caption("At the price in the book. Until its day the scenario does without it.")
            return {**base, "name": name}
        price = b.number_input(
            "USD per second of video", 0.001, None, 0.05, 0.01, "%.3f", key=edit.key("api-price")
        )
        return {**base, "name": "new API", "usd_per_second": price, "audio": True}
    small = a.number_input(
        "Render seconds for a second, 480p", 0.1, None, 6.0, 1.0, "%.1f", key=edit.key("s-480")
    )
    large = b.number_input(
        "Render seconds for a second, 720p", 0.1, None, 15.0, 1.0, "%.1f", key=edit.key("s-720")
    )
    rate = a.number_input(
        "USD per GPU-hour", 0.01, None, 4.0, 0.5, "%.2f", key=edit.key("next-rate")
    )
    gpus = b.number_input("GPUs on a clip", 1, 64, 1, 1, key=edit.key("next-gpus"))
    return {
        **base,
        "name": "new model",
        "usd_per_gpu_hour": rate,
        "gpus_per_clip": gpus,
        "render_s_per_second": {"480p": small, "720p": large},
    }


INPUTS: Mapping[str, Callable[[_Edit], None]] = {
    "preview": _preview,
    "spot": _spot,
    "lora": _lora,
    "develop": _develop,
    "next": _next,
}


# ── Charts ────────────────────────────────────────────────────────────────────────────────────


def _lines(
    answer: patterns.Answer,
    colours: Mapping[str, tuple[str, str]],
    *,
    x: str,
    y: str,
    hover: str,
    top: float,
    span: tuple[float, float],
    log: bool = False,
    marks: Sequence[tuple[float, str, str]] = (),
    xaxis: Mapping[str, Any] | None = None,
) -> None:
    """Draw the curves, named at the top, with dotted uprights at (x, words, colour).

    ``span`` is the x axis from end to end, in powers of ten where it is logarithmic.
    """
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": name,
            "x": [at for at, usd in points if usd <= 4 * top],
            "y": [usd for _, usd in points if usd <= 4 * top],
            "line": {
                "color": colours.get(name, (GREY, "solid"))[0],
                "dash": colours.get(name, (GREY, "solid"))[1],
                "width": 2.5,
            },
            "hovertemplate": f"{hover}: $%{{y:,.4~f}}<extra>{name}</extra>",
        }
        for name, points in answer.curves.items()
    ]
    data += [
        {
            "type": "scatter",
            "mode": "lines+text",
            "x": [at, at],
            "y": [0, top * (0.97 - 0.1 * (number % 5))],
            "text": ["", words],
            "textposition": _beside(at, log, span),
            "line": {"color": colour, "dash": "dot", "width": 1.5},
            "showlegend": False,
            "cliponaxis": False,
            "hoverinfo": "skip",
        }
        for number, (at, words, colour) in enumerate(marks)
    ]
    look.chart(
        data,
        {
            "height": 380,
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": {
                "title": {"text": x}, "range": list(span), **({"type": "log"} if log else {}),
                **(xaxis or {}),
            },
            "yaxis": {"title": {"text": y}, "range": [0, top * 1.08], "tickprefix": "$"},
        },
        key=f"pattern-chart-{answer.pattern}",
        alt=f"{y} by {x.lower()}: {'; '.join(answer.curves)}. {answer.words}",
    )  # fmt: skip


def _beside(at: float, log: bool, span: tuple[float, float]) -> str:
    """Return where an upright's words stand so that they stay within the chart."""
    place = ((math.log10(at) if log else at) - span[0]) / (span[1] - span[0])
    return "top right" if place < 0.2 else "top left" if place > 0.8 else "top center"


def _number(answer: patterns.Answer, name: str) -> float | None:
    figure = answer.summary.get(name)
    return float(figure.value) if figure else None


def _preview_chart(answer: patterns.Answer) -> None:
    marks = [(answer.inputs.approval_rate, "approved today", GREY)]
    if rate := _number(answer, "break_even_approval_rate"):
        marks.append((rate, "no difference", RED))
    usd, straight = (
        _number(answer, name) or 0.0
        for name in ("usd_per_accepted_final", "straight_usd_per_accepted_final")
    )
    _lines(
        answer,
        {"with previews": (GREEN, "solid"), "straight to the final": (BLUE, "solid")},
        x="Share of concepts that are approved", y="USD per accepted final",
        hover="%{x:.0%} approved", top=2.5 * max(usd, straight), marks=marks,
        span=(0.0, 1.02), xaxis={"tickformat": ".0%"},
    )  # fmt: skip


def _spot_chart(answer: patterns.Answer) -> None:
    rate = answer.inputs.interruptions_per_hour
    marks = [(max(rate, 1e-4), "entered", GREY)]
    marks += [(at, _card(words), ORANGE) for at, words in patterns.published_rates()]
    if even := _number(answer, "break_even_interruptions_per_hour"):
        marks.append((even, "no difference", RED))
    _lines(
        answer,
        {
            "on spot, from zero": (ORANGE, "solid"),
            "on spot, with a checkpoint each step": (GREEN, "solid"),
            "on demand": (BLUE, "solid"),
            "cheapest API": ("#CC79A7", "dash"),
        },
        x="Interruptions of an instance in an hour", y="USD per accepted clip",
        hover="%{x:.4~f} an hour", log=True, marks=[m for m in marks if m[0] <= 10],
        top=1.8 * max(_number(answer, "on_demand_usd") or 0, _number(answer, "api_usd") or 0),
        span=(-4.05, 1.05),
        xaxis={
            "tickvals": [1e-4, 1e-3, 0.01, 0.1, 1, 10],
            "ticktext": ["0.0001", "0.001", "0.01", "0.1", "1", "10"],
        },
    )  # fmt: skip
    st.caption(
        "Orange uprights: mean rates in published AWS traces of 2022 and 2023, older cards, a "
        "shape and not today's rate."
    )


def _card(words: str) -> str:
    """Return the card of a published rate, such as "8x V100"."""
    return words.partition("(")[2].partition(")")[0]


def _lora_chart(answer: patterns.Answer) -> None:
    marks = []
    if clips := _number(answer, "payback_clips"):
        marks.append((clips, "paid", RED))
    life = answer.inputs.clips_per_client_month * answer.inputs.adapter_months
    marks.append((life, "an adapter's life", GREY))
    tall = max(answer.inputs.price_usd, _number(answer, "serving_usd") or 0)
    _lines(
        answer,
        {
            "own GPUs, training included": (GREEN, "solid"),
            "hosted GPUs, training included": ("#CC79A7", "dash"),
            "price": (BLUE, "solid"),
        },
        x="Accepted clips with one adapter", y="USD per accepted clip",
        hover="%{x:,.0f} clips", top=2 * tall, log=True, span=(0.0, 4.0),
        marks=[m for m in marks if 1 <= m[0] <= 10_000],
    )  # fmt: skip


def _develop_chart(answer: patterns.Answer) -> None:
    here = answer.inputs.clips_per_workday
    machine, api = answer.curves
    end = 2.1 * max(here, 20.0)
    top = max(usd for points in answer.curves.values() for at, usd in points if at <= end)
    marks = [(here, "today", GREY)]
    if even := _number(answer, "first_break_even"):
        marks.append((even, "no difference", RED))
    _lines(
        answer, {machine: (GREEN, "solid"), api: (BLUE, "solid")},
        x="Test clips a workday", y="USD a month", hover="%{x:,.0f} clips a day",
        top=max(top, 1.0), marks=[m for m in marks if m[0] > 0],
        span=(0.0, end),
    )  # fmt: skip


def _next_chart(answer: patterns.Answer) -> None:
    months = [str(row["month"]) for row in answer.tables["months"]]
    colours = {"without it": GREY, "with it": GREEN}
    look.chart(
        [
            {
                "type": "bar",
                "name": name,
                "x": months,
                "y": [usd for _, usd in points],
                "marker": {"color": colours[name]},
                "hovertemplate": f"%{{x}}: $%{{y:,.0f}}<extra>{name}</extra>",
            }
            for name, points in answer.curves.items()
        ],
        {
            "height": 380,
            "barmode": "group",
            "showlegend": True,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "xaxis": {"title": {"text": "Month"}, "type": "category"},
            "yaxis": {"title": {"text": "USD a month"}, "rangemode": "tozero", "tickprefix": "$"},
        },
        key="pattern-chart-next",
        alt=f"USD a month, month by month: {'; '.join(answer.curves)}. {answer.words}",
    )


CHARTS: Mapping[str, Callable[[patterns.Answer], None]] = {
    "preview": _preview_chart,
    "spot": _spot_chart,
    "lora": _lora_chart,
    "develop": _develop_chart,
    "next": _next_chart,
}


# ── Tables and sources ────────────────────────────────────────────────────────────────────────

CAPTIONS = {
    "pairs": "Which preview before which final, cheapest first",
    "ways": "Every way to make the clip, cheapest first",
    "training": "Ways to train",
    "months": "Month by month",
    "split": "Where each segment goes; *needs*: its price times this takes the segment",
}
LEFT_OUT = {"pair"}


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> None:
    if not rows:
        return
    st.caption(CAPTIONS[name])
    st.dataframe(
        [
            {
                look.words(head): _cell(head, cell)
                for head, cell in row.items()
                if head not in LEFT_OUT
            }
            for row in rows
        ],
        hide_index=True,
    )


def _cell(head: str, cell: Any) -> str:
    if cell is None or cell == "":
        return "–"
    if head == "share":
        return present.percent(cell)
    if head.endswith("_usd") and isinstance(cell, float):
        return present.money(cell)
    if isinstance(cell, Figure):
        if cell.unit.startswith("USD"):
            return present.money(cell.value)
        return present.number(cell.value, cell.unit)
    return present.significant(cell) if isinstance(cell, float) else str(cell)


def _sources(name: str) -> None:
    look.folded(
        "What sources say about these inputs, and what is assumed",
        partial(_readings, name),
        key=f"pattern-sources-{name}",
    )


def _readings(name: str) -> None:
    rows = (*patterns.readings(name), *patterns.readings("shared"))
    st.dataframe(
        [
            {
                "input": row.input.replace("_", " "),
                "value": row.value,
                "from": row.low,
                "to": row.high,
                "unit": row.unit,
                "taken": "yes" if row.default else "",
                "known as": row.source.basis.value,
                "what": row.what,
                "source": f"{row.source.publisher}, {row.source.document}"
                + (f", {row.source.seen}" if row.source.seen else ""),
            }
            for row in rows
        ],
        hide_index=True,
        placeholder="–",
    )
