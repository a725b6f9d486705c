"""What to measure, as data: a recipe is a set of switches, a plan a list of settings with recipes.

Nothing here loads torch. A plan is written by hand in ``data/plans/*.yaml`` against the recipes of
``data/recipes.yaml``, or expanded to one JSON file that a bare machine can run::

    recipes.yaml + plans/x.yaml ──expand──▶ [Item, …] ──to_json──▶ plan.json ──from_json──▶ …
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from costlab.core import BadData, CostlabError, InvalidArgument, UnknownName
from costlab.runs import Run, Setting
from costlab.wan import (
    architecture,
    check_size,
    expert_steps,
    forward_flops,
    text_encode_flops,
    tokens,
    vae_decode_flops,
)

CHOICES: dict[str, tuple[str, ...]] = {
    "attention": (
        "native", "_native_flash", "_native_cudnn", "_native_efficient", "_native_math", "flex",
        "flash", "_flash_3", "sage", "xformers",
    ),
    "compile": ("none", "regional", "full"),
    "storage": ("bf16", "fp8"),
    "quantize": ("none", "fp8_weight_only", "int8_weight_only", "int8_dynamic", "fp8_dynamic"),
    "cache": ("none", "taylorseer_lite", "pab", "first_block"),
    "offload": ("none", "model", "sequential", "group_block", "group_leaf"),
    "vae_dtype": ("float32", "bfloat16"),
    "text_encoder": ("keep", "free", "offload"),
    "experts": ("resident", "swap", "shared"),
    "lora": ("none", "loaded", "fused", "swapped"),
}  # fmt: skip
"""The values that each switch of a recipe takes."""

THRESHOLD_CACHES = ("first_block",)
"""Caches that skip by what they see, so random weights say nothing about their speed."""

ASSUMED_SHARE_OF_PEAK = 0.45
"""Share of a card's peak rate that a forward is assumed to reach; only orders and budgets plans."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A named way of serving: switches, and the sampler values that belong to it.

    A sampler value of None is the model's own default. ``text_encoder: free`` drops UMT5 from the
    card once the prompt is encoded, ``experts: swap`` keeps one expert on the card at a time and
    ``shared`` lets both use one set of weights (a memory stand-in, for synthetic weights only).
    """

    name: str
    title: str = ""
    note: str = ""
    attention: str = "native"
    compile: str = "none"
    storage: str = "bf16"
    quantize: str = "none"
    cache: str = "none"
    cache_options: Mapping[str, Any] = field(default_factory=dict)
    offload: str = "none"
    vae_dtype: str = "float32"
    vae_tiling: bool = False
    text_encoder: str = "free"
    experts: str = "resident"
    fuse_qkv: bool = False
    lora: str = "none"
    lora_rank: int = 32
    context_parallel: int = 1
    steps: int | None = None
    guidance: float | None = None
    guidance_2: float | None = None
    shift: float | None = None

    @property
    def switches(self) -> tuple[str, ...]:
        """Every switch as ``name=value``, in a fixed order; part of what makes two runs alike."""
        named = [f"{name}={getattr(self, name)}" for name in CHOICES]
        named += [f"vae_tiling={'on' if self.vae_tiling else 'off'}"]
        named += [f"fuse_qkv={'on' if self.fuse_qkv else 'off'}"]
        named += [f"context_parallel={self.context_parallel}"]
        if self.lora != "none":
            named += [f"lora_rank={self.lora_rank}"]
        named += [f"cache.{key}={value}" for key, value in sorted(self.cache_options.items())]
        return tuple(named)

    @property
    def timed_whole(self) -> bool:
        """Whether steps differ by design, so that a few of them cannot stand for the clip."""
        return self.cache != "none"


def recipe(row: Mapping[str, Any]) -> Recipe:
    """Return the recipe of one mapping; raises `BadData` with every problem at once.

    >>> recipe({"name": "tiled", "vae_tiling": True}).vae_tiling
    True
    """
    problems = _misfits(Recipe, row, required=("name",))
    for name, values in CHOICES.items():
        if name in row and row[name] not in values:
            problems.append(f"{name}: {row[name]!r} is none of {', '.join(values)}")
    for name in ("lora_rank", "context_parallel", "steps"):
        if isinstance(row.get(name), int) and row[name] < 1:
            problems.append(f"{name}: must be at least 1, got {row[name]}")
    if isinstance(row.get("shift"), int | float) and not row["shift"] > 0:
        problems.append(f"shift: must be greater than 0, got {row['shift']}")
    if problems:
        raise BadData(f"recipe {row.get('name', '?')}", problems)
    return Recipe(**row)


def recipes(rows: Iterable[Mapping[str, Any]], where: str = "recipes") -> dict[str, Recipe]:
    """Return the recipes by name; raises `BadData` with the problems of all rows at once."""
    found: dict[str, Recipe] = {}
    problems: list[str] = []
    for number, row in enumerate(rows):
        try:
            made = recipe(row)
        except BadData as error:
            problems += [f"[{number}].{problem}" for problem in error.problems]
            continue
        if made.name in found:
            problems.append(f"[{number}].name: {made.name!r} appears twice")
        found[made.name] = made
    if problems:
        raise BadData(where, problems)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One configuration to measure.

    ``probe_steps`` is how many steps each expert runs in a composed measurement, ``repeats`` how
    many clips are timed back to back. ``tiny`` asks for the small stand-in model even on a GPU.
    """

    setting: Setting
    recipe: Recipe
    weights: Literal["synthetic", "real"] = "synthetic"
    path: str | None = None
    method: Literal["composed", "full"] = "composed"
    probe_steps: int = 2
    repeats: int = 1
    tiny: bool = False

    @property
    def title(self) -> str:
        """The configuration in a few words."""
        s = self.setting
        parts = [s.model, s.mode, f"{s.height}×{s.width}×{s.frames}", f"{s.steps} steps", s.recipe]
        if s.batch_size > 1:
            parts.append(f"batch {s.batch_size}")
        return " ".join(parts)

    def is_measured_by(self, run: Run) -> bool:
        """Whether ``run`` is this very configuration (its environment is compared elsewhere)."""
        return (
            run.setting == self.setting
            and set(run.switches) == set(self.recipe.switches)
            and (run.weights, run.method) == (self.weights, self.method)
        )


