"""Wan's architectures as exact arithmetic: tokens, FLOPs, expert split, memory. No torch.

A clip is denoised in ``steps`` steps, the early ones by the high-noise expert and the late ones by
the low-noise expert; with guidance every step runs the transformer twice::

    text ─▶ UMT5 ─┐
    image ─▶ VAE ─┤ latents ─▶ [high]…[high][low]…[low] ─▶ VAE decode ─▶ frames
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from costlab.core import InvalidArgument, UnknownName

GIB = 2**30
TEXT_TOKENS = 512
TEXT_DIM = 4096
UMT5_PARAMETERS = 5_680_910_336
IMAGE_TOKENS = 257
IMAGE_DIM = 1280
CLIP_PARAMETERS = 630_766_080
TRAIN_TIMESTEPS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One Wan model: widths as in the authors' configuration files, and its default setting."""

    id: str
    layers: int
    dim: int
    ffn: int
    heads: int
    in_channels: int
    out_channels: int
    experts: int
    expert_parameters: int
    boundary: float | None
    vae: Literal["2.1", "2.2"]
    mode: Literal["t2v", "i2v", "ti2v"]
    clip_image_encoder: bool = False
    steps: int = 40
    guidance: float = 5.0
    guidance_2: float | None = None
    authors_shift: float = 5.0
    frames: int = 81
    fps: int = 16
    sizes: tuple[tuple[int, int], ...] = ((480, 832), (720, 1280))

    @property
    def spatial_stride(self) -> int:
        """Pixels per latent cell and side."""
        return 8 if self.vae == "2.1" else 16

    @property
    def per_token_time(self) -> bool:
        """Whether every token carries its own timestep (TI2V-5B), and so its own modulation."""
        return self.vae == "2.2"

    @property
    def vae_parameters(self) -> int:
        """Parameters of encoder and decoder together."""
        return 126_892_531 if self.vae == "2.1" else 704_688_668


_A14B: dict[str, Any] = {
    "layers": 40, "dim": 5120, "ffn": 13824, "heads": 40, "out_channels": 16, "vae": "2.1",
}  # fmt: skip

ARCHITECTURES: dict[str, Architecture] = {
    row.id: row
    for row in (
        Architecture(
            id="wan2.2-t2v-a14b", **_A14B, in_channels=16, experts=2,
            expert_parameters=14_288_491_584, boundary=0.875, mode="t2v",
            guidance=4.0, guidance_2=3.0, authors_shift=12.0,
        ),
        Architecture(
            id="wan2.2-i2v-a14b", **_A14B, in_channels=36, experts=2,
            expert_parameters=14_288_901_184, boundary=0.9, mode="i2v",
            guidance=3.5, guidance_2=3.5,
        ),
        Architecture(
            id="wan2.2-ti2v-5b", layers=30, dim=3072, ffn=14336, heads=24, in_channels=48,
            out_channels=48, experts=1, expert_parameters=4_999_787_712, boundary=None, vae="2.2",
            mode="ti2v", steps=50, frames=121, fps=24, sizes=((704, 1280),),
        ),
        Architecture(
            id="wan2.1-t2v-14b", **_A14B, in_channels=16, experts=1,
            expert_parameters=14_288_491_584, boundary=None, mode="t2v", steps=50,
        ),
        Architecture(
            id="wan2.1-i2v-14b", **_A14B, in_channels=36, experts=1,
            expert_parameters=16_394_878_784, boundary=None, mode="i2v", clip_image_encoder=True,
        ),
        Architecture(
            id="wan2.1-t2v-1.3b", layers=30, dim=1536, ffn=8960, heads=12, in_channels=16,
            out_channels=16, experts=1, expert_parameters=1_418_996_800, boundary=None, vae="2.1",
            mode="t2v", steps=50, sizes=((480, 832),),
        ),
    )
}  # fmt: skip


def architecture(model: str) -> Architecture:
    """Return the architecture row of a model id; raises `UnknownName`."""
    if model not in ARCHITECTURES:
        raise UnknownName.among("Wan model", model, ARCHITECTURES)
    return ARCHITECTURES[model]


def check_size(arch: Architecture, height: int, width: int, frames: int) -> None:
    """Raise `InvalidArgument` unless the model's strides divide the clip: frames are 4k + 1."""
    cell = 2 * arch.spatial_stride
    if height <= 0 or width <= 0 or height % cell or width % cell:
        raise InvalidArgument(
            f"{arch.id}: height and width must be multiples of {cell}, got {height}×{width}"
        )
    if frames < 1 or frames % 4 != 1:
        raise InvalidArgument(f"{arch.id}: frames must be 4k + 1 (81, 121, …), got {frames}")


def latent_frames(frames: int) -> int:
    """Return the number of latent frames of a clip.

    >>> latent_frames(81)
    21
    """
    return (frames - 1) // 4 + 1


