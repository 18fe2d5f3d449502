"""Values from nothing and casts, as instructions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.lowering.rules import NotLowerableError
from tests.conductor.graphs import emitted, listing

pytestmark = pytest.mark.torch


def instructions(function, *inputs) -> list[str]:
    return [x for x in listing(function, *inputs) if not x.startswith(("map", "scalar", "store"))]


@pytest.mark.parametrize(
    ("function", "lines"),
    [
        (lambda x: torch.full_like(x, 2.5), ["const.f32 r[0] <- 2.5"]),
        (lambda x: torch.zeros(3, dtype=torch.int64), ["const.i64 r[0] <- 0"]),
        (lambda x: torch.arange(3), ["index.i64 r[0] <- index(x0)"]),
        (lambda x: torch.ones_like(x, dtype=torch.bool), ["const.bool r[0] <- true"]),
    ],
)
def test_constants_and_positions(function, lines):
    assert instructions(function, (3,)) == lines


def test_a_sequence_of_floats_is_made_in_double():
    lines = instructions(lambda x: torch.arange(0.0, 3.0, 0.5), (3,))
    assert any(line.startswith("mul.f64") for line in lines)
    assert lines[-1].startswith("cast.f32")


def test_eager_rounds_every_step_of_a_half_linspace():
    with pytest.raises(NotLowerableError, match="eager rounds every step"):
        emitted(lambda x: torch.linspace(0, 1, 3, dtype=torch.bfloat16), (3,))
    lines = instructions(lambda x: torch.linspace(0, 1, 5), (3,))
    assert any(line.startswith("where.f32") for line in lines)


def test_a_cast_to_a_half_rounds_what_goes_on_in_float32():
    lines = instructions(lambda x: x.to(torch.bfloat16).float() * 3, (3,))
    assert lines[1] == "round_bf16.f32 r[1] <- f32(bf16(r[0]))"
    kept = instructions(lambda x: x.to(torch.float32) * 3, (3,))
    assert not any("round" in line for line in kept)


def test_what_decides_is_rounded_as_what_was_stored():
    x = torch.empty(3, dtype=torch.float16)
    assert any("round_f16" in line for line in instructions(lambda x: (x * 3).to(torch.int32), x))
    assert not any("round_f16" in line for line in instructions(lambda x: x.to(torch.int32), x))


def test_a_flip_is_a_stride():
    made = emitted(lambda x: x.flip(0) + 1, (5, 2))
    assert made.slots[0][2:] == ((-2, 1), 8)
