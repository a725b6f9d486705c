"""The attached GPUs through NVML: what they are, what they draw, why they slow down. No torch.

Every reading may be missing: then it is None and the reason stands beside it. NVML numbers cards
in another order than CUDA, so cards are matched by UUID.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import pynvml

from costlab.wan import GIB

GPU_IDS: tuple[tuple[str, str], ...] = (
    ("GB300", "GB300"), ("GB200", "GB200"), ("B300", "B300"), ("B200", "B200"),
    ("GH200", "GH200"), ("H200 NVL", "H200-NVL"), ("H200", "H200"), ("H20", "H20"),
    ("H100 NVL", "H100-NVL"), ("H100 PCIE", "H100-PCIe"), ("H100 80GB HBM3", "H100-SXM"),
    ("H100 SXM", "H100-SXM"), ("H800", "H800"),
    ("A100-SXM4-80GB", "A100-80GB"), ("A100-SXM-80GB", "A100-80GB"),
    ("A100 80GB PCIE", "A100-80GB-PCIe"), ("A100-SXM4-40GB", "A100-40GB"),
    ("A100-PCIE-40GB", "A100-40GB"), ("A800", "A800"), ("A10G", "A10G"), ("A10", "A10"),
    ("A40", "A40"), ("A30", "A30"), ("L40S", "L40S"), ("L40", "L40"), ("L4", "L4"), ("T4", "T4"),
    ("V100", "V100"), ("RTX PRO 6000", "RTX-PRO-6000"), ("RTX 6000 ADA", "RTX-6000-Ada"),
    ("RTX A6000", "RTX-A6000"), ("RTX A5000", "RTX-A5000"), ("RTX A4000", "RTX-A4000"),
    ("RTX 5090", "RTX-5090"), ("RTX 5080", "RTX-5080"), ("RTX 4090", "RTX-4090"),
    ("RTX 4080", "RTX-4080"), ("RTX 3090 TI", "RTX-3090-Ti"), ("RTX 3090", "RTX-3090"),
)  # fmt: skip
"""costlab's id of a card by words in NVML's name of it, the more particular name first."""

OTHER_CARDS = {"D", "TI", "SUPER", "LAPTOP", "MAX-Q", "MOBILE"}
"""Words after a name that make it another card."""

THROTTLES = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""Clock event reasons that slow a card down, by NVML bit."""