def tokens(arch: Architecture, height: int, width: int, frames: int) -> int:
    """Return the sequence length that the transformer sees (one patch is 1 × 2 × 2 latent cells).

    >>> tokens(ARCHITECTURES["wan2.2-t2v-a14b"], 720, 1280, 81)
    75600
    """
    check_size(arch, height, width, frames)
    cell = 2 * arch.spatial_stride
    return latent_frames(frames) * (height // cell) * (width // cell)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardFlops:
    """FLOPs of one transformer forward (batch 1, one guidance branch), a multiply-add as two."""

    attention: int
    other: int

    @property
    def total(self) -> int:
        """Both parts."""
        return self.attention + self.other


def forward_flops(arch: Architecture, height: int, width: int, frames: int) -> ForwardFlops:
    """Return the exact FLOPs of a forward; ``attention`` is the part that grows with n².

    Equal to a FLOP counter over the diffusers transformer on meta tensors. With a CLIP image
    encoder (Wan 2.1 I2V) every layer also projects 257 image tokens and attends to them.

    >>> round(forward_flops(ARCHITECTURES["wan2.2-t2v-a14b"], 480, 832, 81).total / 1e12, 2)
    1678.37
    """
    n, d, m = tokens(arch, height, width, frames), arch.dim, TEXT_TOKENS
    timed = n if arch.per_token_time else 1
    linear = 12 * n * d * d + 4 * m * d * d + 4 * n * m * d + 4 * n * d * arch.ffn
    once = (
        8 * n * d * (arch.in_channels + arch.out_channels)
        + 2 * m * d * (TEXT_DIM + d)
        + 2 * timed * d * (256 + 7 * d)
    )
    if arch.clip_image_encoder:
        linear += 4 * IMAGE_TOKENS * d * (d + n)
        once += 2 * IMAGE_TOKENS * IMAGE_DIM * (IMAGE_DIM + d)
    return ForwardFlops(attention=arch.layers * 4 * n * n * d, other=arch.layers * linear + once)


def vae_decode_flops(arch: Architecture, height: int, width: int, frames: int) -> int:
    """Return the FLOPs of decoding a whole clip, untiled (tiling costs 1.65 times as much)."""
    check_size(arch, height, width, frames)
    t, pixels = latent_frames(frames), height * width
    if arch.vae == "2.1":
        return pixels * (10_748_168 + 33_779_528 * (t - 1)) + 1536 * t * pixels**2 // 64**2
    return pixels * (22_776_466 + 73_576_594 * (t - 1)) + 4096 * t * pixels**2 // 256**2


def vae_encode_flops(arch: Architecture, height: int, width: int, frames: int) -> int:
    """Return the FLOPs of encoding the conditioning image of an image-to-video clip, untiled.

    The A14B and Wan 2.1 encode a whole clip (the image, then empty frames), TI2V-5B one frame.

    >>> vae_encode_flops(ARCHITECTURES["wan2.2-i2v-a14b"], 480, 832, 81)
    163749702205440
    """
    check_size(arch, height, width, frames)
    t, pixels = latent_frames(frames), height * width
    if arch.vae == "2.1":
        return pixels * (6_656_864 + 20_011_424 * (t - 1)) + 1536 * t * pixels**2 // 64**2
    return pixels * 4_643_752 + 2560 * pixels**2 // 256**2


def image_encode_flops(arch: Architecture) -> int:
    """Return the FLOPs of the CLIP ViT-H/14 image encoder; 0 for models without one."""
    if not arch.clip_image_encoder:
        return 0
    s, d = IMAGE_TOKENS, IMAGE_DIM
    patches = 2 * (s - 1) * (3 * 14 * 14) * d
    return 32 * (8 * s * d * d + 4 * s * s * d + 4 * s * d * 4 * d) + patches


def text_encode_flops(sequence: int = TEXT_TOKENS) -> int:
    """Return the FLOPs of encoding one prompt with UMT5-XXL; guidance encodes two."""
    s = sequence
    return 24 * (8 * s * 4096**2 + 4 * s * s * 4096 + 6 * s * 4096 * 10240)


def expert_steps(
    steps: int,
    shift: float,
    boundary: float | None,
    grid: Literal["diffusers", "authors", "euler"] = "diffusers",
) -> tuple[int, int]:
    """Return (high-noise, low-noise) steps of the flow schedule; (0, steps) without boundary.

    ``diffusers`` and ``authors`` are UniPC; the grid of the authors' code and of diffusers up to
    0.36 starts at 0.999 instead of 1. High noise runs where the timestep, cut to an integer, is at
    least ``boundary`` · 1000. ``euler`` is diffusers' FlowMatchEuler, which shifts its smallest
    sigma before the grid is laid and does not cut.

    >>> expert_steps(40, shift=12.0, boundary=0.875)
    (26, 14)
    >>> expert_steps(40, shift=3.0, boundary=0.875, grid="authors")
    (12, 28)
    """
    if steps < 1:
        raise InvalidArgument(f"steps must be at least 1, got {steps}")
    if not shift > 0:
        raise InvalidArgument(f"shift must be greater than 0, got {shift}")
    if boundary is None:
        return 0, steps
    high = 0
    smallest = shift * 0.001 / (1 + (shift - 1) * 0.001)
    for i in range(steps):
        if grid == "authors":
            sigma = 0.999 * (1 - i / steps)
        elif grid == "euler":
            sigma = 1 - (1 - smallest) * i / max(steps - 1, 1)
        else:
            sigma = 1 - 0.999 * i / steps if i else 1 - 1e-6
        timestep = TRAIN_TIMESTEPS * shift * sigma / (1 + (shift - 1) * sigma)
        high += (timestep if grid == "euler" else int(timestep)) >= boundary * TRAIN_TIMESTEPS
    return high, steps - high


# ── Memory ────────────────────────────────────────────────────────────────────────────────────

ACTIVATION_BYTES = {"2.1": 22.2, "2.2": 65.0}
"""Live bytes per token and channel of a bf16 forward with flash-type attention (storage lifetimes
of the diffusers modules on meta tensors); TI2V-5B holds its time modulation per token."""

VAE_DECODE_BYTES = {"2.1": 20_450.0, "2.2": 22_970.0}
VAE_ENCODE_BYTES = {"2.1": 15_085.0, "2.2": 16_600.0}
"""Peak live bytes per output pixel (height × width) of the untiled fp32 VAE; bf16 takes 0.52 of it.
Encoding of 2.2 was not traced: its share of the decoder is taken from 2.1."""

VAE_BF16_SHARE = 0.52
CONTEXT_GIB = 0.6

STORED_BYTES = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0, "fp8": 1.0, "int8": 1.0, "fp4": 0.5625}
"""Bytes per stored weight; four-bit formats carry a scale per 16 weights."""


