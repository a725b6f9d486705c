from __future__ import annotations

import csv
import json
import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlab import logs, traffic
from costlab.core import BadData, InvalidArgument, plain

START = datetime.fromisoformat("2026-09-01")


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def requests(count: int, hours: float, seed: int = 1) -> list[dict[str, Any]]:
    dice = random.Random(seed)
    return [
        {
            "id": f"r{n}",
            "time": (START + timedelta(hours=hours * n / count)).isoformat(),
            "seconds": dice.choice(["4", "5"]),
            "stage": dice.choice(["preview", "preview", "final"]),
            "audio": dice.choice(["true", "false", "false", "false"]),
        }
        for n in range(count)
    ]


@pytest.fixture
def simple(tmp_path: Path) -> logs.Log:
    return logs.open_log(write(tmp_path / "a.csv", requests(2000, 24 * 14)))


# ── Columns and values ────────────────────────────────────────────────────────────────────────


def test_usual_names_of_columns_are_recognised(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv",
        [{"Created At": "2026-09-01T00:00:00Z", "duration": "5 s", "customer_id": "acme",
          "aspect_ratio": "9x16", "Request-ID": "r1", "shoe size": "42"}],
    )  # fmt: skip
    log = logs.open_log(path)
    assert dict(log.columns) == {
        "time": "Created At", "seconds": "duration", "tenant": "customer_id",
        "aspect": "aspect_ratio", "id": "Request-ID",
    }  # fmt: skip
    assert log.left_out == {"shoe size": "no column of ours"}
    assert log.assumed["mode"] == "t2v"


def test_every_problem_of_the_columns_is_told_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"created": "x", "timestamp": "y", "resolution": "720p"}])
    with pytest.raises(BadData) as caught:
        logs.open_log(path, logs.Mapped(columns={"tenant": "who"}))
    assert "'who', mapped to tenant, is not there" in str(caught.value)
    assert "time could be any of timestamp, created" in str(caught.value)


def test_a_log_without_a_length_says_what_to_map(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [{"time": "2026-09-01", "len": "5"}])
    with pytest.raises(BadData, match=r"no column for seconds.*map one of time, len"):
        logs.open_log(path)
    assert logs.open_log(path, logs.Mapped(columns={"seconds": "len"})).columns["seconds"] == "len"


def test_a_column_of_prompts_named_text_is_left_out_and_said(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.csv", [{"time": "2026-09-01", "seconds": "5", "text": "a fox in the snow"}]
    )
    log = logs.open_log(path)
    assert "text" not in log.columns
    assert "a fox" in log.left_out["text"]


def test_a_mapping_file_is_checked_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "map.yaml"
    path.write_text("columns: {tme: when}\ndefaults: {mode: sideways}\n")
    with pytest.raises(BadData) as caught:
        logs.read_mapping(path)
    assert "columns.tme: unknown" in str(caught.value)
    assert "defaults.mode: is none of t2v, i2v" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "raw", "meant"),
    [
        ("resolution", "1920x1080", "1080p"),
        ("resolution", "720", "720p"),
        ("resolution", "UHD", "4k"),
        ("aspect", "portrait", "9:16"),
        ("seconds", "5.5s", Decimal("5.5")),
        ("quality", "Pro", "premium"),
        ("failed", "succeeded", False),
        ("audio", "1", True),
        ("tier", " Basic", "basic"),
        ("tenant", " Acme", "Acme"),
    ],
)
def test_cells_become_our_values(name: str, raw: str, meant: Any) -> None:
    assert logs.canonical(logs.BY_NAME[name], raw) == meant


@pytest.mark.parametrize(
    ("name", "raw"),
    [("resolution", "big"), ("aspect", "wide"), ("seconds", "-5"), ("seconds", "nan"),
     ("mode", "v2v"), ("audio", "maybe")],
)  # fmt: skip
def test_cells_that_mean_nothing_are_refused(name: str, raw: str) -> None:
    with pytest.raises(InvalidArgument):
        logs.canonical(logs.BY_NAME[name], raw)


def test_what_cannot_be_mapped_is_told_with_file_column_value_count_and_first_row(
    tmp_path: Path,
) -> None:
    rows = requests(40, 24)
    for n in (7, 9, 30):
        rows[n]["stage"] = "rehearsal"
    rows[3]["time"] = "yesterday"
    rows[20]["seconds"] = ""
    path = write(tmp_path / "a.csv", rows)
    with path.open("a", newline="") as stream:
        stream.write("broken,line\r\n")
    fitted = logs.fit(logs.open_log(path))
    told = {(u.column, u.value): (u.count, u.first_row) for u in fitted.unmapped}
    assert told == {
        ("stage", "rehearsal"): (3, 8),
        ("time", "yesterday"): (1, 4),
        ("seconds", ""): (1, 21),
        ("(line)", "broken,line"): (1, 42),
    }
    assert all(u.file == str(path) for u in fitted.unmapped)
    assert fitted.rows == 40
    assert fitted.used == 35
    assert any("5 of 40 rows could not be mapped" in note for note in fitted.notes)


