"""FOCUS rows: every column by its own null rule, amounts apart, streamed, safe to open.

Set FOCUS_VALIDATOR to the public validator's command (version 2.2.1, which needs Python 3.12) to
run it too.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks.focus import every_kind_of_charge, validate
from costlab import finance
from costlab.core import InvalidArgument, UnknownName
from costlab.finance import focus
from costlab.finance.charges import CLIPS, NANO, priced
from costlab.finance.focus_columns import COLUMNS, CONDITIONS, OWN, VERSIONS, Version, columns

MANDATORY_14 = {
    "BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency",
    "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory", "ChargeClass",
    "ChargeDescription", "ChargePeriodStart", "ChargePeriodEnd", "ContractedCost",
    "EffectiveCost", "HostProviderName", "InvoiceIssuerName", "ListCost", "PricingQuantity",
    "PricingUnit", "ServiceCategory", "ServiceName", "ServiceProviderName",
}  # fmt: skip


@pytest.fixture(scope="module")
def charges() -> tuple[finance.Charge, ...]:
    return every_kind_of_charge()


def table(charges: tuple[finance.Charge, ...], version: Version) -> list[dict[str, Any]]:
    return [row for batch in focus.rows(charges, version=version) for row in batch.to_pylist()]


def test_the_columns_are_those_of_the_versions() -> None:
    mandatory = {c.name for c in columns("1.4") if c.in_14 == "mandatory"}
    assert mandatory == MANDATORY_14
    assert [len(columns(version)) for version in VERSIONS] == [57, 65]
    assert [column.name for column in COLUMNS] == sorted(column.name for column in COLUMNS)
    assert all(name.startswith("x_") for name in OWN)
    for column in COLUMNS:
        assert {column.filled, column.empty, column.empty_14 or "never"} <= set(CONDITIONS)
        assert column.document.endswith(f"{column.name.lower()}.md")


@pytest.mark.parametrize("version", VERSIONS)
def test_every_column_obeys_its_own_null_rule(
    version: Version, charges: tuple[finance.Charge, ...]
) -> None:
    rows = table(charges, version)
    assert len(rows) == len(charges)
    assert list(rows[0]) == [*(column.name for column in columns(version)), *OWN]
    assert {row["ChargeCategory"] for row in rows} == {
        "Usage", "Purchase", "Tax", "Credit", "Adjustment",
    }  # fmt: skip
    assert {row["CommitmentDiscountStatus"] for row in rows} == {None, "Used", "Unused"}
    broken = {w for row in rows for c in columns(version) if (w := c.broken(row, version))}
    assert not broken


def test_the_four_costs_stand_apart_and_add_up(charges: tuple[finance.Charge, ...]) -> None:
    rows = table(charges, "1.4")
    billed, effective = (sum(row[name] for row in rows) for name in ("BilledCost", "EffectiveCost"))
    assert billed == Decimal(finance.total(charges, "cash")).scaleb(-6)
    assert effective == Decimal(finance.total(charges, "amortised")).scaleb(-6)
    for row in rows:
        for cost, price in (
            ("ListCost", "ListUnitPrice"),
            ("ContractedCost", "ContractedUnitPrice"),
        ):
            if row[price] is not None and row["PricingQuantity"] is not None:
                exact = row[price] * row["PricingQuantity"]
                assert abs(row[cost] - exact) <= Decimal("1e-12")
        if row["ChargeCategory"] == "Credit":
            assert row["ListCost"] == row["ContractedCost"] == row["BilledCost"]
        if row["ChargeCategory"] == "Purchase" and row["CommitmentDiscountId"]:
            assert row["EffectiveCost"] == 0
    cheaper = [r for r in rows if r["ListCost"] > r["ContractedCost"] > 0]
    assert cheaper, "a contract price leaves the list price visible"


def test_unused_commitments_credits_and_corrections_are_rows_of_their_own(
    charges: tuple[finance.Charge, ...],
) -> None:
    rows = table(charges, "1.4")
    unused = [row for row in rows if row["CommitmentDiscountStatus"] == "Unused"]
    assert {row["CommitmentDiscountCategory"] for row in unused} == {"Usage", "Spend"}
    assert all(row["BilledCost"] == 0 and row["x_segment"] is None for row in unused)
    assert all(row["BilledCost"] < 0 for row in rows if row["ChargeCategory"] == "Credit")
    assert [row["ChargeCategory"] for row in rows if row["ChargeClass"]] == ["Adjustment"]
    paid: dict[str, Decimal] = {}
    for row in rows:
        if name := row["CommitmentDiscountId"]:
            sign = -1 if row["ChargeCategory"] == "Purchase" else 1
            amount = row["BilledCost" if sign < 0 else "EffectiveCost"]
            paid[name] = paid.get(name, Decimal(0)) + sign * amount
    assert paid
    assert set(paid.values()) == {Decimal(0)}


def test_a_committed_charge_names_its_contract_in_1_4(charges: tuple[finance.Charge, ...]) -> None:
    import json

    for row in table(charges, "1.4"):
        if row["ContractApplied"] is None:
            assert row["CommitmentDiscountId"] is None
            continue
        (one,) = json.loads(row["ContractApplied"])["Elements"]
        assert one["ContractCommitmentID"] == row["CommitmentDiscountId"]
        assert one["ContractCommitmentAppliedCost"] == float(row["EffectiveCost"])
        assert one["ContractCommitmentAppliedUnit"] == row["CommitmentDiscountUnit"]


def item(**changed: Any) -> finance.Item:
    return replace(
        finance.Item(
            label="veo: posts",
            kind="api",
            seller="Google",
            sku="veo",
            unit=CLIPS,
            list_usd=Decimal("0.4"),
            usd=Decimal("0.37"),
            route="veo-3.1",
        ),
        **changed,
    )


def test_csv_and_parquet_say_the_same(charges: tuple[finance.Charge, ...], tmp_path: Path) -> None:
    for suffix in ("csv", "parquet"):
        count = focus.write(focus.rows(charges), tmp_path / f"bill.{suffix}")
        assert count == len(charges)
    stored = pq.read_table(tmp_path / "bill.parquet").to_pylist()
    with (tmp_path / "bill.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    for left, right in zip(stored, read, strict=True):
        for name, value in left.items():
            text = right[name]
            if value is None:
                assert text == "", name
            elif isinstance(value, Decimal):
                assert Decimal(text) == value
            elif isinstance(value, str):
                assert text == value
            else:
                assert text == f"{value:%Y-%m-%dT%H:%M:%SZ}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bill.csv", "bill.parquet"]


def test_a_text_that_a_spreadsheet_would_run_is_kept_from_it(tmp_path: Path) -> None:
    nasty = item(label='=HYPERLINK("http://x")', segment="+1", tenant='a "b", c\nd')
    path = tmp_path / "bill.csv"
    focus.write(focus.rows([priced(nasty, date(2026, 11, 1), date(2026, 12, 1), NANO)]), path)
    with path.open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["ChargeDescription"] == '\'=HYPERLINK("http://x")'
    assert row["x_segment"] == "'+1"
    assert row["SubAccountId"] == 'a "b", c\nd'
    assert row["BilledCost"] == "0.370000"


def test_rows_stream_and_only_a_batch_is_held() -> None:
    taken = 0

    def endless() -> Iterator[finance.Charge]:
        nonlocal taken
        one = item()
        while True:
            taken += 1
            yield priced(one, date(2026, 11, 1), date(2026, 12, 1), NANO)

    first = next(focus.rows(endless()))
    assert first.num_rows == taken == focus.BATCH_ROWS


def test_columns_of_a_replayed_log_make_the_same_rows() -> None:
    items = [item(), item(segment="ads", usd=Decimal("0.3"))]
    made = [
        priced(items[k % 2], date(2026, 11, 1 + k), date(2026, 11, 2 + k), k * NANO, clips_micro=k)
        for k in range(20)
    ]
    batch = pa.RecordBatch.from_pydict(
        {
            "item": [k % 2 for k in range(20)],
            "starts": [one.starts for one in made],
            "ends": [one.ends for one in made],
            "billed_micro": [one.billed_micro for one in made],
            "contracted_micro": [one.contracted_micro for one in made],
            "list_micro": [one.list_micro for one in made],
            "quantity_nano": [one.quantity_nano for one in made],
            "clips_micro": [one.clips_micro for one in made],
            "busy_micro_s": [0] * 20,
        }
    )
    for version in VERSIONS:
        bulk = [
            row for b in focus.rows_of(items, [batch], version=version) for row in b.to_pylist()
        ]
        assert bulk == table(tuple(made), version)
    with pytest.raises(InvalidArgument, match="has no column billed_micro"):
        next(focus.rows_of(items, [batch.select(["item", "starts", "ends"])]))


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="FOCUS version"):
        next(focus.rows([priced(item(), date.min, date.max, 1)], version="2.0"))  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="FOCUS file type"):
        focus.write(iter(()), tmp_path / "bill.xls")
    with pytest.raises(InvalidArgument, match="no charges"):
        focus.write(iter(()), tmp_path / "bill.csv")


@pytest.mark.skipif(
    "FOCUS_VALIDATOR" not in os.environ,
    reason="FOCUS_VALIDATOR does not name the public focus-validator 2.2.1",
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_public_validator_finds_nothing(
    suffix: str, charges: tuple[finance.Charge, ...], tmp_path: Path
) -> None:
    path = tmp_path / f"bill.{suffix}"
    focus.write(focus.rows(charges, version="1.2"), path)
    found = validate(path, os.environ["FOCUS_VALIDATOR"])
    assert found.passed > 100
    assert not found.failed
