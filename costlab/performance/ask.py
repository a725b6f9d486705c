"""What is asked, and what it means: a `Question` resolved into a `Recipe`, every default filled.

People name kernels, stacks and parallel layouts in many ways. Each is read into one short word;
an unknown one stays as it is, and a word that no measurement knows widens the interval.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, NamedTuple

from costlab import wan
from costlab.core import InvalidArgument, UnknownName
from costlab.performance.gpus import Gpu, gpu

MODELS: Mapping[str, str] = {
    re.sub(r"[^a-z0-9]", "", alias.lower()): model
    for model, aliases in {
        "wan2.2-t2v-a14b": ("Wan2.2-T2V-A14B", "Wan-AI/Wan2.2-T2V-A14B-Diffusers", "wan22-t2v-14b"),
        "wan2.2-i2v-a14b": ("Wan2.2-I2V-A14B", "Wan-AI/Wan2.2-I2V-A14B-Diffusers", "wan22-i2v-14b"),
        "wan2.2-ti2v-5b": ("Wan2.2-TI2V-5B", "Wan-AI/Wan2.2-TI2V-5B-Diffusers", "wan22-5b"),
        "wan2.1-t2v-14b": ("Wan2.1-T2V-14B", "Wan-AI/Wan2.1-T2V-14B-Diffusers"),
        "wan2.1-i2v-14b": ("Wan2.1-I2V-14B", "Wan-AI/Wan2.1-I2V-14B-720P-Diffusers"),
        "wan2.1-t2v-1.3b": ("Wan2.1-T2V-1.3B", "Wan-AI/Wan2.1-T2V-1.3B-Diffusers"),
    }.items()
    for alias in (model, *aliases)
}


SHORTEST, LONGEST, MOST_GPUS = 500, 300_000, 32
"""Beyond four times what anybody measured (75,600 tokens, 8 GPUs; a single frame at the short end)
nothing can be said, and a question is refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One clip on one kind of GPU. What is absent means plain diffusers as `costlab bench` runs it.

    That is bf16, SDPA, an fp32 VAE and everything resident where it fits (else offloaded model by
    model). ``height`` and ``width`` in pixels; ``cfg`` true means two forwards a step; ``mode``
    matters for TI2V-5B only. Raises `InvalidArgument` or `UnknownName`.
    """

    model: str
    gpu: str
    num_gpus: int = 1
    height: int
    width: int
    frames: int
    steps: int
    cfg: bool = True
    precision: str = "bf16"
    mode: str | None = None
    attention: str | None = None
    stack: str | None = None
    parallel: str | None = None
    offload: str | None = None
    batch_size: int = 1
    technique: str | None = None
    shift: float | None = None
    boundary: float | None = None

    def __post_init__(self) -> None:
        arch = architecture(self.model)
        length = wan.tokens(arch, self.height, self.width, self.frames)
        if not SHORTEST <= length <= LONGEST:
            raise InvalidArgument(
                f"{arch.id} at {self.height}×{self.width}×{self.frames} is {length:,} tokens; "
                f"measured clips support {SHORTEST:,} to {LONGEST:,}"
            )
        if self.num_gpus > MOST_GPUS:
            raise InvalidArgument(
                f"num_gpus: measured clips support up to {MOST_GPUS}, got {self.num_gpus}"
            )
        gpu(self.gpu)
        for name in ("num_gpus", "steps", "batch_size"):
            if getattr(self, name) < 1:
                raise InvalidArgument(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.mode not in (None, "t2v", "i2v"):
            raise UnknownName.among("mode", self.mode, ("t2v", "i2v"))
        if self.shift is not None and not self.shift > 0:
            raise InvalidArgument(f"shift must be greater than 0, got {self.shift}")
        if self.boundary is not None and not 0 <= self.boundary <= 1:
            raise InvalidArgument(f"boundary must be from 0 to 1, got {self.boundary}")


@lru_cache(maxsize=1024)
def architecture(model: str) -> wan.Architecture:
    """Return the architecture of a model id or alias; raises `UnknownName`."""
    return wan.architecture(MODELS.get(re.sub(r"[^a-z0-9]", "", model.lower()), model))


class Recipe(NamedTuple):
    """How a clip is made, every word settled: one entry for all questions that differ in size only.

    ``offload`` "as fits" is settled once the size is known. ``cfg_degree`` · ``sequence`` ·
    ``tensor`` GPUs work on one clip; ``kernel`` is the attention's class and ``kernel_name`` its
    exact name; ``caches`` the step caches; ``words`` what in ``technique`` means nothing here.
    """

    arch: wan.Architecture
    gpu: Gpu
    num_gpus: int
    image: bool
    precision: str
    stored: str
    kernel: str
    kernel_name: str
    stack: str
    cfg_degree: int
    sequence: int
    tensor: int
    layout: str
    offload: str
    caches: str
    tiled_vae: bool
    vae_precision: str
    cpu_text: bool
    fsdp: bool
    p2p: bool
    per_gpu_clips: bool
    denoise_only: bool
    compiled: bool
    words: str


KERNELS: tuple[tuple[str, str], ...] = (
    (r"sla|sparse|vsa|sta\b|radial", "sparse"),
    (r"sage", "sage"),
    (r"fa4|flash.?attn.?4|flash.?attention.?4", "tuned"),
    (r"fa3|flash.?attn.?3|flash.?attention.?3|_flash_3|flash3", "fa3"),
    (r"cudnn|trt|tensorrt|aiter|xqa|trtllm", "tuned"),
    (r"math|eager", "math"),
    (r"flash|fa2|sdpa|native|xformers|efficient|flex|torch", "fa2"),
)

STACKS: tuple[tuple[str, str], ...] = (
    (r"author|official|wan-?video|original|dit fsdp|t5 (?:fsdp|on cpu|to cpu)", "authors"),
    (r"tensorrt|trt|mlperf.*nvidia", "tensorrt-llm"),
    (r"x-?dit|xfuser|ml\.?energy", "xdit"),
    (r"sglang", "sglang"),
    (r"vllm", "vllm-omni"),
    (r"lightx2v", "lightx2v"),
    (r"fastvideo", "fastvideo"),
    (r"diffsynth", "diffsynth"),
    (r"comfy", "comfyui"),
    (r"wan2gp", "wan2gp"),
    (r"turbo.?diffusion", "turbodiffusion"),
    (r"kiss|krai", "kiss-v"),
    (r"diffusers|huggingface", "diffusers"),
)

PRECISIONS: tuple[tuple[str, str], ...] = (
    (r"fp4|nvfp4|mxfp4|w4a4", "fp4"),
    (r"quanto|weight.?only|w8a16|gguf|int4|nf4", "int8-weight-only"),
    (r"int8|w8a8", "int8"),
    (r"fp8|float8|e4m3", "fp8"),
    (r"bf16|bfloat16|fp16|float16|half", "bf16"),
    (r"fp32|float32|tf32", "fp32"),
)

CACHES: tuple[tuple[str, str], ...] = (
    (r"tea.?cache", "teacache"),
    (r"mag.?cache", "magcache"),
    (r"easy.?cache|sea.?cache|taylor|first.?block|fb.?cache|pab|db.?cache|cache.?dit|\bcache",
     "other cache"),
    (r"fast mode", "fast mode"),
)  # fmt: skip

_KNOWN_TECHNIQUES = re.compile(
    "|".join(pattern for table in (KERNELS, STACKS, PRECISIONS, CACHES) for pattern, _ in table)
    + r"|plain|baseline|default|multi-?gpu|ulysses|\bring|tensor|cfg|offload|inactive expert|\bt5\b"
    r"|fsdp|til(ed|ing)|bf16 vae|p2p|compil|distill|\d-?steps?\b|denoise|offline|single ?stream"
    r"|fp32 parts|stated"
)

BF16_VAE = {"lightx2v", "fastvideo", "sglang", "vllm-omni", "tensorrt-llm", "kiss-v", "diffsynth",
            "turbodiffusion", "wan2gp", "comfyui"}  # fmt: skip


def _first(table: tuple[tuple[str, str], ...], text: str, otherwise: str) -> str:
    return next((word for pattern, word in table if re.search(pattern, text)), otherwise)


def _default_kernel(stack: str, arch: wan.Architecture, card: Gpu) -> str:
    """Return the attention a stack picks by itself: the fastest its own installation brings."""
    if stack == "tensorrt-llm":
        return "tuned"
    if stack in ("lightx2v", "wan2gp"):
        return {"hopper": "fa3", "blackwell": "tuned"}.get(card.family, "sage")
    if stack == "turbodiffusion":
        return "sparse"
    quick = stack in ("sglang", "vllm-omni", "kiss-v", "fastvideo")
    authors_22 = stack == "authors" and arch.id.startswith("wan2.2")
    if card.family.startswith("hopper") and (quick or authors_22):
        return "fa3"
    if card.family == "blackwell" and quick:
        return "tuned"
    return "fa2"


@lru_cache(maxsize=65536)
def resolve(
    model: str,
    gpu_name: str,
    num_gpus: int,
    precision: str,
    mode: str | None,
    attention: str | None,
    stack: str | None,
    parallel: str | None,
    offload: str | None,
    technique: str | None,
) -> Recipe:
    """Return the recipe behind the words of a question; raises `UnknownName` for model or GPU."""
    arch, card = architecture(model), gpu(gpu_name)
    technique_text = (technique or "").lower()
    stack_text = (stack or "").lower() or technique_text
    named = _first(STACKS, stack_text, "diffusers" if not stack else stack.lower())
    kernel_text = (attention or "").lower()
    if not kernel_text or kernel_text == "unknown":
        sparse = re.search(r"sla\b|sparse", technique_text)
        kernel = "sparse" if sparse else _default_kernel(named, arch, card)
        kernel_name = "sdpa" if kernel == "fa2" and named in ("diffusers", "xdit") else kernel
    else:
        kernel = _first(KERNELS, kernel_text, kernel_text)
        unstated = "flash" in kernel_text and not re.search(r"\d", kernel_text)
        if unstated and kernel == "fa2" and _default_kernel(named, arch, card) == "fa3":
            kernel = "fa3"
        if kernel == "fa3" and not card.family.startswith("hopper"):
            kernel = "fa2" if card.family != "blackwell" else "tuned"
        kernel_name = re.sub(r"\(.*?\)|[^a-z0-9]", "", kernel_text)
    fast = (precision or "").lower()
    exact = _first(PRECISIONS, fast, fast or "bf16")
    if named == "tensorrt-llm":
        exact = "stack's own"
    elif exact in ("fp32", "unknown"):
        exact = "bf16"
    elif exact == "fp8" and not card.fp8_tflops:
        exact = "int8-weight-only"
    if "fp32 parts" in technique_text or "+fp32" in fast:
        exact += " with fp32 parts"
    layout_text = f"{parallel or ''} {technique_text if not parallel else ''}".lower()
    cfg_degree, sequence, tensor, layout = _layout(layout_text, num_gpus, named)
    caches = ", ".join(sorted({word for pattern, word in CACHES
                               if re.search(pattern, technique_text)}))  # fmt: skip
    pieces = (piece.strip() for piece in re.split(r"[;,+:]", technique_text))
    unknown = (piece for piece in pieces if piece and not _KNOWN_TECHNIQUES.search(piece))
    return Recipe(
        arch=arch,
        gpu=card,
        num_gpus=num_gpus,
        image=arch.mode == "i2v" or (arch.mode == "ti2v" and mode == "i2v"),
        precision=exact,
        stored=_stored(exact, technique_text),
        kernel=kernel,
        kernel_name=kernel_name,
        stack=named,
        cfg_degree=cfg_degree,
        sequence=sequence,
        tensor=tensor,
        layout=layout,
        offload=_offload(offload, technique_text, num_gpus, named),
        caches=caches,
        tiled_vae=bool(re.search(r"\btil(ed|ing)", technique_text)),
        vae_precision="bf16" if named in BF16_VAE or "bf16 vae" in technique_text else "fp32",
        cpu_text=bool(re.search(r"t5.*cpu", f"{technique_text} {offload or ''}".lower())),
        fsdp="fsdp" in technique_text or (named == "authors" and num_gpus > 1),
        p2p=not re.search(r"no p2p", technique_text),
        per_gpu_clips="offline" in technique_text or "data" in layout_text,
        denoise_only="denoise only" in technique_text,
        compiled="compil" in technique_text,
        words="; ".join(sorted(unknown)),
    )


def _stored(precision: str, technique: str) -> str:
    """Return the format that the transformer's weights are held in."""
    if re.search(r"(storage|stored)\W+(in\W+)?fp8|fp8\W+(storage|weight)", technique):
        return "fp8"
    bare = precision.split()[0]
    if bare.startswith("int8"):
        return "int8"
    return bare if bare in wan.STORED_BYTES else "bf16"


