"""The closed forms against a FLOP counter over the diffusers modules on meta tensors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from costlab import wan

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
flop_counter = pytest.importorskip("torch.utils.flop_counter")

SIZES = [(64, 96, 9), (96, 64, 5)]


def counted(run: Callable[[], Any]) -> int:
    with (
        torch.no_grad(),
        torch.device("meta"),
        flop_counter.FlopCounterMode(display=False) as count,
    ):
        run()
    return int(count.get_total_flops())


def transformer(arch: wan.Architecture) -> Any:
    image = {"image_dim": 1280, "added_kv_proj_dim": arch.dim} if arch.clip_image_encoder else {}
    with torch.device("meta"):
        return diffusers.WanTransformer3DModel(
            num_attention_heads=arch.heads, attention_head_dim=128, in_channels=arch.in_channels,
            out_channels=arch.out_channels, num_layers=arch.layers, ffn_dim=arch.ffn, **image,
        ).eval()  # fmt: skip


@pytest.mark.parametrize("arch", wan.ARCHITECTURES.values(), ids=list(wan.ARCHITECTURES))
def test_parameters_are_those_of_the_module(arch: wan.Architecture) -> None:
    assert sum(p.numel() for p in transformer(arch).parameters()) == arch.expert_parameters


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("arch", wan.ARCHITECTURES.values(), ids=list(wan.ARCHITECTURES))
def test_a_forward_counts_exactly_the_closed_form(
    arch: wan.Architecture, size: tuple[int, int, int]
) -> None:
    shallow = replace(arch, layers=2)
    height, width, frames = size
    t, s = wan.latent_frames(frames), arch.spatial_stride
    module = transformer(shallow)
    n = wan.tokens(arch, height, width, frames)

    def run() -> None:
        module(
            torch.empty(1, arch.in_channels, t, height // s, width // s),
            torch.empty(1, n) if arch.per_token_time else torch.empty(1),
            torch.empty(1, wan.TEXT_TOKENS, wan.TEXT_DIM),
            torch.empty(1, wan.IMAGE_TOKENS, wan.IMAGE_DIM) if arch.clip_image_encoder else None,
        )

    assert counted(run) == wan.forward_flops(shallow, height, width, frames).total


@pytest.mark.parametrize("size", [(64, 64, 1), (64, 128, 5)], ids=str)
@pytest.mark.parametrize("model", ["wan2.2-i2v-a14b", "wan2.2-ti2v-5b"])
def test_the_vae_counts_exactly_the_closed_forms(model: str, size: tuple[int, int, int]) -> None:
    arch = wan.architecture(model)
    height, width, frames = size
    residual: dict[str, Any] = (
        {
            "base_dim": 160, "decoder_base_dim": 256, "z_dim": 48, "in_channels": 12,
            "out_channels": 12, "patch_size": 2, "scale_factor_spatial": 16, "is_residual": True,
            "latents_mean": [0.0] * 48, "latents_std": [1.0] * 48,
            "temperal_downsample": [False, True, True],
        }
        if arch.vae == "2.2"
        else {}
    )  # fmt: skip
    with torch.device("meta"):
        vae = diffusers.AutoencoderKLWan(**residual).eval()
    assert sum(p.numel() for p in vae.parameters()) == arch.vae_parameters
    t, s = wan.latent_frames(frames), arch.spatial_stride
    encoded = counted(
        lambda: vae.encode(torch.empty(1, 3, frames if arch.vae == "2.1" else 1, height, width))
    )
    decoded = counted(
        lambda: vae.decode(torch.empty(1, arch.out_channels, t, height // s, width // s))
    )
    assert encoded == wan.vae_encode_flops(arch, height, width, frames)
    assert decoded == wan.vae_decode_flops(arch, height, width, frames)


def test_the_euler_split_is_the_scheduler_s() -> None:
    for shift in (1.0, 3.0, 5.0, 12.0):
        for boundary in (0.875, 0.9):
            for steps in (2, 4, 8, 20, 40, 50):
                scheduler = diffusers.FlowMatchEulerDiscreteScheduler(shift=shift)
                scheduler.set_timesteps(steps)
                high = int((scheduler.timesteps >= boundary * 1000).sum())
                assert wan.expert_steps(steps, shift, boundary, "euler")[0] == high
