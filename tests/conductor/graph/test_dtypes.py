"""torch's dtypes in gint's words, and Python numbers as torch converts them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from gint.conductor.graph.dtypes import dtype_of, fitting, gint_dtype
from gint.isa import DTYPES, dtype
from gint.isa.dtypes import Kind

pytestmark = pytest.mark.torch
TORCH = {
    gint_dtype(t): t for t in vars(torch).values() if isinstance(t, torch.dtype) and gint_dtype(t)
}
INTEGERS = [t for t in DTYPES if t.kind is Kind.INT]
WIDE = [t for t in INTEGERS if t.itemsize >= 4]


def test_every_data_type_is_one_of_torchs_of_the_same_kind_and_size():
    assert set(TORCH) == set(DTYPES)
    for ours, theirs in TORCH.items():
        assert dtype_of(theirs) is ours
        assert theirs.itemsize == ours.itemsize
        assert theirs.is_floating_point == (ours.kind is Kind.FLOAT)
        assert theirs.is_signed == (ours.name not in ("u8", "bool"))


def test_other_dtypes_have_none():
    assert gint_dtype(torch.complex64) is None
    assert gint_dtype(torch.qint8) is None
    with pytest.raises(KeyError):
        dtype_of(torch.complex64)


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(INTEGERS))
def test_integers_wrap_as_in_torch(value, t):
    assert fitting(value, t) == torch.tensor(value).to(TORCH[t]).item()


@given(
    st.floats(-(2.0**31) + 1, 2.0**31 - 1),
    st.sampled_from(WIDE),
)
def test_floats_are_truncated(value, t):
    expected = torch.tensor(value, dtype=torch.float64).to(TORCH[t]).item()
    assert fitting(value, t) == math.trunc(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [(0, False), (-0.0, False), (0.5, True), (-3, True)]
)
def test_what_is_not_zero_is_true(value, expected):
    assert fitting(value, dtype("bool")) is expected


def test_floats_stay_what_they_are():
    """The frontend rounds an immediate; a parameter is rounded where it is read."""
    assert fitting(0.1, dtype("f32")) == 0.1
    assert fitting(3, dtype("f16")) == 3
