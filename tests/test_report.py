"""Reports: sums that reconcile in every format, nothing that runs, the same bytes, closing."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import finance, lineage, projection, report, scenarios, store, traffic
from costlab.cli.report import FORMATS, report_command
from costlab.core import InvalidArgument, UnknownName, plain, usd
from costlab.report import charts, close, paper, pdf, safe, text

BATCH = scenarios.scenario("overnight-batch")
SPOT = "wan2.2-t2v-a14b@H100-SXM, spot"
EUROS = finance.Currency(
    code="EUR",
    rates=(
        finance.Rate(day=date(2026, 11, 1), per_usd=Decimal("0.86"), source="entered by Ann"),
        finance.Rate(day=date(2027, 1, 1), per_usd=Decimal("0.8713"), source="entered by Ann"),
    ),
)
TERMS = finance.Terms(
    contingency=Decimal("0.05"),
    tax=Decimal("0.19"),
    usd_per_accepted_clip=Decimal("0.6"),
    active_users=4000,
    fiscal_year_starts=10,
    currency=EUROS,
    reserved=(
        finance.Reserved(
            name="winter",
            route=SPOT,
            gpus=10,
            starts=date(2026, 12, 1),
            months=6,
            discount=Decimal("0.25"),
            upfront=Decimal("0.5"),
        ),
    ),
    corrections=(finance.Correction(name="refund", day=date(2026, 12, 4), usd=Decimal("-12.5")),),
)
HOSTILE = (
    '=HYPERLINK("http://x","y")',
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "../../x",
    "a|b *c* `d` [e](javascript:f) $g$",
    "é🎬\u202egpj\u0000.exe\n=1+1",
    "-" + "long " * 40,
)


@pytest.fixture(scope="module")
def plain_one() -> report.Report:
    return report.gather([BATCH], months=2)


@pytest.fixture(scope="module")
def with_terms() -> report.Report:
    return report.gather([BATCH], months=3, terms=TERMS)


@pytest.fixture(scope="module")
def compared() -> report.Report:
    return report.gather([BATCH, scenarios.scenario("dev-and-test")], months=1)


@pytest.fixture(scope="module")
def hostile() -> report.Report:
    """A report whose every entered text tries to be something else."""
    mix = traffic.mix(BATCH.mix)
    parts = [
        replace(mix.segments[0], name=name, tenant=HOSTILE[-1 - number], share=1 / len(HOSTILE))
        for number, name in enumerate(HOSTILE)
    ]
    own = replace(mix, id="hostile", title=HOSTILE[2], segments=tuple(parts))
    asked = replace(BATCH, id="hostile", title=HOSTILE[0], mix=mix.id)

    def run(scenario: scenarios.Scenario, **settings: Any) -> finance.Months:
        return finance.months(scenario, mix=own, **settings)

    terms = finance.Terms(
        corrections=(
            finance.Correction(name=HOSTILE[1], day=date(2026, 11, 4), usd=Decimal("-1.5")),
        )
    )
    return report.gather(
        [asked],
        months=1,
        terms=terms,
        project=lambda scenario: projection.project(scenario, mix=own),
        run=run,
    )


def every_report(request: pytest.FixtureRequest, name: str) -> report.Report:
    found: report.Report = request.getfixturevalue(name)
    return found


# ── The workbook ──────────────────────────────────────────────────────────────────────────────


class Book:
    """A workbook read back, its formulas worked out again from its values alone."""

    def __init__(self, data: bytes) -> None:
        self.formulas = openpyxl.load_workbook(io.BytesIO(data))
        self.cached = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
        self.known: dict[tuple[str, str], Any] = {}

    def value(self, sheet: str, at: str) -> Any:
        at = at.replace("$", "")
        if (sheet, at) not in self.known:
            raw = self.formulas[sheet][at].value
            formula = isinstance(raw, str) and self.formulas[sheet][at].data_type == "f"
            self.known[sheet, at] = self.worked_out(sheet, raw[1:]) if formula else raw
        return self.known[sheet, at]

    def span(self, sheet: str, first: str, last: str) -> list[Any]:
        area = f"{first}:{last}".replace("$", "")
        return [self.value(sheet, c.coordinate) for row in self.formulas[sheet][area] for c in row]

    def worked_out(self, sheet: str, formula: str) -> float:
        """Work out +, -, *, /, ROUND, SUM, SUMSQ and SUMPRODUCT(EXACT(span, cell) * span)."""
        names: dict[str, Any] = {}

        def put(value: Any) -> str:
            names[f"v{len(names)}"] = value
            return f"v{len(names) - 1}"

        def area(match: re.Match[str]) -> str:
            where = match["sheet"] or sheet
            if match["last"]:
                return put(self.span(where, match["first"], match["last"]))
            value = self.value(where, match["first"])
            return put(0.0 if value is None else value)

        cell = r"\$?[A-Z]{1,2}\$?\d+"
        code = re.sub(
            rf"(?:'(?P<sheet>[^']+)'!)?(?P<first>{cell})(?::(?P<last>{cell}))?", area, formula
        )

        def product(match: re.Match[str]) -> str:
            labels, label, amounts = (names[match[n]] for n in (1, 2, 3))
            return put(sum(a for a, b in zip(amounts, labels, strict=True) if b == label))

        code = re.sub(r"SUMPRODUCT\(EXACT\((v\d+),(v\d+)\)\*(v\d+)\)", product, code)
        functions = {
            "SUM": lambda cells: sum(one or 0 for one in cells),
            "SUMSQ": lambda cells: sum((one or 0) ** 2 for one in cells),
            "ROUND": round,
        }
        return float(eval(code, {"__builtins__": {}}, functions | names))

    def rows(self, sheet: str) -> list[dict[str, Any]]:
        head, *rest = self.cached[sheet].iter_rows(values_only=True)
        return [dict(zip(head, row, strict=True)) for row in rest]


ALL = ("plain_one", "with_terms", "compared", "hostile")


@pytest.mark.parametrize("name", ALL)
def test_every_formula_comes_to_the_value_written_beside_it(
    request: pytest.FixtureRequest, name: str
) -> None:
    book = Book(report.contents(every_report(request, name), "xlsx"))
    count = 0
    for sheet in book.formulas:
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    count += 1
                    shown = book.cached[sheet.title][cell.coordinate].value
                    again = book.value(sheet.title, cell.coordinate)
                    assert again == pytest.approx(shown, abs=5e-7, rel=1e-12), cell.value
    assert count > 30


@pytest.mark.parametrize("name", ALL)
def test_the_checks_of_the_workbook_are_formulas_that_come_to_zero(
    request: pytest.FixtureRequest, name: str
) -> None:
    book = Book(report.contents(every_report(request, name), "xlsx"))
    checks = [
        cell.row
        for cell in book.formulas["Summary"]["B"]
        if str(cell.value).startswith(("Check", "All checks"))
    ]
    assert len(checks) > 5
    for row in checks:
        assert book.formulas["Summary"][f"C{row}"].data_type == "f"
        assert book.value("Summary", f"C{row}") == 0


@pytest.mark.parametrize("name", ALL)
def test_no_total_is_a_number_written_by_hand(request: pytest.FixtureRequest, name: str) -> None:
    book = Book(report.contents(every_report(request, name), "xlsx"))
    for sheet in book.formulas:
        head = [cell.value for cell in sheet[1]]
        for row in sheet.iter_rows(min_row=2):
            if "Total" not in [cell.value for cell in row[:3]]:
                continue
            amounts = [
                cell
                for title, cell in zip(head, row, strict=True)
                if cell.value is not None and ("USD" in title or title in ("Total",))
            ]
            assert amounts
            assert all(cell.data_type == "f" for cell in amounts)


def test_changing_a_price_in_the_workbook_moves_the_bill(plain_one: report.Report) -> None:
    book = Book(report.contents(plain_one, "xlsx"))
    lines = book.formulas["Lines"]
    head = {cell.value: cell.column_letter for cell in lines[1]}
    row = next(n for n in range(2, lines.max_row + 1) if lines[f"{head['Category']}{n}"].value)
    before = book.cached["Months"]["H2"].value
    lines[f"{head['Agreed price']}{row}"] = 2 * lines[f"{head['Agreed price']}{row}"].value
    own = book.cached["Lines"][f"{head['Cash USD']}{row}"].value
    assert book.value("Months", "H2") == pytest.approx(before + own)


@pytest.mark.parametrize("name", ALL)
def test_lines_are_the_bill_to_the_micro_dollar(request: pytest.FixtureRequest, name: str) -> None:
    made = every_report(request, name)
    rows = Book(report.contents(made, "xlsx")).rows("Lines")
    for part in made.parts:
        for view, column in (("cash", "Cash USD"), ("amortised", "Amortised USD")):
            micro = sum(
                round(row[column] * 1e6) for row in rows if row["Scenario"] == safe.cell(part.name)
            )
            assert micro == part.run.micro(view)  # type: ignore[arg-type]


def test_the_workbook_has_its_sheets_and_the_rows_behind_each_price(
    with_terms: report.Report,
) -> None:
    book = Book(report.contents(with_terms, "xlsx"))
    assert book.formulas.sheetnames == [
        "Summary", "Months", "Segments", "Routes", "Models", "Tenants", "Lines", "In EUR",
        "Assumptions", "Prices used", "Measurements used", "Warnings",
    ]  # fmt: skip
    prices = book.rows("Prices used")
    assert {row["Row"] for row in prices} == {leaf.ref for leaf in with_terms.parts[0].prices}
    assert all(row["Publisher"] and row["Document"] and row["Seen"] for row in prices)
    assert any(row["Publisher"] == "ML.ENERGY" for row in book.rows("Measurements used"))


def test_a_comparison_has_a_sheet_of_changes_that_sum_to_the_difference(
    compared: report.Report,
) -> None:
    rows = Book(report.contents(compared, "xlsx")).rows("Changes")
    parts = [row["USD a month"] for row in rows if row["Change"] != "Difference"]
    total = next(row["USD a month"] for row in rows if row["Change"] == "Difference")
    assert sum(round(part * 1e6) for part in parts) == round(total * 1e6)
    assert round(total * 1e6) == compared.changes[0].micro_usd


# ── Sums that a reader sees ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
def test_displayed_parts_add_up_to_the_displayed_total(
    request: pytest.FixtureRequest, name: str
) -> None:
    written = paper.written(every_report(request, name))
    tables = [b for b in written.blocks if isinstance(b, paper.Table) and b.totalled]
    assert tables
    for table in tables:
        *rows, total = table.rows
        for number in range(table.texts, len(table.header)):
            cells = [Decimal(row[number].replace(",", "")) for row in rows]
            if total[number] and "." in total[number]:
                assert sum(cells) == Decimal(total[number].replace(",", ""))


def test_another_currency_loses_no_cent(with_terms: report.Report) -> None:
    part = with_terms.parts[0]
    for view in finance.VIEWS:
        whole = part.billed(view)
        assert sum(part.statement(view, lambda c: c.item.label).values()) == whole
        assert sum(part.owed(view).values()) == whole
        exact = sum(
            usd(month.micro(view)) * EUROS.on(month.starts).per_usd for month in part.run.months
        )
        assert abs(whole - exact) <= Decimal("0.005") * len(part.run.months)


def test_the_answer_states_the_figure_of_the_months(with_terms: report.Report) -> None:
    part = with_terms.parts[0]
    said = paper.answer(with_terms)
    cost = float(part.summary["usd_per_accepted_clip"].value) * 0.86
    assert f"EUR {cost:.3f}" in said
    assert "3 months (2026-11 to 2027-01)" in said


def test_the_first_month_is_the_projection(plain_one: report.Report) -> None:
    part = plain_one.parts[0]
    assert part.run.months[0].micro("cash") == sum(line.micro_usd for line in part.answer.bill)


# ── The same bytes ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("form", report.FORMATS)
def test_the_same_scenario_gives_the_same_bytes(form: str, plain_one: report.Report) -> None:
    again = report.gather([BATCH], months=2)
    assert report.contents(plain_one, form) == report.contents(again, form)


def test_the_json_is_the_report_that_can_be_verified(
    plain_one: report.Report, tmp_path: Path
) -> None:
    out = report.write(plain_one, "json", tmp_path / "r.json")
    assert lineage.verify(lineage.load(out)).holds


def test_csv_and_parquet_hold_the_same_rows(with_terms: report.Report, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(report.contents(with_terms, "csv").decode())))
    table = pq.read_table(report.write(with_terms, "parquet", tmp_path / "r.parquet")).to_pylist()
    assert len(rows) == len(table)
    part = with_terms.parts[0]
    for view in finance.VIEWS:
        lines = [r for r in table if r["section"] == "line" and r["quantity"] == f"usd_{view}"]
        assert sum(row["micro_usd"] for row in lines) == part.run.micro(view)
    for text_row, row in zip(rows, table, strict=True):
        assert float(text_row["value"]) == pytest.approx(row["value"], rel=1e-9)
        assert len(re.sub(r"e.*|[^0-9]", "", text_row["high"]).strip("0")) <= 9
    assert {row["fiscal"] for row in rows if row["month"] == "2026-11"} == {"FY2027 Q1"}


@pytest.mark.parametrize("version", ["1.2", "1.4"])
def test_focus_rows_sum_to_the_bill_and_name_their_scenario(
    version: str, compared: report.Report, tmp_path: Path
) -> None:
    out = report.write(compared, f"focus-{version}", tmp_path / "rows.parquet")
    rows = pq.read_table(out).to_pylist()
    for part in compared.parts:
        own = [row for row in rows if row["BillingAccountId"] == part.scenario.id]
        assert sum(row["BilledCost"] for row in own) == usd(part.run.micro("cash"))


# ── Safe to open ──────────────────────────────────────────────────────────────────────────────


def test_no_cell_of_a_hostile_workbook_is_a_formula_of_theirs(hostile: report.Report) -> None:
    book = Book(report.contents(hostile, "xlsx")).formulas
    for sheet in book:
        assert len(sheet.title) <= 31
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    assert "HYPERLINK" not in cell.value
                elif isinstance(cell.value, str):
                    assert cell.value[:1] not in tuple("=+-@\t\r")
                    assert cell.hyperlink is None


@pytest.mark.parametrize("form", ["csv", "focus-1.4"])
def test_no_cell_of_a_hostile_csv_would_run(form: str, hostile: report.Report) -> None:
    for row in csv.reader(io.StringIO(report.contents(hostile, form).decode())):
        for cell in row:
            number = re.fullmatch(r"-?\d+(\.\d+)?(e-?\d+)?", cell)
            assert number or cell[:1] not in tuple("=+-@\t\r")


class Tags(HTMLParser):
    """The tags and addresses of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.addresses: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses |= {str(v) for k, v in attrs if k in ("src", "href") or k.startswith("on")}


