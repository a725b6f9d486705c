"""Seconds of a clip before any calibration, as eight terms, and the factors that correct each term.

::

    seconds = steps · [ k/g · (attention + other + elementwise) + k/c · (unsplit + link) ]
              + VAE + fixed + offload                k = 2 with guidance, g GPUs, c guidance groups

    attention, other   FLOPs / (sustained matrix rate of the card · share that the kernel reaches)
    elementwise        bytes of norms, rotations, modulation / memory bandwidth
    unsplit, link      what sequence parallelism leaves whole; bytes over the link
    VAE                FLOPs / rate;  fixed: text encoder, start;  offload: weights over PCIe

Every term is multiplied by exp(sum of its factors' effects). A factor is a word such as the GPU or
the stack; its effect has mean 0 and a spread, so a word nobody measured keeps the physics and
widens the interval by its spread.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

from costlab import wan
from costlab.performance.ask import Recipe
from costlab.performance.gpus import Gpu
from costlab.performance.gpus import gpu as by_name

TERMS = ("attention", "other", "elementwise", "unsplit", "link", "vae", "fixed", "offload")
ATT, LIN, ELE, SER, COM, VAE, FIX, OFF = range(8)
_TRANSFORMER = (ATT, LIN, ELE, SER, COM)
_COMPUTE = (ATT, LIN, ELE)
_ALL = tuple(range(8))


class Factor(NamedTuple):
    """One kind of word, the terms it corrects, and the spread of its effect (log scale).

    ``spread`` is the guess that tuning starts from and is drawn to; ``least`` is as small as it may
    get, because the constants below were set with the published clips in sight, and a word that
    nobody measured must not look as well known as those.
    """

    name: str
    terms: tuple[int, ...]
    spread: float
    least: float


FACTORS: tuple[Factor, ...] = (
    Factor("attention everywhere", (ATT,), 0.15, 0.06),
    Factor("other everywhere", (LIN,), 0.15, 0.02),
    Factor("elementwise everywhere", (ELE,), 0.35, 0.2),
    Factor("unsplit everywhere", (SER,), 0.5, 0.3),
    Factor("link everywhere", (COM,), 0.6, 0.3),
    Factor("vae everywhere", (VAE,), 0.4, 0.02),
    Factor("fixed everywhere", (FIX,), 0.7, 0.02),
    Factor("offload everywhere", (OFF,), 0.5, 0.3),
    Factor("silicon", _COMPUTE, 0.10, 0.07),
    Factor("kernel on family", (ATT,), 0.15, 0.1),
    Factor("kernel name", (ATT,), 0.08, 0.04),
    Factor("longer sequence", (ATT,), 0.08, 0.04),
    Factor("precision on family", (LIN,), 0.12, 0.02),
    Factor("precision in stack", _COMPUTE, 0.08, 0.08),
    Factor("stack family", _COMPUTE, 0.10, 0.06),
    Factor("stack", _COMPUTE, 0.06, 0.05),
    Factor("elementwise of stack", (ELE, SER), 0.4, 0.02),
    Factor("stack on silicon", _ALL, 0.05, 0.04),
    Factor("fixed of stack", (FIX,), 0.6, 0.02),
    Factor("vae on silicon", (VAE,), 0.25, 0.15),
    Factor("vae of stack", (VAE,), 0.35, 0.2),
    Factor("vae version", (VAE,), 0.25, 0.2),
    Factor("link layout", (COM,), 0.5, 0.3),
    Factor("layout in stack", (SER, COM), 0.5, 0.02),
    Factor("link count", (SER, COM), 0.25, 0.1),
    Factor("peer to peer", (COM,), 0.4, 0.3),
    Factor("offload kind", (OFF,), 0.4, 0.02),
    Factor("cache", _TRANSFORMER, 0.25, 0.2),
    Factor("width", _COMPUTE, 0.05, 0.05),
    Factor("width on silicon", _COMPUTE, 0.05, 0.05),
    Factor("elementwise of width", (ELE,), 0.25, 0.2),
    Factor("model", _ALL, 0.02, 0.01),
    Factor("count in stack", _ALL, 0.03, 0.02),
    Factor("size in stack", _ALL, 0.03, 0.015),
    Factor("group", _ALL, 0.025, 0.015),
    Factor("technique words", _TRANSFORMER, 0.10, 0.1),
)

POWER_RATE = {
    "ampere": 3.6, "hopper": 5.8, "hopper-lean": 5.8, "blackwell": 12.0, "ada": 3.4, "ga10x": 2.0,
    "geforce-ampere": 2.4, "geforce-ada": 3.4, "geforce-blackwell": 3.6, "rtx-blackwell": 3.6,
    "cdna3": 4.5, "cdna4": 8.0, "turing": 1.5,
}  # fmt: skip
"""TFLOP/s per W^0.75 that a card can sustain under its power cap, by family; set so that the best
measured matrix rates in ``data/gpus.yaml`` come out and cards between them follow."""

KERNEL_SHARE = {
    "fa2": {"ampere": 0.85, "hopper": 0.51, "hopper-lean": 0.85, "blackwell": 0.22, "ada": 0.85,
            "geforce-ada": 0.95, "geforce-blackwell": 0.90, "geforce-ampere": 0.95,
            "rtx-blackwell": 0.80, "ga10x": 0.80, "cdna3": 0.55, "cdna4": 0.40, "turing": 0.30},
    "fa3": {"hopper": 0.80, "hopper-lean": 0.95},
    "tuned": {"hopper": 0.80, "hopper-lean": 0.95, "blackwell": 0.75, "cdna3": 0.75,
              "cdna4": 0.75},
    "sage": {"hopper": 1.0, "hopper-lean": 1.1, "geforce-ada": 1.6, "geforce-blackwell": 1.8,
             "rtx-blackwell": 1.2, "ada": 1.4, "ampere": 1.2, "blackwell": 0.35},
    "math": {},
}  # fmt: skip
"""Share of the sustained matrix rate that an attention kernel reaches before calibration. The
FlashAttention 2 kernels predate the matrix instructions of Hopper and Blackwell: low shares."""

ELEMENTWISE_BYTES = {"tensorrt-llm": 70.0, "turbodiffusion": 90.0, "lightx2v": 120.0,
                     "sglang": 130.0, "vllm-omni": 150.0, "kiss-v": 120.0,
                     "authors": 300.0}  # fmt: skip
"""Bytes moved per token, channel and layer outside matrix products; 210 in plain diffusers, counted
over the block's norms, modulation, rotary embedding and residuals with their fp32 casts."""