def plan_one(
    model: str,
    *,
    recipe: Recipe | None = None,
    mode: Literal["t2v", "i2v"] | None = None,
    height: int | None = None,
    width: int | None = None,
    frames: int | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    guidance_2: float | None = None,
    shift: float | None = None,
    batch_size: int = 1,
    weights: Literal["synthetic", "real"] = "synthetic",
    path: str | None = None,
    method: Literal["composed", "full"] = "composed",
    probe_steps: int = 2,
    repeats: int = 1,
    tiny: bool = False,
) -> Item:
    """Return one configuration; what is None comes from the recipe, then from the authors.

    Raises `UnknownName` for the model and `BadData` with every other problem at once.

    >>> plan_one("wan2.2-ti2v-5b").setting.frames
    121
    """
    arch = architecture(model)
    chosen = recipe or Recipe(name="default")
    problems: list[str] = []

    def first(*values: Any) -> Any:
        return next((value for value in values if value is not None), None)

    size = next((s for s in arch.sizes if s[0] == height or s[1] == width), arch.sizes[0])
    own_mode: Any = "i2v" if arch.mode == "i2v" else "t2v"
    setting = Setting(
        model=model,
        mode=mode or own_mode,
        height=first(height, size[0]),
        width=first(width, size[1]),
        frames=first(frames, arch.frames),
        steps=first(steps, chosen.steps, arch.steps),
        guidance=float(first(guidance, chosen.guidance, arch.guidance)),
        guidance_2=(
            None
            if arch.boundary is None
            else float(first(guidance_2, chosen.guidance_2, arch.guidance_2))
        ),
        shift=float(first(shift, chosen.shift, arch.authors_shift)),
        boundary=arch.boundary,
        recipe=chosen.name,
        batch_size=batch_size,
        num_gpus=chosen.context_parallel,
    )
    try:
        check_size(arch, setting.height, setting.width, setting.frames)
    except InvalidArgument as error:
        problems.append(f"size: {error}")
    if arch.mode != "ti2v" and setting.mode != arch.mode:
        problems.append(f"mode: {model} does {arch.mode}, not {setting.mode}")
    for name, value in (("steps", setting.steps), ("batch_size", batch_size), ("repeats", repeats),
                        ("probe_steps", probe_steps)):  # fmt: skip
        if value < 1:
            problems.append(f"{name}: must be at least 1, got {value}")
    if not setting.shift > 0:
        problems.append(f"shift: must be greater than 0, got {setting.shift}")
    if arch.boundary is None and guidance_2 is not None:
        problems.append(f"guidance_2: {model} has one expert")
    if (weights == "real") != (path is not None):
        problems.append("path: real weights need a folder, synthetic weights take none")
    if chosen.experts == "shared" and weights == "real":
        problems.append("experts: real experts differ, so they cannot share storage")
    if arch.heads % chosen.context_parallel:
        problems.append(
            f"context_parallel: {arch.heads} heads do not divide by {chosen.context_parallel}"
        )
    if chosen.context_parallel > 1 and not problems:
        count = tokens(arch, setting.height, setting.width, setting.frames)
        if count % chosen.context_parallel:
            problems.append(f"context_parallel: {count} tokens do not divide by it")
    if problems:
        raise BadData(f"{model} {chosen.name}", problems)
    return Item(
        setting=setting,
        recipe=chosen,
        weights=weights,
        path=path,
        method="full" if chosen.timed_whole else method,
        probe_steps=probe_steps,
        repeats=repeats,
        tiny=tiny,
    )