@pytest.mark.parametrize("name", ALL)
def test_the_web_page_needs_nothing_and_runs_nothing(
    request: pytest.FixtureRequest, name: str
) -> None:
    page = Tags()
    page.feed(report.contents(every_report(request, name), "html").decode())
    assert not page.addresses
    assert not page.names & {"script", "iframe", "img", "object", "link", "a", "form"}
    assert {"svg", "table", "style"} <= page.names


def test_a_hostile_title_stays_text_in_markdown(hostile: report.Report) -> None:
    shown = report.contents(hostile, "md").decode()
    assert "<script>" not in shown
    assert not re.search(r"(?<!\\)\]\(javascript", shown)
    for line in shown.splitlines():
        if line.startswith("|") and "a\\|b" in line:
            assert len(re.findall(r"(?<!\\)\|", line)) in (4, 5, 6)


def test_a_hostile_report_has_a_plain_file_name_and_a_pdf(hostile: report.Report) -> None:
    assert report.contents(hostile, "pdf").startswith(b"%PDF")
    assert safe.file_name("../../" + HOSTILE[0], ".csv") == "HYPERLINK-http-x-y.csv"
    assert len(safe.file_name("x" * 400, ".pdf")) < 100


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_safe_in_a_cell_a_sheet_a_tag_and_a_path(said: str) -> None:
    cell = safe.cell(said)
    assert cell.lstrip()[:1] not in tuple("=+-@＝＋－＠") or not cell.strip()
    assert not set(cell) & set("\t\r\n\x00")
    sheet = safe.sheet_name(said)
    assert 1 <= len(sheet) <= 31
    assert not set(sheet) & set("[]:*?/\\")
    assert not set(safe.markup(said)) & set("<>\"'")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*\.csv", safe.file_name(said, ".csv"))


