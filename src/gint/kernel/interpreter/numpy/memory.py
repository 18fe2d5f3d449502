"""Storages seen as NumPy arrays: a view with one dimension per axis of the program."""

from __future__ import annotations

import ctypes

import numpy as np

from gint.program import Binding, Program


def slot_view(program: Program, binding: Binding, n: int) -> np.ndarray:
    """Slot `n` over all axes of the program, in their order; axes it lacks have length 1."""
    slot, bound = program.slots[n], binding.slots[n]
    dtype = np.dtype(slot.dtype.numpy)
    shape, strides = [1] * len(program.axes), [0] * len(program.axes)
    for axis, stride in zip(slot.axes, bound.strides, strict=True):
        shape[axis] = binding.extents[axis]
        # The stride along an axis of length 1 may be any number.
        strides[axis] = stride * dtype.itemsize if shape[axis] > 1 else 0
    if 0 in shape:
        return np.empty(shape, dtype)
    memory = (ctypes.c_char * bound.storage_bytes).from_address(bound.pointer)
    offset = bound.offset * dtype.itemsize
    return np.ndarray(shape, dtype, memoryview(memory), offset, strides)
