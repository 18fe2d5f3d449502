"""Results from the pool: memory comes back when no tensor, storage or array shows it any more."""

from __future__ import annotations

import gc
from functools import partial

import pytest

torch = pytest.importorskip("torch")

from gint.host.memory import POOL, POOLED_BYTES, Pool
from gint.runtime.tensors.memory import TensorEntry, allocate, empty_strided, shelf, span

pytestmark = pytest.mark.torch
SIZE, STRIDE, F32 = (512, 1024), (1, 512), torch.float32


@pytest.fixture
def made():
    """A shelf of a pool of its own."""
    sized = Pool(limit=1 << 24).sized(TensorEntry, 4 * SIZE[0] * SIZE[1])
    return partial(sized.take, (SIZE, STRIDE, F32))


def test_a_result_has_the_layout_asked_for(made):
    result = made()
    assert (tuple(result.shape), result.stride(), result.dtype) == (SIZE, STRIDE, F32)
    assert not result.requires_grad


def test_a_dropped_result_is_used_again(made):
    first = made().data_ptr()
    assert made().data_ptr() == first


HOLDS = {
    "itself": lambda t: t,
    "a slice": lambda t: t[3:4],
    "a view of a view": lambda t: t.t()[1:][2:],
    "another type": lambda t: t.view(torch.int32),
    "its data": lambda t: t.detach(),
    "its storage": lambda t: t.untyped_storage(),
    "an array": lambda t: t.numpy(),
    "a view of an array": lambda t: t.numpy()[1:],
    "DLPack": lambda t: t.__dlpack__(),
    "a graph": lambda t: t.requires_grad_() * 2,
    "a tensor made of its storage": lambda t: torch.empty(0).set_(t.untyped_storage()),
}  # fmt: skip


@pytest.mark.parametrize("how", HOLDS)
def test_a_held_result_is_never_handed_out_again(made, how):
    result = made()
    where = result.data_ptr()
    held = HOLDS[how](result)
    del result
    other = made()
    assert other.data_ptr() != where
    del held, other
    gc.collect()
    assert where in {t.data_ptr() for t in [made(), made()]}


@pytest.mark.parametrize(
    "change",
    [lambda t: t.untyped_storage().resize_(4), lambda t: t.share_memory_()],
    ids=["resized", "shared with other processes"],
)
def test_memory_that_was_replaced_does_not_come_back(made, change):
    result = made()
    change(result)
    replaced = result.data_ptr()
    del result
    again = made()
    assert again.data_ptr() != replaced
    assert again.untyped_storage().nbytes() == 4 * SIZE[0] * SIZE[1]


def test_memory_first_used_in_inference_mode_can_be_saved_for_a_backward_pass(made):
    with torch.inference_mode():
        where = made().data_ptr()
    result = made()
    assert result.data_ptr() == where
    assert not result.is_inference()
    weight = torch.ones((), requires_grad=True)
    (result.zero_() * weight).sum().backward()


def test_what_the_caller_does_to_a_result_does_not_stick(made):
    made().requires_grad_()
    again = made()
    assert not again.requires_grad
    again.unsqueeze_(0)
    del again
    assert tuple(made().shape) == SIZE


LAYOUTS = [(SIZE, STRIDE, F32), ((500, 1024), (1024, 1), F32), ((1 << 18,), (1,), torch.float64),
           ((1024, 1024), (1024, 1), torch.bfloat16), ((1 << 19,), (1,), torch.int32),
           ((2, 1 << 18), (1, 2), F32)]  # fmt: skip


def test_memory_is_used_again_for_whatever_fits(made):
    take, where = made.func, made().data_ptr()
    for layout in LAYOUTS * 2:
        result = take(layout)
        assert (tuple(result.shape), result.stride(), result.dtype) == layout
        assert result.data_ptr() == where
        held = result[1:]
        del result
        assert take(layout).data_ptr() != where
        where = take(layout).data_ptr()
        del held


def test_memory_is_the_cpu_s_whatever_the_default_device_is():
    with torch.device("meta"):
        assert shelf((1 << 20,), (1,), F32)().device.type == "cpu"
        assert allocate((1 << 20,), (1,), F32).device.type == "cpu"


def test_a_span_ends_with_the_last_element():
    for size, stride in (((3, 4), (4, 1)), ((3, 4), (1, 5)), ((2, 0), (1, 1)), ((), ())):
        t = torch.empty_strided(size, stride)
        assert span(size, stride) * 4 == t.untyped_storage().nbytes()


def test_only_large_results_are_pooled():
    large = POOLED_BYTES // 4
    for count, is_pooled in ((large, True), (large - 1, False)):
        first = allocate((count,), (1,), F32)
        assert (tuple(first.shape), first.stride()) == ((count,), (1,))
        kept = POOL.sized(TensorEntry, 4 * count).kept
        found = [e.storage.data_ptr() for e in kept]
        assert (first.data_ptr() in found) == is_pooled


def test_empty_strided_is_torchs():
    t = empty_strided((2, 3), (1, 2), torch.int64)
    assert (tuple(t.shape), t.stride(), t.dtype) == ((2, 3), (1, 2), torch.int64)