# ── The PDF ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ALL)
def test_the_pdf_has_two_to_six_pages(request: pytest.FixtureRequest, name: str) -> None:
    assert 2 <= len(pdf.pages(paper.written(every_report(request, name)), ppi=20)) <= 6


def test_the_pdf_carries_no_day_of_its_making(plain_one: report.Report) -> None:
    made = report.contents(plain_one, "pdf")
    assert b"/CreationDate" not in made
    assert b"/ModDate" not in made


def test_charts_start_at_zero_and_draw_their_intervals() -> None:
    values = [charts.Value(label="<a>", value=5.0, low=4.0, high=6.0, mark=7.0)]
    drawn = charts.columns(values, names=("a", "b"), say=str)
    assert ">0.0<" in drawn
    assert "&lt;a&gt;" in drawn
    assert drawn.count("<line") == 5 + 3
    assert charts.bars(values, name="a", say=str).count("<line") == 1 + 3


def test_every_reading_format_says_the_same(compared: report.Report) -> None:
    written = paper.written(compared)
    shown = text.markdown(written)
    assert written.answer.replace("$", "") in shown.replace("$", "")
    headings = [b.text for b in written.blocks if isinstance(b, paper.Heading)]
    for heading in headings:
        assert f"## {heading}" in shown
    assert "What could be wrong" in headings


