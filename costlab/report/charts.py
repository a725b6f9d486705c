"""Charts as SVG text, so that no browser is needed: months as columns, scenarios as bars.

Both start at zero and draw intervals as whiskers. Colours are from Okabe & Ito's colour-blind-safe
palette (https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from costlab.report import safe

COLUMN, MARK = "#0072B2", "#E69F00"
WIDTH, COLUMNS_HEIGHT, BAR_HEIGHT = 720, 270, 40
_LEFT, _BOTTOM, _TOP = 76, 44, 34


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One column or bar: its label, value, interval where there is one, and a mark beside it."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    mark: float | None = None

    @property
    def top(self) -> float:
        """The highest thing drawn."""
        return max(self.value, self.high or 0.0, self.mark or 0.0, 0.0)


def columns(
    values: Sequence[Value],
    *,
    names: tuple[str, str],
    say: Callable[[float], str],
    ink: str = "currentColor",
    font: str = "system-ui, sans-serif",
) -> str:
    """Return columns over time; ``names`` are those of the column and of the mark."""
    high = _nice(max((value.top for value in values), default=0.0))
    inner = WIDTH - _LEFT - 12
    step = inner / max(len(values), 1)
    floor = COLUMNS_HEIGHT - _BOTTOM

    def y(amount: float) -> float:
        return floor - (floor - _TOP) * max(amount, 0.0) / high

    drawn = []
    for part in range(5):
        at = high * part / 4
        drawn.append(_line(_LEFT, y(at), WIDTH - 12, y(at), ink, 0.15 if part else 0.6))
        drawn.append(_text(_LEFT - 8, y(at) + 4, say(at), ink, "end"))
    every = math.ceil(len(values) / 12)
    for number, value in enumerate(values):
        middle = _LEFT + step * (number + 0.5)
        width = min(step * 0.62, 64)
        drawn.append(
            f'<rect x="{middle - width / 2:.1f}" y="{y(value.value):.1f}" width="{width:.1f}" '
            f'height="{floor - y(value.value):.1f}" fill="{COLUMN}"/>'
        )
        if value.low is not None and value.high is not None:
            drawn += _whisker(middle, y(value.low), middle, y(value.high), ink)
        if value.mark is not None:
            drawn.append(
                f'<circle cx="{middle:.1f}" cy="{y(value.mark):.1f}" r="4" fill="{MARK}" '
                f'stroke="{ink}" stroke-width="0.8"/>'
            )
        if number % every == 0:
            drawn.append(_text(middle, floor + 18, value.label, ink, "middle"))
    drawn.append(f'<rect x="{_LEFT}" y="8" width="12" height="12" fill="{COLUMN}"/>')
    drawn.append(_text(_LEFT + 18, 18, names[0], ink, "start"))
    if any(value.mark is not None for value in values):
        drawn.append(
            f'<circle cx="{_LEFT + 226}" cy="14" r="4" fill="{MARK}" stroke="{ink}" '
            'stroke-width="0.8"/>'
        )
        drawn.append(_text(_LEFT + 238, 18, names[1], ink, "start"))
    return _svg(drawn, COLUMNS_HEIGHT, font)


def bars(
    values: Sequence[Value],
    *,
    name: str,
    say: Callable[[float], str],
    ink: str = "currentColor",
    font: str = "system-ui, sans-serif",
) -> str:
    """Return horizontal bars with their names above them and their values beside them."""
    high = _nice(max((value.top for value in values), default=0.0))
    inner = WIDTH - 110
    height = len(values) * (BAR_HEIGHT + 12) + 30

    def x(amount: float) -> float:
        return 4 + inner * max(amount, 0.0) / high

    drawn = [_line(4, 4, 4, height - 24, ink, 0.6)]
    for number, value in enumerate(values):
        top = number * (BAR_HEIGHT + 12) + 6
        middle = top + 31
        drawn.append(_text(4, top + 12, value.label, ink, "start"))
        drawn.append(
            f'<rect x="4" y="{top + 20}" width="{x(value.value) - 4:.1f}" height="22" '
            f'fill="{COLUMN}"/>'
        )
        end = value.value
        if value.low is not None and value.high is not None:
            drawn += _whisker(x(value.low), middle, x(value.high), middle, ink)
            end = max(end, value.high)
        drawn.append(_text(x(end) + 8, middle + 4, say(value.value), ink, "start"))
    drawn.append(_text(4, height - 6, name, ink, "start"))
    return _svg(drawn, height, font)


def _nice(high: float) -> float:
    """Return the next of 1, 2, 2.5, 4, 5, 8 × a power of ten, so that quarters of it read well.

    >>> _nice(702_000), _nice(0)
    (800000.0, 1.0)
    """
    if not high > 0:
        return 1.0
    scale = 10.0 ** math.floor(math.log10(high))
    return next(
        scale * step for step in (1.0, 2.0, 2.5, 4.0, 5.0, 8.0, 10.0) if scale * step >= high
    )


def _svg(drawn: Sequence[str], height: float, font: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" role="img" '
        f'font-family="{safe.markup(font)}" font-size="12">{"".join(drawn)}</svg>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, ink: str, opacity: float) -> str:
    return (
        f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{ink}" '
        f'stroke-opacity="{opacity:g}"/>'
    )


def _whisker(x1: float, y1: float, x2: float, y2: float, ink: str) -> list[str]:
    across, along = (0.0, 5.0) if abs(y1 - y2) < abs(x1 - x2) else (5.0, 0.0)
    return [
        _line(x1, y1, x2, y2, ink, 0.9),
        _line(x1 - across, y1 - along, x1 + across, y1 + along, ink, 0.9),
        _line(x2 - across, y2 - along, x2 + across, y2 + along, ink, 0.9),
    ]


def _text(x: float, y: float, said: str, ink: str, anchor: str) -> str:
    shown = said if len(said) <= 90 else f"{said[:89]}…"
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{ink}" text-anchor="{anchor}">'
        f"{safe.markup(shown)}</text>"
    )
