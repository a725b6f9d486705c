"""Answers: seconds, joules, watts and GiB of a clip, each with its interval and its evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from typing import Any, Literal

import numpy as np

from costlab import store, wan
from costlab.core import (
    BadData,
    Basis,
    CostlabError,
    Figure,
    Range,
    UnknownName,
)
from costlab.performance import counted, fit, physics, published, resources
from costlab.performance.ask import (
    COLUMNS,
    KERNELS,
    PRECISIONS,
    STACKS,
    Question,
    Recipe,
    question,
    recipe,
)
from costlab.performance.counted import Measured
from costlab.performance.fit import Fit, Floats, Ints
from costlab.performance.physics import ATT, COM, ELE, FACTORS, FIX, LIN, OFF, SER, VAE, Case
from costlab.performance.published import PublishedClip

Quantity = Literal["seconds", "gpu_seconds", "energy_j", "mean_power_w", "peak_vram_gib"]
UNITS: Mapping[str, str] = {
    "seconds": "s", "gpu_seconds": "GPU-s", "energy_j": "J", "mean_power_w": "W",
    "peak_vram_gib": "GiB",
}  # fmt: skip
STAGES = ("text_encode", "vae_encode", "high_noise", "low_noise", "vae_decode", "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Constants fitted from the published clips and kept as data (``data/calibration.yaml``).

    ``clips`` is the hash of what they were fitted from. ``spreads`` are the factors' standard
    deviations; ``quantiles`` say how many standard deviations a 90 % interval is wide, per quantity
    and evidence, from clips held out in groups.
    """

    fitted_on: date
    clips: str
    spreads: Mapping[str, float]
    quantiles: Mapping[str, float]


