"""How fast a FOCUS file of a million rows is written, and what the public validator says of one.

    python -m benchmarks.focus                       one million rows, Parquet and CSV, both ways in
    FOCUS_VALIDATOR=…/bin/focus-validator python -m benchmarks.focus --validate

The validator (PyPI ``focus-validator`` 2.2.1) needs Python 3.12 and ``pyarrow<22``, its own virtual
environment therefore; its rules for 1.2.0.1 come with it. Of the two halves of a nullability rule
that its model joins by OR, such as InvoiceId-C-004 (always null) and InvoiceId-C-005 (never null),
it counts the other half as failed though the rule itself passed: such halves are not counted here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

from costlab import finance, scenarios, traffic
from costlab.finance import focus
from costlab.finance.charges import CLIPS, NANO

ROWS = 1_000_000
RULES = "model-1.2.0.1.json"


def every_kind_of_charge() -> tuple[finance.Charge, ...]:
    """Return four months with each kind of row: commitments used and not, packs, own GPUs, …"""
    asked = scenarios.scenario("social-app")
    route = "wan2.2-t2v-a14b@H100-SXM"
    asked = replace(
        asked,
        clips_per_month=30_000,
        deployments=tuple(
            replace(one, usd_per_gpu_hour=Decimal("3.10")) for one in asked.deployments
        ),
    )
    start = date(2026, 11, 1)
    terms = finance.Terms(
        reserved=(
            finance.Reserved(
                name="reserved for the winter",
                route=route,
                gpus=40,
                starts=date(2026, 12, 5),
                months=3,
                discount=Decimal("0.3"),
                upfront=Decimal("0.5"),
                breaks_on=date(2027, 2, 3),
                break_fee_usd=Decimal(5000),
            ),
        ),
        owned=(
            finance.Owned(
                name="own node",
                route=route,
                gpus=8,
                usd_per_gpu=Decimal(30_000),
                starts=date(2026, 12, 10),
                years=3,
                rate=0.08,
                watts_per_gpu=Decimal(900),
                pue=Decimal("1.3"),
                usd_per_kwh=Decimal("0.1"),
            ),
        ),
        balances=(
            finance.Balance(
                name="veo pack",
                seller="gemini",
                usd=Decimal(29_000),
                face_usd=Decimal(32_000),
                starts=start,
                days=45,
            ),
        ),
        credits=(
            finance.Credit(
                name="start-up credit", usd=Decimal(10_000), starts=start, ends=date(2027, 1, 1)
            ),
        ),
        corrections=(
            finance.Correction(
                name="refund",
                day=date(2027, 1, 4),
                usd=Decimal("-12.5"),
                seller="gemini",
                invoice="A-17",
            ),
        ),
        contingency=Decimal("0.1"),
        tax=Decimal("0.2"),
    )
    mix = traffic.mix(asked.mix)
    tenants = [
        replace(one, tenant="app" if number % 2 else "studio")
        for number, one in enumerate(mix.segments)
    ]
    mix = replace(mix, segments=tuple(tenants))
    return finance.months(asked, months=4, terms=terms, mix=mix).charges


# ── The public validator ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the validator said: rules passed, and those failed with their message."""

    passed: int
    failed: tuple[str, ...]
    alternatives: tuple[str, ...]


