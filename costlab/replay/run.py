"""Price every request of a log: count it in DuckDB, price the counts, join.

    log ─one GROUP BY (here, or per shard on Ray)─▶ counts by features × period × place
                                                       │ distinct combinations
                                                       ▼
                              mapped once ─▶ decided once ─▶ billed once per price epoch
                                                       │ hash join by integer keys
                                                       ▼
                                          month × tenant × segment × model

Money is whole micro-dollars from the bill to the total. A policy with a budget or an overflow is
walked through in order of time (`costlab.replay.order`).
"""

from __future__ import annotations

import bisect
import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from costlab import catalog, logs, projection, routing, store
from costlab.core import (
    HOURS_PER_MONTH,
    BadData,
    CostlabError,
    InvalidArgument,
    micro_usd,
    plain,
    usd,
)
from costlab.replay import cluster, order, places
from costlab.replay.prices import Desk, Outcome, Pricer, Question, one
from costlab.scenarios import Scenario, check, route_target
from costlab.traffic import Segment

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

BY = ("month", "tenant", "segment", "model")
"""What a replay can be grouped by, beside ``route`` and ``kind``."""
SAMPLE = 100
SHARD_ROWS = 5_000_000
_BATCH_ROWS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Requests without a price, and why."""

    reason: str
    requests: int
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Requests priced again one by one, by the plain path, and how many came out otherwise."""

    requests: int
    mismatches: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What the GPUs of a route cost: by use, as in the replay, and kept all month for the promise.

    ``usage_usd_per_month`` is the replay's sum over the months that the log covers;
    ``usd_per_month`` is what the projection rents for the log's traffic at its last level.
    """

    route: str
    slots: int
    gpus: int
    usage_usd_per_month: float
    usd_per_month: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A log priced request by request. ``rows`` = priced + refused requests, always.

    ``table`` has one row per month, tenant, segment, model, route and kind that took requests:
    requests, accepted, failed, ``micro_usd`` and what the log says was paid (``paid`` requests,
    ``paid_micro_usd``). ``policy`` None means the models that the log names. Own GPUs cost their
    busy seconds (usage basis); `fleet` says what the GPUs themselves would cost.
    """

    log: logs.Log
    scenario: Scenario
    policy: routing.Policy | None
    as_of: date | None
    engine: Literal["duckdb", "ray"]
    first: datetime | None
    last: datetime | None
    rows: int
    priced: int
    micro_usd: int
    refused: tuple[Refused, ...]
    unmapped: tuple[logs.Unmapped, ...]
    unreadable_lines: int
    table: pa.Table
    fleet: tuple[Fleet, ...]
    checked: Checked
    combinations: int
    epochs: int
    shards: int
    notes: tuple[str, ...]
    elapsed_s: float

    @property
    def usd(self) -> Decimal:
        """The total in dollars."""
        return usd(self.micro_usd)

    def by(self, *names: str) -> list[dict[str, Any]]:
        """Return sums by some of month, tenant, segment, model, route and kind, dearest first.

        Keys: the names asked, requests, accepted, failed, micro_usd, paid, paid_micro_usd. They
        add up to the totals. Raises `InvalidArgument` for another name.
        """
        known = (*BY, "route", "kind")
        if unknown := [name for name in names if name not in known]:
            raise InvalidArgument(f"group by {', '.join(known)}; found {', '.join(unknown)}")
        keys = "".join(f"{name}, " for name in names)
        sums = ", ".join(f"CAST(sum({name}) AS BIGINT) AS {name}" for name in _SUMS)
        order_by = ", ".join(["micro_usd DESC", *names])
        with store.analysis() as connection:
            connection.register("replayed", self.table)
            found = connection.sql(
                f"SELECT {keys}{sums} FROM replayed GROUP BY ALL ORDER BY {order_by}"
            ).to_arrow_table()
        rows: list[dict[str, Any]] = found.to_pylist()
        return rows

    def frame(self) -> pd.DataFrame:
        """Return `table` for analysis; money in whole micro-dollars (int64)."""
        found: pd.DataFrame = self.table.to_pandas()
        return found

    def write(self, path: Path) -> None:
        """Write `table` to a CSV or Parquet file; raises `InvalidArgument` for another ending."""
        import pyarrow.csv
        import pyarrow.parquet

        if path.suffix == ".parquet":
            pyarrow.parquet.write_table(self.table, path)
        elif path.suffix == ".csv":
            pyarrow.csv.write_csv(self.table, path)
        else:
            raise InvalidArgument(f"{path.name}: write a .csv or a .parquet file")

    def to_dict(self, by: Sequence[str] = ("month", "model")) -> dict[str, Any]:
        """Return the shape that ``costlab replay --json`` prints (docs/json.md)."""
        return {
            "log": {
                "files": list(self.log.files),
                "columns": dict(self.log.columns),
                "left_out": dict(self.log.left_out),
                "assumed": self.log.assumed,
                "first": self.first.isoformat(sep=" ") if self.first else None,
                "last": self.last.isoformat(sep=" ") if self.last else None,
            },
            "scenario": self.scenario.id,
            "policy": self.policy.id if self.policy else None,
            "prices_as_of": self.as_of.isoformat() if self.as_of else "each request's day",
            "engine": self.engine,
            "shards": self.shards,
            "rows": self.rows,
            "priced": self.priced,
            "not_priced": self.rows - self.priced,
            "unreadable_lines": self.unreadable_lines,
            "usd": format(self.usd, "f"),
            "groups": [
                {
                    **{name: plain(row[name]) for name in by},
                    "requests": row["requests"],
                    "accepted": row["accepted"] if "accepted" in self.log.columns else None,
                    "failed": row["failed"] if "failed" in self.log.columns else None,
                    "usd": format(usd(row["micro_usd"]), "f"),
                    "paid_usd": format(usd(row["paid_micro_usd"]), "f") if row["paid"] else None,
                }
                for row in self.by(*by)
            ],
            "refused": plain(self.refused),
            "unmapped": plain(self.unmapped),
            "fleet": plain(self.fleet),
            "check": {
                "requests": self.checked.requests,
                "mismatches": len(self.checked.mismatches),
                "found": list(self.checked.mismatches),
            },
            "combinations": self.combinations,
            "price_epochs": self.epochs,
            "notes": list(self.notes),
            "elapsed_s": plain(self.elapsed_s),
        }


