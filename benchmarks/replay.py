"""A replay against DuckDB's own scan-and-group of the same columns, and against its peers.

Run ``python benchmarks/replay.py [ROWS] [--only NAME …] [--file LOG.parquet]`` (10 million rows by
default; the log is made in a temporary folder and deleted). Each contender runs in a process of its
own, which reports seconds and its peak resident memory. Peers are given everything that needs no
work: they join ready prices by combination of features and day and sum them by month, tenant and
combination, without mapping, policy or billing rules. Pure Python prices a part of the log and is
scaled up.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

KEYS = ("mode", "stage", "tier", "quality", "resolution", "seconds", "audio")
DAY = date(2026, 11, 22)
FIRST, DAYS = "2026-08-24", 84
PURE_ROWS = 50_000
RAY = "127.0.0.1"


def make(path: Path, rows: int) -> None:
    """Write a log of 84 days: 50 tenants, 960 kinds of request, ids, acceptance."""
    import duckdb

    step = DAYS * 86_400_000_000 / rows
    with duckdb.connect(config={"memory_limit": "1500MB"}) as connection:
        connection.execute(
            f"""
            COPY (SELECT TIMESTAMP '{FIRST}' + to_microseconds(CAST(i * {step} AS BIGINT)) AS time,
                'r' || i AS id,
                CASE WHEN h % 10 < 7 THEN 't2v' ELSE 'i2v' END AS mode,
                CASE WHEN (h // 16) % 2 = 0 THEN 'preview' ELSE 'final' END AS stage,
                ['basic', 'standard', 'creator', 'enterprise'][1 + (h // 32) % 4] AS tier,
                CASE WHEN (h // 128) % 4 = 0 THEN 'premium' ELSE 'standard' END AS quality,
                ['480p', '720p', '1080p'][1 + (h // 512) % 3] AS resolution,
                CAST([4, 5, 6, 8, 10][1 + (h // 2048) % 5] AS SMALLINT) AS seconds,
                (h // 16384) % 4 = 0 AS audio,
                't' || ((h // 65536) % 50) AS tenant,
                (h // 9999991) % 3 > 0 AS accepted
            FROM (SELECT i, CAST(hash(i) >> 1 AS BIGINT) AS h FROM range({rows}) t(i)))
            TO '{path}' (FORMAT parquet)
            """
        )


def _connected() -> Any:
    import duckdb

    return duckdb.connect(config={"memory_limit": "1GiB"})


def bare_scan(path: Path) -> int:
    columns = ", ".join(f"max({name})" for name in (*KEYS, "tenant", "accepted", "time"))
    with _connected() as connection:
        return int(connection.execute(f"SELECT count(*), {columns} FROM '{path}'").fetchall()[0][0])


def scan_and_group(path: Path) -> int:
    with _connected() as connection:
        found = connection.execute(
            f"CREATE TABLE t AS SELECT {', '.join(KEYS)}, tenant, date_trunc('month', time) AS m, "
            f"count(*) AS n, count(*) FILTER (accepted) AS a FROM '{path}' GROUP BY ALL"
        )
        found = connection.execute("SELECT sum(n) FROM t")
        return int(found.fetchall()[0][0])


def _prices(path: Path) -> Any:
    """Return a ready table of prices by combination and day, as a peer would be handed."""
    import pyarrow as pa

    with _connected() as connection:
        kinds = connection.execute(f"SELECT DISTINCT {', '.join(KEYS)} FROM '{path}'").fetchall()
    days = [date.fromordinal(date.fromisoformat(FIRST).toordinal() + n) for n in range(DAYS)]
    rows = [
        (*kind, day, n, 1000 * n + i) for n, kind in enumerate(kinds) for i, day in enumerate(days)
    ]
    return pa.table(dict(zip((*KEYS, "day", "kind", "micro"), map(list, zip(*rows, strict=True)),
                             strict=True)))  # fmt: skip


def duckdb_join(path: Path) -> int:
    prices = _prices(path)
    with _connected() as connection:
        connection.register("prices", prices)
        connection.execute("CREATE TABLE p AS SELECT * REPLACE (seconds::SMALLINT AS seconds) "
                           "FROM prices")  # fmt: skip
        on = " AND ".join(f"l.{name} = p.{name}" for name in KEYS)
        found = connection.execute(
            f"SELECT date_trunc('month', time), tenant, kind, count(*) AS n, sum(micro) "
            f"FROM '{path}' l JOIN p ON {on} AND l.time::DATE = p.day GROUP BY ALL"
        )
        return sum(int(row[3]) for row in found.fetchall())


def polars_streaming(path: Path) -> int:
    import polars as pl

    prices = pl.from_arrow(_prices(path)).lazy().with_columns(pl.col("seconds").cast(pl.Int16))
    found = (
        pl.scan_parquet(path)
        .with_columns(day=pl.col("time").dt.date(), month=pl.col("time").dt.truncate("1mo"))
        .join(prices, on=[*KEYS, "day"])
        .group_by("month", "tenant", "kind")
        .agg(pl.len().alias("n"), pl.col("micro").sum())
        .collect(engine="streaming")
    )
    return int(found["n"].sum())


def _asked(path: Path) -> Any:
    from costlab import logs, routing, scenarios

    return logs.open_log(path), scenarios.scenario("social-app"), routing.policy("article")


def costlab_replay(path: Path) -> int:
    from costlab import replay

    return replay.replay(*_asked(path)).rows


def costlab_split(path: Path) -> int:
    from costlab import replay, routing

    log, scenario, _ = _asked(path)
    return replay.replay(log, scenario, routing.policy("trial-split")).rows


def costlab_budget(path: Path) -> int:
    from costlab import replay, routing

    log, scenario, _ = _asked(path)
    return replay.replay(log, scenario, routing.policy("api-budget")).rows


def costlab_ray(path: Path) -> int:
    import ray

    from costlab import replay

    ray.init(num_cpus=2, include_dashboard=False, logging_level="error",
             object_store_memory=500_000_000)  # fmt: skip
    log, scenario, policy = _asked(path)
    ray.get([ray.remote(lambda: None).remote() for _ in range(2)])
    global began
    began = time.perf_counter()
    return replay.replay(log, scenario, policy, engine="ray").rows


def pure_python(path: Path) -> int:
    """Map, decide and look up a price for each row, one after the other."""
    from costlab import catalog, logs, routing, scenarios, unitcost
    from costlab.core import CostlabError

    log, scenario, policy = _asked(path)
    with _connected() as connection:
        rows = connection.execute(
            f"SELECT {', '.join(KEYS)}, tenant, time FROM '{path}' LIMIT {PURE_ROWS}"
        ).fetchall()
    global began
    began = time.perf_counter()
    priced: dict[Any, int | None] = {}
    segments = logs.Segments(log)
    sums: dict[Any, int] = {}
    for *cells, tenant, at in rows:
        named = {name: str(cell) for name, cell in zip(KEYS, cells, strict=True)}
        segment = segments.of(named, 1)
        if isinstance(segment, str):
            continue
        parts = routing.decide(policy, segment, ())
        target = scenarios.route_target(scenario, parts[0].route)
        key = (target, segment.request(), at.date())
        if key not in priced:
            try:
                if catalog.model(target).kind == "api":
                    priced[key] = catalog.quote(target, key[1], as_of=key[2]).micro_usd
                else:
                    unit = unitcost.self_hosted(scenario.deployments[0], key[1], key[2])
                    priced[key] = unit.lines[0].micro_usd
            except CostlabError:
                priced[key] = None
        micro = priced[key]
        if micro is not None:
            group = (at.year, at.month, tenant, target)
            sums[group] = sums.get(group, 0) + micro
    return len(rows)


CONTENDERS: dict[str, Callable[[Path], int]] = {
    "bare scan": bare_scan,
    "scan and group": scan_and_group,
    "costlab replay": costlab_replay,
    "costlab replay, split by id": costlab_split,
    "costlab replay, budget in order": costlab_budget,
    "costlab replay on Ray": costlab_ray,
    "DuckDB, ready prices joined": duckdb_join,
    "polars streaming, ready prices joined": polars_streaming,
    "pure Python": pure_python,
}
began = 0.0


def one(name: str, path: Path) -> None:
    global began
    began = time.perf_counter()
    rows = CONTENDERS[name](path)
    took = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(json.dumps({"rows": rows, "s": took, "peak_gib": peak}))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", type=int, nargs="?", default=10_000_000)
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--file", type=Path, help="a log made earlier, not deleted")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        one(asked.one, asked.file)
        return
    with tempfile.TemporaryDirectory(prefix="costlab-replay-") as folder:
        path = asked.file or Path(folder) / "log.parquet"
        if not path.exists():
            make(path, asked.rows)
        print(f"{path.stat().st_size / 2**20:,.0f} MiB of Parquet")
        group_s = 0.0
        for name in asked.only:
            done = subprocess.run(
                [sys.executable, __file__, "--file", str(path), "--one", name],
                capture_output=True,
                text=True,
            )
            if done.returncode:
                print(f"{name:<40} failed: {done.stderr.strip().splitlines()[-1]}")
                continue
            told = json.loads(done.stdout.splitlines()[-1])
            seconds = told["s"] * (asked.rows / told["rows"] if name == "pure Python" else 1)
            if name == "scan and group":
                group_s = seconds
            ratio = f"{seconds / group_s:6.2f} × scan and group" if group_s else ""
            print(f"{name:<40} {seconds:8.1f} s {ratio:24} {told['peak_gib']:5.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
