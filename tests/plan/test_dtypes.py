"""Element types by name, and how far tensors reach."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.isa import dtype
from gint.plan.dtypes import ELEMENT_TYPES, span


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9)), max_size=4))
def test_a_span_reaches_the_last_element(dimensions):
    size = tuple(n for n, _ in dimensions)
    strides = tuple(s for _, s in dimensions)
    positions = np.zeros(size, np.int64)
    for d, step in enumerate(strides):
        along = [-1 if k == d else 1 for k in range(len(size))]
        positions += step * np.arange(size[d]).reshape(along)
    assert span(size, strides) == (positions.max() + 1 if positions.size else 0)


def test_sizes_and_strides_belong_together():
    with pytest.raises(ValueError, match="zip"):
        span((2, 3), (1,))


@pytest.mark.parametrize("name", ELEMENT_TYPES)
def test_a_slot_holds_elements_of_the_same_bytes(name):
    nbytes, _, slot = ELEMENT_TYPES[name]
    if slot:
        parts = 2 if name.startswith("complex") else 1
        assert dtype(slot).itemsize * parts == nbytes


@pytest.mark.torch
@pytest.mark.parametrize("name", ELEMENT_TYPES)
def test_torch_has_the_type(name):
    torch = pytest.importorskip("torch")
    assert getattr(torch, name).itemsize == ELEMENT_TYPES[name].nbytes


def test_safetensors_has_the_type():
    safetensors = pytest.importorskip("safetensors.numpy")
    for name, code in (("float32", "F32"), ("int16", "I16"), ("bool", "BOOL"), ("uint64", "U64")):
        written = safetensors.save({"x": np.zeros(3, name)})
        assert ELEMENT_TYPES[name].safetensors == code
        assert f'"{code}"'.encode() in written
