"""Reductions as programs: which axes they run along, what is folded, in which sections."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.lowering.emitter import BlockedError
from gint.conductor.lowering.reduce import _dims
from gint.program import AxisKind, SectionKind
from tests.conductor.graphs import emitted, listing

pytestmark = pytest.mark.torch


def kinds(made) -> dict:
    """Extent -> whether its axis is reduced."""
    program = made.recording.verified.program
    reduced = [axis.kind is AxisKind.REDUCED for axis in program.axes]
    return dict(zip(made.recording.extents, reduced, strict=True))


def sections(made) -> list[str]:
    return [s.kind.value for s in made.recording.verified.program.sections]


@pytest.mark.parametrize(
    ("given", "rank", "dims"),
    [
        (None, 3, [0, 1, 2]), ([], 2, [0, 1]), (-1, 3, [2]), ([2, 0], 3, [0, 2]),
        ((-3, 1), 3, [0, 1]),
        (-1, 0, []), ([0], 0, []), (None, 0, []),
    ],
)  # fmt: skip
def test_dimensions(given, rank, dims):
    assert _dims(given, rank) == dims


@pytest.mark.parametrize(
    ("function", "reduced"),
    [
        (lambda x: x.sum(), {5: True, 6: True, 7: True}),
        (lambda x: x.sum(1), {5: False, 6: True, 7: False}),
        (lambda x: x.amax((0, -1)), {5: True, 6: False, 7: True}),
        (lambda x: x.mean(-1, keepdim=True), {5: False, 6: False, 7: True}),
        (lambda x: torch.softmax(x, 1), {5: False, 6: True, 7: False}),
        (lambda x: x.argmax(0), {5: True, 6: False, 7: False}),
    ],
)
def test_which_axes_are_reduced(function, reduced):
    assert kinds(emitted(function, (5, 6, 7))) == reduced


def test_a_fold_over_one_element_is_the_element():
    assert not any("sum" in line for line in listing(lambda x: x.sum(1) + 1, (4, 1)))
    assert not any("acc" in line for line in listing(lambda x: x.argmax(1), (4, 1)))


def test_what_a_mean_divides_by():
    fixed = listing(lambda x: x.mean(1), (4, 6))
    assert "extent.i64 r[0] <- extent(x1)" in fixed
    assert any(line.startswith("div.f32") for line in fixed)


def test_sections_of_rows():
    assert sections(emitted(lambda x: x.sum(-1), (4, 6))) == ["reduce", "scalar"]
    softmax = emitted(lambda x: torch.softmax(x, -1), (4, 6))
    assert sections(softmax) == ["reduce", "reduce", "map"]
    norm = emitted(lambda x: torch.ops.aten.native_layer_norm(x, [6], None, None, 1e-5)[0], (4, 6))
    assert sections(norm)[-1] == "map"
    assert {s.kind for s in norm.recording.verified.program.sections} >= {SectionKind.REDUCE}


def test_reductions_over_other_axes_block():
    with pytest.raises(BlockedError):
        emitted(lambda x: x.sum(0).sum() + x.sum(1).sum(), (5, 6))


def test_a_value_of_a_row_is_seen_by_all_of_it():
    made = emitted(lambda x: x - x.amax(-1, keepdim=True), (4, 6))
    assert kinds(made) == {4: False, 6: True}
    assert len(made.slots) == 2


def test_positions_of_the_largest_are_counted_over_all_that_is_reduced():
    lines = listing(lambda x: x.argmax(), (4, 6))
    assert "index.i64 r[1] <- index(x0)" in lines or any("index(x0)" in x for x in lines)
    assert any("index(x1)" in line for line in lines)
    assert any(line.startswith("argmax.f32") for line in lines)


@pytest.mark.parametrize(
    ("order", "opcodes"),
    [
        (2, {"mul", "sum", "sqrt"}), (1, {"abs", "sum"}), (0, {"abs", "ne", "sum"}),
        (float("inf"), {"abs", "amax"}), (-float("inf"), {"abs", "amin"}),
        (3, {"abs", "pow", "sum"}),
    ],
)  # fmt: skip
def test_norms(order, opcodes):
    lines = listing(lambda x: torch.linalg.vector_norm(x, order, -1), (4, 6))
    found = {line.partition(".")[0] for line in lines} - {"load", "store", "const", "cast"}
    assert found - {"map", "reduce", "scalar"} == opcodes


def test_halves_are_folded_in_float32():
    x = torch.empty(4, 6, dtype=torch.bfloat16)
    lines = listing(lambda x: x.sum(-1), x)
    assert "sum.f32 acc[1] <- acc[1] + r[0]" in lines