_SUMS = ("requests", "accepted", "failed", "micro_usd", "paid", "paid_micro_usd")


def replay(
    log: logs.Log,
    scenario: Scenario,
    policy: routing.Policy | None,
    *,
    as_of: date | None = None,
    engine: Literal["duckdb", "ray"] = "duckdb",
    address: str | None = None,
    slots: Mapping[str, int] | None = None,
    sample: int = SAMPLE,
    shard_rows: int = SHARD_ROWS,
    memory_gib: float = 1.0,
    threads: int | None = None,
) -> Replay:
    """Return what the requests of ``log`` would have cost under ``policy``.

    Every request counts as one attempt, at the prices of its own day, or of ``as_of``. ``policy``
    None prices the models that the log names. ``slots`` gives the slots of own routes for a policy
    with overflow (left out: those that the projection sizes for the log's traffic). ``sample``
    requests are priced again one by one. Raises `BadData` and `InvalidArgument` where the scenario
    lacks a route, a split has no request ids to go by, a rule looks at ``segment`` and the log has
    none, or Ray is asked for a policy that depends on the order of requests.
    """
    began = time.perf_counter()
    desk = Desk(scenario, policy)
    if policy:
        check(scenario, policy)
    _refuse(log, desk, engine)
    known = logs.span(log)
    edges = _edges(log, desk, known, as_of)
    extra = () if policy else ("model",)
    counted, shards = _count(
        log, edges, desk.cuts(), extra, engine, address, shard_rows, memory_gib, threads
    )
    book = _Book(log, desk, known, edges, as_of, counted, extra)
    fitted = _projected(log, known, counted, desk, book)
    if policy and (policy.budget or policy.overflow):
        if policy.overflow and slots is None:
            slots = {pool.route: int(pool.slots.value) for pool in fitted.pools} if fitted else {}
        book.walk(slots or {}, memory_gib, threads)
    answers = book.answers()
    bad = dict(book.segments.bad) | logs.unread(log, counted)
    if known.timeless:
        bad["time"] = logs.timeless(log)
    table, refused, priced, total = _told(log, answers, known.rows)
    return Replay(
        log=log,
        scenario=scenario,
        policy=policy,
        as_of=as_of,
        engine=engine,
        first=known.first,
        last=known.last,
        rows=known.rows,
        priced=priced,
        micro_usd=total,
        refused=refused,
        unmapped=(*known.unreadable, *logs.locate(log, bad)),
        unreadable_lines=known.unreadable_lines,
        table=table,
        fleet=_fleet(table, fitted, known),
        checked=_checked(log, desk, book, sample),
        combinations=len(book.rows),
        epochs=len(edges) + 1,
        shards=shards,
        notes=_notes(log, desk, book, known),
        elapsed_s=time.perf_counter() - began,
    )


