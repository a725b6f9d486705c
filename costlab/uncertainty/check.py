"""The slow story that the compiled loop is checked by: one draw, month by month, slot by slot."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from costlab import capacity, traffic, unitcost
from costlab.uncertainty.draws import COST, evaluate, normals
from costlab.uncertainty.inputs import Input
from costlab.uncertainty.model import Floats, Model, gpus_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """How tabled sizing compares with the exact one, over sampled draws and months.

    ``equal`` is the share of fleets with as many slots, ``most_slots`` and ``most_share`` the
    largest difference, ``most_usd`` the largest of a draw's whole bill, as a share of it.
    """

    fleets: int
    equal: float
    most_slots: int
    most_share: float
    most_usd: float


def sizing(model: Model, *, draws: int = 20, seed: int = 1) -> Sizing:
    """Return the comparison; each fleet costs an exact sizing, milliseconds each."""
    z = normals(draws, len(model.uncertain), seed)
    rows, tabled = evaluate(model, z)
    exact = np.array([slots(model, one) for one in z])
    tabled = tabled[:, : exact.shape[1]]
    rents = _rents(model, z)
    off = ((tabled - exact) * rents).sum(axis=1) / rows[:, COST]
    return Sizing(
        fleets=exact.size,
        equal=float((tabled == exact).mean()),
        most_slots=int(np.abs(tabled - exact).max()),
        most_share=float((np.abs(tabled - exact) / exact).max()),
        most_usd=float(np.abs(off).max()),
    )


def _at(item: Input, z: float) -> float:
    return item.centre if math.isnan(z) else item.at(z)


def _values(model: Model, z: Floats) -> Floats:
    values = model.values.copy()
    for item, one in zip(model.uncertain, z, strict=True):
        values[item.place] = _at(item, float(one))
    return values


def _rents(model: Model, z: Floats) -> Floats:
    """Return what one slot of each pool costs in its epoch, per draw."""
    m = model.arrays
    of_pool = np.repeat(np.arange(len(m.month)), np.diff(m.pool_from))
    one = m.pool_gpus * m.pool_usd * m.hours[of_pool] * m.share[of_pool]
    return np.array([one * _values(model, row)[m.pool_at] for row in z])


def slots(model: Model, z: Floats) -> list[int]:
    """Return the slots of every pool of every epoch at one draw, by `capacity.slots_needed`."""
    values = _values(model, z)
    named = {item.id: values[item.place] for item in model.inputs}
    found = []
    for epoch, on in zip(model.epochs, model.arrays.on, strict=True):
        answer = epoch.projection
        if answer is None:
            continue
        growth = named.get("growth", model.mix.growth_per_month)
        grown = ((1 + growth) / (1 + model.mix.growth_per_month)) ** int(on)
        for pool in answer.pools:
            loads = []
            for result in answer.segments:
                unit = result.unit
                if result.route != pool.route or unit is None or unit.slot_s is None:
                    continue
                failure = named.get(f"failure/{pool.route}", pool.deployment.failure_share)
                kept = named.get(f"acceptance/{result.of}", result.segment.acceptance)
                tries = traffic.attempts(
                    failure=failure,
                    acceptance=kept,
                    max_tries=result.segment.max_tries,
                    failures_billed=True,
                )
                loads.append(
                    capacity.Load(
                        per_month=result.wanted * named["volume"] * grown * tries.per_wanted,
                        slot_s=_slot_s(model, pool.deployment, unit, named),
                        batch=result.segment.batch,
                    )
                )
            found.append(
                capacity.slots_needed(
                    loads,
                    hours=answer.hours,
                    peak_factor=1 + (model.peak_factor - 1) * named.get("peak", 1.0),
                    p95_wait_s=model.scenario.p95_wait_s,
                    batch_utilisation=named.get(
                        "batch_utilisation", model.scenario.batch_utilisation
                    ),
                )
            )
    return found


def _slot_s(
    model: Model,
    deployment: unitcost.Deployment,
    unit: unitcost.UnitCost,
    named: dict[str, float],
) -> float:
    """Return a part's seconds on a slot at the drawn speed of its GPU and rate of interruptions."""
    assert unit.slot_s is not None
    speed = model.input(f"seconds/{gpus_of(deployment)}")
    factor = named[speed.id]
    render = unit.slot_s.inputs[0] if deployment.spot else unit.slot_s
    seconds = float(render.value)
    if render.range and factor != 1:
        end, ref = (render.range.low, speed.low) if factor < 1 else (render.range.high, speed.high)
        seconds *= math.exp(math.log(end / seconds) * math.log(factor) / math.log(ref))
    if not deployment.spot:
        return seconds
    theta = float(unit.slot_s.inputs[1].value) * named.get(f"interruptions/{deployment.offer}", 1.0)
    return seconds * unitcost.spot_factor(seconds, theta)
