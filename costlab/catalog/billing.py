"""What every seller's adapter can do: normalise a request, bill it, write it down, read the answer.

An adapter is one file in `costlab.providers`, found by its provider's name. Most sellers differ
only in their payload and their terms; the billing rules below are shared because the price row
says which one applies (its unit, minimums and allowed durations)::

    ClipRequest ──plan──▶ Plan (length, resolution, sound, units to bill) ──bill──▶ lines
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from functools import cache
from importlib import import_module
from typing import Any, ClassVar

from costlab.catalog.book import Price, Sku
from costlab.catalog.names import Model, round_up
from costlab.core import (
    RESOLUTIONS,
    CannotServe,
    ClipRequest,
    InvalidArgument,
    LineItem,
    Source,
    UnknownName,
)

PROMPT = "<prompt>"
IMAGE = "<address of the image>"
VIDEO = "<address of the video>"
"""What a person fills in before a payload is sent."""

TOKEN_FRAMES_PER_S = 24
"""Token-billed sellers count 24 frames a second, of width × height / 1024 tokens each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One line of the derivation, as a person would write it on paper."""

    label: str
    text: str
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a seller bills beyond a finished clip, and how much it takes at once.

    ``failed_billed`` and ``moderated_billed`` are None where no source says. ``at_once`` and
    ``per_minute`` are the clips under way and the requests a minute that its lowest and highest
    tier allow; ``concurrency`` says it tier by tier.
    """

    failed_billed: bool | None = None
    moderated_billed: bool | None = None
    at_once: tuple[int, int] | None = None
    per_minute: tuple[int, int] | None = None
    concurrency: Mapping[str, str] = field(default_factory=dict, hash=False)
    note: str = ""
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the seller would make and bill for one clip of a request."""

    sku: Sku
    model: Model
    request: ClipRequest
    resolution: str
    seconds: Decimal
    billed_seconds: Decimal
    audio: bool | None
    quantities: tuple[tuple[Price, Decimal], ...]
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A seller's response in costlab's words; None where the response does not say."""

    id: str | None
    status: str
    video_url: str | None
    billed_seconds: Decimal | None = None
    usd: Decimal | None = None


