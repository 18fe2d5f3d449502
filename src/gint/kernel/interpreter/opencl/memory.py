"""Storages of a binding as OpenCL buffers.

Devices that share the host's memory use storages in place (CL_MEM_USE_HOST_PTR; mapping a buffer
makes the host see what was written). Others get copies of the bytes a launch touches, and give back
those of slots that are written. Storages that overlap share one buffer, so that a launch in place
is one. Knows pyopencl and byte ranges. Does not know programs.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gint.kernel.interpreter.device.plan import Touched

from .device import OpenDevice
from .errors import in_words


@dataclass(frozen=True)
class Region:
    """Host memory that becomes one buffer, and which slots lie in it."""

    start: int
    end: int
    writes: bool
    uploads: bool
    slots: tuple[int, ...]


def regions(device_shares_memory: bool, touched: Iterable[Touched], pointers) -> list[Region]:
    """The memory behind `pointers`, overlapping storages together, in ascending order."""
    single = []
    for t in touched:
        low, high = (0, t.storage_bytes) if device_shares_memory else (t.low, t.high)
        start = pointers[t.slot] + low
        # Bytes between written elements must come back as they were.
        uploads = t.reads or not t.is_dense
        end = pointers[t.slot] + high
        single.append(Region(start, end, t.writes, uploads, (t.slot,)))
    found: list[Region] = []
    for region in sorted(single, key=lambda r: (r.start, r.end)):
        before = found[-1] if found else None
        if before is None or region.start >= before.end:
            found.append(region)
            continue
        uploads = before.uploads or region.uploads or region.end != before.end
        found[-1] = Region(
            before.start, max(before.end, region.end), before.writes or region.writes,
            uploads, before.slots + region.slots,
        )  # fmt: skip
    return found


class HostMemory:
    """Buffers for regions of host memory on one device."""

    def __init__(self, device: OpenDevice) -> None:
        self.device = device

    @cached_property
    def pool(self) -> Any:
        from pyopencl.tools import ImmediateAllocator, MemoryPool

        return MemoryPool(ImmediateAllocator(self.device.queue))

    def buffer(self, region: Region) -> Any:
        """A buffer the device sees the region's bytes in."""
        import pyopencl as cl

        size = region.end - region.start
        device = self.device
        with in_words(device.name, f"{size} bytes of a tensor were bound"):
            if device.shares_memory:
                flags = cl.mem_flags.READ_WRITE | cl.mem_flags.USE_HOST_PTR
                return cl.Buffer(device.context, flags, hostbuf=_bytes(region))
            buffer = self.pool.allocate(size)
            if region.uploads:
                cl.enqueue_copy(device.queue, buffer, _bytes(region), is_blocking=False)
            return buffer

    def give_back(self, region: Region, buffer: Any) -> None:
        """The host sees what was written; waits for the launches before."""
        import pyopencl as cl

        queue, size = self.device.queue, region.end - region.start
        if self.device.shares_memory:
            mapped, _ = cl.enqueue_map_buffer(
                queue, buffer, cl.map_flags.READ, 0, (size,), np.uint8
            )
            mapped.base.release(queue)
        else:
            cl.enqueue_copy(queue, _bytes(region), buffer)


def _bytes(region: Region) -> Any:
    return (ctypes.c_char * (region.end - region.start)).from_address(region.start)