START_S = 1.5
CPU_TEXT_S = 12.0
"""Seconds around a clip that no stage explains, and of UMT5 on a CPU, before calibration."""

BANDWIDTH_SHARE = 0.8
UNSPLIT_SHARE = 0.3
TILED_VAE = 1.65
VAE_RATE = 0.0385
VAE_BF16_GAIN = 2.2
"""Share of the bandwidth that elementwise kernels reach; share of their work that sequence
parallelism leaves whole; FLOPs of a tiled VAE over an untiled one (counted); fp32 VAE rate in
TFLOP/s over √(bf16 TFLOP/s · GB/s), and what bf16 gains, near the 2.0 to 2.4 s that LightX2V prints
for 275 TFLOP on an H100."""

PCIE_GIB_S = {"once": 8.0, "once on servers": 14.0, "streamed": 16.0}
"""GiB/s at which weights reach the card: whole models from pageable memory, or block by block."""

WIRE_SHARE = {"nvlink": 0.6, "pcie": 0.5, "geforce": 0.3}
"""Share of the printed one-way link rate that collectives reach; GeForce cards go by the host."""


def sustained_tflops(card: Gpu) -> float:
    """Return the bf16 matrix rate that a card holds under load, before calibration.

    85 % of the best measured rate where somebody measured one; else the smooth lesser of 82 % of
    the printed rate (95 % on GeForce, which clocks above its sheet) and what the power cap allows.
    """
    card = by_name(silicon(card))
    if card.matmul_tflops:
        return 0.85 * card.matmul_tflops
    printed = (0.95 if card.family.startswith("geforce") else 0.82) * card.bf16_tflops
    powered = POWER_RATE[card.family] * (card.tdp_w or 700.0) ** 0.75
    return float((printed**-4 + powered**-4) ** -0.25)


_SAME_SILICON = {"A800-80GB": "A100-80GB", "H800": "H100-SXM"}


def silicon(card: Gpu) -> str:
    """Return the name that cards of one chip share: the A800 is an A100, the H800 an H100."""
    return _SAME_SILICON.get(card.id, card.id)


def kin(stack: str) -> str:
    """Return the name that stacks with the same kernels share: xDiT runs the diffusers modules."""
    return "diffusers" if stack == "xdit" else stack


def link(card: Gpu) -> tuple[str, float]:
    """Return (nvlink or pcie, effective GB/s one way); a link rate not read counts as 600 GB/s."""
    both_ways = card.link_gb_s or 600.0
    kind = "pcie" if both_ways <= 128 else "nvlink"
    geforce = kind == "pcie" and card.family.startswith("geforce")
    return kind, both_ways / 2 * WIRE_SHARE["geforce" if geforce else kind]