class Adapter:
    """A seller: what it accepts, how it bills, what it is sent and what it answers.

    Subclasses set ``provider`` (the stem of their price file) and ``name``, and override
    what differs.
    """

    provider: ClassVar[str]
    name: ClassVar[str]
    home_region: ClassVar[str] = ""
    terms: ClassVar[Terms] = Terms()
    answer_paths: ClassVar[Mapping[str, Sequence[str]]] = {}
    statuses: ClassVar[Mapping[str, str]] = {}

    def plan(self, sku: Sku, model: Model, request: ClipRequest) -> Plan:
        """Return what is made and billed; raises `CannotServe` that says which wish fails."""
        row = sku.head
        self.check_mode(row, model, request)
        if not request.input_video_s and request.mode in ("extend", "edit") and bills_input(sku):
            raise CannotServe(f"{row.sku} bills the seconds handed in: say how many")
        audio = self.made_audio(row, model, request)
        resolution = self.made_resolution(row, model, request)
        seconds = self.made_seconds(row, model, request, resolution)
        billed, why = self.billed_seconds(row, model, request, seconds)
        steps = [
            Step(label="wanted", text=_wanted(request)),
            Step(label="made", text=_made(request, resolution, seconds, audio, row, model)),
        ]
        if why:
            steps.append(Step(label="billed", text=why, source=row.source))
        quantities = tuple(
            (part, self.quantity(part, model, request, resolution, seconds, billed))
            for part in sku.rows
        )
        return Plan(
            sku=sku,
            model=model,
            request=request,
            resolution=resolution,
            seconds=seconds,
            billed_seconds=billed,
            audio=audio,
            quantities=quantities,
            steps=tuple(steps),
        )

    def check_mode(self, row: Price, model: Model, request: ClipRequest) -> None:
        """Raise `CannotServe` unless the row or the model is known to take the request's mode.

        Raises `InvalidArgument` for a shape or a frame rate that no clip can have.
        """
        sides(request.aspect)
        if request.fps is not None and request.fps < 1:
            raise InvalidArgument(f"fps must be at least 1, got {request.fps}")
        modes = row.modes or model.modes
        if request.mode not in modes:
            known = "/".join(modes) or "none that a source names"
            raise CannotServe(f"{row.sku} does not take {request.mode} (it takes {known})")
        if model.aspects and request.aspect not in model.aspects:
            raise CannotServe(
                f"{model.id} has no aspect {request.aspect} (it has {', '.join(model.aspects)})"
            )
        if request.fps and model.fps and request.fps not in model.fps:
            rates = "/".join(map(str, model.fps))
            raise CannotServe(f"{model.id} makes {rates} frames a second, not {request.fps}")

    def made_audio(self, row: Price, model: Model, request: ClipRequest) -> bool | None:
        """Return whether the clip has sound; None where it may or may not."""
        if request.audio and row.audio is False:
            raise CannotServe(f"{row.sku} is priced without sound")
        if request.audio and row.audio is None and not model.has_audio:
            said = "makes no sound" if model.audio == "no" else "has no sound that a source names"
            raise CannotServe(f"{model.id} {said}")
        if row.audio is not None:
            return row.audio
        return True if request.audio or model.audio == "always" else None

    def made_resolution(self, row: Price, model: Model, request: ClipRequest) -> str:
        """Return the lowest resolution on offer that reaches the one wanted.

        An edit of a model without a stated bound keeps the resolution of the video handed in.
        """
        if row.resolution:
            if RESOLUTIONS[row.resolution] < RESOLUTIONS[request.resolution]:
                raise CannotServe(f"{row.sku} stops at {row.resolution}")
            return row.resolution
        if request.mode == "edit" and not model.max_resolution:
            return request.resolution
        if not model.reaches(request.resolution):
            top = model.max_resolution or "a resolution that no source names"
            raise CannotServe(f"{model.id} stops at {top}")
        return request.resolution

    def made_seconds(
        self, row: Price, model: Model, request: ClipRequest, resolution: str
    ) -> Decimal:
        """Return the clip length made: the nearest one on offer at or above the one wanted.

        Where no source names the lengths on offer, a new clip has whole seconds, since every
        request takes those; an edit keeps the length of the video that it is wanted for.
        """
        offered = row.durations or model.durations_for(resolution)
        if row.clip_s is not None:
            offered = format(row.clip_s, "f")
        if not offered and request.mode in ("t2v", "i2v"):
            return request.seconds.to_integral_value(rounding=ROUND_CEILING)
        length = round_up(request.seconds, offered)
        if length is None:
            raise CannotServe(
                f"{model.id} at {resolution} makes clips of {offered} s, not {request.seconds} s"
            )
        return length

    def billed_seconds(
        self, row: Price, model: Model, request: ClipRequest, seconds: Decimal
    ) -> tuple[Decimal, str]:
        """Return the seconds on the bill and, where they are not the clip's own, why."""
        del model
        billed, why = seconds, ""
        if row.bills_input and request.mode in ("extend", "edit"):
            billed = seconds + request.input_video_s
            why = f"input and output are billed: {request.input_video_s} s + {seconds} s"
        if row.min_seconds is not None and billed < row.min_seconds:
            billed = row.min_seconds
            why = f"at least {row.min_seconds} s are billed"
        return billed, why

    def quantity(
        self,
        row: Price,
        model: Model,
        request: ClipRequest,
        resolution: str,
        seconds: Decimal,
        billed: Decimal,
    ) -> Decimal:
        """Return how many of the row's units one clip takes."""
        if row.unit == "second":
            return billed
        if row.unit == "second_of_16_frames":
            return billed
        if row.unit in ("clip", "first_second"):
            return Decimal(1)
        if row.unit == "further_second":
            return seconds - 1
        if row.unit == "input_second":
            return request.input_video_s if request.mode in ("extend", "edit") else Decimal(0)
        if row.unit == "image":
            return Decimal(max(0, (request.mode == "i2v") - row.free_units))
        if row.unit == "pixel_token":
            return pixel_tokens(model, request, resolution, seconds)
        if row.unit == "token":
            raise CannotServe(f"no source says how many tokens a clip of {row.sku} takes")
        raise CannotServe(f"{row.sku} sells {row.unit}s, not clips")

    def payload(self, plan: Plan) -> dict[str, Any]:
        """Return the request that the seller's API would get: ``url`` and ``json``."""
        raise NotImplementedError

    def answer(self, response: Mapping[str, Any]) -> Answer:
        """Return a response of the seller's API in costlab's words."""
        found = {name: _first(response, paths) for name, paths in self.answer_paths.items()}
        status = "" if found.get("status") is None else str(found["status"])
        seconds, usd = found.get("billed_seconds"), found.get("usd")
        return Answer(
            id=None if found.get("id") is None else str(found["id"]),
            status=self.statuses.get(status, "unknown"),
            video_url=found.get("video_url"),
            billed_seconds=None if seconds is None else Decimal(str(seconds)),
            usd=None if usd is None else Decimal(str(usd)),
        )


