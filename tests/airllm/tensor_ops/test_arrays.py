"""What arrays are taken as, and which can be written: against NumPy's own arrays of bytes."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airllm.tensor_ops.arrays import integer_of, number, restorer, take, take_out, view

F32 = np.dtype("f4")
DTYPES = {"f32": F32, "f16": np.dtype("f2"), "bf16": np.dtype(ml_dtypes.bfloat16)}


@pytest.mark.parametrize("name", DTYPES)
def test_an_operand_shows_the_same_memory_and_comes_back_as_it_was(name):
    given = np.arange(6).reshape(2, 3).astype(DTYPES[name])
    operand = take("x", given)
    assert (operand.type, operand.shape) == (name, (2, 3))
    assert np.shares_memory(operand.array, given)
    result = operand.result()
    assert result.dtype == given.dtype
    np.testing.assert_array_equal(result, given)


@pytest.mark.parametrize("name", DTYPES)
def test_values_in_float32_are_exact(name):
    """Every value of the halves, NaNs and infinities too."""
    every = np.arange(1 << 16, dtype=np.uint16)
    given = every.view(DTYPES[name]) if name != "f32" else every.astype(F32)
    found = take("x", given).float32()
    assert found.dtype == F32
    np.testing.assert_array_equal(found, given.astype(F32))
    assert np.shares_memory(found, given) == (name == "f32")


@pytest.mark.parametrize("name", DTYPES)
def test_a_new_result_is_of_the_same_kind(name):
    like = take("x", np.zeros((2, 3), DTYPES[name]))
    made = like.empty_like((4,))
    assert (made.type, made.shape, made.result().dtype) == (name, (4,), DTYPES[name])
    assert like.empty_like().shape == (2, 3)
    assert not np.shares_memory(like.empty_like().array, like.array)


def can_be_written(array: np.ndarray) -> bool:
    try:
        take_out(array, array.shape, take("x", np.zeros(1, F32)))
    except ValueError:
        return False
    return True


@given(st.data())
def test_only_elements_that_lie_apart_can_be_written(data):
    """By giving each element a mark and looking whether all marks stay. What is refused may be
    sound all the same, if no dimension steps over the others: no slice of an array is such."""
    rank = data.draw(st.integers(0, 3))
    shape = data.draw(st.tuples(*[st.integers(0, 4)] * rank))
    steps = data.draw(st.tuples(*[st.integers(-6, 6)] * rank))
    memory = np.full(200, -1.0, F32)
    strides = tuple(4 * s for s in steps)
    array = np.lib.stride_tricks.as_strided(memory[100:], shape, strides)
    places = [sum(s * p for s, p in zip(steps, at, strict=True)) for at in np.ndindex(*shape)]
    if can_be_written(array):
        assert len(set(places)) == len(places)
        array[...] = np.arange(array.size).reshape(shape)
        np.testing.assert_array_equal(np.sort(memory[memory >= 0]), np.arange(array.size))


def test_slices_and_turned_arrays_lie_apart():
    whole_array = np.zeros((4, 5, 6), F32)
    for order in itertools.permutations(range(3)):
        for step in (1, 2, -1):
            a = whole_array.transpose(order)[::step, :, 1::2]
            assert can_be_written(a)
            assert can_be_written(a[:1])
    assert not can_be_written(np.broadcast_to(whole_array[:1], (4, 5, 6)))


@pytest.mark.parametrize("name", DTYPES)
def test_a_result_goes_to_out_and_out_comes_back(name):
    like, out = take("x", np.zeros(3, DTYPES[name])), np.ones(6, DTYPES[name])[::2]
    operand = take_out(out, (3,), like)
    operand.array[...] = 0
    assert operand.result() is out
    assert not out.any()
    assert take_out(None, (5,), like).shape == (5,)


def test_any_array_can_be_looked_at():
    for array in (np.arange(3), np.ones(2, bool), np.zeros((1, 2), ">i4")):
        assert view("mask", array) is array
        assert restorer("mask", array)(array) is array
    subclass = np.zeros(3).view(np.recarray)
    assert type(view("mask", subclass)) is np.ndarray


@pytest.mark.parametrize("value", [1, np.int8(1), True, np.array(1)])
def test_integers(value):
    assert (integer_of("axis", value), type(integer_of("axis", value))) == (1, int)


@pytest.mark.parametrize("value", [3.0, "3", None, np.float32(3)])
def test_what_is_no_integer(value):
    with pytest.raises(TypeError, match="axis must be an integer, not"):
        integer_of("axis", value)


@pytest.mark.parametrize("value", [2, 2.0, np.float32(2), np.array(2)])
def test_numbers(value):
    assert (number("eps", value), type(number("eps", value))) == (2.0, float)


@pytest.mark.parametrize("value", ["2", None, 2j, np.array([2.0, 3.0])])
def test_what_is_no_number(value):
    with pytest.raises(TypeError, match="eps must be a number, not"):
        number("eps", value)