# ── Refusals ──────────────────────────────────────────────────────────────────────────────────


def test_a_report_takes_one_to_four_different_scenarios() -> None:
    with pytest.raises(InvalidArgument, match="1 to 4"):
        report.gather([])
    with pytest.raises(InvalidArgument, match="each scenario once"):
        report.gather([BATCH, BATCH])


def test_a_wrong_format_or_suffix_is_named(plain_one: report.Report, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="xlsx"):
        report.contents(plain_one, "xls")
    with pytest.raises(UnknownName, match=r"\.xlsx"):
        report.write(plain_one, "xlsx", tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def empty_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with the book of the others and nothing that anybody added."""
    home = tmp_path / "store"
    home.mkdir()
    store.records(scenarios.SCENARIOS)
    shutil.copy(store.book_path(), home)
    monkeypatch.setenv("COSTLAB_HOME", str(home))
    return home


# ── Closed months ─────────────────────────────────────────────────────────────────────────────


def test_a_closed_month_is_kept_with_who_when_and_why(empty_store: Path) -> None:
    kept = close.close(BATCH, "2026-11", who="Ann", why="month end")
    assert (kept.version, kept.who, kept.why) == (1, "Ann", "month end")
    assert kept.intact
    assert close.versions() == (kept,)
    assert kept.usd("cash") == "60652.80"
    with pytest.raises(InvalidArgument, match="nothing has moved"):
        close.close(BATCH, "2026-11", who="Bob", why="again")
    assert close.since(kept).none


def test_a_change_makes_a_new_version_that_names_what_moved(empty_store: Path) -> None:
    first = close.close(BATCH, "2026-11", who="Ann", why="month end")
    dearer = [replace(one, usd_per_gpu_hour=Decimal("2")) for one in BATCH.deployments]
    changed = replace(BATCH, deployments=tuple(dearer))
    second = close.close(changed, "2026-11", who="Bob", why="contract")
    assert second.version == 2
    assert close.versions("overnight-batch", "2026-11") == (first, second)
    before = close.before(second)
    assert before is not None
    found = close.difference(before.body, second.body)
    assert "scenario.deployments[0].usd_per_gpu_hour" in {one.name for one in found.settings}
    cash = next(one for one in found.figures if one.name == "summary/usd_cash")
    assert cash.was == "60652.800000 USD"
    assert cash.now == "74880.000000 USD"
    assert any("H100-SXM hour" in one.leaf and one.figures for one in found.moved)


def test_a_closed_month_that_was_tampered_with_is_told(empty_store: Path) -> None:
    kept = close.close(BATCH, "2026-11", who="Ann", why="month end")
    body = json.loads(json.dumps(kept.body))
    body["month"]["total"]["cash"] = "1.00"
    assert not replace(kept, body=body).intact


def test_closing_takes_a_name_a_reason_and_a_month_of_the_scenario(empty_store: Path) -> None:
    with pytest.raises(InvalidArgument, match="name and a reason"):
        close.close(BATCH, "2026-11", who=" ", why="x")
    for period in ("2026-13", "November", "2026-10", "2031-01"):
        with pytest.raises(InvalidArgument, match=period):
            close.close(BATCH, period, who="Ann", why="x")
    assert close.versions() == ()


def test_terms_are_frozen_with_the_month(empty_store: Path) -> None:
    kept = close.close(BATCH, "2026-12", who="Ann", why="x", terms=TERMS)
    assert kept.currency == "EUR"
    assert kept.body["terms"] == plain(TERMS)
    assert close.since(kept).none


# ── The command ───────────────────────────────────────────────────────────────────────────────


def told(*arguments: str) -> str:
    result = CliRunner().invoke(report_command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_command_offers_every_format() -> None:
    assert tuple(report.FORMATS) == FORMATS


def test_the_command_writes_what_it_was_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "a.csv"
    said = told(
        "overnight-batch", "--format", "csv", "--out", str(out), "--months", "1", "--tax", "0.1",
        "--currency", "eur", "--rate", "2026-11-01=0.86", "--rate-by", "Ann", "--json",
    )  # fmt: skip
    facts = json.loads(said)
    assert facts["bytes"] == out.stat().st_size
    assert "Tax" in out.read_text()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "name a scenario"),
        (("overnight-batch", "--currency", "EUR"), "--rate"),
        (("overnight-batch", "--currency", "EUR", "--rate", "0.8", "--rate-by", "A"), "DAY=AMOUNT"),
        (("overnight-batch", "--who", "Ann"), "--who"),
        (("--closed", "--tax", "0.1"), "--tax"),
        (("overnight-batch", "dev-and-test", "--close", "2026-11"), "one scenario"),
    ],
)
def test_the_command_refuses_what_makes_no_report(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(InvalidArgument, match=why):
        CliRunner().invoke(report_command, arguments, catch_exceptions=False)


def test_the_command_closes_and_lists(empty_store: Path) -> None:
    told("overnight-batch", "--close", "2026-11", "--who", "Ann", "--why", "month end")
    told(
        "overnight-batch", "--close", "2026-11", "--who", "Bob", "--why", "tax", "--tax", "0.19"
    )  # fmt: skip
    said = told("--closed", "overnight-batch")
    assert "version 2" in said
    assert "terms.tax: 0 → 0.19" in said
    assert "today it comes out the same" in said
    listed = json.loads(told("--closed", "--json"))
    assert [one["version"] for one in listed] == [1, 2]
    assert listed[1]["changed"]["moved"]