def validate(path: Path, command: str) -> Verdict:
    """Return what the public validator says of a FOCUS 1.2 file.

    ``alternatives`` are the halves of OR rules that passed. Raises `CalledProcessError` where the
    validator does not run, `FileNotFoundError` where its rules are not beside it.
    """
    program = Path(command).absolute()
    (rules,) = program.parents[1].glob(f"lib/python*/site-packages/focus_validator/rules/{RULES}")
    ran = subprocess.run(
        [program, "--data-file", path.absolute(), "--block-download",
         "--validate-version", "1.2.0.1"],
        cwd=rules.parents[2],
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    passed = set(re.findall(r"^✅ (\S+): PASS", ran.stdout, re.MULTILINE))
    failed = dict(re.findall(r"^❌ ((\S+): FAIL.*)$", ran.stdout, re.MULTILINE))
    told = {name: text for text, name in failed.items()}
    model = json.loads(rules.read_text(encoding="utf-8"))["ModelRules"]
    halves = {
        part.get("ModelRuleId")
        for name in passed
        if (asked := model[name]["ValidationCriteria"].get("Requirement") or {}).get(
            "CheckFunction"
        )
        == "OR"
        for part in asked["Items"]
    }
    return Verdict(
        passed=len(passed),
        failed=tuple(text for name, text in told.items() if name not in halves),
        alternatives=tuple(name for name in told if name in halves),
    )


# ── A million rows ────────────────────────────────────────────────────────────────────────────


def items() -> list[finance.Item]:
    """Return 300 items: what a year of a large platform has of seller, model and segment."""
    return [
        finance.Item(
            label=f"model {k % 7}: segment {k}",
            kind="api" if k % 3 else "gpu",
            seller=f"seller {k % 5}",
            sku=f"sku/{k}",
            unit=CLIPS,
            list_usd=Decimal("0.40"),
            usd=Decimal("0.35") + Decimal(k) / 10_000,
            route=f"route {k % 20}",
            model=f"model {k % 7}",
            segment=f"segment {k}",
            tenant=f"tenant {k % 9}",
            scenario="benchmark",
            basis="published",
        )
        for k in range(300)
    ]


def as_charges(count: int) -> Iterator[finance.Charge]:
    """Yield charges one by one."""
    known = items()
    for k in range(count):
        micro = k * 351
        yield finance.Charge(
            item=known[k % len(known)],
            starts=date(2026, 11, 1 + k % 29),
            ends=date(2026, 11, 2 + k % 29),
            billed_micro=micro,
            effective_micro=micro,
            contracted_micro=micro,
            list_micro=micro,
            quantity_nano=k * NANO // 1000,
            clips_micro=1_000_000,
            busy_micro_s=5_000_000,
        )


def as_columns(count: int) -> Iterator[object]:
    """Yield the same as Arrow batches."""
    import numpy as np
    import pyarrow as pa

    for first in range(0, count, focus.BATCH_ROWS):
        k = np.arange(first, min(first + focus.BATCH_ROWS, count))
        day = np.datetime64("2026-11-01", "s") + (k % 29) * np.timedelta64(86_400, "s")
        yield pa.RecordBatch.from_pydict(
            {
                "item": k % 300,
                "starts": day,
                "ends": day + np.timedelta64(86_400, "s"),
                "billed_micro": k * 351,
                "quantity_nano": k * NANO // 1000,
                "clips_micro": np.full(len(k), 1_000_000),
                "busy_micro_s": np.full(len(k), 5_000_000),
            }
        )


def written(way: str, suffix: str, count: int) -> str:
    """Write ``count`` rows and return what it took, in one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"bill.{suffix}"
        wall, cpu = time.perf_counter(), time.process_time()
        rows = (
            focus.rows(as_charges(count))
            if way == "charges"
            else focus.rows_of(items(), as_columns(count))  # type: ignore[arg-type]
        )
        focus.write(rows, path)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        size = path.stat().st_size / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{way:<8} {suffix:<8} {count:>9,} rows {wall:6.2f} s {cpu:6.2f} s CPU "
        f"{peak:5.0f} MiB peak {size:6.0f} MB"
    )


def main() -> None:
    """Measure, each way in a process of its own so that peaks are its own; or validate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--way", choices=["charges", "columns"])
    parser.add_argument("--suffix", choices=["csv", "parquet"])
    parser.add_argument("--validate", action="store_true")
    asked = parser.parse_args()
    if asked.validate:
        command = os.environ.get("FOCUS_VALIDATOR")
        if not command:
            sys.exit("skipped: FOCUS_VALIDATOR does not name the public focus-validator 2.2.1")
        with tempfile.TemporaryDirectory() as folder:
            for suffix in ("csv", "parquet"):
                path = Path(folder) / f"bill.{suffix}"
                count = focus.write(focus.rows(every_kind_of_charge(), version="1.2"), path)
                found = validate(path, command)
                print(
                    f"{suffix}: {count} rows, {found.passed} rules passed, "
                    f"{len(found.failed)} failed, other halves {list(found.alternatives)}"
                )
                for text in found.failed:
                    print(f"  {text}")
                if found.failed:
                    sys.exit(1)
    elif asked.way and asked.suffix:
        print(written(asked.way, asked.suffix, asked.rows))
    else:
        for way in ("charges", "columns"):
            for suffix in ("parquet", "csv"):
                subprocess.run(
                    [sys.executable, "-m", "benchmarks.focus", "--way", way, "--suffix", suffix,
                     "--rows", str(asked.rows)],
                    check=True,
                )  # fmt: skip


if __name__ == "__main__":
    main()
