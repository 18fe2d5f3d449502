"""Arithmetic on complex numbers beside ATen's."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.database import DATABASE, samples_of

from .beside import Beside

pytestmark = pytest.mark.torch

NAMES = (
    "add", "sub", "mul", "div.no_rounding_mode", "neg", "abs", "angle", "exp", "reciprocal",
    "complex", "polar", "view_as_complex", "conj", "conj_physical",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_as_aten_has_it(name):
    op, beside = DATABASE[name], Beside()
    types = {torch.complex64, torch.complex128} & op.supported_dtypes("cpu")
    for dtype in types or (torch.float32, torch.float64):
        for sample in itertools.islice(samples_of(op, dtype), 6):
            with beside:
                op.op(sample.input, *sample.args, **sample.kwargs)
    assert beside.seen, list(beside.missing)


def test_what_is_no_pairs_is_refused():
    with pytest.raises(ValueError, match="Complex numbers are pairs of floats"):
        OPERATORS["aten.view_as_complex.default"](np.ones((2, 3), np.float32))


@pytest.mark.parametrize("name", ["add.Tensor", "mul.Tensor", "neg.default", "abs.default"])
def test_what_is_not_complex_is_left_to_programs(name):
    args = [np.ones(3, np.int64)] * (2 if name.endswith("Tensor") else 1)
    with pytest.raises(TypeError, match="is for complex numbers here, not for int64"):
        OPERATORS[f"aten.{name}"](*args)
