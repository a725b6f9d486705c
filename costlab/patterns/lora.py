"""A fine-tuned tier: adapters in a client's own style, sold at a premium.

    training   runs · hours · experts · USD per GPU-hour        once per client and adapter
    serving    (s·(1 + overhead) + share swapped · experts · swap seconds) · GPU-second, accepted
    margin     price − serving − storage        payback = (training + people's time) / margin

Wan 2.2 A14B denoises with two experts, so a style is two adapters: trained, stored and swapped
twice. A hosted trainer returns both at one price per step.
"""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from costlab import catalog, traffic, wan
from costlab.core import (
    Basis,
    CannotServe,
    ClipRequest,
    CostlabError,
    Figure,
    InvalidArgument,
)
from costlab.patterns.accepted import (
    Answer,
    Cell,
    Losses,
    check_amounts,
    check_shares,
    default,
    leaf,
    said_usd,
    spread,
    usd_per_accepted,
    worked_out,
)
from costlab.scenarios import Scenario
from costlab.unitcost import SECONDS_PER_HOUR, Deployment, hourly_price, self_hosted

NAME = "lora"
LEAST_HOSTED_STEPS = 100
"""fal charges at least 100 steps (fal-ai/wan-22-image-trainer llms.txt)."""
HOSTED_MODEL = "fal-wan2.2-a14b"
HOSTED_TIER = "lora"
STORED_AT = ("aws", "S3 Standard")
MB_PER_GB = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraTier:
    """What is trained, for how many clients, how it is served, and what a clip is sold for.

    ``training`` says which cost counts: ``own`` GPUs (hours per expert and run on
    ``training_offer``), a ``hosted`` trainer (steps per run), or ``training_usd`` for one run that
    you measured or agreed (``entered``). ``trainings`` runs are made until a client accepts one,
    for an adapter that lives ``adapter_months``. ``swap_share`` of attempts find another client's
    adapter loaded; ``overhead_share`` is the work that an unmerged adapter adds to a clip.
    """

    as_of: date
    deployment: Deployment
    request: ClipRequest
    kept: float
    experts: int
    training: Literal["own", "hosted", "entered"] = "own"
    training_offer: str
    training_hours: float
    hosted_steps: float
    hosted_usd_per_step: float
    training_usd: float | None = None
    trainings: float
    setup_usd: float
    clients: float
    clips_per_client_month: float
    adapter_months: float
    adapter_mb: float
    swap_s: float
    swap_share: float
    overhead_share: float
    price_usd: float
    losses: Losses

    def __post_init__(self) -> None:
        check_shares(self, ("kept",))
        check_amounts(
            self, "training_usd", "setup_usd", "clients", "adapter_mb", "swap_s", "overhead_share",
            "price_usd", "training_hours", "hosted_usd_per_step", "hosted_steps",
            above_zero=("trainings", "adapter_months", "clips_per_client_month"),
        )  # fmt: skip
        if not 0 <= self.swap_share <= 1:
            raise InvalidArgument(f"swap_share must be in [0, 1], got {self.swap_share}")
        if self.experts < 1:
            raise InvalidArgument(f"experts must be at least 1, got {self.experts}")
        if self.training == "entered" and self.training_usd is None:
            raise InvalidArgument("training_usd: enter what one training run costs")

    @classmethod
    def of(cls, scenario: Scenario) -> LoraTier:
        """Return a tier on the scenario's first deployment, at the largest clip that it renders.

        Clips are kept as often as the scenario's first premium final (else its first final).
        Raises `CannotServe` where the scenario deploys no GPUs.
        """
        if not scenario.deployments:
            raise CannotServe(f"{scenario.id} deploys no GPUs: a LoRA tier needs a deployment")
        deployment = scenario.deployments[0]
        arch = wan.architecture(deployment.model_id)
        finals = [one for one in traffic.mix(scenario.mix).segments if one.stage == "final"]
        premium = [one for one in finals if one.quality == "premium"]
        kept = next((one.acceptance for one in [*premium, *finals]), 1.0)
        trainer = catalog.offers(scenario.date, gpu="A100-80GB", purchase="on_demand")
        own = [offer for offer in trainer if offer.provider == "runpod-secure"]
        return cls(
            as_of=scenario.date,
            deployment=deployment,
            request=ClipRequest(
                seconds=_length(arch),
                resolution="720p" if max(arch.sizes)[0] >= 704 else "480p",
                mode="i2v" if arch.mode == "i2v" else "t2v",
            ),
            kept=kept,
            experts=arch.experts,
            training_offer=(own or list(trainer))[0].id if trainer else deployment.offer,
            training_hours=default(NAME, "training_hours"),
            hosted_steps=default(NAME, "hosted_steps"),
            hosted_usd_per_step=default(NAME, "hosted_usd_per_step"),
            trainings=default(NAME, "trainings"),
            setup_usd=default(NAME, "setup_usd"),
            clients=default(NAME, "clients"),
            clips_per_client_month=default(NAME, "clips_per_client_month"),
            adapter_months=default(NAME, "adapter_months"),
            adapter_mb=default(NAME, "adapter_mb"),
            swap_s=default(NAME, "swap_s"),
            swap_share=default(NAME, "swap_share"),
            overhead_share=default(NAME, "overhead_share"),
            price_usd=default(NAME, "price_usd"),
            losses=Losses.of(scenario),
        )


