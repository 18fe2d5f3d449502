"""Copies, casts, memory without values, and checks."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS
from tests.operators.beside import beside

pytestmark = pytest.mark.torch
aten = torch.ops.aten
X, IMAGE = torch.randn(3, 4), torch.randn(2, 3, 4, 5)
EXTREMES = torch.tensor([0.0, -0.0, 1.5, -2.5, 255.4, 1e3, -7.0])
LAST = torch.channels_last

CASES = {
    "clone": (aten.clone, X.t()),
    "clone in order": (lambda x: aten.clone(x, memory_format=torch.contiguous_format), X.t()),
    "clone, channels last": (lambda x: aten.clone(x, memory_format=LAST), IMAGE),
    "clone keeps gaps closed": (aten.clone, X[:, ::2]),
    "contiguous": (lambda x: aten.contiguous(x, memory_format=LAST), IMAGE),
    "to integers": (lambda x: aten._to_copy(x, dtype=torch.int32), EXTREMES),
    "to halves": (lambda x: aten._to_copy(x, dtype=torch.bfloat16), EXTREMES),
    "to bool": (lambda x: aten._to_copy(x, dtype=torch.bool), EXTREMES),
    "to another format": (lambda x: aten._to_copy(x, memory_format=LAST), IMAGE),
    "empty": (lambda x: aten.empty([2, 0, 3], dtype=torch.int8), X),
    "empty_strided": (lambda x: aten.empty_strided([2, 3], [1, 4]), X),
    "empty_permuted": (lambda x: aten.empty_permuted([2, 3, 4], [2, 0, 1]), X),
    "new_empty": (lambda x: aten.new_empty(x, [5, 2]), X.double()),
}


@pytest.mark.parametrize("name", CASES)
def test_as_aten(name):
    beside(*CASES[name])


def call(name, *args, **kwargs):
    return OPERATORS[name](*args, **kwargs)


def test_what_lies_in_order_is_itself():
    x = np.zeros((2, 3))
    assert call("aten.contiguous.default", x) is x


def test_writing_back_broadcasts_and_casts():
    x = np.zeros((2, 3), np.float32)
    assert call("aten.copy_.default", x, np.arange(3)) is x
    assert x.tolist() == [[0, 1, 2]] * 2
    x.flags.writeable = False
    with pytest.raises(ValueError, match="is read-only"):
        call("aten.copy_.default", x, np.arange(3))


def test_the_one_number():
    for value in (np.float32(2.5), np.int64(-7), np.bool_(True)):
        found = call("aten._local_scalar_dense.default", np.array([value]))
        assert (found, type(found)) == (value, type(value.item()))
    with pytest.raises(RuntimeError, match=r"of shape \(2,\) is not one number"):
        call("aten._local_scalar_dense.default", np.zeros(2))


def test_assertions_of_a_model():
    call("aten._assert_async.msg", np.array([True]), "words")
    call("aten._assert_scalar.default", 1, "words")
    for name, bad in (("_assert_async.msg", np.array([False])), ("_assert_scalar.default", 0)):
        with pytest.raises(RuntimeError, match="of the model's failed: words"):
            call(f"aten.{name}", bad, "words")
    with pytest.raises(RuntimeError, match="an element is 0"):
        call("aten._assert_async.default", np.zeros(1))


def test_what_a_model_expects_of_an_array():
    name, x = "aten._assert_tensor_metadata.default", np.zeros((2, 3), np.float32)
    call(name, x, [2, 3], [3, 1], np.dtype("f4"))
    call(name, x)
    with pytest.raises(RuntimeError, match=r"the shape \(2, 4\), not \(2, 3\)"):
        call(name, x, [2, 4])
    with pytest.raises(RuntimeError, match="expects int64, not float32"):
        call(name, x, dtype=np.dtype("i8"))


def test_a_matrix_that_cannot_be_decomposed():
    name = "aten._linalg_check_errors.default"
    call(name, np.zeros(3, np.int32), "linalg.inv", is_matrix=False)
    with pytest.raises(RuntimeError, match=r"linalg\.inv: a matrix cannot be decomposed .*: 2"):
        call(name, np.int32([0, 2]), "linalg.inv", is_matrix=False)