def fp32_parameters(arch: Architecture) -> int:
    """Return the parameters of one expert that diffusers keeps in fp32 whatever is asked.

    Time embedder, modulation tables and the cross-attention norm: 29 million of a 14B.
    """
    d = arch.dim
    return 256 * d + d + d * d + d + (6 * arch.layers + 2) * d + 2 * arch.layers * d


def expert_gib(arch: Architecture, precision: str = "bf16") -> float:
    """Return GiB of one expert's weights as loaded, fp32 remainder included.

    >>> round(expert_gib(ARCHITECTURES["wan2.2-t2v-a14b"]), 2)
    26.67
    """
    if precision not in STORED_BYTES:
        raise UnknownName.among("precision", precision, STORED_BYTES)
    kept, each = fp32_parameters(arch), STORED_BYTES[precision]
    return ((arch.expert_parameters - kept) * each + kept * max(each, 4.0)) / GIB


def text_encoder_gib() -> float:
    """Return GiB of the UMT5-XXL encoder in bf16."""
    return UMT5_PARAMETERS * 2 / GIB


def image_encoder_gib(arch: Architecture) -> float:
    """Return GiB of the CLIP image encoder in fp32; 0 for models without one."""
    return CLIP_PARAMETERS * 4 / GIB if arch.clip_image_encoder else 0.0


def vae_gib(arch: Architecture, precision: str = "fp32") -> float:
    """Return GiB of the VAE's weights."""
    return arch.vae_parameters * STORED_BYTES[precision] / GIB


def denoise_gib(arch: Architecture, height: int, width: int, frames: int) -> float:
    """Return GiB of live activations in one forward, batch 1."""
    cells = tokens(arch, height, width, frames) * arch.dim
    return cells * ACTIVATION_BYTES[arch.vae] / GIB


def vae_decode_gib(
    arch: Architecture, height: int, width: int, precision: str = "fp32", *, tiled: bool = False
) -> float:
    """Return GiB of live activations while the VAE decodes; frames are decoded one by one.

    Tiles are 256 pixels square with diffusers' defaults, so a tiled decode holds the finished clip
    and one tile: 3.9 GiB (2.1) and 5.7 GiB (2.2) at 720p, in proportion to the picture.
    """
    share = 1.0 if precision == "fp32" else VAE_BF16_SHARE
    tile = {"2.1": 0.223, "2.2": 0.296}[arch.vae] if tiled else 1.0
    return height * width * VAE_DECODE_BYTES[arch.vae] * share * tile / GIB


def vae_encode_gib(arch: Architecture, height: int, width: int, precision: str = "fp32") -> float:
    """Return GiB of live activations while the VAE encodes the conditioning image."""
    share = 1.0 if precision == "fp32" else VAE_BF16_SHARE
    return height * width * VAE_ENCODE_BYTES[arch.vae] * share / GIB
