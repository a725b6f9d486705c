"""Files ⇄ frozen records ⇄ DuckDB; the only module that touches pydantic, YAML and connections.

    data/*.yaml, *.csv, *.json ──read──▶ records ──▶ book.duckdb     rebuilt at any time
    $COSTLAB_HOME/runs/*.json  ──────────▲           user.duckdb     what people add, never rebuilt

The book is only ever replaced whole (written beside, renamed), so readers open it read-only and
nobody waits. ``user.duckdb`` is opened for milliseconds, with retries, because DuckDB lets one
process at a time hold a file that is written. Run records are single files (`costlab.runs`).
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import os
import random
import threading
import time
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Generic, TypeVar

import duckdb
import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from costlab.core import BadData, CostlabError, InvalidArgument

LOCK_PATIENCE_S = 20.0

R = TypeVar("R")


def home() -> Path:
    """Return the folder of this user's store: ``$COSTLAB_HOME``, else ``.costlab`` here."""
    return Path(os.environ.get("COSTLAB_HOME", ".costlab")).absolute()


def data_dir() -> Path:
    """Return the reviewed data: ``data/`` of the clone, or the copy inside an installed wheel."""
    inside = Path(__file__).parent / "_data"
    return inside if inside.is_dir() else Path(__file__).parents[1] / "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf(Generic[R]):
    """One table of the book: which files under ``data/`` hold it and what a row must be.

    ``home_pattern`` adds files of the user's store (runs). ``parse`` turns one file into row
    mappings where it is not a plain list of them.
    """

    table: str
    record: type[R]
    pattern: str
    home_pattern: str = ""
    parse: Callable[[Path], list[dict[str, Any]]] | None = None

    def files(self) -> list[Path]:
        """Return the files behind the table, in a fixed order."""
        found = sorted(data_dir().glob(self.pattern))
        if self.home_pattern:
            found += sorted(home().glob(self.home_pattern))
        return found

    def fingerprint(self) -> str:
        """Return a hash that changes whenever a file of the shelf is added, edited or removed.

        Inside `still` the files are looked at once.
        """
        seen = getattr(_looked_at, "fingerprints", None)
        if seen is not None and self in seen:
            return str(seen[self])
        digest = hashlib.sha256(_shape(self.record).encode())
        for path in self.files():
            stat = path.stat()
            digest.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
        if seen is not None:
            seen[self] = digest.hexdigest()
        return digest.hexdigest()


_looked_at = threading.local()


