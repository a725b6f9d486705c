"""Watts and GiB: what physics says, corrected by what similar clips were seen to use.

    watts per GPU = TDP · (idle + (busy − idle) · busy share of the clip)
    peak GiB      = largest over the stages of (weights held + live activations) + context

The logarithm of seen over said is a sum of factor effects with mean 0, estimated by best linear
unbiased prediction: words seen often decide, words never seen leave the physics as it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from costlab import wan
from costlab.performance import physics
from costlab.performance.ask import Recipe
from costlab.performance.fit import Floats, Ints
from costlab.performance.physics import ATT, COM, ELE, LIN, SER, VAE

IDLE_SHARE = 0.20
BUSY_SHARE = {"hopper": 0.95, "hopper-lean": 0.90, "blackwell": 0.87, "ampere": 0.92}
"""Share of the printed power drawn while computing, by family; 0.85 where nobody measured it.
Hopper and Blackwell as the ML.ENERGY leaderboard's one-GPU rows (2026-02-27) have it."""

BUSY = {ATT: 1.0, LIN: 1.0, ELE: 0.9, SER: 0.75, COM: 0.5, VAE: 0.8}
"""How busy a GPU is in each term of `physics`; waiting for weights or text counts as idle."""

ACTIVATION_BYTES = {"authors": 78.0, "authors 2.1": 31.0}
"""Live bytes per token and channel in the authors' code. Their Wan 2.2 modulates every token by its
own fp32 vector; both are backed out of the one-GPU peaks of their tables."""


def power_words(recipe: Recipe) -> tuple[str, ...]:
    """Return the words whose effects correct the power of a clip."""
    chip = physics.silicon(recipe.gpu)
    width = f"{recipe.arch.dim} on {chip}"
    return ("", chip, width, f"{width} {recipe.num_gpus}",
            f"{width} {recipe.num_gpus} {recipe.stack} {recipe.layout}")  # fmt: skip


POWER_SPREADS = (0.03, 0.07, 0.05, 0.04, 0.02)


def said_watts(recipes: Sequence[Recipe], seconds: Floats) -> Floats:
    """Return mean watts per GPU by physics for clips whose terms take ``seconds`` (n, 8)."""
    share = np.zeros(seconds.shape[1])
    for term, busy in BUSY.items():
        share[term] = busy
    used = (seconds @ share) / seconds.sum(axis=1)
    top = np.array([BUSY_SHARE.get(one.gpu.family, 0.85) for one in recipes])
    tdp = np.array([tdp_w(one) for one in recipes])
    return np.asarray(tdp * (IDLE_SHARE + (top - IDLE_SHARE) * used), dtype=float)


def tdp_w(recipe: Recipe) -> float:
    """Return the printed power limit; an unread one is that of the silicon it is made of."""
    return recipe.gpu.tdp_w or {"ampere": 400.0}.get(recipe.gpu.family, 700.0)


def memory_words(recipe: Recipe, size: int) -> tuple[str, ...]:
    """Return the words whose effects correct the peak memory of a clip."""
    kind = f"{physics.kin(recipe.stack)} {recipe.offload}{' tiled' if recipe.tiled_vae else ''}"
    if recipe.num_gpus > 1:
        kind += " sharded"
    version = f"{kind} {recipe.arch.id[:6]}"
    return (
        "",
        physics.kin(recipe.stack),
        kind,
        version,
        f"{version} {recipe.arch.id} {size} {recipe.num_gpus}",
    )


MEMORY_SPREADS = (0.05, 0.10, 0.12, 0.06, 0.03)


