"""Where the elements of tensors lie."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.host.tensors import (
    TYPE_NAMES,
    is_aligned,
    name_of_type,
    overlaps_itself,
    torch_type,
    view_of,
    view_of_layout,
)
from gint.isa import dtype


class OnGpu:
    """An array of another library's, as it shows itself."""

    def __init__(self, ordinal: int | None = None, **facts) -> None:
        self.__cuda_array_interface__ = {
            "typestr": "<f4", "shape": (3, 4), "data": (4096, False), "version": 3,
        } | facts  # fmt: skip
        if ordinal is not None:
            self.device = SimpleNamespace(id=ordinal)


def test_the_view_of_an_array_spans_just_the_array():
    view = view_of(np.zeros((6, 8), np.float32)[::-2, 1:4])
    assert (view.shape, view.strides, view.offset) == ((3, 3), (-16, 1), 32)
    assert view.storage_bytes == 4 * (32 + 3)
    empty = view_of(np.zeros((6, 0), np.float32)[::-1])
    assert empty.storage_bytes == 0


@pytest.mark.parametrize("index", [np.s_[:], np.s_[::-1], np.s_[1::2, ::-3], np.s_[2], np.s_[:, 0]])
def test_the_first_element_lies_at_the_offset(index):
    array = np.arange(30, dtype=np.int16).reshape(5, 6)[index]
    view = view_of(array)
    assert view.pointer + 2 * view.offset == array.ctypes.data
    assert view_of_layout("i16", array.shape, array.strides, array.ctypes.data) == view


def test_an_array_says_whether_it_may_be_written():
    array = np.zeros(3, np.float32)
    assert view_of(array).writable
    array.flags.writeable = False
    assert not view_of(array).writable


@pytest.mark.parametrize(("theirs", "ours"), TYPE_NAMES.items())
def test_types_of_numpy(theirs, ours):
    if theirs == "bfloat16":
        array = np.zeros(3, np.uint16)  # its bits, which have no other use
    else:
        array = np.zeros(3, theirs)
        assert name_of_type(array.dtype) == theirs
    assert view_of(array).dtype == ours


def test_types_of_ml_dtypes():
    ml_dtypes = pytest.importorskip("ml_dtypes")
    array = np.zeros(3, ml_dtypes.bfloat16)
    assert name_of_type(array.dtype) == "bfloat16"
    assert view_of(array).dtype == "bf16"


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        (np.ma.masked_array(np.zeros(3)), "mask would be lost"),
        (np.zeros(3, ">f4"), "byte order, >f4"),
        (np.zeros(3, np.complex64), "complex64 cannot be bound"),
        (np.zeros(9, np.uint8)[1:].view(np.float32), "not multiples of the 4 bytes"),
        (np.zeros(3, [("a", "u1"), ("b", "f4")])["b"], "not multiples of the 4 bytes"),
        ([1.0], "not list"),
        (OnGpu(typestr="<c8"), "<c8 cannot be bound"),
        (OnGpu(mask=OnGpu()), "mask would be lost"),
        (OnGpu(strides=(18, 4)), "not multiples of its element's size"),
    ],
    ids=range(9),
)
def test_what_cannot_be_bound_is_a_sentence(tensor, message):
    with pytest.raises(TypeError, match=message):
        view_of(tensor)


def test_an_array_on_a_gpu_is_described_where_it_lies():
    view = view_of(OnGpu())
    assert (view.dtype, view.strides, view.pointer) == ("f32", (4, 1), 4096)
    assert (view.storage_bytes, view.device, view.ordinal, view.stream) == (48, "cuda", 0, 0)
    turned = view_of(OnGpu(strides=(-16, 4), ordinal=2, data=(4096, True)))
    assert (turned.offset, turned.pointer, turned.ordinal) == (8, 4096 - 32, 2)
    assert not turned.writable


@pytest.mark.parametrize(("said", "meant"), [(None, 0), (1, 0), (2, 2), (1234, 1234)])
def test_the_stream_its_owner_works_on(said, meant):
    assert view_of(OnGpu(stream=said)).stream == meant


@pytest.mark.torch
def test_a_torch_tensor_has_the_bounds_of_its_storage():
    torch = pytest.importorskip("torch")
    x = torch.arange(20.0)[4:16].reshape(3, 4)
    view = view_of(x)
    assert (view.offset, view.storage_bytes, view.strides) == (4, 80, (4, 1))
    assert view.pointer == x.untyped_storage().data_ptr()


@pytest.mark.torch
@pytest.mark.parametrize(("theirs", "ours"), TYPE_NAMES.items())
def test_types_of_torch(theirs, ours):
    torch = pytest.importorskip("torch")
    t = getattr(torch, theirs)
    assert name_of_type(t) == theirs
    assert torch_type(dtype(ours)) is t
    assert view_of(torch.zeros(1, dtype=t)).dtype == ours


def test_alignment():
    raw = np.zeros(64, np.uint8)
    first = -raw.ctypes.data % 4
    assert is_aligned(raw[first : first + 16].view(np.float32))
    assert not is_aligned(raw[first + 1 : first + 17].view(np.float32))
    assert not is_aligned(np.zeros(3, [("a", "u1"), ("b", "f4")])["b"])


@given(st.tuples(*[st.integers(0, 3)] * 2), st.tuples(*[st.integers(-4, 4)] * 2))
def test_an_array_overlaps_itself_where_two_positions_have_one_element(shape, steps):
    memory = np.zeros(64, np.uint8)
    array = np.lib.stride_tricks.as_strided(memory[32:], shape, steps)
    places = [i * steps[0] + j * steps[1] for i in range(shape[0]) for j in range(shape[1])]
    if not overlaps_itself(array):
        assert len(set(places)) == len(places)
    if array.flags.c_contiguous or (0 in steps and 0 not in shape and min(shape) > 1):
        assert overlaps_itself(array) == (len(set(places)) < len(places))