def _refuse(log: logs.Log, desk: Desk, engine: str) -> None:
    policy = desk.policy
    if policy is None:
        if "model" not in log.columns:
            raise InvalidArgument(
                "the log has no column for the model: map one to model, or name a policy"
            )
        return
    if "segment" in desk.seen() and "segment" not in log.columns:
        raise InvalidArgument(
            f"policy {policy.id} looks at segment and the log names no segments: map a column to it"
        )
    if desk.cuts() and "id" not in log.columns:
        raise InvalidArgument(
            f"policy {policy.id} splits requests by their id and the log has none: "
            "map a column to id"
        )
    if engine == "ray" and (policy.budget or policy.overflow):
        what = "a budget" if policy.budget else "an overflow"
        raise InvalidArgument(
            f"policy {policy.id} has {what}, which depends on all requests before: shards cannot "
            "know them; use the duckdb engine"
        )


def _edges(log: logs.Log, desk: Desk, known: logs.Span, as_of: date | None) -> tuple[date, ...]:
    if known.first is None or known.last is None:
        return ()
    first, last = known.first.date(), known.last.date()
    days = set(logs.months(first, last)[1:])
    if as_of is None:
        models = desk.apis if desk.policy else _logged_apis(log)
        days |= desk.change_days(models)
    return tuple(sorted(day for day in days if first < day <= last))


def _logged_apis(log: logs.Log) -> list[str]:
    with store.analysis() as connection:
        rows = connection.execute(
            f"SELECT DISTINCT CAST({log.raw('model')} AS VARCHAR) FROM {log.scan()}"
        ).fetchall()
    found = []
    for (name,) in rows:
        try:
            model = catalog.model(name or "")
        except CostlabError:
            continue
        found += [model.id] if model.kind == "api" else []
    return found


def _count(
    log: logs.Log,
    edges: Sequence[date],
    cuts: Sequence[int],
    extra: Sequence[str],
    engine: str,
    address: str | None,
    shard_rows: int,
    memory_gib: float,
    threads: int | None,
) -> tuple[pa.Table, int]:
    prepare = places.prepare if cuts else None
    if engine == "duckdb":
        counted = logs.count(
            log, edges, cuts=cuts, extra=extra, prepare=prepare, memory_gib=memory_gib,
            threads=threads,
        )  # fmt: skip
        return counted, 1
    import pyarrow as pa

    parts = logs.shards(log, shard_rows)
    work = functools.partial(_count_shard, log, tuple(edges), tuple(cuts), tuple(extra), memory_gib)
    return pa.concat_tables(cluster.map(work, parts, address=address)), len(parts)


def _count_shard(
    log: logs.Log,
    edges: tuple[date, ...],
    cuts: tuple[int, ...],
    extra: tuple[str, ...],
    memory_gib: float,
    shard: logs.Shard,
) -> pa.Table:
    return logs.count(
        log, edges, cuts=cuts, extra=extra, shard=shard, memory_gib=memory_gib, threads=1,
        prepare=places.prepare if cuts else None,
    )  # fmt: skip


# ── From counts to prices ─────────────────────────────────────────────────────────────────────


