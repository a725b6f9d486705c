"""The real NVML bindings against a stand-in library, one process per mode, and the arithmetic."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from costlab.bench import nvml
from costlab.bench.measure import energy_reader
from costlab.bench.nvml import Sample

PROBE = """
import json, time
from dataclasses import asdict
from costlab.bench import nvml
found = nvml.devices()
answer = {"reason": found.reason, "devices": [asdict(d) for d in found.found]}
try:
    sensor = nvml.NvmlSensor(["GPU-stand-in"])
    with nvml.Sampler(sensor, 0.01) as sampler:
        time.sleep(0.2)
    ends = sampler.samples[0].t_s, sampler.samples[-1].t_s
    answer |= {
        "seconds": ends[1] - ends[0],
        "counter": nvml.counter_j(sampler.samples, *ends),
        "integrated": nvml.integrated_j(sampler.samples, *ends),
        "missing": sensor.missing,
        "throttled": nvml.throttled(sampler.samples),
    }
except Exception as error:
    answer["error"] = type(error).__name__
print(json.dumps(answer))
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler to build the stand-in with")
    folder = tmp_path_factory.mktemp("nvml")
    source = Path(__file__).with_name("stand_in_nvml.c")
    target = folder / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", target, source], check=True)
    return folder


def probe(library: Path, mode: str) -> dict[str, Any]:
    root = str(Path(__file__).parents[1])
    setting = {"STAND_IN_MODE": mode, "LD_LIBRARY_PATH": str(library), "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, **setting},
        capture_output=True,
        text=True,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_working_card_tells_everything(library: Path) -> None:
    said = probe(library, "ok")
    (card,) = said["devices"]
    assert (card["gpu"], card["memory_gib"], card["mig"]) == ("H100-SXM", 80.0, False)
    assert card["missing"] == {}
    assert card["processes"] == [{"pid": 4242, "memory_gib": 3.0}]
    assert said["counter"] / said["seconds"] == pytest.approx(650, rel=0.05)
    assert said["integrated"] / said["seconds"] == pytest.approx(650, rel=1e-6)
    assert said["throttled"] == {"power cap": 1.0}


def test_a_card_without_an_energy_counter_still_has_power(library: Path) -> None:
    said = probe(library, "noenergy")
    assert said["counter"] is None
    assert said["integrated"] / said["seconds"] == pytest.approx(650, rel=1e-6)
    assert said["missing"] == {"energy_j": "this card does not offer the reading"}


def test_a_divided_card_says_so(library: Path) -> None:
    said = probe(library, "mig")
    assert said["devices"][0]["mig"] is True
    assert said["devices"][0]["utilisation"] is None
    assert "utilisation" in said["devices"][0]["missing"]


@pytest.mark.parametrize(
    ("mode", "reason", "error"),
    [
        ("nodriver", "the NVIDIA driver is not loaded", "NVMLError_DriverNotLoaded"),
        ("noperm", "no permission to talk to the NVIDIA driver", "NVMLError_NoPermission"),
    ],
)
def test_no_way_to_the_driver_is_a_reason(
    library: Path, mode: str, reason: str, error: str
) -> None:
    said = probe(library, mode)
    assert (said["devices"], said["reason"], said["error"]) == ([], reason, error)


def test_a_lost_card_is_listed_with_nothing_to_tell(library: Path) -> None:
    said = probe(library, "lost")
    assert said["devices"][0]["power_w"] is None
    assert "fell off the bus" in said["devices"][0]["missing"]["power_w"]
    assert said["counter"] is said["integrated"] is None


def test_a_machine_without_the_library_says_so() -> None:
    found = nvml.devices()
    if found.found:
        pytest.skip("this machine has a card")
    assert found.reason


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-SXM"),
        ("NVIDIA H100 PCIe", "H100-PCIe"),
        ("NVIDIA H200", "H200"),
        ("NVIDIA H200 NVL", "H200-NVL"),
        ("NVIDIA GH200 480GB", "GH200"),
        ("NVIDIA A100-SXM4-80GB", "A100-80GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB-PCIe"),
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA B200", "B200"),
        ("NVIDIA GB200", "GB200"),
        ("NVIDIA L40S", "L40S"),
        ("NVIDIA L4", "L4"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("NVIDIA GeForce RTX 4090 D", "NVIDIA GeForce RTX 4090 D"),
        ("Tesla T4", "T4"),
        ("Acme X1", "Acme X1"),
    ],
)
def test_a_card_has_one_id(name: str, expected: str) -> None:
    assert nvml.gpu_id(name) == expected


class Scripted:
    """A sensor that tells what a test wrote down."""

    def __init__(self, samples: Sequence[Sample], missing: dict[str, str] | None = None) -> None:
        self.left = list(samples)
        self.missing = missing or {}

    def read(self, t_s: float) -> Sample:
        return self.left.pop(0)


def steady(
    watts: float, counter_watts: float | None, seconds: int = 10, throttle: int = 0
) -> list[Sample]:
    return [
        Sample(
            t_s=float(t),
            power_w=watts,
            energy_j=None if counter_watts is None else 1000 + t * counter_watts,
            throttle=throttle,
        )
        for t in range(seconds + 1)
    ]


def test_the_sampler_reads_at_both_ends_of_its_window() -> None:
    script = steady(100, 100)
    with nvml.Sampler(Scripted(script), interval_s=60) as sampler:
        pass
    assert sampler.samples == script[:2]


def test_the_counter_comes_first_and_is_checked() -> None:
    samples = steady(100, 101)
    joules, note = energy_reader(samples, (0.0, 10.0), Scripted([]))
    assert joules(2.5, 7.5) == pytest.approx(505)
    assert "counter" in note
    assert "care" not in note


def test_a_counter_that_disagrees_with_power_is_flagged() -> None:
    _, note = energy_reader(steady(100, 110), (0.0, 10.0), Scripted([]))
    assert "more than 3 %" in note


def test_a_counter_that_stands_still_is_not_believed() -> None:
    joules, note = energy_reader(steady(100, 0), (0.0, 10.0), Scripted([]))
    assert joules(0.0, 1.0) == pytest.approx(100)
    assert "stood still" in note


def test_without_a_counter_power_is_integrated() -> None:
    sensor = Scripted([], {"energy_j": "this card does not offer the reading"})
    joules, note = energy_reader(steady(100, None), (0.0, 10.0), sensor)
    assert joules(0.0, 10.0) == pytest.approx(1000)
    assert "does not offer" in note


def test_without_any_reading_there_is_a_reason_and_no_energy() -> None:
    sensor = Scripted([], {"energy_j": "gone", "power_w": "gone too"})
    joules, note = energy_reader([Sample(t_s=0.0), Sample(t_s=9.0)], (0.0, 9.0), sensor)
    assert joules(0.0, 9.0) is None
    assert note == "no energy: gone; gone too"


def test_an_interval_outside_the_samples_has_no_energy() -> None:
    assert nvml.counter_j(steady(100, 100), -1.0, 5.0) is None
    assert nvml.integrated_j(steady(100, 100), 5.0, 11.0) is None


def test_throttling_is_told_by_reason_and_share() -> None:
    samples = [*steady(1, 1, 4, throttle=0x4 | 0x20), *steady(1, 1, 4)]
    assert nvml.throttled(samples) == {"power cap": 0.5, "software thermal slowdown": 0.5}