def said_gib(recipe: Recipe, height: int, width: int, frames: int, batch: int) -> float:
    """Return peak GiB per GPU by physics: the fullest of denoising and VAE decoding."""
    arch, count = recipe.arch, recipe.num_gpus if not recipe.per_gpu_clips else 1
    early = recipe.stack == "authors" and arch.id.startswith("wan2.1")
    expert = wan.expert_gib(arch, "fp32" if early else recipe.stored)
    text = 0.0 if recipe.cpu_text and not recipe.fsdp else wan.text_encoder_gib()
    vae = wan.vae_gib(arch, recipe.vae_precision)
    live = wan.denoise_gib(arch, height, width, frames) * batch
    if recipe.stack == "authors" and arch.vae == "2.1":
        live *= (
            ACTIVATION_BYTES["authors 2.1" if early else "authors"] / wan.ACTIVATION_BYTES["2.1"]
        )
    decode = wan.vae_decode_gib(arch, height, width, recipe.vae_precision, tiled=recipe.tiled_vae)
    weights = arch.experts * expert
    if recipe.tensor > 1:
        weights /= recipe.tensor
    live /= recipe.sequence if count > 1 else 1
    if count > 1 and recipe.fsdp:
        needed = weights / count + max(live, decode) + vae + wan.CONTEXT_GIB + 2.0
        whole_text = not early and needed + text <= recipe.gpu.usable_gib
        return needed + (text if whole_text else text / count)
    if recipe.offload == "model":
        return max(expert + live, text, decode) + vae + wan.CONTEXT_GIB
    if recipe.offload == "sequential":
        return max(live, decode) + vae + wan.CONTEXT_GIB + 1.0
    if recipe.offload == "block":
        return max(live, decode) + vae + 0.15 * expert + 0.4 * text + wan.CONTEXT_GIB
    weights += wan.image_encoder_gib(arch) + vae + wan.CONTEXT_GIB
    if recipe.stack == "diffusers" and "text encoder kept" not in recipe.words:
        return weights + max(live, decode, text)
    return weights + text + max(live, decode)


@lru_cache(maxsize=65536)
def settle(recipe: Recipe, height: int, width: int, frames: int, batch: int) -> Recipe:
    """Return the recipe with its offload decided: the first way that fits the card, else the last.

    Everything resident, then model by model, then streamed (block by block in serving stacks).
    """
    if recipe.offload != "as fits":
        return recipe
    streamed = "sequential" if recipe.stack == "diffusers" else "block"
    for way in ("none", "model"):
        tried = recipe._replace(offload=way)
        if said_gib(tried, height, width, frames, batch) <= recipe.gpu.usable_gib:
            return tried
    return recipe._replace(offload=streamed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What past clips say about seen over said: codes of their words, and the solved weights."""

    codes: tuple[Mapping[str, int], ...]
    seen: Ints
    variances: Floats
    solved: Floats
    inverse: Floats

    def __call__(self, words: Sequence[tuple[str, ...]]) -> tuple[Floats, Floats]:
        """Return the log correction of each clip and its standard deviation."""
        asked = np.array([[code.get(word, -1) for code, word in zip(self.codes, row, strict=True)]
                          for row in words])  # fmt: skip
        shared = ((asked[:, None, :] == self.seen[None]) * self.variances).sum(axis=2)
        spent = np.einsum("ij,jk,ik->i", shared, self.inverse, shared)
        spread = np.sqrt(np.maximum(self.variances.sum() - spent, 0.0) + NOISE**2)
        return np.asarray(shared @ self.solved, dtype=float), np.asarray(spread, dtype=float)


NOISE = 0.015


def correction(
    words: Sequence[tuple[str, ...]], log_ratio: Floats, spreads: Sequence[float]
) -> Correction:
    """Return the correction that clips with these words and log(seen / said) call for."""
    codes = tuple(
        {word: i for i, word in enumerate(dict.fromkeys(row[f] for row in words))}
        for f in range(len(spreads))
    )
    seen = np.array(
        [[code[word] for code, word in zip(codes, row, strict=True)] for row in words],
        dtype=np.int64,
    ).reshape(len(words), len(spreads))
    variances = np.array(spreads) ** 2
    kernel = ((seen[:, None, :] == seen[None]) * variances).sum(axis=2)
    inverse = np.linalg.inv(kernel + NOISE**2 * np.eye(len(words)))
    return Correction(codes=codes, seen=seen, variances=variances, inverse=inverse,
                      solved=inverse @ log_ratio)  # fmt: skip
