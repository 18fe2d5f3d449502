"""The picture: well-formed, inside its frame, labels apart."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from gint.demo.chart import HEIGHT, WIDTH, Scale, Series, draw, duration_tick, last_call, spread
from gint.demo.cumulative import Line

LINES = [
    Line("eager", 0.05, 0.05),
    Line("a & b <c>", 2.0, 0.051),
    Line("gint", 1.5, 0.02),
    Line("Inductor", 26.0, 0.045),
]
SERIES = [Series("gint", line, (line.first_s, line.first_s + line.steady_s)) for line in LINES]


def test_svg_is_well_formed_and_names_every_line() -> None:
    root = ElementTree.fromstring(draw(SERIES, "title with <markup> & more"))
    said = {text for node in root.iter() if (text := node.text)}
    assert {line.name for line in LINES} <= said
    assert {"number of calls", "cumulative time", "title with <markup> & more"} <= said


def test_points_lie_inside_the_frame() -> None:
    svg = draw(SERIES, "t")
    points = re.findall(r'points="([^"]+)"', svg)
    assert len(points) == 2 * len(LINES)
    for pair in " ".join(points).split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= WIDTH
        assert 0 <= y <= HEIGHT


def test_a_line_without_later_calls_is_drawn_too() -> None:
    ElementTree.fromstring(draw([Series("eager", Line("x", 1.0, 0.1), (1.0,))], "t"))


def test_dashes_begin_where_the_measured_part_ends() -> None:
    svg = draw([Series("gint", Line("x", 1.0, 0.1), (1.0, 1.5, 2.5))], "t")
    solid, dashed = (p.split() for p in re.findall(r'points="([^"]+)"', svg))
    assert solid[-1] == dashed[0]


def test_scale_maps_its_ends_and_stays_inside() -> None:
    scale = Scale(1, 1000, 10, 310)
    assert [scale(v) for v in (1, 10, 1000, 1e9)] == pytest.approx([10, 110, 310, 310])
    assert scale.decades() == [1, 10, 100, 1000]


def test_the_axis_reaches_beyond_the_last_crossing() -> None:
    assert last_call([LINES[0]]) == 10_000
    assert last_call([Line("a", 0.05, 0.05), Line("b", 30.0, 0.04)]) == 100_000
    assert last_call([Line("a", 0.05, 0.05), Line("b", 3e4, 0.04)]) == 1_000_000


def test_spread_keeps_order_gap_and_room() -> None:
    places = spread([5, 6, 7, 100], gap=17, low=10, high=100)
    assert all(b - a >= 17 for a, b in pairwise(places))
    assert places[0] >= 10
    assert places[-1] == 100
    assert spread([], 17, 0, 100) == []


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (1e-7, "100 ns"),
        (1e-5, "10 µs"),
        (1e-3, "1 ms"),
        (0.1, "100 ms"),
        (100, "100 s"),
        (1e4, "10⁴ s"),
    ],
)
def test_tick(seconds: float, text: str) -> None:
    assert duration_tick(seconds) == text