def _length(arch: wan.Architecture) -> Decimal:
    return Decimal(arch.frames // arch.fps)


def serving_seconds(
    render_s: float, overhead_share: float, swap_share: float, swap_s: float, experts: int
) -> float:
    """Return the seconds that one attempt holds its GPUs, adapters included.

    >>> serving_seconds(100.0, 0.0, 0.5, 6.0, 2)
    106.0
    """
    return render_s * (1 + overhead_share) + swap_share * swap_s * experts


def own_training_usd(hours: float, usd_per_gpu_hour: float, experts: int, runs: float) -> float:
    """Return what training costs on a rented GPU: every expert has a run of its own.

    >>> own_training_usd(4.5, 2.0, 2, 1)
    18.0
    """
    return hours * usd_per_gpu_hour * experts * runs


def hosted_training_usd(steps: float, usd_per_step: float, runs: float) -> float:
    """Return what a hosted trainer bills, both adapters of a run included.

    >>> hosted_training_usd(50, 0.005, 2)
    1.0
    """
    return max(steps, LEAST_HOSTED_STEPS) * usd_per_step * runs


def lora_tier(inputs: LoraTier) -> Answer:
    """Return what a branded clip costs and earns, and after how many clips an adapter is paid.

    Summary: ``margin_usd`` (price − serving − storage, per accepted clip), ``serving_usd``,
    ``training_usd`` (per client, all runs), ``payback_clips`` (per client; absent where a clip
    earns nothing), ``full_usd`` (training spread over the adapter's life), ``profit_usd_per_month``
    (all clients), ``break_even_price_usd``, ``adapter_gb``, ``swap_s``, and ``hosted_usd`` where a
    seller runs adapters on its own GPUs. The table ``training`` has the ways to train. Curves are
    USD per accepted clip over the clips of one adapter's life. Raises `CannotServe` where the
    deployment cannot make the clip.
    """
    case = _Case.of(inputs)
    margin = worked_out(
        "margin of an accepted clip", "USD/clip", "price − serving − storage",
        lambda price, *costs: price - sum(costs), (case.price, case.serving, case.storage),
    )  # fmt: skip
    life = inputs.clips_per_client_month * inputs.adapter_months
    clips = Figure.entered("accepted clips of one adapter's life", life, "clips", "entered")
    full = worked_out(
        "cost of an accepted clip, training included", "USD/clip",
        "serving + storage + (training + people's time) / clips of the adapter's life",
        lambda serve, store_usd, train, setup, count: serve + store_usd + (train + setup) / count,
        (case.serving, case.storage, case.training, case.setup, clips),
    )  # fmt: skip
    summary = {
        "margin_usd": margin,
        "serving_usd": case.serving,
        "training_usd": case.training,
        "full_usd": full,
        "break_even_price_usd": worked_out(
            "price at which an adapter pays for itself over its life", "USD/clip",
            "the whole cost of an accepted clip", lambda usd: usd, (full,),
        ),
        "profit_usd_per_month": worked_out(
            "earned a month, all clients", "USD/month",
            "clients × clips a month × (price − whole cost)",
            lambda price, usd: inputs.clients * inputs.clips_per_client_month * (price - usd),
            (case.price, full),
        ),
        "adapter_gb": case.size,
        "swap_s": case.swap,
    }  # fmt: skip
    payback = _payback(case, margin)
    if payback:
        summary["payback_clips"] = payback
    hosted = _hosted_clip(inputs)
    if hosted:
        summary["hosted_usd"] = hosted
    return Answer(
        pattern=NAME,
        inputs=inputs,
        words=_words(inputs, summary),
        summary=summary,
        tables={"training": _rows(inputs, margin)},
        curves=_curves(case, hosted),
        warnings=_warnings(inputs, summary),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    price: Figure
    serving: Figure
    storage: Figure
    training: Figure
    setup: Figure
    size: Figure
    swap: Figure

    @classmethod
    def of(cls, inputs: LoraTier) -> _Case:
        experts = Figure(
            name="experts", value=inputs.experts, unit="adapters a style",
            basis=inputs_basis(inputs), ref="model",
        )  # fmt: skip
        size = worked_out(
            "adapters of one client", "GB", "experts × MB of one adapter / 1000",
            lambda count, mb: count * mb / MB_PER_GB,
            (experts, leaf(NAME, "adapter_mb", inputs.adapter_mb, "one adapter", "MB")),
        )  # fmt: skip
        swap = worked_out(
            "seconds of one swap", "s", "experts × seconds to load and merge one adapter",
            lambda count, seconds: count * seconds,
            (experts, leaf(NAME, "swap_s", inputs.swap_s, "load and merge one adapter", "s")),
        )  # fmt: skip
        return cls(
            price=leaf(
                NAME, "price_usd", inputs.price_usd, "price of an accepted clip", "USD/clip"
            ),
            serving=_serving(inputs, experts),
            storage=_storage(inputs, size),
            training=training_cost(inputs),
            setup=leaf(NAME, "setup_usd", inputs.setup_usd, "people's time for a client", "USD"),
            size=size,
            swap=swap,
        )


def inputs_basis(inputs: LoraTier) -> Basis:
    """Return how the number of experts is known: published where it is the architecture's own."""
    own = wan.architecture(inputs.deployment.model_id).experts
    return Basis.PUBLISHED if own == inputs.experts else Basis.ENTERED


def _serving(inputs: LoraTier, experts: Figure) -> Figure:
    cost = self_hosted(inputs.deployment, inputs.request, inputs.as_of)
    assert cost.slot_s is not None
    gpus = inputs.deployment.gpus_per_clip

    def per_clip(
        render: float, usd: float, overhead: float, share: float, swap: float, count: float,
        failed: float, blocked: float, kept: float, busy: float,
    ) -> float:  # fmt: skip
        seconds = serving_seconds(render, overhead, share, swap, int(count))
        attempt = seconds * gpus * usd / SECONDS_PER_HOUR
        return usd_per_accepted(attempt / busy, failed, blocked, kept)

    return worked_out(
        "serving an accepted clip", "USD/clip",
        f"(render seconds × (1 + overhead) + share swapped × experts × swap seconds) × {gpus} GPUs "
        "× USD per GPU-hour / 3600 / busy share / ((1 − failed)(1 − blocked) × kept)",
        per_clip,
        (
            cost.slot_s,
            hourly_price(inputs.deployment, inputs.as_of),
            leaf(NAME, "overhead_share", inputs.overhead_share, "work that an adapter adds"),
            leaf(NAME, "swap_share", inputs.swap_share, "attempts that swap adapters"),
            leaf(NAME, "swap_s", inputs.swap_s, "load and merge one adapter", "s"),
            experts,
            Figure.entered(
                "share of attempts that fail", inputs.deployment.failure_share, "", "entered"
            ),
            inputs.losses.moderated,
            Figure.entered("share of delivered clips kept", inputs.kept, "", "entered"),
            inputs.losses.busy,
        ),
    )  # fmt: skip


def _storage(inputs: LoraTier, size: Figure) -> Figure:
    provider, item = STORED_AT
    fee = next(row for row in catalog.fees(provider, "object_storage") if row.item == item)
    rate = Figure(
        name=f"a GB stored for a month, {provider} {item}", value=fee.usd, unit="USD/GB-month",
        basis=fee.source.basis, source=fee.source, ref=f"fee:{provider}/{item}",
    )  # fmt: skip
    return worked_out(
        "adapters stored, per accepted clip", "USD/clip", "GB × USD per GB-month / clips a month",
        lambda gb, usd: gb * usd / inputs.clips_per_client_month, (size, rate),
    )  # fmt: skip


def training_cost(inputs: LoraTier, way: str | None = None) -> Figure:
    """Return what a client's training costs, all runs, in the way chosen or in another."""
    way = way or inputs.training
    runs = leaf(NAME, "trainings", inputs.trainings, "runs until one is accepted", "runs")
    name = "training of one client's adapter"
    if way == "entered":
        if inputs.training_usd is None:
            raise InvalidArgument("training_usd: enter what one training run costs")
        once = Figure.entered("one training run", inputs.training_usd, "USD", "entered")
        return worked_out(
            name, "USD", "runs × USD of a run", lambda count, usd: count * usd, (runs, once)
        )
    if way == "hosted":
        return worked_out(
            name, "USD", f"runs × steps (at least {LEAST_HOSTED_STEPS}) × USD per step",
            lambda count, steps, usd: hosted_training_usd(steps, usd, count),
            (
                runs,
                leaf(NAME, "hosted_steps", inputs.hosted_steps, "steps of a run", "steps"),
                leaf(NAME, "hosted_usd_per_step", inputs.hosted_usd_per_step, "one step", "USD"),
            ),
        )  # fmt: skip
    price = catalog.offer(inputs.training_offer, as_of=inputs.as_of).figure()
    return worked_out(
        name, "USD", f"runs × {inputs.experts} experts × hours × USD per GPU-hour",
        lambda count, hours, usd: own_training_usd(hours, usd, inputs.experts, count),
        (
            runs,
            leaf(NAME, "training_hours", inputs.training_hours, "hours of one expert's run", "h"),
            price,
        ),
    )  # fmt: skip


def payback_clips(invested_usd: float, margin_usd: float) -> float:
    """Return the accepted clips after which an investment is earned back; infinite without margin.

    >>> payback_clips(100.0, 4.0), payback_clips(100.0, 0.0)
    (25.0, inf)
    """
    return invested_usd / margin_usd if margin_usd > 0 else math.inf


def _payback(case: _Case, margin: Figure) -> Figure | None:
    low = margin.range.low if margin.range else float(margin.value)
    if float(margin.value) <= 0:
        return None
    if low <= 0:
        made = payback_clips(
            float(case.training.value) + float(case.setup.value), float(margin.value)
        )
        return Figure.derived(
            "clips until an adapter is paid", made, "clips",
            "(training + people's time) / margin; never at the low end of the margin",
            (case.training, case.setup, margin),
        )  # fmt: skip
    return worked_out(
        "clips until an adapter is paid", "clips", "(training + people's time) / margin",
        lambda train, setup, each: payback_clips(train + setup, each),
        (case.training, case.setup, margin),
    )  # fmt: skip


def _hosted_clip(inputs: LoraTier) -> Figure | None:
    """Return an accepted clip with adapters on somebody else's GPUs, where the book sells it."""
    with suppress(CostlabError):
        quoted = catalog.quote(HOSTED_MODEL, inputs.request, as_of=inputs.as_of, tier=HOSTED_TIER)
        terms = catalog.adapter(quoted.provider).terms
        return worked_out(
            f"cost of an accepted clip with adapters at {quoted.provider}", "USD/clip",
            "USD per attempt × billed share / delivered share / kept",
            lambda usd, failed, blocked, kept: usd_per_accepted(
                usd, failed, blocked, kept,
                failed_billed=terms.failed_billed is not False,
                moderated_billed=terms.moderated_billed is not False,
            ),
            (
                quoted.figure(),
                Figure.entered(
                    "share of API attempts that fail",
 inputs.losses.api_failure_share,
 "",
 "entered",
                ),
                inputs.losses.moderated,
                Figure.entered("share of delivered clips kept", inputs.kept, "", "entered"),
            ),
        )  # fmt: skip
    return None


def _rows(inputs: LoraTier, margin: Figure) -> tuple[dict[str, Cell], ...]:
    ways = [("own", f"own runs on {inputs.training_offer}"), ("hosted", "hosted trainer (fal)")]
    if inputs.training_usd is not None:
        ways.append(("entered", "as entered"))
    rows: list[dict[str, Cell]] = []
    for way, words in ways:
        usd = training_cost(inputs, way)
        rows.append(
            {
                "training": words,
                "usd_per_client": usd,
                "payback_clips": round(
                    payback_clips(float(usd.value) + inputs.setup_usd, float(margin.value)), 1
                )
                if float(margin.value) > 0
                else None,
            }
        )
    return tuple(rows)


def _curves(case: _Case, hosted: Figure | None) -> dict[str, tuple[tuple[float, float], ...]]:
    grid = spread(1.0, 10_000.0)
    invested = float(case.training.value) + float(case.setup.value)
    serve = float(case.serving.value) + float(case.storage.value)
    lines = {
        "own GPUs, training included": tuple((n, serve + invested / n) for n in grid),
        "price": tuple((n, float(case.price.value)) for n in grid),
    }
    if hosted:
        lines["hosted GPUs, training included"] = tuple(
            (n, float(hosted.value) + invested / n) for n in grid
        )
    return lines


def _words(inputs: LoraTier, summary: dict[str, Figure]) -> str:
    margin = float(summary["margin_usd"].value)
    serving = said_usd(float(summary["serving_usd"].value))
    price = said_usd(inputs.price_usd)
    if "payback_clips" not in summary:
        return (
            f"At {price} an accepted clip a LoRA tier earns nothing: serving one costs {serving}; "
            f"it takes {said_usd(float(summary['break_even_price_usd'].value))} to pay its way."
        )
    clips = float(summary["payback_clips"].value)
    months = clips / inputs.clips_per_client_month
    when = f"{months:.1f} months" if months >= 1 else f"{months * 30:.0f} days"
    text = (
        f"A client's adapter is paid after {math.ceil(clips):,} accepted clips ({when}): each is "
        f"sold at {price}, costs {serving} to serve and leaves {said_usd(margin)}"
    )
    if hosted := summary.get("hosted_usd"):
        text += f"; the same adapter on hosted GPUs costs {said_usd(float(hosted.value))} a clip"
    return f"{text}."


def _warnings(inputs: LoraTier, summary: dict[str, Figure]) -> tuple[str, ...]:
    found = []
    if inputs.training == "own":
        found.append(
            "The published training times do not say how many experts they cover; each is taken "
            "for one expert, so a style costs two runs."
        )
    if "hosted_usd" in summary:
        found.append(
            "Adapters are no privilege of own GPUs: fal runs Wan 2.2 with them too, as a paid tier."
        )
    return tuple(found)
