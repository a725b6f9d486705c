"""GPU types: one sourced row each in ``data/gpus.yaml``, found under any name people write."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache

from costlab import store
from costlab.core import Source, UnknownName

USABLE_SHARE = 0.975
"""Share of the printed memory that a process can allocate: an 80 GB H100 offers about 78 GiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU type as its maker prints it; rates are dense, per GPU, in units of 10¹² per second.

    ``link_gb_s`` counts both directions; ``matmul_tflops`` is the best bf16 matrix rate that
    somebody measured. ``family`` groups cards whose kernels behave alike.
    """

    id: str
    vendor: str
    architecture: str
    family: str
    memory_gb: float
    bandwidth_gb_s: float
    bf16_tflops: float
    source: Source
    aliases: tuple[str, ...] = ()
    fp8_tflops: float | None = None
    fp4_tflops: float | None = None
    int8_tops: float | None = None
    fp32_tflops: float | None = None
    tdp_w: float | None = None
    link_gb_s: float | None = None
    interconnect: str = ""
    matmul_tflops: float | None = None
    release_year: int | None = None

    @property
    def usable_gib(self) -> float:
        """GiB that a process can allocate; makers print GiB as GB."""
        return self.memory_gb * USABLE_SHARE

    def peak_tflops(self, precision: str) -> float:
        """Return the dense matrix rate of a precision, bf16's where no faster units exist."""
        if precision == "bf16":
            return self.bf16_tflops
        faster = {"fp8": self.fp8_tflops, "fp4": self.fp4_tflops, "int8": self.int8_tops}
        return max(faster.get(precision) or self.bf16_tflops, self.bf16_tflops)


GPUS = store.Shelf(table="gpus", record=Gpu, pattern="gpus.yaml")


def gpus() -> tuple[Gpu, ...]:
    """Return every GPU type, in the file's order."""
    return store.records(GPUS)


@lru_cache(maxsize=4096)
def gpu(name: str) -> Gpu:
    """Return the GPU type of an id, a name as published, as NVML or a price list writes it.

    Case, spaces, hyphens, the maker's name and a remark in parentheses do not count. Raises
    `UnknownName`.
    """
    known = _by_key()
    found = known.get(_key(name))
    if found is None:
        raise UnknownName.among("GPU", name, (row.id for row in gpus()))
    return found


@cache
def _by_key() -> Mapping[str, Gpu]:
    return {_key(name): row for row in gpus() for name in (row.id, *row.aliases)}


def _key(name: str) -> str:
    bare = re.sub(r"\(.*?\)", "", name.lower())
    return re.sub(r"nvidia|geforce|amd instinct|amd|tensor core gpu|[\s_-]", "", bare)
