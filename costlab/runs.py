"""One measurement run as one self-contained JSON file; standard library only.

A run is written to a temporary name, fsynced and renamed, so a file that is there is whole, also
after a power cut. Its id is the hash of its content, so merging folders makes no duplicates.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from costlab.core import BadData

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What was rendered: the clip, the sampler and the recipe's name."""

    model: str
    mode: Literal["t2v", "i2v"]
    height: int
    width: int
    frames: int
    steps: int
    guidance: float
    guidance_2: float | None
    shift: float
    boundary: float | None
    recipe: str
    batch_size: int = 1
    num_gpus: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where it was rendered; runs whose environments differ are never averaged."""

    gpu: str
    gpu_name: str
    gpu_memory_gib: float
    driver: str
    cuda: str
    torch: str
    diffusers: str
    transformers: str
    python: str
    platform: str
    costlab: str
    power_limit_w: float | None = None
    max_sm_clock_mhz: float | None = None
    matmul_tflops: float | None = None

    @property
    def key(self) -> str:
        """Hash of what must be equal for two runs to be compared as one: card and software."""
        parts = [self.gpu, self.gpu_name, self.driver, self.cuda, self.torch, self.diffusers]
        return hashlib.sha256("|".join([*parts, str(self.power_limit_w)]).encode()).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of the clip, composed to the whole clip's number of steps.

    ``name`` is text_encode, vae_encode, high_noise, low_noise (a single expert is low_noise),
    vae_decode or other. ``count`` is how many times it runs in a clip (steps for the experts),
    ``each_s`` the seconds of every reading taken.
    """

    name: str
    seconds: float
    count: int
    each_s: tuple[float, ...] = ()
    energy_j: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A finished measurement.

    ``smoke`` runs (CPU or tiny) prove that the path works and never enter a cost. ``method`` says
    whether ``seconds`` was composed from a few steps or timed as a full clip. ``switches`` maps
    each switch of the recipe (``name=value``) to ``applied``, or to why it was ``not applied``:
    such a run has no seconds. Neither has a clip out of memory, whose ``fits`` is False.
    ``seconds``, ``energy_j`` and the stages are those of the whole call, so of ``batch_size`` clips
    at once; ``first_clip_s`` is the same call on a cold process, without loading (``load_s``).
    """

    started_at: str
    command: str
    smoke: bool
    weights: Literal["synthetic", "real"]
    method: Literal["composed", "full"]
    setting: Setting
    environment: Environment
    fits: bool = True
    seconds: float | None = None
    seconds_low: float | None = None
    seconds_high: float | None = None
    stages: tuple[Stage, ...] = ()
    energy_j: float | None = None
    energy_note: str = ""
    mean_power_w: float | None = None
    idle_power_w: float | None = None
    peak_torch_gib: float | None = None
    peak_nvml_gib: float | None = None
    load_s: float | None = None
    first_clip_s: float | None = None
    switches: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    spans: tuple[Mapping[str, Any], ...] = ()
    samples: Mapping[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA

    @property
    def seconds_per_clip(self) -> float | None:
        """A clip's share of ``seconds``, which is the wall time of a whole batch."""
        return None if self.seconds is None else self.seconds / self.setting.batch_size

    @property
    def id(self) -> str:
        """The first 16 hexadecimal digits of the content's SHA-256."""
        return hashlib.sha256(_text(self).encode()).hexdigest()[:16]


def _text(run: Run) -> str:
    return json.dumps(asdict(run), sort_keys=True, separators=(",", ":"))


def _file(run: Run) -> str:
    """Return the run with its id, a list of numbers on one line."""
    rows = {key: json.dumps(value, sort_keys=True) for key, value in asdict(run).items()}
    rows["id"] = json.dumps(run.id)
    return "{\n" + ",\n".join(f' "{key}": {rows[key]}' for key in sorted(rows)) + "\n}\n"


