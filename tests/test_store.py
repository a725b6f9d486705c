from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from costlab import store
from costlab.core import BadData, CostlabError, InvalidArgument, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class Fruit:
    """A row to try the store with."""

    name: str
    usd: Decimal
    source: Source
    sizes: tuple[Decimal, ...] = ()
    extra: dict[str, str] | None = None


GOOD = """
- name: apple
  usd: "0.400000000001"
  sizes: [4, 6.5]
  extra: {colour: red}
  source: {publisher: Acme, document: list, read_on: 2026-11-22}
"""


@pytest.fixture
def shelf(own_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> store.Shelf[Fruit]:
    data = tmp_path / "data"
    (data / "fruit").mkdir(parents=True)
    (data / "fruit" / "a.yaml").write_text(GOOD)
    monkeypatch.setattr(store, "data_dir", lambda: data)
    return store.Shelf(table="fruit", record=Fruit, pattern="fruit/*")


def test_rows_come_back_from_the_book_exactly_as_written(shelf: store.Shelf[Fruit]) -> None:
    assert store.records(shelf) == store.load(shelf)
    row = store.records(shelf)[0]
    assert row.usd == Decimal("0.400000000001")
    assert row.extra == {"colour": "red"}
    assert row.source.publisher == "Acme"


def test_an_edited_file_is_seen_at_once(shelf: store.Shelf[Fruit]) -> None:
    assert len(store.records(shelf)) == 1
    path = shelf.files()[0]
    path.write_text(GOOD + GOOD.replace("apple", "pear"))
    assert [row.name for row in store.records(shelf)] == ["apple", "pear"]


def test_every_problem_of_every_file_is_named_and_the_old_book_stays(
    shelf: store.Shelf[Fruit],
) -> None:
    store.records(shelf)
    folder = shelf.files()[0].parent
    (folder / "b.yaml").write_text('- {name: 3, usd: "x", colour: red, source: {publisher: A}}\n')
    (folder / "c.csv").write_text("name,usd\nplum,1,2\n")
    with pytest.raises(BadData) as caught:
        store.records(shelf)
    text = str(caught.value)
    for part in (
        "b.yaml [1].name: Input should be a valid string, found 3",
        "b.yaml [1].usd: Input should be a valid decimal, found 'x'",
        "b.yaml [1].colour: unknown field",
        "b.yaml [1].source.document: Field required",
        "c.csv [1].cells beyond the header: unknown field",
    ):
        assert part in text
    assert store.query("SELECT count(*) AS n FROM fruit") == [{"n": 1}]


def test_a_field_written_twice_is_refused(shelf: store.Shelf[Fruit]) -> None:
    shelf.files()[0].write_text('- {name: a, name: b, usd: "1"}')
    with pytest.raises(BadData, match="field 'name' appears twice"):
        store.load(shelf)


def test_a_broken_book_is_rebuilt_from_the_files(shelf: store.Shelf[Fruit]) -> None:
    store.home().mkdir(parents=True)
    store.book_path().write_bytes(b"not a database")
    assert store.records(shelf)[0].name == "apple"


def test_a_rebuild_keeps_other_tables_and_what_people_added(shelf: store.Shelf[Fruit]) -> None:
    other = store.Shelf(table="other", record=Fruit, pattern="fruit/*")
    store.records(other)
    store.add_entry("scenario", "mine", {"x": 1}, who="Ann", why="trial")
    store.build([shelf])
    assert store.query("SELECT count(*) AS n FROM other") == [{"n": 1}]
    assert store.entries("scenario")["mine"].body == {"x": 1}


def test_the_newest_entry_counts_and_the_log_keeps_them_all(own_store: Path) -> None:
    store.add_entry("scenario", "a", {"x": 1})
    store.add_entry("scenario", "a", {"x": 2})
    store.add_entry("scenario", "b", {"x": 3})
    store.add_entry("scenario", "b", None, why="wrong")
    assert {name: entry.body for name, entry in store.entries("scenario").items()} == {
        "a": {"x": 2}
    }
    assert [entry.body for entry in store.entry_log("scenario")] == [
        {"x": 1},
        {"x": 2},
        {"x": 3},
        None,
    ]


def _add_many(folder: str, who: str) -> None:
    os.environ["COSTLAB_HOME"] = folder
    for number in range(15):
        store.add_entry("note", f"{who}-{number}", {"n": number})
        store.entries("note")


def test_several_processes_add_and_read_at_once_and_nothing_is_lost(own_store: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=_add_many, args=(str(own_store), who)) for who in "ab"]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert len(store.entries("note")) == 30


