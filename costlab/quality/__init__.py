"""How good each model's clips are, how fast, and what it can make, each fact with its source."""

from typing import Any

from costlab.quality.capabilities import FEATURES, Capability, Fact, Feature, capability, matrix
from costlab.quality.entries import (
    AuditRow,
    EnteredFeature,
    EnteredRating,
    Standing,
    audit,
    enter,
    remove,
)
from costlab.quality.latency import LATENCY, Latency, latencies, latency
from costlab.quality.scores import (
    BOARDS,
    DOCUMENTS,
    LEFT_OUT,
    NAMES,
    SCORES,
    Board,
    Document,
    LeftOut,
    Name,
    Score,
    Scored,
    boards,
    difference,
    entered,
    left_out,
    names,
    published,
    rating,
    recipe,
    scores,
    snapshot,
    sound_worth,
)
from costlab.store import Shelf

SHELVES: tuple[Shelf[Any], ...] = (
    BOARDS,
    DOCUMENTS,
    NAMES,
    SCORES,
    FEATURES,
    LATENCY,
    LEFT_OUT,
)
"""Every table of the book that this package makes."""

__all__ = [
    "BOARDS",
    "DOCUMENTS",
    "FEATURES",
    "LATENCY",
    "LEFT_OUT",
    "NAMES",
    "SCORES",
    "SHELVES",
    "AuditRow",
    "Board",
    "Capability",
    "Document",
    "EnteredFeature",
    "EnteredRating",
    "Fact",
    "Feature",
    "Latency",
    "LeftOut",
    "Name",
    "Score",
    "Scored",
    "Standing",
    "audit",
    "boards",
    "capability",
    "difference",
    "enter",
    "entered",
    "latencies",
    "latency",
    "left_out",
    "matrix",
    "names",
    "published",
    "rating",
    "recipe",
    "remove",
    "scores",
    "snapshot",
    "sound_worth",
]