def _layout(text: str, num_gpus: int, stack: str) -> tuple[int, int, int, str]:
    """Return (guidance degree, sequence degree, tensor degree, name of the layout)."""
    if num_gpus == 1:
        return 1, 1, 1, "one"

    def degree(pattern: str) -> int | None:
        """The number behind the word; None where the word stands alone, 1 where it is missing."""
        found = re.search(rf"(?:{pattern})[^\d;,+a-z]{{0,3}}(\d+)", text)
        if found:
            return int(found[1])
        return None if re.search(pattern, text) else 1

    cfg = degree(r"cfg(?:[ _-]?parallel)?|guidance(?: parallel)?")
    ring, ulysses = degree(r"\bring(?:[ _-]?degree)?"), degree(r"ulysses(?:[ _-]?degree)?|usp|\bsp")
    tensor = degree(r"tensor(?!rt)(?:[ _-]?parallel)?|\btp")
    unnamed = cfg == ring == ulysses == tensor == 1
    known = (ring or 1) * (ulysses or 1) * (tensor or 1)
    guided = cfg != 1 or (known > 1 and known * 2 == num_gpus)
    guided = guided or (unnamed and stack == "tensorrt-llm")
    cfg_degree = 2 if guided and num_gpus % 2 == 0 else 1
    rest = num_gpus // cfg_degree
    if tensor != 1:
        width = rest if tensor is None or rest % tensor else tensor
        return cfg_degree, rest // width, width, "tensor"
    if ring != 1:
        return cfg_degree, rest, 1, "ring" if ulysses == 1 else "mixed"
    return cfg_degree, rest, 1, "ulysses"


