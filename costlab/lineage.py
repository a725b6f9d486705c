"""Where figures come from: a report that carries its own proof, opened and recomputed.

    projection ─▶ figures ─▶ nodes, each once, by content hash ─▶ report.json
    report.json ─▶ its scenario projected again ─▶ the same hashes, or the leaf that moved

A node's hash covers its own fields and the hashes of its inputs, so two reports with one hash for
a figure rest on the same rows and runs all the way down.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any

from costlab import catalog, performance, projection, routing, scenarios, store, traffic
from costlab.core import BadData, Figure, UnknownName, canonical_json, plain, usd

FORMAT = "costlab-report/1"


class _Hashed:
    """The hash of each figure, worked out once for figures that many others rest on."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self._known: dict[int, tuple[Figure, str]] = {}

    def add(self, figure: Figure) -> str:
        """Return the figure's hash; it and all under it are among the nodes then."""
        if id(figure) in self._known:
            return self._known[id(figure)][1]
        inputs = [self.add(part) for part in figure.inputs]
        node = {
            item.name: plain(getattr(figure, item.name))
            for item in fields(Figure)
            if item.name != "inputs"
        }
        node = {key: value for key, value in node.items() if value not in (None, "", [])}
        if inputs:
            node["inputs"] = inputs
        key = hashlib.sha256(canonical_json(node).encode()).hexdigest()[:32]
        self.nodes[key] = node
        self._known[id(figure)] = (figure, key)
        return key


def document(answer: projection.Projection) -> dict[str, Any]:
    """Return a projection as a report that can be opened and verified on another machine.

    Keys: ``format``, ``scenario``, ``mix`` and ``policy`` whole, ``figures`` (path → node hash),
    ``nodes`` (hash → name, value, unit, basis, range, formula, source, ref, inputs), ``bill``,
    ``hash`` of all of it. Floats have 9 significant digits, money is a decimal string, nothing
    depends on the clock or the machine: the same scenario gives the same bytes (`text`).
    """
    hashed = _Hashed()
    figures = {path: hashed.add(figure) for path, figure in answer.figures().items()}
    body: dict[str, Any] = {
        "format": FORMAT,
        "scenario": plain(answer.scenario),
        "mix": plain(answer.mix),
        "policy": plain(answer.policy),
        "figures": figures,
        "nodes": dict(sorted(hashed.nodes.items())),
        "bill": [plain(line) | {"usd": format(usd(line.micro_usd), "f")} for line in answer.bill],
    }
    return body | {"hash": _hash(body)}


def text(report: Mapping[str, Any]) -> str:
    """Return the one JSON text of a report."""
    return canonical_json(report) + "\n"


def _hash(body: Mapping[str, Any]) -> str:
    kept = {key: value for key, value in body.items() if key != "hash"}
    return hashlib.sha256(canonical_json(kept).encode()).hexdigest()


# ── Opening ───────────────────────────────────────────────────────────────────────────────────


def raw(leaf: Figure) -> dict[str, Any] | None:
    """Return the raw row that a leaf rests on, as plain data; None where it names no row.

    Knows refs to prices and offers (the dated row whose source the leaf carries), GPUs, published
    clips, runs, mixes, own hardware and fees; a calibration or a closed form is no row.
    """
    kind, _, name = leaf.ref.split(";")[0].partition(":")
    rows: Iterable[Any] = ()
    if kind == "price":
        rows = (row for row in catalog.prices() if row.sku == name and row.source == leaf.source)
    elif kind == "offer":
        rows = (row for row in catalog.offer_history(name) if row.source == leaf.source)
    elif kind == "gpu":
        rows = (row for row in performance.gpus() if row.id == name)
    elif kind == "published":
        rows = (row for row in performance.clips() if row.id == name)
    elif kind == "run":
        rows = (row for row in performance.measured() if row.id == name)
    elif kind == "mix":
        rows = (mix for mix in traffic.mixes().values() if mix.id == name)
    elif kind == "owned":
        rows = (row for row in store.records(catalog.OWNED) if row.name == name)
    elif kind == "fee":
        rows = (row for row in catalog.fees() if f"{row.provider}/{row.item}" == name)
    row = next(iter(rows), None)
    return None if row is None else {k: v for k, v in plain(row).items() if v not in (None, "")}


def explain(answer: projection.Projection, path: str) -> Figure:
    """Return the figure at a path, with its tree; raises `UnknownName` naming the nearest."""
    figures = answer.figures()
    if path not in figures:
        raise UnknownName.among("figure", path, figures)
    return figures[path]


def leaves(figure: Figure) -> tuple[Figure, ...]:
    """Return the rows under a figure, each once, in the order of its tree."""
    found: dict[tuple[str, str, str], Figure] = {}
    visited: set[int] = set()

    def walk(part: Figure) -> None:
        if id(part) in visited:
            return
        visited.add(id(part))
        if not part.inputs:
            found.setdefault((part.ref, part.name, str(part.value)), part)
        for below in part.inputs:
            walk(below)

    walk(figure)
    return tuple(found.values())