_PLAN_FIELDS = (
    "model", "recipe", "mode", "height", "width", "frames", "steps", "guidance", "guidance_2",
    "shift", "batch_size", "weights", "path", "method", "probe_steps", "repeats", "tiny",
)  # fmt: skip


def expand(
    rows: Iterable[Mapping[str, Any]], known: Mapping[str, Recipe], where: str = "plan"
) -> list[Item]:
    """Return the items of plan rows (`plan_one`'s arguments, the recipe by name).

    Raises `BadData` with the problems of all rows at once.
    """
    items: list[Item] = []
    problems: list[str] = []
    for number, row in enumerate(rows):
        odd = [f"{key}: no such field" for key in sorted(row.keys() - set(_PLAN_FIELDS))]
        if "model" not in row:
            odd.append("model: field required")
        name = str(row.get("recipe", "default"))
        if name not in known:
            odd.append(str(UnknownName.among("recipe", name, known)))
        for key in ("height", "width", "frames", "steps", "batch_size", "probe_steps", "repeats"):
            if key in row and not _is_int(row[key]):
                odd += [f"{key}: expected a whole number, got {row[key]!r}"]
        for key in ("guidance", "guidance_2", "shift"):
            if key in row and not (isinstance(row[key], float) or _is_int(row[key])):
                odd += [f"{key}: expected a number, got {row[key]!r}"]
        for key, values in (("weights", ("synthetic", "real")), ("method", ("composed", "full")),
                            ("mode", ("t2v", "i2v"))):  # fmt: skip
            if key in row and row[key] not in values:
                odd.append(f"{key}: {row[key]!r} is none of {', '.join(values)}")
        if not odd:
            try:
                rest = {key: row[key] for key in row if key not in ("model", "recipe")}
                items.append(plan_one(str(row["model"]), recipe=known[name], **rest))
            except BadData as error:
                odd += error.problems
            except CostlabError as error:
                odd.append(str(error))
        problems += [f"[{number}].{problem}" for problem in odd]
    if problems:
        raise BadData(where, problems)
    return items


def to_json(items: Sequence[Item]) -> list[dict[str, Any]]:
    """Return the plan as JSON data that `from_json` reads without any other file."""
    return [asdict(item) for item in items]


