"""The article's product patterns: what each costs per accepted clip, and when it stops paying.

Each is a record of inputs, whose ``of`` takes a scenario's own, and a function to an `Answer`::

    preview_then_final(PreviewThenFinal.of(scenario("social-app")))
"""

from collections.abc import Callable, Mapping
from typing import Any

from costlab.patterns.accepted import (
    READINGS,
    Answer,
    Losses,
    Reading,
    Route,
    change,
    input_names,
    readings,
    usd_per_accepted,
)
from costlab.patterns.arrival import Newcomer, NextModel, next_model
from costlab.patterns.develop import DevelopmentTraffic, Machine, development_traffic
from costlab.patterns.lora import LoraTier, lora_tier
from costlab.patterns.preview import PreviewThenFinal, preview_then_final
from costlab.patterns.spot import SpotBatch, published_rates, spot_batch
from costlab.scenarios import Scenario
from costlab.store import Shelf

SHELVES: tuple[Shelf[Any], ...] = (READINGS,)
"""Every table of the book that this package makes."""

PATTERNS: Mapping[str, tuple[Callable[[Scenario], Any], Callable[[Any], Answer]]] = {
    "preview": (PreviewThenFinal.of, preview_then_final),
    "spot": (SpotBatch.of, spot_batch),
    "lora": (LoraTier.of, lora_tier),
    "develop": (DevelopmentTraffic.of, development_traffic),
    "next": (NextModel.of, next_model),
}
"""Each pattern by name: what makes its inputs of a scenario, and what answers them."""

EXAMPLES: Mapping[str, str] = {
    "preview": "social-app",
    "spot": "overnight-batch",
    "lora": "brand-studio",
    "develop": "dev-and-test",
    "next": "social-app",
}
"""The shipped scenario on which each pattern is shown."""

__all__ = [
    "EXAMPLES",
    "PATTERNS",
    "READINGS",
    "SHELVES",
    "Answer",
    "DevelopmentTraffic",
    "LoraTier",
    "Losses",
    "Machine",
    "Newcomer",
    "NextModel",
    "PreviewThenFinal",
    "Reading",
    "Route",
    "SpotBatch",
    "change",
    "development_traffic",
    "input_names",
    "lora_tier",
    "next_model",
    "preview_then_final",
    "published_rates",
    "readings",
    "spot_batch",
    "usd_per_accepted",
]
