"""Request logs: a CSV or Parquet file of single requests, read, mapped and counted.

    files ──columns and values mapped──▶ one GROUP BY: distinct features × period ──▶ counts
                                      └▶ what could not be mapped: file, column, value, first row

A log is never loaded: DuckDB counts its distinct combinations of features, and everything that
thinks (value mapping, policies, prices, the fitted mix) runs on those. Times are UTC.
"""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from costlab import store
from costlab.core import RESOLUTIONS, BadData, CostlabError, InvalidArgument, plain
from costlab.traffic import Segment

if TYPE_CHECKING:
    import pyarrow as pa

LISTED = 40
"""Values that cannot be mapped are looked up in the files up to this many; all are counted."""

EARLIEST, LATEST = "2000-01-01", "2100-01-01"
LONGEST_S = 86_400
Kind = Literal["time", "seconds", "number", "choice", "yes_no", "resolution", "aspect", "text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column that costlab understands: its meaning, and the other names it goes by."""

    name: str
    kind: Kind
    words: str
    aliases: tuple[str, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)


COLUMNS: tuple[Column, ...] = (
    Column(name="time", kind="time", words="when the request came in, UTC unless it says otherwise",
           aliases=("timestamp", "ts", "created", "created_at", "requested_at", "request_time",
                    "submitted_at", "event_time", "datetime", "date")),
    Column(name="seconds", kind="seconds", words="length of the clip asked for",
           aliases=("duration", "duration_s", "duration_seconds", "duration_ms", "length_s",
                    "clip_seconds", "video_seconds", "seconds_ms")),
    Column(name="id", kind="text", words="the request's id; weighted splits go by it",
           aliases=("request_id", "req_id", "job_id", "generation_id", "uuid")),
    Column(name="segment", kind="text", words="your own name for the kind of request",
           aliases=("workload", "use_case", "feature")),
    Column(name="stage", kind="choice", words="preview or final", aliases=("phase",),
           choices={"preview": "preview", "draft": "preview", "final": "final",
                    "production": "final"}),
    Column(name="tier", kind="text", words="the customer's plan, in small letters",
           aliases=("plan", "user_tier", "subscription")),
    Column(name="quality", kind="choice", words="standard or premium", aliases=("quality_level",),
           choices={"standard": "standard", "std": "standard", "normal": "standard",
                    "premium": "premium", "pro": "premium", "high": "premium"}),
    Column(name="mode", kind="choice", words="t2v (from text) or i2v (from an image)",
           aliases=("task", "generation_type", "input_type"),
           choices={"t2v": "t2v", "text": "t2v", "texttovideo": "t2v", "text2video": "t2v",
                    "i2v": "i2v", "image": "i2v", "imagetovideo": "i2v", "image2video": "i2v"}),
    Column(name="resolution", kind="resolution", words="720p, 720 or 1280x720",
           aliases=("size", "video_resolution", "output_resolution")),
    Column(name="audio", kind="yes_no", words="whether the clip needs sound",
           aliases=("with_audio", "sound", "generate_audio", "has_audio")),
    Column(name="aspect", kind="aspect", words="16:9 and so on", aliases=("aspect_ratio", "ratio")),
    Column(name="batch", kind="yes_no", words="whether it may wait for a quiet hour",
           aliases=("is_batch",)),
    Column(name="faces", kind="yes_no", words="whether it shows faces", aliases=("has_faces",)),
    Column(name="text", kind="yes_no", words="whether it shows lettering",
           aliases=("has_text", "lettering")),
    Column(name="lora", kind="yes_no", words="whether it needs a fine-tuned adapter",
           aliases=("has_lora", "uses_lora")),
    Column(name="min_quality", kind="number", words="lowest arena rating that will do"),
    Column(name="max_latency_s", kind="number", words="longest time from request to video"),
    Column(name="tenant", kind="text", words="who is billed for it",
           aliases=("customer", "customer_id", "tenant_id", "account", "account_id", "org",
                    "org_id", "organization", "team", "workspace", "project")),
    Column(name="accepted", kind="yes_no", words="whether the user kept the clip",
           aliases=("approved", "kept", "is_accepted")),
    Column(name="failed", kind="yes_no", words="whether the attempt failed",
           aliases=("is_failed", "status"),
           choices={"failed": "true", "failure": "true", "error": "true", "rejected": "true",
                    "ok": "false", "success": "false", "succeeded": "false", "completed": "false",
                    "done": "false"}),
    Column(name="model", kind="text", words="the model that made it",
           aliases=("model_id", "model_used", "model_name", "engine")),
    Column(name="usd", kind="number", words="what was paid for it, in dollars",
           aliases=("cost", "cost_usd", "price", "price_usd", "amount_usd", "billed_usd")),
)  # fmt: skip
"""Every column that a log may have; only ``time`` and ``seconds`` must be there."""

BY_NAME = {column.name: column for column in COLUMNS}
FEATURES = tuple(
    column.name
    for column in COLUMNS
    if column.name in {item.name for item in fields(Segment)} | {"segment"}
)
"""The columns that make a `Segment`; a log that has none of them but ``seconds`` is one segment."""
_YES = ("true", "t", "yes", "y", "1", "1.0", "on")
_NO = ("false", "f", "no", "n", "0", "0.0", "off")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """How a user's log reads: ``columns`` ours → theirs ("" leaves ours out), ``values`` of our
    columns theirs → ours, ``defaults`` of features that the log does not have.
    """

    columns: dict[str, str] = field(default_factory=dict)
    values: dict[str, dict[str, str]] = field(default_factory=dict)
    defaults: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems = []
        for part in ("columns", "values", "defaults"):
            unknown = sorted(set(getattr(self, part)) - set(BY_NAME))
            problems += [f"{part}.{name}: unknown; known: {', '.join(BY_NAME)}" for name in unknown]
        for name, value in self.defaults.items():
            if name in BY_NAME and name not in FEATURES:
                problems.append(f"defaults.{name}: only features of a request have a default")
            elif name in BY_NAME:
                try:
                    canonical(BY_NAME[name], value)
                except InvalidArgument as error:
                    problems.append(f"defaults.{name}: {error}")
        if problems:
            raise BadData("log mapping", problems)


def read_mapping(path: Path) -> Mapped:
    """Return the mapping of a YAML file (columns, values, defaults); raises `BadData`."""
    return store.parse(store.read_mapping(path), Mapped, path.name)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log that can be counted: its files, and which of their columns is which of ours.

    ``types`` are DuckDB's types of our columns, ``left_out`` their columns that nothing reads and
    why, ``dialect`` the CSV's separator and header. Nothing but the headers has been read yet.
    """

    files: tuple[str, ...]
    parquet: bool
    columns: Mapping[str, str]
    types: Mapping[str, str]
    left_out: Mapping[str, str]
    mapped: Mapped
    dialect: tuple[str, tuple[str, ...]] | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """The features of a request that the log has, in the order of `COLUMNS`."""
        return tuple(name for name in FEATURES if name in self.columns)

    @property
    def assumed(self) -> dict[str, str]:
        """The features that the log does not have, with the value that every request gets."""
        standard = {item.name: item.default for item in fields(Segment)}
        return {
            name: str(self.mapped.defaults.get(name, plain(standard[name])))
            for name in FEATURES
            if name not in self.columns and name not in ("segment", "tenant")
            and (name in self.mapped.defaults or standard[name] is not None)
        }  # fmt: skip

    def scan(self, files: Sequence[str] | None = None, *, rejects: bool = False) -> str:
        """Return the SQL of the table that holds the files, column names as in the files."""
        listed = ", ".join(_quoted(path) for path in (files or self.files))
        if self.parquet:
            return (
                f"read_parquet([{listed}], union_by_name = true, filename = true, "
                "file_row_number = true)"
            )
        separator, header = self.dialect or (",", ())
        columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in header)
        lines = "store_rejects = true, rejects_limit = 0" if rejects else "ignore_errors = true"
        return (
            f"read_csv([{listed}], auto_detect = false, columns = {{{columns}}}, header = true, "
            f"delim = {_quoted(separator)}, quote = '\"', escape = '\"', filename = true, {lines})"
        )

    def raw(self, name: str) -> str:
        """Return the SQL of one of our columns as it stands in the files."""
        return _name(self.columns[name])

    def time(self) -> str:
        """Return the SQL of the request's time as a TIMESTAMP in UTC.

        NULL where it is none, or one of no century that has clips (a sentinel such as 9999-12-31).
        """
        found = self._any_time()
        return (
            f"CASE WHEN {found} BETWEEN TIMESTAMP '{EARLIEST}' AND TIMESTAMP '{LATEST}' "
            f"THEN {found} END"
        )

    def _any_time(self) -> str:
        column, kind = self.raw("time"), self.types["time"]
        if kind.startswith("TIMESTAMP WITH"):
            return f"timezone('UTC', {column})"
        if kind.startswith(("TIMESTAMP", "DATE")):
            return f"CAST({column} AS TIMESTAMP)"
        if kind == "VARCHAR":
            return f"timezone('UTC', TRY_CAST({column} AS TIMESTAMPTZ))"
        return (
            f"make_timestamp(CAST({column} * CASE WHEN abs({column}) < 1e11 THEN 1000000 "
            f"WHEN abs({column}) < 1e14 THEN 1000 ELSE 1 END AS BIGINT))"
        )

    def place(self) -> str:
        """Return the SQL of the 32-bit integer by which a split sends a request."""
        return f"place(CAST({self.raw('id')} AS VARCHAR))"


def open_log(path: str | Path, mapped: Mapped | None = None) -> Log:
    """Return the log behind a file, a folder or a pattern such as ``logs/*.parquet``.

    Columns are recognised by our names or their usual other names; ``mapped`` says the rest.
    Raises `BadData` listing every problem: no such file, files of both kinds, no time or length,
    one of our columns found twice, a column that the mapping names and no file has.
    """
    mapped = mapped or Mapped()
    files = _files(str(path))
    parquet = _is_parquet(files, str(path))
    dialect = None if parquet else _dialect(files)
    if dialect is None:
        source = f"read_parquet([{', '.join(map(_quoted, files))}], union_by_name = true)"
        with store.analysis() as connection:
            rows = connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
        types = {str(row[0]): str(row[1]) for row in rows}
    else:
        types = dict.fromkeys(dialect[1], "VARCHAR")
    columns, left_out = _recognised(tuple(types), mapped, str(path))
    log = Log(
        files=files,
        parquet=parquet,
        columns=columns,
        types={ours: types[theirs] for ours, theirs in columns.items()},
        left_out=left_out,
        mapped=mapped,
        dialect=dialect,
    )
    return _without_prompts(log, mapped)


def _files(path: str) -> tuple[str, ...]:
    import glob

    if Path(path).is_dir():
        found = [
            str(item)
            for item in Path(path).rglob("*")
            if item.name.lower().endswith((".parquet", ".csv", ".csv.gz", ".tsv"))
        ]
    else:
        found = [item for item in glob.glob(path, recursive=True) if Path(item).is_file()]
    if not found:
        raise BadData(path, ["no Parquet or CSV file there"])
    return tuple(sorted(found))


def _is_parquet(files: Sequence[str], path: str) -> bool:
    kinds = {name.lower().endswith(".parquet") for name in files}
    if len(kinds) > 1:
        raise BadData(path, ["holds Parquet and CSV files: name one kind, such as *.parquet"])
    return kinds.pop()


def _dialect(files: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    import gzip

    headers: dict[str, tuple[str, tuple[str, ...]]] = {}
    for path in files:
        opener: Callable[..., Any] = gzip.open if path.endswith(".gz") else open
        try:
            with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
                line = stream.readline()
        except (OSError, UnicodeDecodeError) as error:
            raise BadData(path, [f"cannot be read: {error}"]) from error
        separator = max(",;\t|", key=line.count)
        names = tuple(next(csv.reader([line], delimiter=separator), ()))
        if not any(names):
            raise BadData(path, ["empty: expected a header line and rows"])
        headers[path] = (separator, names)
    different = [path for path in files if headers[path] != headers[files[0]]]
    if different:
        raise BadData(
            different[0], [f"its header differs from that of {files[0]}: replay them one by one"]
        )
    return headers[files[0]]


def _recognised(
    theirs: tuple[str, ...], mapped: Mapped, path: str
) -> tuple[dict[str, str], dict[str, str]]:
    problems = []
    columns: dict[str, str] = {}
    plainly = defaultdict(list)
    for name in theirs:
        plainly[re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")].append(name)
    said = {ours: name for ours, name in mapped.columns.items() if name}
    for ours, name in said.items():
        if name not in theirs:
            problems.append(f"column {name!r}, mapped to {ours}, is not there")
    for column in COLUMNS:
        if column.name in mapped.columns:
            if column.name in said:
                columns[column.name] = said[column.name]
            continue
        exact = [name for name in plainly.get(column.name, ()) if name not in said.values()]
        other = [
            name
            for alias in column.aliases
            for name in plainly.get(alias, ())
            if name not in said.values()
        ]
        found = exact or other
        if len(found) > 1:
            problems.append(
                f"{column.name} could be any of {', '.join(found)}: map one of them to it"
            )
        elif found:
            columns[column.name] = found[0]
    problems += [
        f"no column for {name}, {BY_NAME[name].words}: map one of {', '.join(theirs)} to it"
        for name in ("time", "seconds")
        if name not in columns and not problems
    ]
    if problems:
        raise BadData(path, problems)
    used = set(columns.values())
    return columns, {name: "no column of ours" for name in theirs if name not in used}


def _without_prompts(log: Log, mapped: Mapped) -> Log:
    """Return the log without columns that only share a name with ours, such as a prompt's text."""
    left_out = dict(log.left_out)
    columns = dict(log.columns)
    with store.analysis() as connection:
        for name in log.columns:
            kind = BY_NAME[name].kind
            if name in mapped.columns or kind != "yes_no":
                continue
            sql = f"SELECT CAST({log.raw(name)} AS VARCHAR) AS v FROM {log.scan()} LIMIT 2000"
            values = connection.execute(
                f"SELECT DISTINCT v FROM ({sql}) WHERE v IS NOT NULL"
            ).fetchall()
            if values and not any(_maps(log, name, str(value)) for (value,) in values):
                theirs = columns.pop(name)
                left_out[theirs] = (
                    f"named like {name}, {BY_NAME[name].words}, but holds values such as "
                    f"{str(values[0][0])[:40]!r}"
                )
    return replace(
        log,
        columns=columns,
        types={name: log.types[name] for name in columns},
        left_out=left_out,
    )


def _maps(log: Log, name: str, raw: str) -> bool:
    try:
        value(log, name, raw)
    except InvalidArgument:
        return False
    return True


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


# ── Values ────────────────────────────────────────────────────────────────────────────────────


def value(log: Log, name: str, raw: str) -> Any:
    """Return a cell of the log as our value; "" gives the default. Raises `InvalidArgument`."""
    raw = log.mapped.values.get(name, {}).get(raw, raw)
    if name == "seconds" and log.columns.get(name, "").lower().endswith("_ms"):
        return canonical(BY_NAME[name], raw) / 1000
    return canonical(BY_NAME[name], raw)


def canonical(column: Column, raw: str) -> Any:
    """Return a text as a value of one of our columns; raises `InvalidArgument`.

    >>> canonical(BY_NAME["resolution"], "1280x720"), canonical(BY_NAME["mode"], "Text-to-Video")
    ('720p', 't2v')
    """
    text = raw.strip()
    low = text.lower()
    if column.kind == "text":
        return low if column.name == "tier" else text
    if column.kind in ("seconds", "number"):
        return _number(column, low)
    if column.kind == "yes_no":
        word = column.choices.get(low, low)
        if word in _YES or word in _NO:
            return word in _YES
        raise InvalidArgument("is neither yes nor no")
    if column.kind == "choice":
        key = re.sub(r"[^a-z0-9]", "", low)
        if key in column.choices:
            return column.choices[key]
        raise InvalidArgument(f"is none of {', '.join(dict.fromkeys(column.choices.values()))}")
    if column.kind == "resolution":
        return _resolution(low)
    if found := re.fullmatch(r"(\d+)[:x/](\d+)", low):
        return f"{found[1]}:{found[2]}"
    named = {"landscape": "16:9", "portrait": "9:16", "square": "1:1"}
    if low in named:
        return named[low]
    raise InvalidArgument("is no aspect such as 16:9")


def _number(column: Column, text: str) -> Decimal | float:
    try:
        number = Decimal(text.removesuffix("s").strip())
    except InvalidOperation:
        raise InvalidArgument("is not a number") from None
    if not number.is_finite() or (column.kind == "seconds" and number <= 0):
        raise InvalidArgument("is not a number above 0")
    if column.kind == "seconds" and number > LONGEST_S:
        raise InvalidArgument(f"is longer than {LONGEST_S} s, a day")
    return number if column.kind == "seconds" else float(number)


def _resolution(text: str) -> str:
    if text in RESOLUTIONS:
        return text
    if found := re.fullmatch(r"(\d+)\s*[x×*]\s*(\d+)", text):
        text = str(min(int(found[1]), int(found[2])))
    named = {"hd": "720p", "fhd": "1080p", "uhd": "4k", "2160": "4k", "2160p": "4k"}
    label = named.get(text, f"{text}p")
    if label in RESOLUTIONS:
        return label
    raise InvalidArgument(f"is none of {', '.join(RESOLUTIONS)}")


# ── Counting ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmapped:
    """Cells that could not be understood: which, where, how often, and the first row (from 1)."""

    file: str
    column: str
    value: str
    count: int
    first_row: int | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Rows of a log that could be read, their first and last time, and lines that could not."""

    rows: int
    first: datetime | None
    last: datetime | None
    timeless: int
    unreadable: tuple[Unmapped, ...] = ()

    @property
    def unreadable_lines(self) -> int:
        """How many lines of the files are no rows at all."""
        return sum(item.count for item in self.unreadable)


def span(log: Log) -> Span:
    """Return how many rows the log has and the time between; raises `BadData` where it has none."""
    try:
        with store.analysis() as connection:
            rows, first, last, timed = connection.execute(
                f"SELECT count(*), min(t), max(t), count(t) "
                f"FROM (SELECT {log.time()} AS t FROM {log.scan(rejects=True)})"
            ).fetchall()[0]
            bad = () if log.parquet else _rejected(connection)
    except BadData as error:
        if "state machine" in str(error):
            why = "cannot be read as CSV: it mixes line ends (CR LF and LF) or leaves a quote open"
            raise BadData(", ".join(log.files[:3]), [why]) from error
        raise
    if not rows and not bad:
        raise BadData(log.files[0], ["holds no rows"])
    return Span(rows=rows, first=first, last=last, timeless=rows - timed, unreadable=bad)


def _rejected(connection: Any) -> tuple[Unmapped, ...]:
    found = connection.execute(
        "SELECT file_path, error_type, any_value(error_message), count(DISTINCT line), min(line), "
        "arg_min(csv_line, line) FROM reject_errors JOIN reject_scans USING (scan_id, file_id) "
        "GROUP BY file_path, error_type ORDER BY ALL"
    ).fetchall()
    return tuple(
        Unmapped(
            file=path,
            column="(line)",
            value=str(line or "").strip()[:80],
            count=count,
            first_row=first,
            reason=f"{str(kind).lower()}: {message}",
        )
        for path, kind, message, count, first, line in found
    )


def months(start: date, end: date) -> tuple[date, ...]:
    """Return the first day of every month from that of ``start`` to that of ``end``."""
    found = [start.replace(day=1)]
    while (later := (found[-1] + timedelta(days=32)).replace(day=1)) <= end:
        found.append(later)
    return tuple(found)


KEYS = ("period", "place")
MEASURES = ("n", "accepted", "not_accepted", "failed", "not_failed", "paid", "paid_micro")


def keys_sql(
    log: Log, edges: Sequence[date], cuts: Sequence[int], extra: Sequence[str] = ()
) -> dict[str, str]:
    """Return the SQL of what requests are counted by, by name.

    Every feature as it stands in the file, the columns of ``extra``, ``period`` (the number of
    ``edges`` that have passed, NULL without a time) and ``place`` (the number of ``cuts`` that the
    request's `Log.place` has reached).
    """
    keys = {name: log.raw(name) for name in (*log.features, *extra)}
    keys["period"] = (
        f"CASE WHEN {log.time()} IS NOT NULL THEN {_step(log.time(), edges, 0)} END"
        if log.types["time"] == "VARCHAR" or not edges
        else _step(log.time(), edges, 0, otherwise="NULL")
    )
    keys["place"] = " + ".join(
        ["0", *(f"CAST({log.place()} >= {cut} AS UTINYINT)" for cut in cuts)]
    )
    return keys


def _step(time: str, edges: Sequence[date], passed: int, otherwise: str = "") -> str:
    """Return a decision tree that numbers the stretches between the edges."""
    if not edges:
        return f"CAST({passed} AS USMALLINT)"
    middle = len(edges) // 2
    early = _step(time, edges[:middle], passed)
    late = _step(time, edges[middle + 1 :], passed + middle + 1)
    test = f"{time} < TIMESTAMP '{edges[middle].isoformat()}'"
    if otherwise:
        return f"CASE WHEN {test} THEN {early} WHEN {time} IS NULL THEN {otherwise} ELSE {late} END"
    return f"CASE WHEN {test} THEN {early} ELSE {late} END"


def count_sql(log: Log, keys: Mapping[str, str], source: str) -> str:
    """Return the SQL that counts the requests of ``source`` by ``keys``; every key comes as text.

    Measures: requests ``n``; accepted, not accepted, failed and not failed ones; how many say what
    was paid, and that in micro-dollars.
    """
    grouped = ", ".join(f"{sql} AS {_name(f'k_{name}')}" for name, sql in keys.items())
    shown = ", ".join(
        f"k_{name} AS {name}"
        if name in KEYS
        else f"coalesce(CAST({_name(f'k_{name}')} AS VARCHAR), '') AS {name}"
        for name in keys
    )
    return (
        f"SELECT {shown}, {', '.join(MEASURES)} FROM (SELECT {grouped}, count(*) AS n, "
        f"{_tally(log, 'accepted')}, {_tally(log, 'failed')}, {_paid(log)} "
        f"FROM {source} GROUP BY ALL)"
    )


def _tally(log: Log, name: str) -> str:
    if name not in log.columns:
        return f"0::BIGINT AS {name}, 0::BIGINT AS not_{name}"
    yes, no = _sides(log, name)
    return f"count(*) FILTER ({yes}) AS {name}, count(*) FILTER ({no}) AS not_{name}"


def _sides(log: Log, name: str) -> tuple[str, str]:
    """Return the SQL of whether a cell of a yes/no column says yes, and whether it says no."""
    column = log.raw(name)
    if log.types[name] == "BOOLEAN":
        return column, f"NOT {column}"
    text = f"lower(CAST({column} AS VARCHAR))"
    words = {**BY_NAME[name].choices, **log.mapped.values.get(name, {})}
    yes, no = (
        f"{text} IN ({', '.join(_quoted(word) for word in _words(side, words))})"
        for side in (_YES, _NO)
    )
    return yes, no


def _words(side: Sequence[str], words: Mapping[str, str]) -> list[str]:
    return [*side, *(said.lower() for said, meant in words.items() if str(meant).lower() in side)]


def flags_sql(log: Log) -> str:
    """Return the SQL of what `count_sql` sums, of one request: acc, fail, paid (−1: untold)."""
    flags = {
        short: f"coalesce({_sides(log, name)[0]}, false)" if name in log.columns else "false"
        for short, name in (("acc", "accepted"), ("fail", "failed"))
    }
    paid = f"coalesce({_micro(log)}, -1)" if "usd" in log.columns else "-1::BIGINT"
    return f"{flags['acc']} AS acc, {flags['fail']} AS fail, {paid} AS paid"


def _micro(log: Log) -> str:
    return f"CAST(TRY_CAST({log.raw('usd')} AS DECIMAL(18, 6)) * 1000000 AS BIGINT)"


def _paid(log: Log) -> str:
    if "usd" not in log.columns:
        return "0::BIGINT AS paid, 0::BIGINT AS paid_micro"
    micro = _micro(log)
    return f"count({micro}) AS paid, CAST(coalesce(sum({micro}), 0) AS BIGINT) AS paid_micro"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """A part of a log: whole files, or the rows of one Parquet file from ``first`` to ``last``."""

    files: tuple[str, ...]
    first: int | None = None
    last: int | None = None

    def source(self, log: Log) -> str:
        """Return the SQL of the part's table."""
        if self.first is None:
            return log.scan(self.files)
        return (
            f"(SELECT * FROM {log.scan(self.files)} "
            f"WHERE file_row_number BETWEEN {self.first} AND {self.last})"
        )


def shards(log: Log, rows: int) -> tuple[Shard, ...]:
    """Return parts of about ``rows`` requests that together are the log; a CSV file is one part."""
    if not log.parquet:
        return tuple(Shard(files=(path,)) for path in log.files)
    with store.analysis() as connection:
        listed = ", ".join(_quoted(path) for path in log.files)
        sizes = connection.execute(
            f"SELECT file_name, num_rows FROM parquet_file_metadata([{listed}]) ORDER BY ALL"
        ).fetchall()
    return tuple(
        Shard(files=(path,), first=first, last=min(first + rows, size) - 1)
        for path, size in sizes
        for first in range(0, size, rows)
    )


def count(
    log: Log,
    edges: Sequence[date],
    *,
    cuts: Sequence[int] = (),
    extra: Sequence[str] = (),
    shard: Shard | None = None,
    prepare: Callable[[Any], None] | None = None,
    memory_gib: float = 1.0,
    threads: int | None = None,
) -> pa.Table:
    """Return the log, or a shard of it, counted by its features and the periods between ``edges``.

    ``cuts`` and ``extra`` are those of `keys_sql`; ``prepare`` makes its SQL function ``place``
    known to a connection.
    """
    source = shard.source(log) if shard else log.scan()
    with store.analysis(memory_gib=memory_gib, threads=threads) as connection:
        if prepare:
            prepare(connection)
        sql = count_sql(log, keys_sql(log, edges, cuts, extra), source)
        return connection.sql(sql).to_arrow_table()


def locate(log: Log, bad: Mapping[str, Mapping[str, tuple[int, str]]]) -> tuple[Unmapped, ...]:
    """Return where values stand that cannot be mapped: column → value → (count, reason).

    The most frequent `LISTED` values of a column are looked up in the files, the others are told
    as one entry.
    """
    found: list[Unmapped] = []
    for name, values in bad.items():
        ordered = sorted(values.items(), key=lambda item: (-item[1][0], item[0]))
        listed = dict(ordered[:LISTED])
        for path, raw, rows, first in _places(log, name, tuple(listed)):
            found.append(
                Unmapped(
                    file=path,
                    column=log.columns.get(name, name),
                    value=raw,
                    count=rows,
                    first_row=first,
                    reason=f"{name}: {listed[raw][1]}",
                )
            )
        rest = ordered[LISTED:]
        if rest:
            found.append(
                Unmapped(
                    file=log.files[0] if len(log.files) == 1 else f"{len(log.files)} files",
                    column=log.columns.get(name, name),
                    value=f"{len(rest)} more values",
                    count=sum(item[1][0] for item in rest),
                    first_row=None,
                    reason=f"{name}: {rest[0][1][1]}",
                )
            )
    return tuple(found)


def _places(log: Log, name: str, raws: Sequence[str]) -> list[tuple[str, str, int, int]]:
    cell = f"coalesce(CAST({log.raw(name)} AS VARCHAR), '')"
    test = f"{log.time()} IS NULL" if name == "time" else f"{cell} IN ({_listed(raws)})"
    out = []
    with store.analysis() as connection:
        if log.parquet:
            rows = connection.execute(
                f"SELECT filename, {cell}, count(*), min(file_row_number) + 1 FROM {log.scan()} "
                f"WHERE {test} GROUP BY ALL ORDER BY ALL"
            ).fetchall()
            out += rows
        else:
            for path in log.files:
                rows = connection.execute(
                    f"SELECT {_quoted(path)}, cell, count(*), min(row) FROM (SELECT "
                    f"row_number() OVER () AS row, {cell} AS cell, {test} AS bad "
                    f"FROM {log.scan([path])}) WHERE bad GROUP BY ALL ORDER BY ALL"
                ).fetchall()
                out += rows
    if name == "time":
        out = [(path, raw, rows, first) for path, raw, rows, first in out if raw in raws]
    return out


def _listed(raws: Sequence[str]) -> str:
    return ", ".join(_quoted(raw) for raw in raws)


def timeless(log: Log) -> dict[str, tuple[int, str]]:
    """Return the cells of the time column that are no time, with their counts."""
    cell = f"coalesce(CAST({log.raw('time')} AS VARCHAR), '')"
    with store.analysis() as connection:
        rows = connection.execute(
            f"SELECT {cell}, count(*) FROM {log.scan()} WHERE {log.time()} IS NULL GROUP BY ALL"
        ).fetchall()
    return {raw: (count, "is no time such as 2026-11-22T09:30:00Z") for raw, count in rows}


def unread(log: Log, counted: pa.Table) -> dict[str, dict[str, tuple[int, str]]]:
    """Return the cells of accepted, failed and usd that tell nothing, by our column."""
    tests = {
        name: f"({_sides(log, name)[0]}) OR ({_sides(log, name)[1]})"
        for name in ("accepted", "failed")
        if name in log.columns
    }
    if "usd" in log.columns:
        tests["usd"] = f"{_micro(log)} IS NOT NULL"
    said = {"accepted": "accepted + not_accepted", "failed": "failed + not_failed", "usd": "paid"}
    found: dict[str, dict[str, tuple[int, str]]] = {}
    with store.analysis() as connection:
        connection.register("counted", counted)
        for name, test in tests.items():
            silent = connection.execute(f"SELECT sum(n - ({said[name]})) FROM counted").fetchall()
            if not silent[0][0]:
                continue
            cell = f"coalesce(CAST({log.raw(name)} AS VARCHAR), '')"
            rows = connection.execute(
                f"SELECT {cell}, count(*) FROM {log.scan()} WHERE {cell} <> '' "
                f"AND NOT coalesce({test}, false) GROUP BY ALL"
            ).fetchall()
            reason = "is not a number" if name == "usd" else "is neither yes nor no"
            found |= {name: {raw: (count, reason) for raw, count in rows}} if rows else {}
    return found


# ── From counts to segments ───────────────────────────────────────────────────────────────────


class Segments:
    """Turns combinations of raw cells into segments, each cell mapped once.

    ``bad`` collects, by our column, the cells that cannot be mapped with how many requests have
    them and why; ``empty`` how many requests leave a feature open.
    """

    def __init__(self, log: Log, varied: Iterable[str] = ()) -> None:
        self.log = log
        self.varied = frozenset(varied)
        self.bad: dict[str, dict[str, tuple[int, str]]] = defaultdict(dict)
        self.empty: dict[str, int] = defaultdict(int)
        self._values: dict[tuple[str, str], Any] = {}
        self._standard = {
            name: canonical(BY_NAME[name], text) for name, text in log.mapped.defaults.items()
        }

    def of(self, cells: Mapping[str, str], requests: int, *, tenant: bool = True) -> Segment | str:
        """Return the segment of a combination, or why it has none."""
        wanted = dict(self._standard)
        reasons = []
        for name, raw in cells.items():
            if name == "tenant" and not tenant:
                continue
            if not raw.strip():
                self.empty[name] += requests
                if name == "seconds":
                    self._note(name, raw, requests, "is empty")
                    reasons.append("seconds is empty")
                continue
            key = (name, raw)
            if key not in self._values:
                try:
                    self._values[key] = value(self.log, name, raw)
                except InvalidArgument as error:
                    self._values[key] = error
            found = self._values[key]
            if isinstance(found, InvalidArgument):
                self._note(name, raw, requests, str(found))
                reasons.append(f"{name} {raw!r} {found}")
            else:
                wanted[name] = found
        if reasons:
            return "; ".join(reasons)
        own_name = wanted.pop("segment", "")
        try:
            made = Segment(name="-", share=0.0, **wanted)
        except CostlabError as error:
            return str(error).removeprefix("segment -: ")
        return replace(made, name=own_name or label(made, self.varied))

    def _note(self, name: str, raw: str, requests: int, reason: str) -> None:
        before = self.bad[name].get(raw, (0, reason))[0]
        self.bad[name][raw] = (before + requests, reason)


def label(segment: Segment, varied: Iterable[str]) -> str:
    """Return a name for a segment made of the features that vary in its log, and its seconds.

    >>> label(Segment(name="-", share=0, seconds=Decimal(5), audio=True), {"mode", "audio"})
    't2v, 5 s, audio'
    """
    told = set(varied) - {"seconds", "segment", "tenant"}
    words = [
        str(getattr(segment, name)) for name in ("stage", "tier", "quality", "mode") if name in told
    ]
    words += [segment.resolution] if "resolution" in told else []
    words.append(f"{segment.seconds.normalize():f} s")
    words += [segment.aspect] if "aspect" in told else []
    words += [name for name in ("audio", "batch", "faces", "text", "lora")
              if name in told and getattr(segment, name)]  # fmt: skip
    for name, sign in (("min_quality", "rated"), ("max_latency_s", "within")):
        if name in told and getattr(segment, name) is not None:
            words.append(f"{sign} {getattr(segment, name):g}")
    return ", ".join(words)