def test_values_of_the_user_are_mapped(tmp_path: Path) -> None:
    rows = requests(40, 24)
    rows[7]["stage"] = "rehearsal"
    path = write(tmp_path / "a.csv", rows)
    mapped = logs.Mapped(values={"stage": {"rehearsal": "preview"}})
    assert logs.fit(logs.open_log(path, mapped)).used == 40


def test_times_are_read_in_utc_whatever_they_are_written_in(tmp_path: Path) -> None:
    written = ["2026-09-01T02:00:00+02:00", "2026-09-01 00:00:00", "2026-09-01T00:00:00Z"]
    for n, text in enumerate(written):
        log = logs.open_log(write(tmp_path / f"{n}.csv", [{"time": text, "seconds": "5"}]))
        assert logs.span(log).first == START


@pytest.mark.parametrize("scale", [1, 1000, 1_000_000])
def test_unix_times_in_a_parquet_file_are_read_by_their_size(tmp_path: Path, scale: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    seconds = int(START.replace(tzinfo=UTC).timestamp())
    table = pa.table({"ts": [seconds * scale], "duration_ms": [5500]})
    pq.write_table(table, tmp_path / "a.parquet")
    log = logs.open_log(tmp_path / "a.parquet")
    assert logs.span(log).first == START
    assert logs.fit(log).mix.segments[0].seconds == Decimal("5.5")


def test_files_of_a_folder_are_one_log_and_differing_headers_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", requests(30, 24, 1))
    write(tmp_path / "b.csv", requests(20, 24, 2))
    assert logs.span(logs.open_log(tmp_path)).rows == 50
    write(tmp_path / "c.csv", [{"time": "2026-09-01", "seconds": "5"}])
    with pytest.raises(BadData, match="header differs"):
        logs.open_log(tmp_path)
    with pytest.raises(BadData, match="no Parquet or CSV"):
        logs.open_log(tmp_path / "*.parquet")


# ── The fitted mix ────────────────────────────────────────────────────────────────────────────


def test_the_fitted_mix_has_the_logs_shares_and_is_a_mix_file(
    simple: logs.Log, tmp_path: Path
) -> None:
    from costlab import store

    fitted = logs.fit(simple, id="mine")
    mix = fitted.mix
    rows = requests(2000, 24 * 14)
    counts = Counter((r["stage"], r["seconds"], r["audio"] == "true") for r in rows)
    assert len(mix.segments) == len(counts)
    for segment in mix.segments:
        key = (segment.stage, f"{segment.seconds}", segment.audio)
        assert segment.share == pytest.approx(counts[key] / 2000)
    assert fitted.shares_error == pytest.approx(0)
    assert mix.clips_per_month == pytest.approx(2000 / (24 * 14) * 730, rel=0.01)
    path = tmp_path / "mine.yaml"
    path.write_text(store.dump_yaml(logs.mix_body(mix)))
    assert store.parse(store.read_mapping(path), traffic.TrafficMix, "mine")[0] == mix
    assert json.loads(json.dumps(fitted.to_dict()))["mix"]["id"] == "mine"


def test_small_kinds_are_counted_with_the_nearest_and_their_share_is_told(tmp_path: Path) -> None:
    rows = requests(1000, 24 * 7)
    for row in rows:
        row["mode"] = "t2v"
    for row in rows[:5]:
        row["seconds"], row["audio"], row["stage"] = "6", "true", "final"
    fitted = logs.fit(logs.open_log(write(tmp_path / "a.csv", rows)), min_share=0.01)
    assert fitted.folded_share == pytest.approx(0.005)
    assert 0 < fitted.shares_error <= 0.005
    assert all(segment.seconds != 6 for segment in fitted.mix.segments)
    sound = sum(s.share for s in fitted.mix.segments if s.audio)
    assert sound == pytest.approx(sum(r["audio"] == "true" for r in rows) / 1000)


def test_the_shape_of_the_day_and_the_week_is_found(tmp_path: Path) -> None:
    rows = []
    hour = START  # a Tuesday
    for n in range(24 * 28):
        at = hour + timedelta(hours=n)
        many = (3 if at.hour == 20 else 1) * (2 if at.weekday() == 5 else 1)
        rows += [{"time": at.isoformat(), "seconds": "5"}] * many
    fitted = logs.fit(logs.open_log(write(tmp_path / "a.csv", rows)))
    assert fitted.mix.hourly[20] / fitted.mix.hourly[3] == pytest.approx(3, rel=1e-4)
    assert fitted.mix.weekly[5] / fitted.mix.weekly[0] == pytest.approx(2, rel=1e-4)
    assert fitted.hours_error == pytest.approx(0, abs=1e-4)
    assert fitted.mix.growth_per_month == 0
    assert any("less than two months" in note for note in fitted.notes)


def test_growth_needs_two_months_and_is_found(tmp_path: Path) -> None:
    rows = []
    for month, per_hour in ((5, 10), (6, 11), (7, 12)):
        at = START.replace(month=month)
        while at.month == month:
            rows += [{"time": at.isoformat(), "seconds": "5"}] * per_hour
            at += timedelta(hours=6)
    fitted = logs.fit(logs.open_log(write(tmp_path / "a.csv", rows)))
    assert fitted.mix.growth_per_month == pytest.approx((12 / 10) ** 0.5 - 1, rel=0.01)
    assert fitted.months_error is not None
    assert fitted.months_error < 0.01


def test_acceptance_turns_attempts_into_wanted_clips(tmp_path: Path) -> None:
    rows = requests(3000, 24 * 14)
    dice = random.Random(3)
    for row in rows:
        row["status"] = "failed" if dice.random() < 0.1 else "ok"
        kept = dice.random() < (0.5 if row["stage"] == "preview" else 0.8)
        row["accepted"] = "" if row["status"] == "failed" else str(kept).lower()
    rows[5]["status"] = "stuck"
    fitted = logs.fit(logs.open_log(write(tmp_path / "a.csv", rows)))
    for segment in fitted.mix.segments:
        meant = 0.5 if segment.stage == "preview" else 0.8
        assert segment.acceptance == pytest.approx(meant, abs=0.08)
    accepted = sum(row["accepted"] == "true" for row in rows)
    assert fitted.mix.clips_per_month == pytest.approx(accepted / (24 * 14) * 730, rel=0.01)
    assert fitted.shares_error < 1e-6
    assert [(u.column, u.value, u.count, u.first_row) for u in fitted.unmapped] == [
        ("status", "stuck", 1, 6)
    ]


def test_a_log_that_accepts_nothing_has_no_demand(tmp_path: Path) -> None:
    rows = [row | {"accepted": "no"} for row in requests(50, 24)]
    with pytest.raises(BadData, match="accepts no clip"):
        logs.fit(logs.open_log(write(tmp_path / "a.csv", rows)))


def test_tenants_are_kept_apart_when_asked(tmp_path: Path) -> None:
    rows = [row | {"tenant": f"t{n % 2}"} for n, row in enumerate(requests(400, 24 * 7))]
    log = logs.open_log(write(tmp_path / "a.csv", rows))
    assert all(not s.tenant for s in logs.fit(log).mix.segments)
    apart = logs.fit(log, by_tenant=True).mix
    assert {s.tenant for s in apart.segments} == {"t0", "t1"}


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["4", "5", "x", ""]),
            st.sampled_from(["preview", "final", "odd", ""]),
            st.sampled_from(["t2v", "i2v", "v2v"]),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_rows_are_never_lost(tmp_path_factory: pytest.TempPathFactory, cells: list[Any]) -> None:
    rows = [
        {"time": (START + timedelta(minutes=n)).isoformat(), "seconds": s, "stage": g, "mode": m}
        for n, (s, g, m) in enumerate(cells)
    ]
    path = write(tmp_path_factory.mktemp("log") / "a.csv", rows)
    good = sum(s in "45" and s != "" and g != "odd" and m != "v2v" for s, g, m in cells)
    log = logs.open_log(path)
    if not good:
        with pytest.raises(BadData):
            logs.fit(log)
        return
    fitted = logs.fit(log)
    assert fitted.used == good
    assert sum(s.share for s in fitted.mix.segments) == pytest.approx(1)
    bad_cells = sum((s in ("x", "")) + (g == "odd") + (m == "v2v") for s, g, m in cells)
    told = [u for u in fitted.unmapped if u.first_row is not None]
    assert sum(u.count for u in told) <= bad_cells
    assert plain(fitted.mix.id) == "from-log"


def test_a_file_of_mixed_line_ends_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"time,seconds\r\n2026-09-01,5\r\n2026-09-02,5\nbroken\n")
    with pytest.raises(BadData, match="mixes line ends"):
        logs.span(logs.open_log(path))


def test_a_sentinel_date_or_an_endless_clip_is_one_cell_and_not_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(
        "time,seconds\n2026-11-01T10:00:00,5\n9999-12-31T23:59:59,5\n0001-01-01T00:00:00,5\n"
        "2026-11-02T10:00:00,1e308\n2026-11-03T10:00:00,5\n"
    )
    fitted = logs.fit(logs.open_log(path))
    assert (fitted.rows, fitted.used) == (5, 2)
    told = {(one.column, one.value) for one in fitted.unmapped}
    assert any(column == "seconds" for column, _ in told)
    assert any(column == "time" and "9999" in value for column, value in told)
