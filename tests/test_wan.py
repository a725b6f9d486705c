from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costlab import wan
from costlab.core import InvalidArgument, UnknownName

I2V_21 = wan.architecture("wan2.1-i2v-14b")


@pytest.mark.parametrize("arch", wan.ARCHITECTURES.values(), ids=list(wan.ARCHITECTURES))
def test_every_model_takes_its_own_default_clip(arch: wan.Architecture) -> None:
    for height, width in arch.sizes:
        assert wan.tokens(arch, height, width, arch.frames) > 0


@pytest.mark.parametrize(
    ("model", "height", "width", "frames", "tflop"),
    [
        ("wan2.2-t2v-a14b", 480, 832, 81, 1678.370),
        ("wan2.2-t2v-a14b", 720, 1280, 81, 6523.437),
        ("wan2.2-i2v-a14b", 480, 832, 81, 1678.397),
        ("wan2.2-ti2v-5b", 704, 1280, 121, 520.655),
    ],
)
def test_a_forward_takes_the_flops_counted_on_meta_tensors(
    model: str, height: int, width: int, frames: int, tflop: float
) -> None:
    total = wan.forward_flops(wan.architecture(model), height, width, frames).total
    assert total / 1e12 == pytest.approx(tflop, abs=5e-4)


def test_vae_flops_are_those_of_a_flop_counter() -> None:
    a14b, small = wan.architecture("wan2.2-t2v-a14b"), wan.architecture("wan2.2-ti2v-5b")
    assert wan.vae_decode_flops(a14b, 480, 832, 81) / 1e12 == pytest.approx(275.4, abs=0.05)
    assert wan.vae_decode_flops(small, 704, 1280, 121) / 1e12 == pytest.approx(2011.1, abs=0.05)
    assert wan.vae_encode_flops(a14b, 480, 832, 81) == 163_749_702_205_440
    assert wan.vae_encode_flops(small, 704, 1280, 121) == 4_216_297_226_240


def test_only_wan_2_1_image_to_video_has_an_image_encoder() -> None:
    with_encoder = [a.id for a in wan.ARCHITECTURES.values() if wan.image_encode_flops(a)]
    assert with_encoder == ["wan2.1-i2v-14b"]
    assert wan.image_encode_flops(I2V_21) == 334_587_658_240
    plain = replace(I2V_21, clip_image_encoder=False)
    more = (
        wan.forward_flops(I2V_21, 480, 832, 81).total - wan.forward_flops(plain, 480, 832, 81).total
    )
    n, d, m = 32_760, 5120, 257
    assert more == 40 * (4 * m * d * d + 4 * n * m * d) + 2 * m * 1280 * (1280 + d)


@pytest.mark.parametrize(
    ("steps", "shift", "boundary", "grid", "high"),
    [
        (40, 12.0, 0.875, "diffusers", 26),
        (40, 3.0, 0.875, "diffusers", 13),
        (40, 3.0, 0.875, "authors", 12),
        (40, 5.0, 0.9, "authors", 15),
        (40, 3.0, 0.875, "euler", 12),
        (40, 12.0, 0.875, "euler", 25),
        (8, 12.0, 0.875, "euler", 5),
    ],
)
def test_steps_split_between_the_experts_as_the_schedulers_do(
    steps: int, shift: float, boundary: float, grid: str, high: int
) -> None:
    assert wan.expert_steps(steps, shift, boundary, grid) == (high, steps - high)  # type: ignore[arg-type]


@given(st.integers(1, 100), st.floats(0.5, 20), st.floats(0.05, 0.99))
def test_every_step_runs_on_one_expert(steps: int, shift: float, boundary: float) -> None:
    for grid in ("diffusers", "authors", "euler"):
        high, low = wan.expert_steps(steps, shift, boundary, grid)  # type: ignore[arg-type]
        assert high + low == steps
        assert high >= 0 <= low


def test_a_model_without_boundary_runs_every_step_on_its_one_expert() -> None:
    assert wan.expert_steps(50, 5.0, None) == (0, 50)


def test_weights_are_as_heavy_as_loaded() -> None:
    arch = wan.architecture("wan2.2-t2v-a14b")
    assert wan.fp32_parameters(arch) == 29_184_000
    assert wan.expert_gib(arch) * wan.GIB / 1e9 == pytest.approx(28.635, abs=1e-3)
    assert wan.expert_gib(arch, "fp8") < wan.expert_gib(arch) < wan.expert_gib(arch, "fp32")
    assert wan.text_encoder_gib() == pytest.approx(10.58, abs=0.01)
    assert wan.vae_gib(arch) == pytest.approx(0.47, abs=0.01)
    with pytest.raises(UnknownName, match="bf16"):
        wan.expert_gib(arch, "bf61")


def test_live_memory_is_what_was_traced() -> None:
    a14b, small = wan.architecture("wan2.2-t2v-a14b"), wan.architecture("wan2.2-ti2v-5b")
    assert wan.denoise_gib(a14b, 720, 1280, 81) == pytest.approx(8.02, rel=0.01)
    assert wan.denoise_gib(small, 704, 1280, 121) == pytest.approx(5.08, rel=0.01)
    assert wan.vae_decode_gib(a14b, 720, 1280) == pytest.approx(17.55, rel=0.01)
    assert wan.vae_decode_gib(small, 704, 1280) == pytest.approx(19.28, rel=0.01)
    assert wan.vae_decode_gib(a14b, 720, 1280, tiled=True) == pytest.approx(3.91, rel=0.01)
    assert wan.vae_encode_gib(a14b, 480, 832) == pytest.approx(5.61, rel=0.01)


@pytest.mark.parametrize(
    ("height", "width", "frames"), [(481, 832, 81), (480, 832, 80), (0, 832, 81), (480, 832, 0)]
)
def test_sizes_that_the_strides_do_not_divide_are_refused(
    height: int, width: int, frames: int
) -> None:
    with pytest.raises(InvalidArgument):
        wan.tokens(wan.architecture("wan2.2-t2v-a14b"), height, width, frames)