# ── Verifying ─────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A leaf that is not what the report says: what it was, what it is, and what rests on it.

    ``was`` is None for a leaf that the report does not know, ``now`` for one that is gone.
    ``figures`` are the paths of the report's figures that rest on it.
    """

    leaf: str
    ref: str
    was: str | None
    now: str | None
    figures: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Whether a report still holds. ``intact``: the file is as it was written.

    ``figures`` are the paths whose hash is another today, ``moved`` the leaves behind them;
    ``formulas`` are figures that moved although no leaf under them did: the arithmetic changed,
    or other clips take their route.
    """

    intact: bool
    figures: tuple[str, ...]
    moved: tuple[Moved, ...]
    formulas: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the file is intact and every figure comes out the same."""
        return self.intact and not self.figures


def load(path: Path) -> dict[str, Any]:
    """Return the report of a JSON file; raises `BadData` where there is none."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadData(path.name, [f"cannot be read as JSON: {error}"]) from error
    if not isinstance(body, dict):
        raise BadData(path.name, ["expected one JSON object"])
    return body


def projected_again(body: Mapping[str, Any], where: str) -> projection.Projection:
    """Return the projection of the scenario inside a report, on today's rows and runs.

    Raises `BadData` for something that is no report.
    """
    if body.get("format") != FORMAT:
        raise BadData(where, [f"format: expected {FORMAT}, found {body.get('format')!r}"])
    missing = [
        k for k in ("scenario", "mix", "policy", "figures", "nodes", "hash") if k not in body
    ]
    if missing:
        raise BadData(where, [f"{name}: Field required" for name in missing])
    scenario = scenarios.parse_scenario(dict(body["scenario"]), f"{where}, scenario")
    mix = traffic.parse_mix(dict(body["mix"]), f"{where}, mix")
    policy = routing.parse_policy(dict(body["policy"]), f"{where}, policy")
    return projection.project(scenario, mix=mix, policy=policy)


def verify(body: Mapping[str, Any], where: str = "report") -> Verdict:
    """Recompute a report from the scenario inside it and name what moved; needs no network."""
    again = document(projected_again(body, where))
    old, new = body["figures"], again["figures"]
    paths = [path for path in {**old, **new} if old.get(path) != new.get(path)]
    found = moved(body, again)
    touched = {path for one in found for path in one.figures}
    return Verdict(
        intact=_hash(body) == body["hash"],
        figures=tuple(paths),
        moved=found,
        formulas=tuple(path for path in paths if path not in touched),
    )


def moved(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Moved, ...]:
    """Return the leaves under the figures that differ which one of two documents has alone.

    Both need ``figures`` and ``nodes``; leaves of one name and reference are one that changed.
    """
    under = [_under(old, new["figures"]), _under(new, old["figures"])]
    sides = [
        _named(body["nodes"], mine.keys() - other.keys())
        for body, mine, other in ((old, under[0], under[1]), (new, under[1], under[0]))
    ]
    found = []
    for ref, name in dict.fromkeys([*sides[0], *sides[1]]):
        pairs = zip_longest(sides[0].get((ref, name), ()), sides[1].get((ref, name), ()))
        for was, now in pairs:
            paths = [*under[0].get(was, ()), *under[1].get(now, ())]
            found.append(
                Moved(
                    leaf=name,
                    ref=ref,
                    was=_said(old["nodes"][was]) if was else None,
                    now=_said(new["nodes"][now]) if now else None,
                    figures=tuple(dict.fromkeys(paths)),
                )
            )
    return tuple(found)


def _named(nodes: Mapping[str, Any], keys: set[str]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for key in sorted(keys):
        found.setdefault((nodes[key].get("ref", ""), nodes[key]["name"]), []).append(key)
    return found


def _under(body: Mapping[str, Any], other: Mapping[str, str]) -> dict[str, list[str]]:
    """Return the paths of the figures unlike the other's that rest on each leaf, by its hash.

    A node that a damaged document lacks is a leaf without a name, and left out.
    """
    nodes = body["nodes"]
    found: dict[str, list[str]] = {}
    for path, top in body["figures"].items():
        if other.get(path) == top:
            continue
        seen, left = set(), [top]
        while left:
            key = left.pop()
            if key in seen or key not in nodes:
                continue
            seen.add(key)
            below = nodes[key].get("inputs", ())
            left += below
            if not below:
                found.setdefault(key, []).append(path)
    return found


def _said(node: Mapping[str, Any]) -> str:
    source = node.get("source", {})
    seen = f", {source['publisher']} {source.get('seen') or ''}".rstrip() if source else ""
    return f"{node['value']} {node.get('unit', '')}".strip() + seen