def write(run: Run, folder: Path) -> Path:
    """Write the run as ``<model>-<gpu>-<id>.json`` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    gpu = run.environment.gpu or "cpu"
    name = "".join(c if c.isalnum() or c in "-._" else "-" for c in f"{run.setting.model}-{gpu}")
    path = folder / f"{name}-{run.id}.json".lower()
    if path.exists():
        return path
    temporary = folder / f".{path.name}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(_file(run))
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
    return path


def read(path: Path) -> Run:
    """Return the run of one file; raises `BadData` where it is no run or was edited."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadData(path.name, [f"cannot be read: {error}"]) from error
    return parse(content, path.name)


def parse(content: bytes, where: str) -> Run:
    """Return the run that ``content`` writes out; raises `BadData` naming ``where``."""
    try:
        loaded = json.loads(content)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BadData(where, [f"cannot be read: {error}"]) from error
    if not isinstance(loaded, dict) or loaded.get("schema") != SCHEMA:
        raise BadData(where, [f"not a run record of schema {SCHEMA}"])
    stated = loaded.pop("id", None)
    try:
        run = Run(
            **{
                **loaded,
                "setting": Setting(**loaded["setting"]),
                "environment": Environment(**loaded["environment"]),
                "stages": tuple(_stage(stage) for stage in loaded["stages"]),
                "flags": tuple(loaded["flags"]),
                "spans": tuple(loaded["spans"]),
            }
        )
    except (KeyError, TypeError, AttributeError) as error:
        known = ", ".join(item.name for item in fields(Run))
        raise BadData(where, [f"{error}; a run has the fields {known}"]) from error
    if run.id != stated:
        raise BadData(where, [f"id says {stated}, content hashes to {run.id}: edited by hand?"])
    return run


def _stage(row: Mapping[str, Any]) -> Stage:
    return Stage(**{**row, "each_s": tuple(row["each_s"])})


def read_all(*folders: Path) -> Iterator[Run]:
    """Yield every run of the folders once, by file name."""
    seen: set[str] = set()
    for folder in folders:
        for path in sorted(folder.glob("*.json")):
            run = read(path)
            if run.id not in seen:
                seen.add(run.id)
                yield run


def export(measured: Iterable[Run], bundle: Path) -> int:
    """Write the runs into one zip file, equal runs once, and return how many it holds."""
    held = {run.id: run for run in measured}
    bundle.parent.mkdir(parents=True, exist_ok=True)
    temporary = bundle.with_name(f".{bundle.name}.{os.getpid()}.tmp")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, run in sorted(held.items()):
            archive.writestr(f"{name}.json", _file(run))
    os.replace(temporary, bundle)
    return len(held)


def merge(sources: Iterable[Path], folder: Path) -> tuple[int, int]:
    """Add the runs of files, folders and zip bundles to ``folder``; return (added, already there).

    Raises `BadData` with the problems of all sources at once, and then adds nothing.
    """
    found: dict[str, Run] = {}
    problems: list[str] = []
    for where, content in _contents(sources, problems):
        try:
            run = parse(content, where)
        except BadData as error:
            problems += [f"{where}: {problem}" for problem in error.problems]
        else:
            found[run.id] = run
    if problems:
        raise BadData("import", problems)
    have = {run.id for run in read_all(folder)}
    for name, run in found.items():
        if name not in have:
            write(run, folder)
    return len(found.keys() - have), len(found.keys() & have)


def _contents(sources: Iterable[Path], problems: list[str]) -> Iterator[tuple[str, bytes]]:
    """Yield name and bytes of every record in the sources; note what cannot be read."""
    for source in sources:
        try:
            if source.is_dir():
                yield from (
                    (path.name, path.read_bytes()) for path in sorted(source.glob("*.json"))
                )
            elif zipfile.is_zipfile(source):
                with zipfile.ZipFile(source) as archive:
                    for name in archive.namelist():
                        if name.endswith(".json"):
                            yield f"{source.name}/{name}", archive.read(name)
            else:
                yield source.name, source.read_bytes()
        except (OSError, zipfile.BadZipFile) as error:
            problems.append(f"{source}: cannot be read: {error}")
