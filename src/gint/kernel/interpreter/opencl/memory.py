"""Storages of a binding as OpenCL buffers.

Devices that share the host's memory use storages in place (CL_MEM_USE_HOST_PTR; mapping a buffer
makes the host see what was written). Others get copies of the bytes a launch touches, and give back
those of slots that are written. Storages that overlap share one buffer, so that a launch in place
is one. Knows pyopencl and byte ranges. Does not know programs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from gint.dataclass import frozen
from gint.kernel.interpreter.device.dispatches import TouchedSlot

from .device import OpenDevice
from .errors import in_words


@frozen
class HostRange:
    """Host memory that becomes one buffer, and which slots lie in it."""

    start: int
    end: int
    writes: bool
    uploads: bool
    slots: tuple[int, ...]


def host_ranges(
    device_shares_memory: bool, touched: Iterable[TouchedSlot], pointers
) -> list[HostRange]:
    """The memory behind `pointers`, overlapping storages together, in ascending order."""
    single = []
    for t in touched:
        touched_bytes = (t.region.low, t.region.high)
        low, high = (0, t.storage_bytes) if device_shares_memory else touched_bytes
        start, end = pointers[t.slot] + low, pointers[t.slot] + high
        # Bytes between written elements must come back as they were.
        uploads = t.reads or not t.region.is_dense
        single.append(HostRange(start, end, t.writes, uploads, (t.slot,)))
    found: list[HostRange] = []
    for one in sorted(single, key=lambda r: (r.start, r.end)):
        before = found[-1] if found else None
        if before is None or one.start >= before.end:
            found.append(one)
            continue
        uploads = before.uploads or one.uploads or one.end != before.end
        found[-1] = HostRange(
            before.start, max(before.end, one.end), before.writes or one.writes,
            uploads, before.slots + one.slots,
        )  # fmt: skip
    return found


class HostMemory:
    """Buffers for ranges of host memory on one device."""

    def __init__(self, device: OpenDevice) -> None:
        self.device = device

    @cached_property
    def pool(self) -> Any:
        from pyopencl.tools import ImmediateAllocator, MemoryPool

        return MemoryPool(ImmediateAllocator(self.device.queue))

    def buffer(self, memory: HostRange) -> Any:
        """A buffer the device sees the range's bytes in."""
        import pyopencl as cl

        size = memory.end - memory.start
        device = self.device
        with in_words(device.name, f"{size} bytes of a tensor were bound"):
            if device.shares_memory:
                flags = cl.mem_flags.READ_WRITE | cl.mem_flags.USE_HOST_PTR
                return cl.Buffer(device.context, flags, hostbuf=_bytes(memory))
            buffer = self.pool.allocate(size)
            if memory.uploads:
                cl.enqueue_copy(device.queue, buffer, _bytes(memory), is_blocking=False)
            return buffer

    def give_back(self, memory: HostRange, buffer: Any) -> None:
        """The host sees what was written; waits for the launches before."""
        import pyopencl as cl

        queue, size = self.device.queue, memory.end - memory.start
        if self.device.shares_memory:
            mapped, _ = cl.enqueue_map_buffer(
                queue, buffer, cl.map_flags.READ, 0, (size,), np.uint8
            )
            mapped.base.release(queue)
        else:
            cl.enqueue_copy(queue, _bytes(memory), buffer)


def _bytes(memory: HostRange) -> Any:
    return (ctypes.c_char * (memory.end - memory.start)).from_address(memory.start)