def gpu_id(name: str) -> str:
    """Return costlab's id of an NVML name; an unknown card keeps its name.

    >>> gpu_id("NVIDIA H100 80GB HBM3"), gpu_id("NVIDIA GeForce RTX 4090"), gpu_id("Acme X1")
    ('H100-SXM', 'RTX-4090', 'Acme X1')
    """
    words = name.upper().replace("NVIDIA ", "").replace("GEFORCE ", "").replace("TESLA ", "")
    for part, known in GPU_IDS:
        rest = words.removeprefix(part)
        if rest != words and (not rest or not rest[0].isalnum()):
            return name if OTHER_CARDS & set(rest.split()) else known
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One attached card as it is now; ``missing`` says why a reading is None."""

    index: int
    uuid: str
    name: str
    gpu: str
    memory_gib: float | None
    memory_used_gib: float | None
    power_w: float | None
    power_limit_w: float | None
    utilisation: float | None
    temperature_c: float | None
    sm_clock_mhz: float | None
    max_sm_clock_mhz: float | None
    mig: bool | None
    driver: str
    processes: tuple[Mapping[str, Any], ...] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Devices:
    """The attached cards; where there are none, ``reason`` says why."""

    found: tuple[Device, ...]
    reason: str = ""


def explain(error: pynvml.NVMLError) -> str:
    """Return an NVML error in plain words."""
    known = {
        pynvml.NVML_ERROR_LIBRARY_NOT_FOUND: "no NVIDIA driver library on this machine",
        pynvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded",
        pynvml.NVML_ERROR_NO_PERMISSION: "no permission to talk to the NVIDIA driver",
        pynvml.NVML_ERROR_NOT_SUPPORTED: "this card does not offer the reading",
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND: "this driver is too old for the reading",
        pynvml.NVML_ERROR_GPU_IS_LOST: "the GPU is lost: it fell off the bus",
        pynvml.NVML_ERROR_NOT_FOUND: "NVML lists no such card; a MIG slice has no readings",
    }
    return known.get(error.value, str(error))


@contextmanager
def session() -> Iterator[None]:
    """Hold NVML open; raises `pynvml.NVMLError` where it cannot be."""
    pynvml.nvmlInit()
    try:
        yield
    finally:
        pynvml.nvmlShutdown()


def devices() -> Devices:
    """Return the attached cards, or the reason why there are none to be seen."""
    try:
        with session():
            count = pynvml.nvmlDeviceGetCount()
            if not count:
                return Devices(found=(), reason="the NVIDIA driver sees no card")
            return Devices(found=tuple(_device(index) for index in range(count)))
    except pynvml.NVMLError as error:
        return Devices(found=(), reason=explain(error))


def _device(index: int) -> Device:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    missing: dict[str, str] = {}

    def get(name: str, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except pynvml.NVMLError as error:
            missing[name] = explain(error)
            return None

    name = get("name", lambda: pynvml.nvmlDeviceGetName(handle)) or "unknown NVIDIA card"
    memory = get("memory", lambda: _memory(handle))
    mig = get("mig", lambda: pynvml.nvmlDeviceGetMigMode(handle)[0])
    power = get("power_w", lambda: _power_w(handle))
    limit = get("power_limit_w", lambda: pynvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000)
    use = get("utilisation", lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100)
    running = get("processes", lambda: pynvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return Device(
        index=index,
        uuid=get("uuid", lambda: pynvml.nvmlDeviceGetUUID(handle)) or "",
        name=name,
        gpu=gpu_id(name),
        memory_gib=memory and memory[0],
        memory_used_gib=memory and memory[1],
        power_w=power,
        power_limit_w=limit,
        utilisation=use,
        temperature_c=get("temperature_c", lambda: _temperature(handle)),
        sm_clock_mhz=get("sm_clock_mhz", lambda: _clock(handle)),
        max_sm_clock_mhz=get(
            "max_sm_clock_mhz",
            lambda: pynvml.nvmlDeviceGetMaxClockInfo(handle, pynvml.NVML_CLOCK_SM),
        ),
        mig=None if mig is None else bool(mig),
        driver=get("driver", pynvml.nvmlSystemGetDriverVersion) or "",
        processes=tuple(
            {"pid": p.pid, "memory_gib": p.usedGpuMemory and p.usedGpuMemory / GIB}
            for p in running or ()
        ),
        missing=missing,
    )


def _memory(handle: Any) -> tuple[float, float]:
    """Return (total, used) GiB; version 2 leaves what the driver itself keeps out of ``used``."""
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle, version=pynvml.nvmlMemory_v2)
    except pynvml.NVMLError_FunctionNotFound:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return memory.total / GIB, memory.used / GIB


def _power_w(handle: Any) -> float:
    """Return the draw now; `nvmlDeviceGetPowerUsage` is a one-second mean on newer cards."""
    try:
        value = pynvml.nvmlDeviceGetFieldValues(handle, [pynvml.NVML_FI_DEV_POWER_INSTANT])[0]
        if value.nvmlReturn == pynvml.NVML_SUCCESS:
            return int(value.value.uiVal) / 1000
    except pynvml.NVMLError:
        pass
    return int(pynvml.nvmlDeviceGetPowerUsage(handle)) / 1000


def _clock(handle: Any) -> float:
    return float(pynvml.nvmlDeviceGetClockInfo(handle, pynvml.NVML_CLOCK_SM))


def _temperature(handle: Any) -> float:
    return float(pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU))


def _throttle(handle: Any) -> int:
    try:
        return int(pynvml.nvmlDeviceGetCurrentClocksEventReasons(handle))
    except pynvml.NVMLError_FunctionNotFound:
        return int(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One moment of the cards in use: sums over cards for power, energy and memory peak per card.

    ``energy_j`` counts from an arbitrary start; ``throttle`` is the union of NVML's reason bits.
    """

    t_s: float
    power_w: float | None = None
    energy_j: float | None = None
    sm_clock_mhz: float | None = None
    memory_gib: float | None = None
    temperature_c: float | None = None
    utilisation: float | None = None
    throttle: int | None = None


class Sensor(Protocol):
    """Anything that can be read for one sample; ``missing`` grows as readings fail."""

    missing: dict[str, str]

    def read(self, t_s: float) -> Sample:
        """Return the state at ``t_s`` on the sampler's clock."""
        ...


