"""Frames: blocks that are shared, and tensors in them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.runtime.tensors import frames
from gint.runtime.tensors.frames import ALIGNMENT, LEAST_BYTES, Frames, block_bytes, tensor_in

pytestmark = pytest.mark.torch


def made_in(block: torch.Tensor) -> tuple[torch.Tensor, ...]:
    return (tensor_in(block, 64, (2, 3), (3, 1), torch.float64),)


@pytest.fixture(autouse=True)
def no_blocks():
    frames.clear()
    yield
    frames.clear()


def test_a_frame_is_made_once_for_a_block():
    plan = Frames(1000, made_in)
    first = plan.take()
    plan.give(first)
    assert plan.take() is first
    block, tensor = first
    assert tensor.data_ptr() == block.data_ptr() + 64
    assert block.data_ptr() % ALIGNMENT == 0


def test_frames_at_the_same_time_share_nothing():
    plan = Frames(1000, made_in)
    (a, t), (b, u) = plan.take(), plan.take()
    assert a.data_ptr() != b.data_ptr()
    t.fill_(1)
    u.fill_(2)
    assert t.eq(1).all()


def test_plans_share_blocks_of_a_size():
    one, two, large = Frames(10, made_in), Frames(LEAST_BYTES, made_in), Frames(1 << 20, made_in)
    frame = one.take()
    one.give(frame)
    assert two.take()[0] is frame[0]
    assert large.take()[0].nbytes == 1 << 20


def test_what_was_cleared_is_not_used_again_by_others():
    one = Frames(10, made_in)
    frame = one.take()
    one.give(frame)
    frames.clear()
    assert one.take()[0] is not frame[0]


@pytest.mark.parametrize(("nbytes", "size"), [(1, 1 << 16), (1 << 16, 1 << 16), (65537, 1 << 17)])
def test_sizes_are_powers_of_two(nbytes: int, size: int):
    assert block_bytes(nbytes) == size


def test_tensors_are_no_inference_tensors():
    with torch.inference_mode():
        frame = Frames(10, made_in).take()
    assert not any(t.is_inference() for t in frame)
