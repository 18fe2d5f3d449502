"""The picture: cumulative time over the number of calls, an SVG drawn by hand.

Knows names, measured cumulative times and lines; colours are CSS classes that the page defines
for light and dark. Both axes are logarithmic: a call costs microseconds to seconds, and the
number of calls spans decades.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from xml.sax.saxutils import escape

from gint.dataclass import frozen
from gint.demo.cumulative import Line, crossings, duration

WIDTH, HEIGHT = 860, 400
LEFT, RIGHT, TOP, BOTTOM = 86, 132, 18, 54
LABEL_GAP = 17
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@frozen
class Series:
    """One line of the picture: its CSS class, its model, and the measured cumulative seconds."""

    css: str
    line: Line
    measured_s: tuple[float, ...]


@frozen
class Scale:
    """A logarithmic axis from `low` to `high`, mapped onto pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of `value`, kept inside the axis."""
        value = min(max(value, self.low), self.high)
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def decades(self) -> list[float]:
        """Return the powers of ten on the axis."""
        first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
        return [10.0**e for e in range(first, last + 1)]


def draw(series: Sequence[Series], title: str) -> str:
    """Return the SVG element for these lines; `title` is what a screen reader says."""
    lines = [s.line for s in series]
    calls = last_call(lines)
    x = Scale(1, calls, LEFT, WIDTH - RIGHT)
    y = _vertical(lines, calls)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" xmlns="http://www.w3.org/2000/svg">',
        f"<title>{escape(title)}</title>",
        *_axes(x, y),
        *(part for s in series for part in _curve(s, x, y)),
        *_crossings(lines, x, y),
        *_labels(series, calls, y),
        "</svg>",
    ]
    return "\n".join(parts)


def last_call(lines: Sequence[Line]) -> int:
    """Return the right end of the axis: a decade beyond the last crossing, 10,000 to 1,000,000."""
    crossed = max((c.calls for c in crossings(lines)), default=1)
    return int(min(max(10 ** (math.floor(math.log10(crossed)) + 2), 10_000), 1_000_000))


def _vertical(lines: Sequence[Line], calls: int) -> Scale:
    low = min(line.first_s for line in lines)
    high = max(line.after(calls) for line in lines)
    return Scale(low / 1.6, high * 1.6, HEIGHT - BOTTOM, TOP)


def _axes(x: Scale, y: Scale) -> list[str]:
    """Return grid lines, tick labels and the names of both axes."""
    parts = []
    for value in x.decades():
        at = x(value)
        parts.append(
            f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{y.end}" y2="{y.start}"/>'
        )
        parts.append(_text(at, y.start + 20, f"{value:,.0f}", "tick", "middle"))
    for value in y.decades():
        at = y(value)
        parts.append(
            f'<line class="grid" x1="{x.start}" x2="{x.end}" y1="{at:.1f}" y2="{at:.1f}"/>'
        )
        parts.append(_text(x.start - 10, at + 4, duration_tick(value), "tick", "end"))
    parts += [
        f'<line class="axis" x1="{x.start}" x2="{x.end}" y1="{y.start}" y2="{y.start}"/>',
        _text((x.start + x.end) / 2, HEIGHT - 10, "number of calls", "name", "middle"),
        _upright_text(16, (y.start + y.end) / 2, "cumulative time"),
    ]
    return parts


def duration_tick(seconds: float) -> str:
    """Return a power of ten of seconds as a tick label: "10 µs", "1 ms", "100 s", "10⁴ s"."""
    if seconds >= 9_999:
        return f"10{str(round(math.log10(seconds))).translate(SUPERSCRIPTS)} s"
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size * 0.999:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds * 1e9:.0f} ns"


def _curve(series: Series, x: Scale, y: Scale) -> list[str]:
    """Return the measured part solid, the rest dashed, and a dot where the line starts."""
    line, measured = series.line, series.measured_s
    known = [(x(n), y(s)) for n, s in enumerate(measured, 1) if n <= x.high]
    count = max(len(measured), 1)
    offset_s = (measured[-1] if measured else line.first_s) - line.after(count)
    grid = [count * (x.high / count) ** (i / 60) for i in range(61)] if count < x.high else []
    rest = [(x(n), y(line.after(n) + offset_s)) for n in grid]
    start_x, start_y = known[0] if known else rest[0]
    return [
        _polyline(known, f"line {series.css}"),
        _polyline(rest, f"line rest {series.css}"),
        f'<circle class="dot {series.css}" cx="{start_x:.1f}" cy="{start_y:.1f}" r="5"/>',
    ]


def _crossings(lines: Sequence[Line], x: Scale, y: Scale) -> list[str]:
    """Return a ring at each crossing on the axis, gint's with the number of calls beside it."""
    parts = []
    for c in crossings(lines):
        if c.calls > x.high:
            continue
        at_x, at_y = x(c.calls), y(c.at_s)
        said = f"{c.later.name} overtakes {c.earlier.name} at call {c.calls:,}, {duration(c.at_s)}"
        parts.append(
            f'<circle class="crossing" cx="{at_x:.1f}" cy="{at_y:.1f}" r="6">'
            f"<title>{escape(said)}</title></circle>"
        )
        if "gint" in (c.earlier.name, c.later.name):
            parts.append(_text(at_x + 11, at_y + 19, f"{c.calls:,} calls", "tick", "start"))
    return parts


def _labels(series: Sequence[Series], calls: int, y: Scale) -> list[str]:
    """Return each line's name at its right end, moved apart where lines end together."""
    highest_first = sorted(series, key=lambda s: -s.line.after(calls))
    wanted = [(y(s.line.after(calls)), s) for s in highest_first]
    places = spread([at for at, _ in wanted], LABEL_GAP, y.end + 6, y.start)
    left = WIDTH - RIGHT + 30
    parts = []
    for (end, s), at in zip(wanted, places, strict=True):
        parts.append(
            f'<path class="leader {s.css}" d="M{WIDTH - RIGHT + 2} {end:.1f} '
            f'L{left - 14} {at:.1f} H{left - 5}"/>'
        )
        parts.append(_text(left, at + 4.5, s.line.name, f"label {s.css}", "start"))
    return parts


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return places at least `gap` apart, near the `wanted` (ascending) ones, in low..high."""
    places: list[float] = []
    for at in wanted:
        places.append(max(at, places[-1] + gap if places else low))
    ceiling = high
    for i in reversed(range(len(places))):
        places[i] = min(places[i], ceiling)
        ceiling = places[i] - gap
    return places


def _polyline(points: Sequence[tuple[float, float]], css: str) -> str:
    if len(points) < 2:
        return ""
    return f'<polyline class="{css}" points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in points)}"/>'


def _text(x: float, y: float, text: str, css: str, anchor: str) -> str:
    return (
        f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _upright_text(x: float, y: float, text: str) -> str:
    turned = f"translate({x:.0f} {y:.0f}) rotate(-90)"
    return f'<text class="name" text-anchor="middle" transform="{turned}">{escape(text)}</text>'