def bill(plan: Plan, rates: Mapping[str, Decimal] | None = None) -> tuple[LineItem, ...]:
    """Return the lines of a plan for all variants, each quantised once.

    ``rates`` replaces the USD per unit of single units (a contract price, another exchange rate).
    """
    request, variants = plan.request, Decimal(plan.request.variants)
    lines = []
    for row, quantity in plan.quantities:
        if not quantity:
            continue
        rate = row.usd_per_unit if rates is None else rates.get(row.unit, row.usd_per_unit)
        times = f" × {request.variants} variants" if request.variants > 1 else ""
        lines.append(
            LineItem.of(
                f"{plan.model.name}, {plan.resolution}",
                quantity * variants,
                row.unit,
                rate,
                formula=f"{counted(quantity, row.unit)}{times} × {dollars(rate)}",
                price_ref=row.ref,
                sources=(row.source,),
            )
        )
    floor = plan.sku.head.min_usd
    if floor is not None and sum(line.quantity * line.usd_per_unit for line in lines) < (
        floor * variants
    ):
        lines = [
            LineItem.of(
                f"{plan.model.name}, minimum charge",
                variants,
                "task",
                floor,
                formula=f"{request.variants} × {dollars(floor)}, the least a task costs",
                price_ref=plan.sku.head.ref,
                sources=(plan.sku.head.source,),
            )
        ]
    return tuple(lines)


def bills_input(sku: Sku) -> bool:
    """Whether the length of a video that is handed in is on the bill."""
    return sku.head.bills_input or any(
        row.unit in ("input_second", "pixel_token") for row in sku.rows
    )


def wastes_audio(made: bool | None, request: ClipRequest) -> bool:
    """Whether sound is made and paid for that was not asked for."""
    return made is True and not request.audio


def pixel_tokens(model: Model, request: ClipRequest, resolution: str, seconds: Decimal) -> Decimal:
    """Return video tokens: (input + output seconds) · width · height · 24 / 1024."""
    width, height = frame_size(model, resolution, request.aspect)
    handed_in = request.input_video_s if request.mode in ("extend", "edit") else Decimal(0)
    return (handed_in + seconds) * width * height * TOKEN_FRAMES_PER_S / 1024


def with_image(
    body: dict[str, Any], plan: Plan, image_field: str, video_field: str = ""
) -> dict[str, Any]:
    """Return ``body`` with the input image or video of the plan's mode, where there is one."""
    if plan.request.mode == "i2v":
        return {**body, image_field: IMAGE}
    if plan.request.mode in ("edit", "extend") and video_field:
        return {**body, video_field: VIDEO}
    return body


def neutral_payload(plan: Plan) -> dict[str, Any]:
    """Return a request in plain words, for sellers whose API reference was not read; no ``url``."""
    body = {
        "model": plan.sku.head.endpoint,
        "prompt": PROMPT,
        "duration": plain_number(plan.seconds),
        "resolution": plan.resolution,
        "aspect_ratio": plan.request.aspect,
        "audio": bool(plan.audio),
    }
    return {"url": None, "json": with_image(body, plan, "image", "video")}


