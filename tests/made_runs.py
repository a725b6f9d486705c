"""Run records made up for tests; nothing here was measured."""

from __future__ import annotations

from costlab.bench.plan import Recipe
from costlab.runs import Environment, Run, Setting, Stage

H100 = Environment(
    gpu="H100-SXM",
    gpu_name="NVIDIA H100 80GB HBM3",
    gpu_memory_gib=79.6,
    driver="580.00",
    cuda="13.0",
    torch="2.13.0",
    diffusers="0.42.1",
    transformers="5.23.0",
    python="3.11.7",
    platform="test",
    costlab="0.1.0",
    power_limit_w=700.0,
)

WAN_480P = Setting(
    model="wan2.2-t2v-a14b",
    mode="t2v",
    height=480,
    width=832,
    frames=81,
    steps=40,
    guidance=4.0,
    guidance_2=3.0,
    shift=12.0,
    boundary=0.875,
    recipe="default",
)


def made_run(
    seconds: float,
    *,
    setting: Setting = WAN_480P,
    environment: Environment = H100,
    smoke: bool = False,
    started_at: str = "2026-11-20T10:00:00Z",
) -> Run:
    """Return a run of ``seconds``, 26 high-noise and 14 low-noise steps."""
    each = (seconds - 4.0) / 40
    return Run(
        started_at=started_at,
        command="costlab bench",
        smoke=smoke,
        weights="synthetic",
        method="composed",
        setting=setting,
        environment=environment,
        seconds=seconds,
        seconds_low=seconds * 0.99,
        seconds_high=seconds * 1.01,
        stages=(
            Stage(name="text_encode", seconds=0.5, count=1, each_s=(0.5,)),
            Stage(name="high_noise", seconds=26 * each, count=26, each_s=(each, each)),
            Stage(name="low_noise", seconds=14 * each, count=14, each_s=(each, each)),
            Stage(name="vae_decode", seconds=3.0, count=1, each_s=(3.0,)),
            Stage(name="other", seconds=0.5, count=1, each_s=(0.5,)),
        ),
        energy_j=seconds * 600,
        mean_power_w=600.0,
        idle_power_w=70.0,
        peak_torch_gib=60.0,
        peak_nvml_gib=62.0,
        switches=dict.fromkeys(Recipe(name="default").switches, "applied"),
    )