class NvmlSensor:
    """Reads the cards of some UUIDs; what a card can never tell is asked for once."""

    FINAL = (
        pynvml.NVML_ERROR_NOT_SUPPORTED,
        pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        pynvml.NVML_ERROR_NO_PERMISSION,
        pynvml.NVML_ERROR_GPU_IS_LOST,
    )

    READINGS: Mapping[str, Callable[[Any], float]] = {
        "power_w": _power_w,
        "energy_j": lambda handle: pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000,
        "sm_clock_mhz": _clock,
        "memory_gib": lambda handle: _memory(handle)[1],
        "temperature_c": _temperature,
        "utilisation": lambda handle: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
        "throttle": _throttle,
    }

    def __init__(self, uuids: Sequence[str]) -> None:
        """Find the cards; raises `pynvml.NVMLError` where NVML or a card is not there."""
        pynvml.nvmlInit()
        self.missing: dict[str, str] = {}
        self._wanted = dict(self.READINGS)
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())
        ]
        by_uuid = {pynvml.nvmlDeviceGetUUID(handle): handle for handle in handles}
        self.handles = [by_uuid[uuid] for uuid in uuids if uuid in by_uuid]
        if len(self.handles) < len(uuids):
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)

    def read(self, t_s: float) -> Sample:
        """Return the sample, None for what cannot be read."""
        values: dict[str, Any] = {}
        for name, reading in list(self._wanted.items()):
            try:
                each = [reading(handle) for handle in self.handles]
            except pynvml.NVMLError as error:
                self.missing[name] = explain(error)
                if error.value in self.FINAL:
                    del self._wanted[name]
                continue
            if name in ("power_w", "energy_j"):
                values[name] = sum(each)
            elif name == "sm_clock_mhz":
                values[name] = min(each)
            elif name == "throttle":
                values[name] = _union(each)
            else:
                values[name] = max(each)
        return Sample(t_s=t_s, **values)


def _union(bits: Sequence[float]) -> int:
    every = 0
    for value in bits:
        every |= int(value)
    return every


class Sampler:
    """Reads a sensor on a thread of its own while a window is open."""

    def __init__(
        self,
        sensor: Sensor,
        interval_s: float = 0.1,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.sensor = sensor
        self.interval_s = interval_s
        self.clock = clock
        self.samples: list[Sample] = []
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Sampler:
        self._stop.clear()
        self.take()
        self._thread = threading.Thread(target=self._loop, name="nvml-sampler", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self.take()

    def take(self) -> None:
        """Read once, now."""
        self.samples.append(self.sensor.read(self.clock()))

    def _loop(self) -> None:
        while not self._stop.wait(self.interval_s):
            self.take()


def counter_j(samples: Sequence[Sample], start_s: float, end_s: float) -> float | None:
    """Return the energy counter's difference over [start, end], interpolated between samples.

    None where the counter was not read or the interval is not covered.
    """
    points = [(s.t_s, s.energy_j) for s in samples if s.energy_j is not None]
    first, last = _at(points, start_s), _at(points, end_s)
    return None if first is None or last is None else last - first


def integrated_j(samples: Sequence[Sample], start_s: float, end_s: float) -> float | None:
    """Return the power integrated over [start, end] by the trapezoid rule; None as above."""
    points = [(s.t_s, s.power_w) for s in samples if s.power_w is not None]
    first, last = _at(points, start_s), _at(points, end_s)
    if first is None or last is None:
        return None
    inside = [(t, w) for t, w in points if start_s < t < end_s]
    line = [(start_s, first), *inside, (end_s, last)]
    return sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(line))


def _at(points: Sequence[tuple[float, float]], t: float) -> float | None:
    """Return the value at ``t`` by linear interpolation; None outside the points."""
    slack = 1e-6
    for (t0, v0), (t1, v1) in pairwise(points):
        if t0 - slack <= t <= t1 + slack:
            share = 0.0 if t1 == t0 else (t - t0) / (t1 - t0)
            return v0 + (v1 - v0) * min(max(share, 0.0), 1.0)
    return None


def throttled(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the share of samples in which each reason slowed the card."""
    seen = [s.throttle for s in samples if s.throttle is not None]
    if not seen:
        return {}
    shares = {
        name: sum(bool(bits & bit) for bits in seen) / len(seen) for bit, name in THROTTLES.items()
    }
    return {name: share for name, share in shares.items() if share}