class Card(NamedTuple):
    """What the terms need of a recipe, worked out once."""

    rates: tuple[float, float]
    words: tuple[str | None, ...]
    wire: tuple[str, float]
    cache_share: float
    element_bytes: float
    start_s: float


@lru_cache(maxsize=16384)
def card(recipe: Recipe) -> Card:
    """Return the rates and factor words that do not depend on the clip's size."""
    arch, gpu = recipe.arch, recipe.gpu
    family, stack = gpu.family, recipe.stack
    base = sustained_tflops(gpu)
    fa2 = KERNEL_SHARE["fa2"][family]
    kernel = recipe.kernel
    if kernel == "sparse":
        share = KERNEL_SHARE["sage"].get(family, fa2 * 1.3) / 0.15
    elif kernel == "math":
        share = 0.1
    else:
        share = KERNEL_SHARE.get(kernel, {}).get(family, fa2 * (1.4 if kernel == "sage" else 1.0))
    plain = recipe.precision.removesuffix(" with fp32 parts")
    if plain == "stack's own":
        gain = (gpu.peak_tflops("fp8") / gpu.bf16_tflops) ** 0.6
        share *= gain**0.5
    elif plain in ("fp8", "int8", "fp4"):
        gain = (gpu.peak_tflops(plain) / gpu.bf16_tflops) ** 0.6
    else:
        gain = 0.9 if plain == "int8-weight-only" else 1.0
    element = ELEMENTWISE_BYTES.get(stack, 210.0) * (1.5 if arch.per_token_time else 1.0)
    element *= 0.5 if recipe.compiled else 1.0
    text_s = 2 * wan.text_encode_flops() / (base * 0.4e12)
    start = (
        START_S
        + text_s
        + wan.image_encode_flops(arch) / 1e13
        + (CPU_TEXT_S if recipe.cpu_text else 0.0)
    )
    return Card(
        rates=(share * base * 1e12, gain * base * 1e12),
        words=_words(recipe),
        wire=link(gpu),
        cache_share={"": 1.0, "fast mode": 0.75}.get(recipe.caches, 0.55),
        element_bytes=element,
        start_s=start,
    )


def _words(recipe: Recipe) -> tuple[str | None, ...]:
    """Return the word of every factor, in the order of `FACTORS`; None where it does not apply."""
    arch, chip, family = recipe.arch, silicon(recipe.gpu), recipe.gpu.family
    relative, width = kin(recipe.stack), f"{recipe.arch.dim}x{recipe.arch.layers}"
    several = recipe.num_gpus > 1 and not recipe.per_gpu_clips
    other = recipe.precision != "bf16"
    tiled = " tiled" if recipe.tiled_vae else ""
    named: dict[str, str | None] = {
        "unsplit everywhere": "" if several else None,
        "link everywhere": "" if several else None,
        "silicon": chip,
        "kernel on family": f"{recipe.kernel} on {family}",
        "kernel name": recipe.kernel_name,
        "longer sequence": recipe.kernel,
        "precision on family": f"{recipe.precision} on {family}" if other else None,
        "precision in stack": f"{recipe.precision} in {relative}" if other else None,
        "stack family": relative,
        "stack": recipe.stack,
        "elementwise of stack": relative,
        "stack on silicon": f"{relative} on {chip}",
        "fixed of stack": relative,
        "vae on silicon": chip,
        "vae of stack": f"{relative} {recipe.vae_precision}{tiled}",
        "vae version": arch.vae,
        "link layout": f"{recipe.layout} over {link(recipe.gpu)[0]}" if several else None,
        "layout in stack": f"{recipe.layout} in {relative}" if several else None,
        "link count": str(recipe.sequence * recipe.tensor) if several else None,
        "peer to peer": "no p2p" if several and not recipe.p2p else None,
        "offload kind": f"{recipe.offload} on {family}" if recipe.offload != "none" else None,
        "cache": recipe.caches or None,
        "width": width,
        "width on silicon": f"{width} on {chip}",
        "elementwise of width": width,
        "model": arch.id,
        "count in stack": f"{relative} on {recipe.num_gpus} {chip}" if several else None,
        "size in stack": f"{relative} on {chip}",
        "group": f"{width} {relative} {chip} {recipe.num_gpus} {recipe.precision} {recipe.kernel} "
        f"{recipe.caches}",
        "technique words": recipe.words or None,
    }
    return tuple(named.get(factor.name, "") for factor in FACTORS)