@contextlib.contextmanager
def still() -> Iterator[None]:
    """Answer from the files as they are now: inside, in this thread, no edit of them is seen.

    A projection asks for the same shelves hundreds of times; looking at every file each time took
    a third of it, and an edit in between would give it two prices for one thing.
    """
    if getattr(_looked_at, "fingerprints", None) is not None:
        yield
        return
    _looked_at.fingerprints = {}
    try:
        yield
    finally:
        _looked_at.fingerprints = None


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a YAML list, a CSV (empty cells absent, ``#`` lines skipped) or a JSON.

    Raises `BadData` where the file is not readable as that.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            lines = (line for line in text.splitlines() if not line.startswith("#"))
            reader = csv.DictReader(lines, strict=True, restkey=TOO_MANY)
            _check_header(path, reader.fieldnames or ())
            rows: Any = [_cells(row) for row in reader]
        elif path.suffix == ".json":
            loaded = json.loads(text)
            rows = loaded if isinstance(loaded, list) else [loaded]
        else:
            rows = yaml.load(text, Loader=_Loader)
    except (OSError, UnicodeDecodeError, csv.Error, ValueError, yaml.YAMLError) as error:
        raise BadData(path.name, [f"cannot be read: {error}"]) from error
    if rows is None:
        rows = []
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadData(path.name, ["expected a list of rows, each a mapping of field to value"])
    return rows


TOO_MANY = "cells beyond the header"


def _check_header(path: Path, names: Sequence[str]) -> None:
    if not names:
        raise BadData(path.name, ["empty: expected a header line and rows"])
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadData(path.name, [f"column {name!r} appears twice" for name in twice])


def _cells(row: dict[str, Any]) -> dict[str, Any]:
    """Return the filled cells; those beyond the header stay under a name that no record has."""
    return {key: cell for key, cell in row.items() if cell not in (None, "")}


def read_mapping(path: Path) -> list[dict[str, Any]]:
    """Return the one mapping that a YAML file holds, as a list of one row.

    Raises `BadData` where the file is not readable as that.
    """
    try:
        loaded = load_yaml(path.read_text(encoding="utf-8-sig"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise BadData(path.name, [f"cannot be read: {error}"]) from error
    if not isinstance(loaded, dict):
        raise BadData(path.name, ["expected one mapping of field to value"])
    return [loaded]


class _Loader(yaml.CSafeLoader):
    """Safe YAML in which a repeated key is an error instead of a silent overwrite."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"field {key!r} appears twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(record: Any) -> TypeAdapter[Any]:
    if record not in _adapters:
        _forbid_unknown_fields(record)
        _adapters[record] = TypeAdapter(record)
    return _adapters[record]


def _forbid_unknown_fields(record: Any) -> None:
    """Set pydantic's strictness on plain dataclasses, so that records need not import it."""
    if not is_dataclass(record) or hasattr(record, "__pydantic_config__"):
        return
    setattr(record, "__pydantic_config__", ConfigDict(extra="forbid"))  # noqa: B010
    for hint in typing.get_type_hints(record).values():
        for part in (hint, *typing.get_args(hint)):
            if isinstance(part, type):
                _forbid_unknown_fields(part)


def parse(rows: Sequence[Mapping[str, Any]], record: type[R], where: str) -> tuple[R, ...]:
    """Return ``rows`` as records; raises `BadData` that lists every row and field at fault."""
    problems: list[str] = []
    records: list[R] = []
    for number, row in enumerate(rows, 1):
        try:
            records.append(_adapter(record).validate_python(row))
        except ValidationError as error:
            problems += [f"[{number}]{_place(item)}" for item in error.errors(include_url=False)]
        except CostlabError as error:
            problems.append(f"[{number}]: {error}")
    if problems:
        raise BadData(where, problems)
    return tuple(records)


def _place(error: Any) -> str:
    path = "".join(f".{part}" for part in error["loc"])
    found = error.get("input")
    if error["type"] == "unexpected_keyword_argument":
        return f"{path}: unknown field"
    shown = "" if error["type"] == "missing" or isinstance(found, dict) else f", found {found!r}"
    return f"{path}: {error['msg']}{shown}"


def read(path: Path, record: type[R]) -> tuple[R, ...]:
    """Return the records of one file, checked."""
    return parse(read_rows(path), record, path.name)


def dump_yaml(value: Any) -> str:
    """Return JSON-like data as YAML text, keys in their own order."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)


def load_yaml(text: str, where: str) -> Any:
    """Return the data of a YAML text; raises `BadData` where it is malformed."""
    try:
        return yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise BadData(where, [f"cannot be read: {error}"]) from error


# ── The book ──────────────────────────────────────────────────────────────────────────────────

_in_process = threading.RLock()


def book_path() -> Path:
    """Return the path of the rebuilt database."""
    return home() / "book.duckdb"


def records(shelf: Shelf[R]) -> tuple[R, ...]:
    """Return the shelf's rows from the book, which is brought up to date first when files moved."""
    return _records(shelf, shelf.fingerprint(), book_path())


@cache
def _records(shelf: Shelf[R], fingerprint: str, book: Path) -> tuple[R, ...]:
    with _in_process:
        rows = _book_rows(shelf, fingerprint, book)
        if rows is not None:
            return tuple(_adapter(shelf.record).validate_python(row) for row in rows)
        loaded = load(shelf)
        with contextlib.suppress(OSError, duckdb.IOException):  # a store that cannot be written
            _swap_in({shelf: loaded}, book)
        return loaded


def _book_rows(shelf: Shelf[Any], fingerprint: str, path: Path) -> list[dict[str, Any]] | None:
    if not path.exists():
        return None
    try:
        with contextlib.closing(duckdb.connect(str(path), read_only=True)) as book:
            found = book.execute(
                "SELECT fingerprint FROM shelves WHERE name = ?", [shelf.table]
            ).fetchone()
            if found is None or found[0] != fingerprint:
                return None
            rows = _fetch(book, f'SELECT * FROM "{shelf.table}"')
    except duckdb.Error:
        return None
    return (
        rows if "JSON" not in _shape(shelf.record) else [_decode(shelf.record, row) for row in rows]
    )


def _decode(hint: Any, value: Any) -> Any:
    """Return a fetched value with the JSON text of its mapping fields read, at any depth."""
    if value is None:
        return None
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        hint = next(part for part in typing.get_args(hint) if part is not type(None))
    if is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return {name: _decode(hints[name], item) for name, item in value.items()}
    if typing.get_origin(hint) in (tuple, list):
        return [_decode(typing.get_args(hint)[0], item) for item in value]
    return json.loads(value) if _sql_type(hint) == "JSON" else value


def _fetch(
    connection: duckdb.DuckDBPyConnection, sql: str, values: Sequence[Any] = ()
) -> list[Any]:
    cursor = connection.execute(sql, list(values))
    names = [column[0] for column in cursor.description or []]
    return [dict(zip(names, map(_tidy, row), strict=True)) for row in cursor.fetchall()]


def _tidy(value: Any) -> Any:
    if isinstance(value, Decimal):
        return value.normalize() + 0 if value else Decimal(0)
    if isinstance(value, dict):
        return {key: _tidy(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    return value


def load(shelf: Shelf[R]) -> tuple[R, ...]:
    """Return the shelf's records straight from its files, every problem of every file at once.

    Files of the user's store that cannot be read are left out; `unreadable` names them.
    """
    found, problems = _load(shelf)
    shipped = [
        p for path, said in problems.items() if not path.is_relative_to(home()) for p in said
    ]
    if shipped:
        raise BadData(shelf.table, shipped)
    return tuple(found)


def unreadable(shelf: Shelf[Any]) -> tuple[str, ...]:
    """Return what is wrong with the files of the user's store that the shelf leaves out."""
    _, problems = _load(shelf)
    return tuple(
        f"{path.parent}/{p}"
        for path, said in problems.items()
        if path.is_relative_to(home())
        for p in said
    )


def _load(shelf: Shelf[R]) -> tuple[list[R], dict[Path, list[str]]]:
    found: list[R] = []
    problems: dict[Path, list[str]] = {}
    for path in shelf.files():
        try:
            rows = shelf.parse(path) if shelf.parse else read_rows(path)
            found += parse(rows, shelf.record, path.name)
        except BadData as error:
            problems[path] = [f"{error.where} {problem}" for problem in error.problems]
    return found, problems


def build(shelves: Sequence[Shelf[Any]]) -> dict[str, int]:
    """Write the tables of ``shelves`` into a new book beside the old one and swap it in.

    Returns the rows per table. Tables of other shelves are carried over. Nothing is replaced when
    any file has a problem (`BadData`).
    """
    loaded = {shelf: load(shelf) for shelf in shelves}
    _swap_in(loaded, book_path())
    return {shelf.table: len(rows) for shelf, rows in loaded.items()}


def _swap_in(loaded: Mapping[Shelf[Any], Sequence[Any]], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.{random.randrange(1 << 30)}.tmp")
    with _in_process:
        try:
            with contextlib.closing(duckdb.connect(str(fresh))) as book:
                _carry_over(book, path, {shelf.table for shelf in loaded})
                book.execute(
                    "CREATE TABLE IF NOT EXISTS shelves"
                    "(name VARCHAR PRIMARY KEY, fingerprint VARCHAR, rows BIGINT)"
                )
                for shelf, rows in loaded.items():
                    _write_table(book, shelf, rows)
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)


def _carry_over(book: duckdb.DuckDBPyConnection, old: Path, replaced: set[str]) -> None:
    if not old.exists():
        return
    try:
        book.execute(f"ATTACH '{str(old).replace(chr(39), chr(39) * 2)}' AS old (READ_ONLY)")
    except duckdb.Error:
        return  # an unreadable book holds nothing that the files do not
    names = [row[0] for row in book.execute(
        "SELECT table_name FROM duckdb_tables() WHERE database_name = 'old'"
    ).fetchall()]  # fmt: skip
    for name in names:
        if name == "shelves":
            book.execute(
                "CREATE TABLE shelves(name VARCHAR PRIMARY KEY, fingerprint VARCHAR, rows BIGINT)"
            )
            book.execute("INSERT INTO shelves SELECT * FROM old.shelves")
        elif name not in replaced:
            book.execute(f'CREATE TABLE "{name}" AS SELECT * FROM old."{name}"')
    for name in replaced:
        if "shelves" in names:
            book.execute("DELETE FROM shelves WHERE name = ?", [name])
    book.execute("DETACH old")


def _write_table(book: duckdb.DuckDBPyConnection, shelf: Shelf[Any], rows: Sequence[Any]) -> None:
    columns = typing.get_type_hints(shelf.record)
    names = [item.name for item in fields(shelf.record)]
    ddl = ", ".join(f'"{name}" {_sql_type(columns[name])}' for name in names)
    book.execute(f'CREATE TABLE "{shelf.table}" ({ddl})')
    marks = ", ".join("?" for _ in names)
    book.begin()
    if rows:
        book.executemany(
            f'INSERT INTO "{shelf.table}" VALUES ({marks})',
            [[_cell(getattr(row, name)) for name in names] for row in rows],
        )
    book.execute(
        "INSERT INTO shelves VALUES (?, ?, ?)", [shelf.table, shelf.fingerprint(), len(rows)]
    )
    book.commit()


def _cell(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: _cell(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, (tuple, list)):
        return [_cell(item) for item in value]
    if isinstance(value, Mapping):
        return json.dumps({key: _json_cell(item) for key, item in value.items()})
    return value.value if isinstance(value, StrEnum) else value


def _json_cell(value: Any) -> Any:
    return str(value) if isinstance(value, (Decimal, date)) else value


def _sql_type(hint: Any) -> str:
    """Return the DuckDB column type of a record's field type."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return _sql_type(next(part for part in arguments if part is not type(None)))
    if origin is typing.Literal:
        return _sql_type(type(arguments[0]))
    if origin in (tuple, list):
        return f"{_sql_type(arguments[0])}[]"
    if origin in (dict, Mapping):
        return "JSON"
    if is_dataclass(hint):
        inner = typing.get_type_hints(hint)
        columns = ", ".join(f'"{item.name}" {_sql_type(inner[item.name])}' for item in fields(hint))
        return f"STRUCT({columns})"
    simple = {bool: "BOOLEAN", int: "BIGINT", float: "DOUBLE", Decimal: "DECIMAL(30, 12)",
              date: "DATE", datetime: "TIMESTAMP", str: "VARCHAR"}  # fmt: skip
    for kind, name in simple.items():
        if hint is kind or (isinstance(hint, type) and issubclass(hint, kind)):
            return name
    raise TypeError(f"no DuckDB type for {hint!r}")


_shapes: dict[Any, str] = {}


def _shape(record: Any) -> str:
    if record not in _shapes:
        _shapes[record] = _columns(record)
    return _shapes[record]


def _columns(record: Any) -> str:
    hints = typing.get_type_hints(record)
    return ",".join(f"{item.name}:{_sql_type(hints[item.name])}" for item in fields(record))


def version() -> str:
    """Return a hash that changes whenever shipped data, runs or a user's entries change.

    Inside `still` the files are looked at once, a user's entries each time.
    """
    seen = getattr(_looked_at, "fingerprints", None)
    marks = [] if seen is None else list(seen.get("files", ()))
    if not marks:
        marks = [*_marks(data_dir(), ""), *_marks(home() / "runs", ".json")]
        if seen is not None:
            seen["files"] = tuple(marks)
    with contextlib.suppress(FileNotFoundError):
        user = (home() / "user.duckdb").stat()
        marks.append(f"user.duckdb|{user.st_size}|{user.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(marks)).encode()).hexdigest()


def _marks(folder: Path | str, ending: str) -> Iterator[str]:
    """Yield path, size and time of change of every file at or below ``folder`` so ending."""
    if not os.path.isdir(folder):
        return
    with os.scandir(folder) as found:
        for item in found:
            if item.is_dir():
                yield from _marks(item.path, ending)
            elif item.name.endswith(ending):
                stat = item.stat()
                yield f"{item.path}|{stat.st_size}|{stat.st_mtime_ns}"


# ── What people add ───────────────────────────────────────────────────────────────────────────

_USER_TABLES = """
CREATE SEQUENCE IF NOT EXISTS entry_numbers;
CREATE TABLE IF NOT EXISTS entries(
    number BIGINT PRIMARY KEY DEFAULT nextval('entry_numbers'),
    kind VARCHAR NOT NULL, name VARCHAR NOT NULL, body JSON, who VARCHAR, why VARCHAR,
    entered_at TIMESTAMP NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that a person added: a scenario, an override, … ; ``body`` is None when removed."""

    number: int
    kind: str
    name: str
    body: Any
    who: str
    why: str
    entered_at: datetime


@contextlib.contextmanager
def _user_file(*, write: bool) -> Iterator[duckdb.DuckDBPyConnection]:
    path = home() / "user.duckdb"
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + LOCK_PATIENCE_S
    with _in_process:
        while True:
            try:
                connection = duckdb.connect(str(path), read_only=not write)
                break
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise _unusable(path, error) from error
                if time.monotonic() > deadline:
                    raise CostlabError(
                        f"{path} stayed in use by another program for {LOCK_PATIENCE_S:.0f} s; "
                        "close it (a DuckDB shell?) and try again"
                    ) from error
                time.sleep(random.uniform(0.005, 0.05))
            except duckdb.Error as error:
                raise _unusable(path, error) from error
        with contextlib.closing(connection):
            yield connection


def _unusable(path: Path, error: Exception) -> CostlabError:
    reason = str(error).splitlines()[0]
    return CostlabError(
        f"{path} holds what you added and cannot be opened ({reason}); "
        "restore a copy of it, or move it away to start without"
    )


def parsed_entries(kind: str, record: type[R]) -> tuple[dict[str, R], dict[str, BadData]]:
    """Return the standing entries of ``kind`` as records, and those that no longer are one."""
    good: dict[str, R] = {}
    bad: dict[str, BadData] = {}
    for name, entry in entries(kind).items():
        try:
            good[name] = parse([entry.body], record, f"saved {kind} {name}")[0]
        except BadData as error:
            bad[name] = error
    return good, bad


def add_entry(kind: str, name: str, body: Any, *, who: str = "", why: str = "") -> None:
    """Append an entry; entries are never edited, the newest of a kind and name counts."""
    with _user_file(write=True) as connection:
        connection.execute(_USER_TABLES)
        connection.execute(
            "INSERT INTO entries(kind, name, body, who, why) VALUES (?, ?, ?, ?, ?)",
            [kind, name, None if body is None else json.dumps(body), who, why],
        )
    _logged.cache_clear()


def entry_log(kind: str) -> tuple[Entry, ...]:
    """Return every entry of ``kind`` ever made, oldest first."""
    path = home() / "user.duckdb"
    if not path.exists():
        return ()
    seen = path.stat()
    log = path.with_name("user.duckdb.wal")
    return _logged(kind, path, seen.st_mtime_ns, seen.st_size, log.exists())


@lru_cache(maxsize=256)
def _logged(kind: str, path: Path, mtime_ns: int, size: int, open_log: bool) -> tuple[Entry, ...]:
    del path, mtime_ns, size, open_log
    with _user_file(write=False) as connection:
        try:
            rows = _fetch(
                connection, "SELECT * FROM entries WHERE kind = ? ORDER BY number", [kind]
            )
        except duckdb.CatalogException:
            return ()  # a first writer was stopped between making the file and its table
    return tuple(
        Entry(**{**row, "body": None if row["body"] is None else json.loads(row["body"])})
        for row in rows
    )


def entries(kind: str) -> dict[str, Entry]:
    """Return the entries of ``kind`` that stand: the newest of each name, removed ones left out."""
    newest = {entry.name: entry for entry in entry_log(kind)}
    return {name: entry for name, entry in newest.items() if entry.body is not None}


def query(sql: str) -> list[dict[str, Any]]:
    """Return the rows of a read-only SQL question over the book's tables and ``entries``."""
    with contextlib.closing(duckdb.connect(":memory:")) as connection:
        quote = chr(39)
        for name in ("book", "user"):
            path = home() / f"{name}.duckdb"
            if path.exists():
                connection.execute(
                    f"ATTACH '{str(path).replace(quote, quote * 2)}' AS \"{name}\" (READ_ONLY)"
                )
        if book_path().exists():
            connection.execute('USE "book"')
        connection.execute("SET enable_external_access = false")
        try:
            return _fetch(connection, sql)
        except duckdb.Error as error:
            raise InvalidArgument(f"the store cannot answer that: {error}") from error


@contextlib.contextmanager
def analysis(
    *, memory_gib: float = 1.0, threads: int | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Yield an in-memory connection for large files that a user names, in UTC.

    It keeps within ``memory_gib`` and writes what does not fit into a temporary folder that goes
    with it. What DuckDB refuses is raised as `BadData`.
    """
    import tempfile

    with tempfile.TemporaryDirectory(prefix="costlab-") as folder:
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{int(memory_gib * 1024)}MiB",
            "temp_directory": folder,
            "preserve_insertion_order": "false",
        }
        if threads:
            settings["threads"] = str(threads)
        with contextlib.closing(duckdb.connect(":memory:", config=settings)) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            try:
                yield connection
            except duckdb.Error as error:
                raise BadData("log", [str(error).splitlines()[0]]) from error