def _offload(offload: str | None, technique: str, count: int, stack: str) -> str:
    text = (offload or "").lower()
    if not text and "offload" in technique:
        text = technique
    if text in ("none", "false", "no", "0", "resident"):
        return "none"
    if re.search(r"block|layer|group|stream", text):
        return "block"
    if re.search(r"sequential|leaf", text):
        return "sequential"
    if text:
        return "model"
    if count > 1:
        return "none"
    return "model" if stack == "authors" else "as fits"


TRUTHS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
COLUMNS = tuple(item.name for item in fields(Question))
REQUIRED = ("model", "gpu")


def question(row: Mapping[str, Any] | None = None, /, **named: Any) -> Question:
    """Return the question of one CSV row or of named values; empty cells are absent.

    Absent height, width, frames and steps are the model's own defaults. Raises `InvalidArgument`
    that names the field, what was found and what was expected, or `UnknownName`.
    """
    values: dict[str, Any] = {}
    for name, cell in {**(row or {}), **named}.items():
        if cell is None or cell == "":
            continue
        if name not in COLUMNS:
            raise UnknownName.among("column", name, COLUMNS)
        read: Callable[[str, Any], Any] = _READ.get(name, _text)
        values[name] = read(name, cell)
    if missing := [name for name in REQUIRED if name not in values]:
        raise InvalidArgument(f"{' and '.join(missing)}: required, found nothing")
    arch = architecture(values["model"])
    height, width = arch.sizes[0]
    usual = {"height": height, "width": width, "frames": arch.frames, "steps": arch.steps}
    return Question(**{**usual, **values})


def _text(_: str, cell: Any) -> str:
    return str(cell)


def _whole(name: str, cell: Any) -> int:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        number = math.nan
    if isinstance(cell, bool) or not number.is_integer():
        raise InvalidArgument(f"{name}: expected a whole number, found {cell!r}")
    return int(number)


def _decimal(name: str, cell: Any) -> float:
    try:
        return float(cell)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{name}: expected a number, found {cell!r}") from error


def _truth(name: str, cell: Any) -> bool:
    found = TRUTHS.get(str(cell).strip().lower())
    if found is None:
        raise InvalidArgument(f"{name}: expected true or false, found {cell!r}")
    return found


_READ: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("num_gpus", "height", "width", "frames", "steps", "batch_size"), _whole),
    **dict.fromkeys(("shift", "boundary"), _decimal),
    "cfg": _truth,
}


def recipe(asked: Question) -> Recipe:
    """Return the recipe of a question."""
    return resolve(
        asked.model, asked.gpu, asked.num_gpus, asked.precision, asked.mode, asked.attention,
        asked.stack, asked.parallel, asked.offload, asked.technique,
    )  # fmt: skip