CALIBRATION = store.Shelf(table="calibration", record=Calibration, pattern="calibration.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a clip takes. Seconds are wall time per clip, energy is of all GPUs, memory per GPU.

    ``ranges`` holds the 90 % intervals of seconds, energy_j and peak_vram_gib; ``stages`` adds up
    to ``seconds``. ``floor_s`` is the time at the card's printed peak rates, ``share_of_floor`` the
    part of it reached. ``terms`` are the calibrated terms of `physics` in seconds, ``readings`` the
    runs behind a measured answer and the nearest evidence.
    """

    question: Question
    seconds: float
    energy_j: float
    peak_vram_gib: float
    fits: bool
    ranges: Mapping[str, Range]
    stages: Mapping[str, float]
    high_noise_steps: int
    low_noise_steps: int
    floor_s: float
    basis: Basis
    evidence: Literal["measured", "interpolated", "extrapolated"]
    nearest: str
    nearest_ref: str
    notes: tuple[str, ...] = ()
    terms: tuple[float, ...] = field(default=(), repr=False)
    readings: tuple[Figure, ...] = field(default=(), repr=False)

    @property
    def gpu_seconds(self) -> float:
        """GPU-seconds per clip: seconds times GPUs."""
        return self.seconds * self.question.num_gpus

    @property
    def mean_power_w(self) -> float:
        """Mean watts of all GPUs together while the clip is made."""
        return self.energy_j / self.seconds

    @property
    def stage_energy_j(self) -> dict[str, float]:
        """Joules of each stage, all GPUs: the clip's joules shared out by seconds.

        Published clips give the energy of whole clips only, so the same mean power is taken in
        every stage; stages add up to ``energy_j``.
        """
        return {name: self.mean_power_w * seconds for name, seconds in self.stages.items()}

    @property
    def share_of_floor(self) -> float:
        """Part of the card's printed peak that is reached, between 0 and 1."""
        return self.floor_s / self.seconds

    def figure(self, quantity: Quantity = "seconds") -> Figure:
        """Return one quantity with its formula, inputs and range; raises `UnknownName`."""
        if quantity not in UNITS:
            raise UnknownName.among("quantity", quantity, UNITS)
        value = float(getattr(self, quantity))
        count = self.question.num_gpus
        if quantity == "gpu_seconds":
            return Figure.derived(
                "GPU-seconds of a clip", value, "GPU-s", f"seconds × {count} GPUs",
                [self.figure("seconds")], range=self.ranges["seconds"].scaled(count),
            )  # fmt: skip
        if quantity == "mean_power_w":
            parts = [self.figure("energy_j"), self.figure("seconds")]
            return Figure.derived("mean power, all GPUs", value, "W", "joules / seconds", parts)
        own = {"seconds": "s", "energy_j": "J", "peak_vram_gib": "GiB"}[quantity]
        names = {"seconds": "seconds of a clip", "energy_j": "energy of a clip, all GPUs",
                 "peak_vram_gib": "peak memory per GPU"}  # fmt: skip
        runs = [one for one in self.readings if one.unit == own and one.basis is Basis.MEASURED]
        if runs:
            return Figure.derived(
                names[quantity], value, own, "median of the runs that count", runs,
                range=self.ranges.get(quantity),
            )  # fmt: skip
        said = {
            "seconds": "sum of stages: FLOPs / calibrated rates, bytes over links, fixed times",
            "energy_j": "printed power limit × busy share × GPU-seconds, corrected by clips seen",
            "peak_vram_gib": "weights held + live activations of the fullest stage, corrected by "
            "clips seen",
        }[quantity]
        inputs = [*_inputs(self), *(one for one in self.readings if one.ref == self.nearest_ref)]
        return Figure.derived(
            names[quantity], value, own, said, inputs, range=self.ranges.get(quantity),
            basis=Basis.ESTIMATED,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON data: the stable shape of ``costlab predict --json``."""
        seconds, energy = self.ranges["seconds"], self.ranges["energy_j"]
        memory = self.ranges["peak_vram_gib"]
        return {
            "seconds": self.seconds,
            "gpu_seconds": self.gpu_seconds,
            "seconds_low": seconds.low,
            "seconds_high": seconds.high,
            "peak_vram_gib": self.peak_vram_gib,
            "peak_vram_gib_low": memory.low,
            "peak_vram_gib_high": memory.high,
            "fits": self.fits,
            "energy_j": self.energy_j,
            "energy_j_low": energy.low,
            "energy_j_high": energy.high,
            "mean_power_w": self.mean_power_w,
            "stages": dict(self.stages),
            "stage_energy_j": self.stage_energy_j,
            "high_noise_steps": self.high_noise_steps,
            "low_noise_steps": self.low_noise_steps,
            "floor_s": self.floor_s,
            "share_of_floor": self.share_of_floor,
            "basis": self.basis.value,
            "evidence": self.evidence,
            "nearest": self.nearest,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One clip with a known time that the model learns from."""

    question: Question
    recipe: Recipe
    case: Case
    seconds: float
    energy_j: float | None
    peak_gib: float | None
    noise: float
    title: str
    group: str
    publisher: str
    ref: str
    figure: Figure

    @property
    def forward_flops(self) -> int:
        """FLOPs of one transformer forward."""
        asked = self.question
        return wan.forward_flops(self.recipe.arch, asked.height, asked.width, asked.frames).total


def resolved(asked: Question) -> Recipe:
    """Return the recipe of a question with its offload decided."""
    return resources.settle(
        recipe(asked), asked.height, asked.width, asked.frames, asked.batch_size
    )


def case_of(asked: Question, settled: Recipe) -> Case:
    """Return the terms and words of a question."""
    return physics.case(
        settled, asked.height, asked.width, asked.frames, asked.steps, asked.cfg, asked.batch_size
    )


def group(asked: Question, settled: Recipe) -> str:
    """Return the group that is held out together: transformer, GPU, count, size and stack."""
    return (
        f"{settled.arch.dim} wide on {asked.num_gpus} × {physics.silicon(settled.gpu)}, "
        f"{asked.height}×{asked.width}, {settled.stack}"
    )


def example(clip: PublishedClip) -> Example:
    """Return a published clip as something to learn from."""
    asked = clip.question
    settled = resolved(asked)
    unsure = "weights" in clip.assumed or "loading" in clip.assumed
    return Example(
        question=asked,
        recipe=settled,
        case=case_of(asked, settled),
        seconds=clip.seconds,
        energy_j=clip.energy_j,
        peak_gib=clip.peak_gib,
        noise=fit.ASSUMED_NOISE if unsure else fit.NOISE,
        title=clip.title,
        group=group(asked, settled),
        publisher=clip.publisher,
        ref=f"published:{clip.id}",
        figure=Figure(
            name=clip.title, value=clip.seconds, unit="s", basis=Basis.PUBLISHED,
            source=clip.source, ref=f"published:{clip.id}",
        ),
    )  # fmt: skip


def own_example(found: Measured) -> Example:
    """Return what our own counting runs say as something to learn from."""
    asked = found.question
    settled = resolved(asked)
    latest = found.runs[-1]
    title = f"own run {latest.id}: {latest.model} on {latest.num_gpus} × {latest.gpu}"
    return Example(
        question=asked,
        recipe=settled,
        case=case_of(asked, settled),
        seconds=found.seconds,
        energy_j=found.energy_j,
        peak_gib=found.peak_gib,
        noise=fit.NOISE,
        title=title,
        group=group(asked, settled),
        publisher="costlab",
        ref=f"run:{latest.id}",
        figure=Figure(
            name=title, value=found.seconds, unit="s", basis=Basis.MEASURED, ref=f"run:{latest.id}"
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Everything a prediction needs: the fit, the corrections, the examples, the own runs."""

    fit: Fit
    power: resources.Correction
    memory: resources.Correction
    examples: tuple[Example, ...]
    known: Mapping[tuple[str, ...], tuple[int, float, float]]
    quantiles: Mapping[str, float]


def learn(
    examples: Sequence[Example],
    spreads: Floats,
    quantiles: Mapping[str, float],
    near: Fit | None = None,
) -> Model:
    """Return the model learnt from ``examples``, batch twins of one setting as one.

    ``near`` is the fit of a larger set that holds them; it saves most of the search.
    """
    examples = merged(examples)
    made = fit.calibrate(
        [one.case for one in examples],
        np.log([one.seconds for one in examples]),
        np.array([one.noise for one in examples]),
        spreads,
        near=near,
    )
    known: dict[tuple[str, ...], tuple[int, float, float]] = {}
    for one in examples:
        name = kind(one.recipe)
        most, low, high = known.get(name, (0, math.inf, -math.inf))
        known[name] = (
            max(most, one.question.num_gpus),
            min(low, one.case.length),
            max(high, one.case.length),
        )
    return Model(
        fit=made,
        power=_power(examples, fit.terms(made.design, made.effects)),
        memory=_memory(examples),
        examples=tuple(examples),
        known=known,
        quantiles=quantiles,
    )


def merged(examples: Sequence[Example]) -> list[Example]:
    """Return one example per setting: the geometric mean of the clips that differ in batch only.

    Twins count no more than one clip: what sets a setting apart is common to them.
    """
    alike: dict[Question, list[Example]] = {}
    for one in examples:
        alike.setdefault(replace(one.question, batch_size=1), []).append(one)
    return [
        replace(
            twins[0],
            seconds=_mean([one.seconds for one in twins]),
            energy_j=_mean([one.energy_j for one in twins if one.energy_j is not None]) or None,
        )
        for twins in alike.values()
    ]


def _mean(values: Sequence[float]) -> float:
    return math.exp(math.fsum(map(math.log, values)) / len(values)) if values else 0.0


def kind(settled: Recipe) -> tuple[str, ...]:
    """Return what a calibration clip must share with a question to interpolate between them."""
    return (
        physics.silicon(settled.gpu),
        str(settled.arch.dim),
        physics.kin(settled.stack),
        settled.kernel,
        settled.precision,
        "tensor" if settled.layout == "tensor" else "",
        settled.caches,
    )


def _power(examples: Sequence[Example], terms: Floats) -> resources.Correction:
    read = [i for i, one in enumerate(examples) if one.energy_j is not None]
    with_energy = [examples[i] for i in read]
    seen = np.array(
        [(one.energy_j or 0.0) / one.seconds / one.question.num_gpus for one in with_energy]
    )
    said = resources.said_watts([one.recipe for one in with_energy], terms[read])
    words = [resources.power_words(one.recipe) for one in with_energy]
    return resources.correction(words, np.log(seen / said), resources.POWER_SPREADS)


def _memory(examples: Sequence[Example]) -> resources.Correction:
    with_peak = [one for one in examples if one.peak_gib is not None]
    ratios, words = [], []
    for one in with_peak:
        said = _said_gib(one.question, one.recipe)
        ratios.append(math.log((one.peak_gib or said) / said))
        words.append(resources.memory_words(one.recipe, one.question.height))
    return resources.correction(words, np.array(ratios), resources.MEMORY_SPREADS)


def _said_gib(asked: Question, settled: Recipe) -> float:
    return resources.said_gib(settled, asked.height, asked.width, asked.frames, asked.batch_size)


def current() -> Model:
    """Return the model of today's data files and runs, learnt once and kept."""
    return _current(
        published.CLIPS.fingerprint(), counted.RUNS.fingerprint(), CALIBRATION.fingerprint()
    )


@lru_cache(maxsize=4)
def _current(*_fingerprints: str) -> Model:
    kept = store.records(CALIBRATION)[0]
    spreads = np.array([kept.spreads[factor.name] for factor in FACTORS])
    counts = counted.counting(counted.measured())
    examples = [example(clip) for clip in published.clips()]
    examples += [own_example(found) for found in counts.values()]
    return learn(examples, spreads, kept.quantiles)


@lru_cache(maxsize=4)
def _counting(_fingerprint: str) -> Mapping[str, Measured]:
    return counted.counting(counted.measured())


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Numbers of many questions at once, before they are dressed as predictions."""

    recipes: Sequence[Recipe]
    terms: Floats
    deviation: Floats
    watts: Floats
    watts_deviation: Floats
    gib: Floats
    gib_deviation: Floats
    near: Sequence[bool]
    nearest: Ints


def estimate(model: Model, asked: Sequence[Question]) -> Raw:
    """Return what the model says about every question."""
    recipes = [resolved(one) for one in asked]
    cases = [case_of(one, settled) for one, settled in zip(asked, recipes, strict=True)]
    said_s = fit.forecast(model.fit, cases)
    seconds = said_s.seconds
    shift, watts_deviation = model.power([resources.power_words(one) for one in recipes])
    watts = resources.said_watts(recipes, seconds) * np.exp(shift)
    said = np.array([_said_gib(one, settled) for one, settled in zip(asked, recipes, strict=True)])
    lift, gib_deviation = model.memory(
        [resources.memory_words(settled, one.height)
         for one, settled in zip(asked, recipes, strict=True)]
    )  # fmt: skip
    near = []
    for one, settled, made in zip(asked, recipes, cases, strict=True):
        most, low, high = model.known.get(kind(settled), (0, 0.0, 0.0))
        near.append(one.num_gpus <= most and low - 0.5 <= made.length <= high + 0.5)
    return Raw(
        recipes=recipes,
        terms=seconds,
        deviation=said_s.deviation,
        watts=watts,
        watts_deviation=watts_deviation,
        gib=said * np.exp(lift),
        gib_deviation=gib_deviation,
        near=near,
        nearest=said_s.nearest,
    )


UNEXPLAINED = {"interpolated": 0.015, "extrapolated": 0.08}
"""Deviation (log scale) that no factor of the model knows of; the sizes at which intervals of one
width factor held about the same share of the clips in every way of holding out (2026-11-22)."""


def whole(deviation: float, evidence: str) -> float:
    """Return the deviation that intervals are made of: the model's and the unexplained one."""
    return math.hypot(deviation, UNEXPLAINED[evidence])


def energy_deviation(raw: Raw, i: int) -> float:
    """Return the standard deviation of log energy: that of the time and of the power."""
    return math.hypot(float(raw.deviation[i]), float(raw.watts_deviation[i]))


def dress(model: Model, asked: Question, raw: Raw, i: int) -> Prediction:
    """Return question ``i`` of ``raw`` as a prediction."""
    settled = raw.recipes[i]
    terms = raw.terms[i]
    total = float(terms.sum())
    evidence: Literal["interpolated", "extrapolated"] = (
        "interpolated" if raw.near[i] else "extrapolated"
    )
    energy = float(raw.watts[i]) * total * asked.num_gpus
    gib = float(raw.gib[i])

    def interval(quantity: str, value: float, deviation: float) -> Range:
        wide = math.exp(model.quantiles[f"{quantity} {evidence}"] * whole(deviation, evidence))
        return Range(low=value / wide, high=value * wide)

    ranges = {
        "seconds": interval("seconds", total, float(raw.deviation[i])),
        "energy_j": interval("energy_j", energy, energy_deviation(raw, i)),
        "peak_vram_gib": interval("peak_vram_gib", gib, float(raw.gib_deviation[i])),
    }
    closest = model.examples[int(raw.nearest[i])]
    high, low = _expert_steps(asked, settled)
    return Prediction(
        question=asked,
        seconds=total,
        energy_j=energy,
        peak_vram_gib=gib,
        fits=gib <= settled.gpu.usable_gib,
        ranges=ranges,
        stages=_stages(asked, settled, terms, high, low),
        high_noise_steps=high,
        low_noise_steps=low,
        floor_s=floor_s(asked, settled),
        basis=Basis.ESTIMATED,
        evidence=evidence,
        nearest=f"{closest.title} ({closest.publisher})",
        nearest_ref=closest.ref,
        notes=_notes(asked, settled, ranges["peak_vram_gib"]),
        terms=tuple(terms.tolist()),
        readings=(closest.figure,),
    )


def _expert_steps(asked: Question, settled: Recipe) -> tuple[int, int]:
    arch = settled.arch
    boundary = asked.boundary if asked.boundary is not None and arch.experts > 1 else arch.boundary
    shift = asked.shift or arch.authors_shift
    grid: Literal["authors", "diffusers"] = "authors" if settled.stack == "authors" else "diffusers"
    return _expert_split(asked.steps, shift, boundary, grid)


_expert_split = lru_cache(maxsize=4096)(wan.expert_steps)


def _stages(
    asked: Question, settled: Recipe, terms: Floats, high: int, low: int
) -> dict[str, float]:
    """Return seconds by stage; the text encoder's share of the fixed time goes by its FLOPs."""
    steps = float(terms[[ATT, LIN, ELE, SER, COM]].sum())
    vae, fixed = float(terms[VAE]), float(terms[FIX])
    size = (asked.height, asked.width, asked.frames)
    decode = wan.vae_decode_flops(settled.arch, *size)
    encode = wan.vae_encode_flops(settled.arch, *size) if settled.image else 0
    text = 0.0
    if fixed:
        start = physics.card(settled).start_s
        text = fixed * (start - physics.START_S) / start
    return {
        "text_encode": text,
        "vae_encode": vae * encode / (encode + decode),
        "high_noise": steps * high / (high + low),
        "low_noise": steps * low / (high + low),
        "vae_decode": vae * decode / (encode + decode),
        "other": fixed - text + float(terms[OFF]),
    }


def floor_s(asked: Question, settled: Recipe) -> float:
    """Return the roofline: FLOPs at printed peak rates, or reading the weights if slower.

    Nothing is faster on this card at this precision: matrix products at the printed rate of the
    precision asked for (attention too), the VAE at the bf16 rate, all GPUs busy throughout.
    """
    arch, gpu = settled.arch, settled.gpu
    size = (asked.height, asked.width, asked.frames)
    forwards = asked.steps * (2 if asked.cfg else 1)
    plain_precision = settled.precision.split()[0]
    peak = gpu.peak_tflops("fp4" if plain_precision == "stack's" else plain_precision) * 1e12
    step_flops = wan.forward_flops(arch, *size).total
    stored = wan.STORED_BYTES.get(plain_precision, 1.0)
    step = max(step_flops / peak, arch.expert_parameters * stored / (gpu.bandwidth_gb_s * 1e9))
    once = wan.vae_decode_flops(arch, *size) + 2 * wan.text_encode_flops()
    once += wan.vae_encode_flops(arch, *size) + wan.image_encode_flops(arch) if settled.image else 0
    return float((forwards * step + once / (gpu.bf16_tflops * 1e12)) / asked.num_gpus)


def _inputs(said: Prediction) -> tuple[Figure, ...]:
    """Return the figures under an estimate: FLOPs, the rates reached, the card's printed rate."""
    asked, settled = said.question, resolved(said.question)
    flops = wan.forward_flops(settled.arch, asked.height, asked.width, asked.frames)
    forwards = asked.steps * (2 if asked.cfg else 1)
    each = forwards / asked.num_gpus / 1e12
    rates = {
        "attention": flops.attention * each / said.terms[ATT],
        "other matrix products": flops.other * each / said.terms[LIN],
    }
    card = settled.gpu
    return (
        Figure.entered("transformer forwards", forwards, "forwards", ref="steps × guidance"),
        *(
            Figure.entered(f"{name} in a forward", each / 1e12, "TFLOP", ref="closed form")
            for name, each in (("attention", flops.attention), ("other products", flops.other))
        ),
        *(
            Figure(name=f"rate of {name} per GPU", value=rate, unit="TFLOP/s",
                   basis=Basis.ESTIMATED, ref="calibration")
            for name, rate in rates.items()
        ),
        Figure(name=f"{card.id} printed bf16 rate", value=card.bf16_tflops, unit="TFLOP/s",
               basis=Basis.PUBLISHED, source=card.source, ref=f"gpu:{card.id}"),
    )  # fmt: skip


KNOWN_WORDS = {
    name: frozenset({word for _, word in table} | {"stack's own", "unknown"})
    for name, table in (("stack", STACKS), ("attention", KERNELS), ("precision", PRECISIONS))
}


def _notes(asked: Question, settled: Recipe, memory: Range) -> tuple[str, ...]:
    notes = []
    usable = settled.gpu.usable_gib
    if asked.offload is None and settled.offload in ("model", "sequential", "block"):
        way = {"model": "one model at a time", "sequential": "layer by layer",
               "block": "block by block"}[settled.offload]  # fmt: skip
        notes.append(f"weights are moved to the card {way}: all of them together do not fit")
    if memory.low <= usable < memory.high:
        notes.append(f"whether it fits {usable:.0f} GiB is uncertain")
    if settled.num_gpus > 1 and settled.arch.heads % (settled.sequence * settled.tensor):
        notes.append(f"{settled.arch.heads} heads do not divide by {settled.sequence}: Ulysses "
                     "needs another split")  # fmt: skip
    newer = settled.gpu.family in ("hopper", "hopper-lean", "blackwell")
    if settled.stack == "diffusers" and not asked.attention and newer:
        notes.append(
            "SDPA is taken as published xDiT rows reach it; a PyTorch that picks cuDNN's kernel "
            "is faster: ask with attention=cudnn, or measure"
        )
    if settled.caches:
        notes.append("a cache skips steps by what it sees, so its share depends on the clip")
    strange = [
        f"{name} {asked_for!r}"
        for name, asked_for, read in (
            ("stack", asked.stack, settled.stack),
            ("attention", asked.attention, settled.kernel),
            ("precision", asked.precision, settled.precision),
        )
        if asked_for and read not in KNOWN_WORDS[name]
    ]
    if unknown := [*strange, *filter(None, [settled.words])]:
        notes.append(f"not known to the calibration: {', '.join(unknown)}")
    return tuple(notes)


def _measured(found: Measured, said: Prediction) -> Prediction:
    """Return the prediction that the runs replace; what they did not read stays the model's."""
    latest = found.runs[-1]
    scale = found.seconds / said.seconds
    stages = {name: seconds * scale for name, seconds in said.stages.items()}
    if latest.stages:
        read = dict(zip(latest.stages, latest.stage_seconds, strict=True))
        total = sum(read.values())
        stages = {name: read.get(name, 0.0) * found.seconds / total for name in STAGES}
    energy = found.energy_j if found.energy_j is not None else said.energy_j * scale
    peak = found.peak_gib if found.peak_gib is not None else said.peak_vram_gib
    ranges = dict(said.ranges)
    ranges["seconds"] = Range(low=found.seconds_low, high=found.seconds_high)
    if found.energy_j is not None:
        edge = max(found.seconds_high / found.seconds - 1, 1 - found.seconds_low / found.seconds)
        ranges["energy_j"] = Range(low=energy * (1 - edge), high=energy * (1 + edge))
    else:
        ranges["energy_j"] = said.ranges["energy_j"].scaled(scale)
    if found.peak_gib is not None:
        ranges["peak_vram_gib"] = Range(low=peak * 0.99, high=peak * 1.01)
    figures = []
    for run in found.runs:
        values = {"s": run.seconds, "J": run.energy_j,
                  "GiB": None if run.shared_weights else run.peak_gib}  # fmt: skip
        figures += [
            Figure(
                name=f"run {run.id} ({run.environment_title})", value=value, unit=unit,
                basis=Basis.MEASURED, ref=f"run:{run.id}",
            )
            for unit, value in values.items()
            if value is not None
        ]  # fmt: skip
    return Prediction(
        question=said.question,
        seconds=found.seconds,
        energy_j=energy,
        peak_vram_gib=peak,
        fits=True,
        ranges=ranges,
        stages=stages,
        high_noise_steps=said.high_noise_steps,
        low_noise_steps=said.low_noise_steps,
        floor_s=said.floor_s,
        basis=Basis.MEASURED,
        evidence="measured",
        nearest=f"own run {latest.id} of {latest.started_at}, {latest.environment_title}",
        nearest_ref=f"run:{latest.id}",
        notes=tuple(flag for run in found.runs for flag in run.flags),
        terms=said.terms,
        readings=(*figures, *(r for r in said.readings if r.basis is not Basis.MEASURED)),
    )


def predict(asked: Question, *, as_measured: bool = True) -> Prediction:
    """Return what the clip takes: from the runs that count where there are some, else the model.

    ``as_measured=False`` asks the model without letting a run of this very configuration answer;
    the runs still took part in the calibration.
    """
    return predict_all([asked], as_measured=as_measured)[0]


def predict_all(asked: Sequence[Question], *, as_measured: bool = True) -> list[Prediction]:
    """Return a prediction per question, worked out together."""
    if not asked:
        return []
    model = current()
    counts = _counting(counted.RUNS.fingerprint()) if as_measured else {}
    raw = estimate(model, asked)
    answers = []
    for i, one in enumerate(asked):
        answer = dress(model, one, raw, i)
        names = counted.keys(one) if counts else ()
        found = next((counts[name] for name in names if name in counts), None)
        answers.append(_measured(found, answer) if found else answer)
    return answers


def replaced(asked: Question) -> Prediction:
    """Return what the published data alone say: what a question's own runs replaced."""
    model = _published_only(published.CLIPS.fingerprint(), CALIBRATION.fingerprint())
    return dress(model, asked, estimate(model, [asked]), 0)


@lru_cache(maxsize=4)
def _published_only(*_fingerprints: str) -> Model:
    kept = store.records(CALIBRATION)[0]
    spreads = np.array([kept.spreads[factor.name] for factor in FACTORS])
    return learn([example(clip) for clip in published.clips()], spreads, kept.quantiles)


def predict_rows(
    rows: Sequence[Mapping[str, Any]], *, where: str = "questions"
) -> list[dict[str, Any]]:
    """Return one plain answer per row, in order: the keys of `Prediction.to_dict` and ``error``.

    A row that cannot be answered has seconds None and says why. Raises `BadData` where a column is
    unknown, with every such column and its row.
    """
    odd: dict[str, int] = {}
    for number, row in enumerate(rows, 1):
        for name in row:
            if name not in COLUMNS and name != store.TOO_MANY:
                odd.setdefault(str(name), number)
    if odd:
        raise BadData(where, [
            f"[{number}].{name}: {UnknownName.among('column', name, COLUMNS)}"
            for name, number in odd.items()
        ])  # fmt: skip
    asked: list[Question] = []
    answers: list[dict[str, Any]] = []
    places: list[int] = []
    for number, row in enumerate(rows, 1):
        try:
            asked.append(question(row))
            places.append(len(answers))
            answers.append({})
        except CostlabError as error:
            answers.append(_refusal(f"{where} [{number}]: {error}"))
    for place, answer in zip(places, predict_all(asked), strict=True):
        answers[place] = {**answer.to_dict(), "error": None}
    return answers


def _refusal(error: str) -> dict[str, Any]:
    quantities = ("seconds", "gpu_seconds", "seconds_low", "seconds_high", "peak_vram_gib",
                  "energy_j", "basis")  # fmt: skip
    return {**dict.fromkeys(quantities), "error": error}