_BY_SIZE = [i for i, factor in enumerate(FACTORS) if factor.name in ("size in stack", "group")]


class Case(NamedTuple):
    """One clip as numbers: seconds of each term before calibration, its words, its length."""

    seconds: tuple[float, ...]
    words: tuple[str | None, ...]
    length: float


@lru_cache(maxsize=65536)
def _clip(
    arch: wan.Architecture, height: int, width: int, frames: int
) -> tuple[int, int, int, int, int]:
    flops = wan.forward_flops(arch, height, width, frames)
    return (
        wan.tokens(arch, height, width, frames),
        flops.attention,
        flops.other,
        wan.vae_decode_flops(arch, height, width, frames),
        wan.vae_encode_flops(arch, height, width, frames),
    )


def case(
    recipe: Recipe, height: int, width: int, frames: int, steps: int, cfg: bool, batch: int
) -> Case:
    """Return the eight terms of a clip in seconds, before calibration, with the factor words."""
    arch, gpu, count = recipe.arch, recipe.gpu, recipe.num_gpus
    fixed = card(recipe)
    n, attention, other, decode, encode = _clip(arch, height, width, frames)
    forwards = steps * (2 if cfg else 1)
    cells = n * arch.dim * arch.layers
    skipped = fixed.cache_share
    att = attention / fixed.rates[0]
    lin = other / fixed.rates[1]
    ele = cells * fixed.element_bytes / (gpu.bandwidth_gb_s * BANDWIDTH_SHARE * 1e9)
    compute = forwards * skipped / count
    unsplit = wire_s = 0.0
    together = recipe.sequence * recipe.tensor
    if count > 1 and not recipe.per_gpu_clips:
        rounds = forwards * skipped / recipe.cfg_degree
        if together > 1:
            unsplit = rounds * (1 - 1 / together) * UNSPLIT_SHARE * ele
        wire_s = rounds * _wire_s(recipe, cells, together, fixed.wire[1])
    rate = VAE_RATE * 1e12 * math.sqrt(gpu.bf16_tflops * gpu.bandwidth_gb_s)
    rate *= VAE_BF16_GAIN if recipe.vae_precision == "bf16" else 1.0
    vae = (
        decode * (TILED_VAE if recipe.tiled_vae else 1.0) + (encode if recipe.image else 0)
    ) / rate
    start = fixed.start_s / batch
    if recipe.denoise_only:
        vae, start = 0.0, 0.0
    offload = _offload_s(recipe, forwards, att + lin + ele) / batch
    if recipe.per_gpu_clips:
        vae, start, offload = vae / count, start / count, offload / count
    words = list(fixed.words)
    for i in _BY_SIZE:
        words[i] = f"{words[i]} at {n}"
    seconds = (compute * att, compute * lin, compute * ele, unsplit, wire_s, vae, start, offload)
    return Case(seconds, tuple(words), math.log(n / 32_760))


def _wire_s(recipe: Recipe, cells: int, together: int, gb_s: float) -> float:
    """Return seconds on the link in one forward: activations of all layers, sharded weights."""
    moved = 0.0
    away = 1 - 1 / together
    if recipe.layout == "tensor":
        moved = 3 * 2 * cells * 2 * (1 - 1 / recipe.tensor)
    elif recipe.layout == "ring":
        moved = 0.5 * 2 * 2 * cells * away
    elif together > 1:
        moved = 4 * 2 * cells / together * away
    if recipe.fsdp:
        moved += 0.3 * wan.expert_gib(recipe.arch) * wan.GIB * (1 - 1 / recipe.num_gpus)
    waits = recipe.arch.layers * 4 * 30e-6 if together > 1 else 0.0
    return moved / (gb_s * 1e9) + waits


def _offload_s(recipe: Recipe, forwards: int, forward_s: float) -> float:
    """Return seconds that moving weights over PCIe adds; a block at a time hides behind compute."""
    if recipe.offload == "none":
        return 0.0
    expert = wan.expert_gib(recipe.arch, recipe.stored)
    server = recipe.gpu.family in ("hopper", "blackwell")
    gib_s = PCIE_GIB_S["once on servers" if server else "once"]
    if recipe.offload == "model":
        text = 0.0 if recipe.cpu_text else 2 * wan.text_encoder_gib()
        return (2 * recipe.arch.experts * expert + text) / gib_s
    transfer = expert / PCIE_GIB_S["streamed"]
    if recipe.offload == "block":
        return forwards * float((forward_s**3 + transfer**3) ** (1 / 3) - forward_s)
    return forwards * transfer
