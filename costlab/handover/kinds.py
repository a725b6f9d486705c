"""What the fields that a policy looks at must be, with the test of it in both languages.

No field is converted: `"5"` is not a number, `1` is not true. The Python tests serve `select` and
are printed as they stand here, so those two cannot differ; TypeScript's stand beside them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Literal

from costlab import routing, traffic
from costlab.core import RESOLUTIONS


def check_field(
    where: str,
    values: Mapping[str, object],
    name: str,
    fits: Callable[[object], bool],
    expected: str,
) -> None:
    """Raise ValueError for a field that is missing or not what is expected there."""
    if name in values and fits(values[name]):
        return
    found = repr(values[name]) if name in values else "nothing"
    raise ValueError(f"{where}.{name} must be {expected}, found {found}")


def is_text(found: object) -> bool:
    """Whether it is a text."""
    return isinstance(found, str)


def is_yes_no(found: object) -> bool:
    """Whether it is true or false."""
    return isinstance(found, bool)


def is_resolution(found: object) -> bool:
    """Whether it is a resolution known here."""
    return isinstance(found, str) and found in RESOLUTIONS


def is_number(found: object) -> bool:
    """Whether it is a finite real number; True and False are none."""
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        return False
    try:
        return math.isfinite(found)
    except OverflowError:  # a whole number beyond every float
        return False


def is_number_or_none(found: object) -> bool:
    """Whether it is a finite real number or None."""
    return found is None or is_number(found)


def is_number_or_decimal(found: object) -> bool:
    """Whether it is a finite real number, a decimal one included."""
    if isinstance(found, Decimal):
        return found.is_finite() and math.isfinite(float(found))
    return is_number(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a field must be.

    ``expected`` says it in words, ``json`` as a JSON type, ``nullable`` whether null will do too;
    ``python`` is the test, after the functions that it calls, and ``imports`` what they import;
    ``typescript`` is the test as an expression of ``found``.
    """

    expected: str
    json: Literal["string", "boolean", "number"]
    nullable: bool = False
    python: tuple[Callable[[object], bool], ...]
    imports: tuple[str, ...] = ()
    typescript: str


TEXT = Kind(
    expected="a text",
    json="string",
    python=(is_text,),
    typescript='typeof found === "string"',
)
YES_NO = Kind(
    expected="true or false",
    json="boolean",
    python=(is_yes_no,),
    typescript='typeof found === "boolean"',
)
RESOLUTION = Kind(
    expected=f"one of {', '.join(RESOLUTIONS)}",
    json="string",
    python=(is_resolution,),
    typescript="RESOLUTIONS.has(found as string)",
)
NUMBER = Kind(
    expected="a finite number",
    json="number",
    python=(is_number,),
    imports=("import math",),
    typescript="Number.isFinite(found)",
)
NUMBER_OR_NULL = Kind(
    expected="a finite number or null",
    json="number",
    nullable=True,
    python=(is_number, is_number_or_none),
    imports=("import math",),
    typescript="found === null || Number.isFinite(found)",
)
NUMBER_OR_DECIMAL = Kind(
    expected="a finite number",
    json="number",
    python=(is_number, is_number_or_decimal),
    imports=("import math", "from decimal import Decimal"),
    typescript="Number.isFinite(found)",
)

_BY_TYPE = {"bool": YES_NO, "Decimal": NUMBER_OR_DECIMAL, "float | None": NUMBER_OR_NULL}
_TYPES = {item.name: str(item.type) for item in fields(traffic.Segment)}
KINDS: Mapping[str, Kind] = {
    name: RESOLUTION if name == "resolution" else _BY_TYPE.get(_TYPES.get(name, "str"), TEXT)
    for name in sorted(traffic.FEATURES)
}
"""The kind of every feature that a policy may look at, as a segment of a mix has it."""


def features(policy: routing.Policy) -> dict[str, Kind]:
    """Return the features of a request that a policy looks at, with their kinds."""
    used = {name for rule in policy.rules for name in rule.when or {}}
    used |= {"batch"} if policy.overflow else set()
    return {name: KINDS[name] for name in sorted(used)}


def splits(policy: routing.Policy) -> bool:
    """Whether a policy sends requests by their id."""
    return any(len(rule.parts) > 1 for rule in policy.rules)


def request_kinds(policy: routing.Policy) -> dict[str, Kind]:
    """Return the fields of a request that a policy looks at: its features, its id for a split."""
    return ({"id": TEXT} if splits(policy) else {}) | features(policy)


def state_kinds(policy: routing.Policy) -> dict[str, Kind]:
    """Return the fields of a state that a policy looks at."""
    used = {"api_spent_usd": policy.budget, "own_wait_s": policy.overflow}
    return {name: NUMBER for name, looked_at in used.items() if looked_at}


def check(where: str, values: Mapping[str, object], kinds: Mapping[str, Kind]) -> None:
    """Raise ValueError for the first field of ``values`` that is missing or not of its kind."""
    for name, kind in kinds.items():
        check_field(where, values, name, kind.python[-1], kind.expected)
