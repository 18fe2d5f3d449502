"""Memory for what a plan needs only while it runs, and what is made once for it.

A *frame* is all that a call of a plan finds ready: its small intermediate tensors, at offsets that
their lifetimes allow, views of them, and runs of steps on them. It lies in a *block*. Blocks
are shared by all plans: a call takes one and gives it back, so there are as many as there are calls
at a time, and what one plan has just used is in the cache for the next.

Knows tensors. Does not know plans.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

#: The smallest block, and the largest frame.
LEAST_BYTES, MOST_BYTES = 1 << 16, 1 << 22
#: Frames of a plan, each in another block, that are kept.
_MOST_FRAMES = 8
#: Where values begin: at cache lines.
ALIGNMENT = 64

#: Free blocks by their size; the last one given back is taken first.
_free: dict[int, list[torch.Tensor]] = {}


def block_bytes(nbytes: int) -> int:
    """The size of the block in which a frame of so many bytes lies."""
    return max(LEAST_BYTES, 1 << (nbytes - 1).bit_length())


def clear() -> None:
    """Let go of the blocks that no call uses."""
    for blocks in _free.values():
        blocks.clear()


class Frames:
    """The frames of one plan. `make(block)` gives what belongs to a frame in a block, a tuple of
    whatever the plan wants; it is called once for a block, outside of inference mode."""

    def __init__(self, nbytes: int, make: Callable[[torch.Tensor], tuple[Any, ...]]) -> None:
        self._size, self._make = block_bytes(nbytes), make
        self._frames: dict[int, tuple[Any, ...]] = {}
        self._blocks = _free.setdefault(self._size, [])

    def take(self) -> tuple[Any, ...]:
        """A frame: its block, and then what was made for it. Give it back by `give`."""
        try:
            block = self._blocks.pop()
        except IndexError:
            block = _new_block(self._size)
        frame = self._frames.get(id(block))
        return frame or self._new_frame(block)

    def give(self, frame: tuple[Any, ...]) -> None:
        self._blocks.append(frame[0])

    def _new_frame(self, block: torch.Tensor) -> tuple[Any, ...]:
        with torch.inference_mode(False):
            frame = (block, *self._make(block))
        if len(self._frames) == _MOST_FRAMES:
            self._frames.clear()
        self._frames[id(block)] = frame
        return frame


def _new_block(nbytes: int) -> torch.Tensor:
    with torch.inference_mode(False):
        memory = torch.empty(nbytes + ALIGNMENT, dtype=torch.uint8, device="cpu")
        start = -memory.data_ptr() % ALIGNMENT
        return memory[start : start + nbytes]


def tensor_in(
    block: torch.Tensor, offset: int, size: tuple, stride: tuple, dtype: torch.dtype
) -> torch.Tensor:
    """A tensor whose first element lies so many bytes behind the start of a block."""
    start = (block.storage_offset() + offset) // dtype.itemsize
    made = torch.empty(0, dtype=dtype, device="cpu")
    return made.set_(block.untyped_storage(), start, size, stride)