class _Book:
    """The counted log beside what its combinations of features mean and cost."""

    def __init__(
        self,
        log: logs.Log,
        desk: Desk,
        known: logs.Span,
        edges: tuple[date, ...],
        as_of: date | None,
        counted: pa.Table,
        extra: Sequence[str],
    ) -> None:
        self.log, self.desk, self.known, self.as_of = log, desk, known, as_of
        self.counted = counted
        first = known.first.date() if known.first else date.min
        self.starts = (first, *edges)
        by_tenant = "tenant" in desk.seen()
        self.names = tuple(
            name for name in (*log.features, *extra) if by_tenant or name != "tenant"
        )
        self.rows = self._combinations()
        varied = [
            name for i, name in enumerate(self.names) if len({row[i] for row in self.rows}) > 1
        ]
        self.segments = logs.Segments(log, varied)
        self.by_cells: dict[tuple[str, ...], Segment | str] = {}
        self.keys: dict[tuple[Segment, str], int] = {}
        self.key_of: dict[tuple[str, ...], int] = {}
        self._map()
        self.place_of = (0, *desk.cuts())
        self.outcomes: dict[tuple[int, int, int, str], Outcome] = {}
        self.steps: pa.Table | None = None
        self._price()

    def day(self, period: int) -> date:
        """Return the day whose prices hold in a period."""
        return self.as_of or self.starts[period]

    def _combinations(self) -> list[tuple[Any, ...]]:
        with store.analysis() as connection:
            connection.register("counted", self.counted)
            return connection.execute(
                f"SELECT {', '.join(self.names)}, CAST(sum(n) AS BIGINT) FROM counted "
                "GROUP BY ALL ORDER BY ALL"
            ).fetchall()

    def _map(self) -> None:
        for *cells, n in self.rows:
            named = dict(zip(self.names, cells, strict=True))
            logged = named.pop("model", "")
            found = self.segments.of(named, n)
            self.by_cells[tuple(cells)] = found
            if isinstance(found, str):
                self.key_of[tuple(cells)] = -1
                continue
            key = (self.desk.key(found), logged)
            self.key_of[tuple(cells)] = self.keys.setdefault(key, len(self.keys))

    def _combination_table(self) -> pa.Table:
        import pyarrow as pa

        columns: dict[str, Any] = {
            name: pa.array([row[i] for row in self.rows], pa.string())
            for i, name in enumerate(self.names)
        }
        found = [self.by_cells[tuple(row[:-1])] for row in self.rows]
        columns["key"] = pa.array([self.key_of[tuple(row[:-1])] for row in self.rows], pa.int32())
        columns["label"] = pa.array(
            ["" if isinstance(one, str) else one.name for one in found], pa.string()
        )
        columns["unmapped"] = pa.array(
            [f"cannot be mapped: {one}" if isinstance(one, str) else "" for one in found],
            pa.string(),
        )
        return pa.table(columns)

    def _price(self) -> None:
        joined = f"counted JOIN combinations USING ({', '.join(self.names)})"
        with store.analysis() as connection:
            connection.register("counted", self.counted)
            connection.register("combinations", self._combination_table())
            wanted = connection.execute(
                f"SELECT key, period, place, sum(failed) > 0 FROM {joined} "
                "WHERE key >= 0 AND period IS NOT NULL GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        policy = self.desk.policy
        steps = ["base"]
        steps += ["then"] if policy and policy.budget else []
        steps += ["over"] if policy and policy.overflow else []
        segments = list(self.keys)
        asked = [
            (
                (key, period, place, step),
                Question(
                    segment=segments[key][0],
                    day=self.day(period),
                    place=self.place_of[place] / 2**32,
                    step=step,  # type: ignore[arg-type]
                    logged=segments[key][1],
                ),
            )
            for key, period, place, _ in wanted
            for step in steps
        ]
        answered = Pricer(self.desk).outcomes(
            [question for _, question in asked], failures=any(row[3] for row in wanted)
        )
        self.outcomes = {at: outcome for (at, _), outcome in zip(asked, answered, strict=True)}

    def _outcome_table(self) -> pa.Table:
        import pyarrow as pa

        ats, told = list(self.outcomes), list(self.outcomes.values())
        columns: dict[str, Any] = {
            "key": pa.array([at[0] for at in ats], pa.int32()),
            "period": pa.array([at[1] for at in ats], pa.uint16()),
            "place": pa.array([at[2] for at in ats], pa.int32()),
            "step": pa.array([at[3] for at in ats], pa.string()),
        }
        for name, kind in (("route", pa.string()), ("model", pa.string()), ("kind", pa.string()),
                           ("micro_usd", pa.int64()), ("failed_micro_usd", pa.int64()),
                           ("reason", pa.string())):  # fmt: skip
            columns[name] = pa.array([getattr(outcome, name) for outcome in told], kind)
        return pa.table(columns)

    def answers(self) -> pa.Table:
        """Return requests and micro-dollars by month, tenant, segment, route and reason."""
        months = ", ".join(f"DATE '{start.replace(day=1)}'" for start in self.starts)
        tenant = "tenant" if "tenant" in self.log.features else "''"
        routed = self.steps if self.steps is not None else self.counted
        step = "step" if self.steps is not None else "'base'"
        with store.analysis() as connection:
            connection.register("counted", routed)
            connection.register("combinations", self._combination_table())
            connection.register("outcomes", self._outcome_table())
            return connection.sql(
                f"""
                SELECT [{months}][c.period + 1] AS month, c.tenant, label AS segment,
                    coalesce(o.model, '') AS model, coalesce(route, '') AS route,
                    coalesce(kind, '') AS kind,
                    CASE WHEN c.key < 0 THEN unmapped
                         WHEN c.period IS NULL THEN 'its time cannot be read'
                         ELSE reason END AS reason,
                    CAST(sum(n) AS BIGINT) AS requests,
                    CAST(sum(accepted) AS BIGINT) AS accepted,
                    CAST(sum(failed) AS BIGINT) AS failed,
                    CAST(coalesce(sum((n - failed) * micro_usd + failed * failed_micro_usd), 0)
                         AS BIGINT) AS micro_usd,
                    CAST(sum(paid) AS BIGINT) AS paid,
                    CAST(sum(paid_micro) AS BIGINT) AS paid_micro_usd
                FROM (SELECT * EXCLUDE (tenant), {tenant} AS tenant, {step} AS step FROM (
                        SELECT {"*" if tenant == "tenant" else "*, '' AS tenant"}
                        FROM counted JOIN combinations USING ({", ".join(self.names)}))) c
                LEFT JOIN outcomes o
                    ON c.key = o.key AND c.period = o.period AND c.place = o.place
                    AND c.step = o.step
                GROUP BY ALL ORDER BY ALL
                """
            ).to_arrow_table()

    # ── In order of time ──────────────────────────────────────────────────────────────────────

    def walk(self, slots: Mapping[str, int], memory_gib: float, threads: int | None) -> None:
        """Go through the requests in order, and split the counts by where each of them went."""
        import numpy as np
        import pyarrow as pa

        keys = [name for name in self.counted.column_names if name not in logs.MEASURES]
        with store.analysis(memory_gib=memory_gib, threads=threads) as connection:
            if self.desk.cuts():
                places.prepare(connection)
            connection.register("counted", self.counted)
            connection.register("combinations", self._combination_table())
            connection.execute(
                f"CREATE TEMP TABLE groups AS SELECT (row_number() OVER (ORDER BY "
                f"{', '.join(keys)}))::INTEGER - 1 AS g, {', '.join(keys)}, key FROM "
                f"(SELECT DISTINCT {', '.join(keys)} FROM counted) "
                f"JOIN combinations USING ({', '.join(self.names)}) "
            )
            groups = connection.execute(
                "SELECT g, key, period, place FROM groups ORDER BY g"
            ).fetchall()
            walk = self._walk([row[1:] for row in groups], slots)
            reader = connection.sql(self._in_order(keys)).to_arrow_reader(_BATCH_ROWS)
            for batch in reader:
                columns = [batch.column(i).to_numpy(zero_copy_only=False) for i in range(5)]
                at_us, group, accepted, failed, paid = columns
                walk.take(
                    at_us / 1e6, group.astype(np.int64), accepted, failed, paid.astype(np.int64)
                )
            used = np.argwhere(walk.tally[:, :, 0] > 0)
            sums = walk.tally[used[:, 0], used[:, 1]]
            table = {
                "g": pa.array(used[:, 0].astype(np.int32)),
                "step": pa.array([order.STEPS[step] for step in used[:, 1]], pa.string()),
            }
            for i, name in enumerate(("n", "accepted", "failed", "paid", "paid_micro")):
                table[name] = pa.array(sums[:, i])
            connection.register("walked", pa.table(table))
            timeless = (
                f"SELECT {', '.join(keys)}, 'base' AS step, n, accepted, failed, paid, paid_micro "
                "FROM counted WHERE period IS NULL"
            )
            self.steps = connection.sql(
                f"SELECT {', '.join(f'groups.{name}' for name in keys)}, step, n, accepted, "
                f"failed, paid, paid_micro FROM walked JOIN groups USING (g) UNION ALL {timeless}"
            ).to_arrow_table()

    def _in_order(self, keys: Sequence[str]) -> str:
        """Return the SQL of the requests in order: time, group, accepted, failed, paid."""
        log = self.log
        raw = logs.keys_sql(
            log, self.starts[1:], self.desk.cuts(), [n for n in self.names if n == "model"]
        )
        cells = ", ".join(
            f"{sql} AS {name}"
            if name in ("period", "place")
            else f"coalesce(CAST({sql} AS VARCHAR), '') AS {name}"
            for name, sql in raw.items()
        )
        flags = logs.flags_sql(log)
        return (
            "SELECT epoch_us(r.t) AS t, g, acc, fail, paid FROM "
            f"(SELECT {log.time()} AS t, {cells}, {flags} FROM {log.scan()}) r "
            f"JOIN groups USING ({', '.join(keys)}) "
            "WHERE r.t IS NOT NULL ORDER BY t, g, acc, fail, paid"
        )

    def _walk(
        self, groups: Sequence[tuple[int, int | None, int]], slots: Mapping[str, int]
    ) -> order.Walk:
        import numpy as np

        policy = self.desk.policy
        assert policy is not None
        routes = sorted(
            {outcome.route for outcome in self.outcomes.values() if outcome.kind == "self_hosted"}
        )
        number = {route: n for n, route in enumerate(routes)}
        months = sorted({start.replace(day=1) for start in self.starts})
        then = route_target(self.desk.scenario, policy.budget.then) if policy.budget else ""
        nothing = Outcome(route="", model="", kind="")
        segments = list(self.keys)
        rows = []
        for key, period, place in groups:
            at = (key, period, place)
            base, after, over = (
                self.outcomes.get((*at, step), nothing)  # type: ignore[arg-type]
                for step in order.STEPS
            )
            batch = key >= 0 and segments[key][0].batch
            rows.append(
                (
                    bisect.bisect_right(months, self.starts[period or 0]) - 1,
                    base.micro_usd,
                    base.failed_micro_usd,
                    -1 if batch else number.get(base.route, -1),
                    base.slot_s,
                    base.kind == "api" and then not in (base.route, base.model),
                    -1 if batch else number.get(after.route, -1),
                    after.slot_s,
                    bool(over.kind) and not batch,
                )
            )
        columns = list(zip(*rows, strict=True))
        whole = [np.array(column) for column in columns]
        return order.Walk(
            month=whole[0].astype(np.int64),
            cost=whole[1].astype(np.int64),
            failed_cost=whole[2].astype(np.int64),
            pool=whole[3].astype(np.int64),
            slot_s=whole[4].astype(np.float64),
            capped=whole[5].astype(np.bool_),
            then_pool=whole[6].astype(np.int64),
            then_slot_s=whole[7].astype(np.float64),
            hands_over=whole[8].astype(np.bool_),
            cap=micro_usd(policy.budget.usd_per_month) if policy.budget else -1,
            after_s=policy.overflow.after_wait_s if policy.overflow else -1.0,
            slots=np.array([slots.get(route, 0) for route in routes], dtype=np.int64),
            months=len(months),
        )


# ── What is told of it ────────────────────────────────────────────────────────────────────────


def _told(
    log: logs.Log, answers: pa.Table, rows: int
) -> tuple[pa.Table, tuple[Refused, ...], int, int]:
    """Return the priced table, the refusals by reason, and requests and micro-dollars priced."""
    with store.analysis() as connection:
        connection.register("answers", answers)
        table = connection.sql(
            "SELECT * EXCLUDE (reason) FROM answers WHERE reason = '' ORDER BY ALL"
        ).to_arrow_table()
        reasons = connection.execute(
            "SELECT reason, CAST(sum(requests) AS BIGINT) AS n FROM answers WHERE reason <> '' "
            "GROUP BY ALL ORDER BY n DESC, reason"
        ).fetchall()
        priced, micro = connection.execute(
            "SELECT CAST(coalesce(sum(requests), 0) AS BIGINT), "
            "CAST(coalesce(sum(micro_usd), 0) AS BIGINT) FROM answers WHERE reason = ''"
        ).fetchall()[0]
    refused = tuple(
        Refused(reason=reason, requests=requests, share=requests / rows)
        for reason, requests in reasons
    )
    if priced + sum(item.requests for item in refused) != rows:
        told = priced + sum(item.requests for item in refused)
        raise BadData(log.files[0], [f"had {rows} rows, then {told}: it changed while it was read"])
    return table, refused, priced, micro


def _projected(
    log: logs.Log, known: logs.Span, counted: pa.Table, desk: Desk, book: _Book
) -> projection.Projection | None:
    """Return the projection of the log's own traffic, where the replay uses own GPUs."""
    if desk.policy is None or not any(o.kind == "self_hosted" for o in book.outcomes.values()):
        return None
    fitted = logs.fitted(log, known, counted, most_segments=40)
    return projection.project(
        replace(desk.scenario, clips_per_month=None), mix=fitted.mix, policy=desk.policy
    )


def _fleet(
    table: pa.Table, projected: projection.Projection | None, known: logs.Span
) -> tuple[Fleet, ...]:
    if projected is None or known.first is None or known.last is None:
        return ()
    hours = max((known.last - known.first).total_seconds() / 3600, 1.0)
    with store.analysis() as connection:
        connection.register("replayed", table)
        used = dict(
            connection.execute(
                "SELECT route, CAST(sum(micro_usd) AS BIGINT) FROM replayed GROUP BY route"
            ).fetchall()
        )
    return tuple(
        Fleet(
            route=pool.route,
            slots=int(pool.slots.value),
            gpus=int(pool.gpus.value),
            usage_usd_per_month=used.get(pool.route, 0) / 1e6 / hours * HOURS_PER_MONTH,
            usd_per_month=Decimal(pool.usd_per_month.value),
        )
        for pool in projected.pools
    )


def _checked(log: logs.Log, desk: Desk, book: _Book, sample: int) -> Checked:
    """Price a sample again, request by request, and compare with what the join gave it."""
    if not sample:
        return Checked(requests=0, mismatches=())
    keys = logs.keys_sql(
        log, book.starts[1:], desk.cuts(), [name for name in book.names if name == "model"]
    )
    cells = ", ".join(
        f"coalesce(CAST({keys[name]} AS VARCHAR), '') AS {name}" for name in book.names
    )
    identity = f"CAST({log.raw('id')} AS VARCHAR)" if desk.cuts() else "''"
    with store.analysis() as connection:
        if desk.cuts():
            places.prepare(connection)
        rows = connection.execute(
            f"SELECT {keys['period']}, {keys['place']}, CAST({log.time()} AS DATE), "
            f"coalesce({identity}, ''), {cells} FROM "
            f"(SELECT * FROM {log.scan()} USING SAMPLE reservoir({sample} ROWS) REPEATABLE (7))"
        ).fetchall()
    asked: dict[Question, Outcome] = {}
    wrong = []
    done = 0
    for period, place, day, request_id, *raw in rows:
        segment = book.by_cells[tuple(raw)]
        if isinstance(segment, str) or period is None:
            continue
        question = Question(
            segment=segment,
            day=book.as_of or day,
            place=routing.fraction(request_id) if desk.cuts() else 0.0,
            logged=dict(zip(book.names, raw, strict=True)).get("model", ""),
        )
        if question not in asked:
            asked[question] = one(desk, question)
        plain_way = asked[question]
        joined = book.outcomes[book.key_of[tuple(raw)], period, place, "base"]
        done += 1
        if (plain_way.route, plain_way.micro_usd, bool(plain_way.reason)) != (
            joined.route, joined.micro_usd, bool(joined.reason)
        ):  # fmt: skip
            wrong.append(
                f"{segment.name} on {day}: {plain_way.micro_usd} micro-dollars by "
                f"{plain_way.route}, the join has {joined.micro_usd} by {joined.route}"
            )
    return Checked(requests=done, mismatches=tuple(wrong))


def _notes(log: logs.Log, desk: Desk, book: _Book, known: logs.Span) -> tuple[str, ...]:
    notes = []
    policy = desk.policy
    if policy:
        looked = {name for rule in policy.rules for name in rule.when or {}}
        notes += [
            f"the policy looks at {name}, which the log does not have: every request counts "
            f"as {log.assumed[name]}"
            for name in sorted(looked & set(log.assumed))
        ]
        if policy.kind == "cheapest":
            notes.append(
                "cheapest means the cheapest attempt by use; the projection also weighs idle "
                "GPU hours"
            )
        if policy.overflow:
            notes.append("batch work neither takes a slot from a person nor is handed over")
    notes += [
        f"{name} is empty in {rows:,} rows; they get the usual value"
        for name, rows in sorted(book.segments.empty.items())
        if name not in ("seconds", "segment", "tenant")
    ]
    if any(outcome.kind == "self_hosted" for outcome in book.outcomes.values()):
        notes.append(
            "own GPUs cost their busy seconds here; what the GPUs cost when kept for the "
            "promise stands under fleet"
        )
    if known.unreadable_lines:
        notes.append(f"{known.unreadable_lines:,} lines are no rows and are not among the requests")
    return tuple(notes)