WRITER = """
from costlab import store
n = 0
while True:
    store.add_entry("note", str(n), {"n": n})
    print(n, flush=True)
    n += 1
"""


def test_what_was_acknowledged_survives_a_killed_writer(own_store: Path) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", WRITER], stdout=subprocess.PIPE, text=True, env={**os.environ}
    )
    assert child.stdout
    acknowledged = [child.stdout.readline() for _ in range(5)]
    time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    acknowledged += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    written = {int(line) for line in acknowledged if line.endswith("\n")}
    kept = {entry.body["n"] for entry in store.entries("note").values()}
    assert written <= kept


def _read_many(folder: str, data: str, seen: multiprocessing.Queue[int]) -> None:  # type: ignore[type-arg]
    os.environ["COSTLAB_HOME"] = folder
    store.data_dir = lambda: Path(data)  # type: ignore[assignment]
    table = store.Shelf(table="fruit", record=Fruit, pattern="fruit/*")
    until = time.monotonic() + 3
    while time.monotonic() < until:
        seen.put(len(store.records(table)))


def test_readers_in_other_processes_never_meet_a_lock_while_the_book_is_rebuilt(
    shelf: store.Shelf[Fruit],
) -> None:
    folder = shelf.files()[0].parent
    spawn = multiprocessing.get_context("spawn")
    seen = spawn.Queue()
    arguments = (str(store.home()), str(folder.parent), seen)
    readers = [spawn.Process(target=_read_many, args=arguments) for _ in range(2)]
    for reader in readers:
        reader.start()
    counts: list[int] = []
    number = 0
    while any(reader.is_alive() for reader in readers):
        number += 1
        (folder / f"b{number:03}.yaml").write_text(GOOD)
        store.records(shelf)
        while not seen.empty():
            counts.append(seen.get())
    for reader in readers:
        reader.join()
        assert reader.exitcode == 0
    assert len(counts) > 4
    assert max(counts) > 1


@pytest.mark.parametrize(
    ("text", "message"),
    [("name,name\na,b\n", "column 'name' appears twice"), ("", "empty: expected a header")],
)
def test_a_csv_without_a_clear_header_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text)
    with pytest.raises(BadData, match=message):
        store.read_rows(path)


def test_a_csv_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"\xef\xbb\xbfname,usd\napple,1\n")
    assert store.read_rows(path) == [{"name": "apple", "usd": "1"}]


def test_bytes_that_are_no_text_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(BadData, match=r"x\.yaml: 1 problem\n  cannot be read"):
        store.read_mapping(path)


def test_a_damaged_user_file_is_named_and_left_as_it_is(own_store: Path) -> None:
    own_store.mkdir(parents=True)
    (own_store / "user.duckdb").write_bytes(b"garbage" * 4000)
    with pytest.raises(CostlabError, match="holds what you added and cannot be opened"):
        store.entries("scenario")
    assert (own_store / "user.duckdb").read_bytes() == b"garbage" * 4000


def test_a_store_that_cannot_be_written_still_answers(
    shelf: store.Shelf[Fruit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COSTLAB_HOME", str(tmp_path / "file" / "below"))
    assert store.records(shelf)[0].name == "apple"


def test_a_question_to_the_store_cannot_write_a_file(own_store: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot answer"):
        store.query(f"COPY (SELECT 1) TO '{tmp_path}/x.csv'")
    with pytest.raises(InvalidArgument, match="cannot answer"):
        store.query("SELECT * FROM nowhere")


def test_a_saved_thing_that_no_longer_fits_hides_nothing_else(own_store: Path) -> None:
    source = {"publisher": "A", "document": "b"}
    store.add_entry("fruit", "good", {"name": "fig", "usd": "1", "source": source})
    store.add_entry("fruit", "old", {"title": "fig"})
    good, bad = store.parsed_entries("fruit", Fruit)
    assert list(good) == ["good"]
    assert "saved fruit old" in str(bad["old"])