def frame_size(model: Model, resolution: str, aspect: str) -> tuple[int, int]:
    """Return width and height in pixels: as rendered where a source says, else the nominal frame.

    The nominal frame has the label's short side and an even long side.
    """
    known = model.frames.get(f"{resolution} {aspect}")
    if known:
        width, height = known.split("x")
        return int(width), int(height)
    across, down = sides(aspect)
    short = RESOLUTIONS[resolution]
    long = 2 * round(short * max(across, down) / min(across, down) / 2)
    return (long, short) if across >= down else (short, long)


@cache
def sides(aspect: str) -> tuple[int, int]:
    """Return the two numbers of an aspect; raises `InvalidArgument` unless both are positive.

    >>> sides("16:9")
    (16, 9)
    """
    found = re.fullmatch(r"(\d{1,4}):(\d{1,4})", aspect, re.ASCII)
    across, down = map(int, found.groups()) if found else (0, 0)
    if not across or not down:
        raise InvalidArgument(f"an aspect is width:height, such as 16:9; got {aspect!r}")
    return across, down


@cache
def adapter(provider: str) -> Adapter:
    """Return the adapter of a seller, from ``costlab/providers/<provider>.py``.

    Raises `UnknownName` where there is no such file.
    """
    if provider not in providers():
        raise UnknownName.among("provider", provider, providers())
    found: Adapter = import_module(f"costlab.providers.{provider}").ADAPTER
    return found


@cache
def providers() -> tuple[str, ...]:
    """Return the names of all sellers that have an adapter."""
    from pkgutil import iter_modules

    package = import_module("costlab.providers")
    return tuple(sorted(entry.name for entry in iter_modules(package.__path__)))


def plain_number(value: Decimal) -> str:
    """Return a decimal without exponent or trailing zeros.

    >>> plain_number(Decimal("5.0625000")), plain_number(Decimal("1E+2"))
    ('5.0625', '100')
    """
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


COUNTED = {
    "second": "s", "input_second": "s handed in", "second_of_16_frames": "s", "clip": "clip",
    "first_second": "first second", "further_second": "further s", "pixel_token": "tokens",
    "token": "tokens", "image": "image", "credit": "credits",
}  # fmt: skip
"""How a derivation names a unit after a number."""


def counted(quantity: Decimal, unit: str) -> str:
    """Return a number of units as written on paper.

    >>> counted(Decimal(6), "second"), counted(Decimal(108000), "pixel_token")
    ('6 s', '108000 tokens')
    """
    return f"{plain_number(quantity)} {COUNTED[unit]}"


def dollars(rate: Decimal) -> str:
    """Return a rate with its cents, and every further digit that it has.

    >>> dollars(Decimal("0.4")), dollars(Decimal("0.0625")), dollars(Decimal(2))
    ('$0.40', '$0.0625', '$2.00')
    """
    whole, _, cents = plain_number(rate).partition(".")
    return f"${whole}.{cents.ljust(2, '0')}"


def _first(response: Mapping[str, Any], paths: Sequence[str]) -> Any:
    for path in paths:
        value: Any = response
        for part in path.split("."):
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, Sequence) and not isinstance(value, str) and part.isdigit():
                value = value[int(part)] if int(part) < len(value) else None
            else:
                value = None
        if value is not None:
            return value
    return None


def _wanted(request: ClipRequest) -> str:
    parts = [f"{plain_number(request.seconds)} s", request.resolution, request.mode]
    parts.append("with sound" if request.audio else "without sound")
    if request.input_video_s:
        parts.append(f"{plain_number(request.input_video_s)} s handed in")
    if request.variants > 1:
        parts.append(f"{request.variants} variants")
    return ", ".join(parts)


def _made(
    request: ClipRequest,
    resolution: str,
    seconds: Decimal,
    audio: bool | None,
    row: Price,
    model: Model,
) -> str:
    text = f"{plain_number(seconds)} s at {resolution}"
    offered = row.durations or model.durations_for(resolution)
    length = plain_number(row.clip_s) if row.clip_s is not None else offered
    if seconds != request.seconds:
        on_offer = f"clips of {length.replace(',', ', ')} s" if length else "whole seconds"
        text += f" ({on_offer} on offer)"
    if resolution != request.resolution:
        text += f" (no {request.resolution} on offer)"
    if audio and not request.audio:
        text += ", sound included"
    return text