def from_json(rows: Any, where: str = "plan") -> list[Item]:
    """Return the items of an expanded plan; raises `BadData` with every problem at once."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadData(where, ["expected a list of configurations, each with setting and recipe"])
    items: list[Item] = []
    problems: list[str] = []
    for number, row in enumerate(rows):
        odd = _misfits(Item, row, required=("setting", "recipe"))
        if isinstance(row.get("setting"), dict):
            settled = {"batch_size": 1, "num_gpus": 1}.keys()
            needed = tuple(f.name for f in fields(Setting) if f.name not in settled)
            odd += [f"setting.{p}" for p in _misfits(Setting, row["setting"], required=needed)]
        made = None
        try:
            made = recipe(row.get("recipe") or {})
        except BadData as error:
            odd += [f"recipe.{problem}" for problem in error.problems]
        if not odd and made is not None:
            items.append(Item(**{**row, "setting": Setting(**row["setting"]), "recipe": made}))
        problems += [f"[{number}].{problem}" for problem in odd]
    if problems:
        raise BadData(where, problems)
    return items


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _misfits(record: type[Any], row: Mapping[str, Any], required: tuple[str, ...]) -> list[str]:
    """Return what keeps ``row`` from being a ``record``: fields missing, unknown, of other type."""
    kinds = {item.name: str(item.type) for item in fields(record)}
    problems = [f"{name}: field required" for name in required if name not in row]
    for name, value in row.items():
        kind = kinds.get(name)
        if kind is None:
            problems.append(f"{name}: no such field; known: {', '.join(kinds)}")
            continue
        if value is None and "None" in kind:
            continue
        fits = {
            "bool": isinstance(value, bool),
            "int": _is_int(value),
            "floa": isinstance(value, float) or _is_int(value),
            "str": isinstance(value, str),
            "Lite": isinstance(value, str),
            "Mapp": isinstance(value, Mapping),
            "Sett": isinstance(value, Mapping),
            "Reci": isinstance(value, Mapping),
        }
        ok = next((good for start, good in fits.items() if kind.startswith(start)), True)
        if not ok:
            problems.append(f"{name}: expected {kind}, got {value!r}")
    return problems


def forwards_per_step(setting: Setting) -> int:
    """Return 2 with guidance, 1 without; in diffusers only the first guidance decides.

    >>> forwards_per_step(plan_one("wan2.2-ti2v-5b", guidance=1.0).setting)
    1
    """
    return 2 if setting.guidance > 1 else 1


def probe_shift(steps: int, boundary: float | None) -> float:
    """Return the flow shift at which ``steps`` steps fall evenly on both experts.

    The timestep decides only which expert runs, not what it costs, so a short schedule may use
    another shift than the clip.

    >>> expert_steps(4, probe_shift(4, 0.875), 0.875)
    (2, 2)
    """
    if boundary is None:
        return 5.0
    shifts = [3.0, *(quarter / 4 for quarter in range(4, 81))]
    return min(shifts, key=lambda s: abs(2 * expert_steps(steps, s, boundary)[0] - steps))


def estimated_s(item: Item, peak_tflops: float) -> float:
    """Return about how many seconds the measurement takes on a card of that peak bf16 rate.

    Compute at `ASSUMED_SHARE_OF_PEAK`, the fp32 VAE at a tenth of the peak, and 25 s of start,
    weights and idle reading; loading real weights from a disk comes on top.
    """
    s, arch = item.setting, architecture(item.setting.model)
    forward = forward_flops(arch, s.height, s.width, s.frames).total
    steps = s.steps if item.method == "full" else item.probe_steps * arch.experts
    if arch.experts == 1 and item.method == "composed":
        steps = 2 * item.probe_steps
    dit = forward * (1 + item.repeats * steps * forwards_per_step(s)) / s.num_gpus
    vae = float(vae_decode_flops(arch, s.height, s.width, s.frames) * item.repeats)
    if s.mode == "i2v" and arch.vae == "2.1":
        vae *= 1.6
    if item.recipe.vae_tiling:
        vae *= 1.65
    vae_share = ASSUMED_SHARE_OF_PEAK if item.recipe.vae_dtype == "bfloat16" else 0.1
    peak = peak_tflops * 1e12
    text = text_encode_flops() * forwards_per_step(s)
    busy = (s.batch_size * (dit + text)) / (peak * ASSUMED_SHARE_OF_PEAK)
    compiling = 60.0 if item.recipe.compile != "none" else 0.0
    return 25.0 + busy + s.batch_size * vae / (peak * vae_share) + compiling


def ordered(
    items: Iterable[Item],
    peak_tflops: float,
    usefulness: Callable[[Item], float] | None = None,
) -> list[Item]:
    """Return the items, most useful per second of measuring first; stable where nothing is known.

    ``usefulness`` says how much an item would narrow what is uncertain, in any one unit (for
    example the width of its predicted interval times the clips that depend on it).
    """
    if usefulness is None:
        return list(items)
    return sorted(items, key=lambda item: -usefulness(item) / estimated_s(item, peak_tflops))


def without_gpu(item: Item) -> Item:
    """Return the item at a size that a CPU renders in a second: its setting says what was run."""
    arch = architecture(item.setting.model)
    side = 2 * arch.spatial_stride
    setting = replace(
        item.setting,
        height=side,
        width=side * item.recipe.context_parallel,
        frames=9,
        steps=min(item.setting.steps, 6),
        num_gpus=1,
    )
    return replace(item, setting=setting, tiny=True)
