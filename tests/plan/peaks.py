"""`python -m tests.plan.peaks FILE [PACKET ...]`: what operators hold at most while they work.

A process of its own, in which memory that is let go of goes back to the system at once: so what
the system says was resident at most is what a call held, whoever allocated it.
"""

from __future__ import annotations

import ctypes
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

from gint.host.memory import POOL
from gint.operators import OPERATORS
from gint.plan.demands import demand_of
from gint.plan.operators import OWN, is_saved_operator
from gint.runtime.tensors.values import Tensors
from tests.operators.beside import array

from .large_calls import CALLS, arguments, types_of

#: glibc's mallopt: what is larger is mapped for itself; what lies free at the end is given back.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _LARGE = -1, -3, 1 << 16
_AGAIN = "5"  # what /proc/self/clear_refs takes to begin again with what is resident now


#: Element types that products with quantised matrices take.
_OF_QUANTIZED = (torch.float32, torch.bfloat16)


class Peak(NamedTuple):
    """Of one call, on "tensors" or "arrays": bytes held at most beyond what there was, and what
    is counted for it."""

    operator: str
    call: str
    dtype: str
    on: str
    held: int
    counted: int


def measure_all(packets: list[str]) -> list[Peak]:
    libc = ctypes.CDLL(None)
    for option in (_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD):
        assert libc.mallopt(option, _LARGE)
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    return [
        peak for packet in packets for n, call in enumerate(CALLS[packet])
        for dtype in types_of(call, n) for peak in _measured(packet, call, dtype)
    ]  # fmt: skip


def _measured(packet: str, call: str, dtype: torch.dtype) -> list[Peak]:
    try:
        args, kwargs = arguments(call, dtype)
    except NameError:  # a tensor that this type lacks
        return []
    name = _overload(packet, dtype, args, kwargs)
    if name is None:
        return []
    counted, found = demand_of(name, args, kwargs).taken, []
    atens = Tensors().operator(name, False)
    said = (name, call, str(dtype).removeprefix("torch."))
    found.append(Peak(*said, "tensors", _held(lambda: atens(*args, **kwargs)), counted))
    if name in OPERATORS:
        arrays, named = array(list(args)), array(kwargs)
        held = _held(lambda: OPERATORS[name](*arrays, **named))
        found.append(Peak(*said, "arrays", held, counted))
    return found


def _overload(packet: str, dtype: torch.dtype, args: tuple, kwargs: dict[str, Any]) -> str | None:
    """The first one that a plan may call and that takes such arguments; None where none does."""
    if packet in OWN:
        return f"gint.{packet}.blocks" if dtype in _OF_QUANTIZED else None
    operators = getattr(torch.ops.aten, packet)
    for overload in operators.overloads():
        name, operator = f"aten.{packet}.{overload}", getattr(operators, overload)
        is_called = is_saved_operator(name) or name in OPERATORS
        if not is_called or (operator._schema.is_mutable and packet != "copy_"):
            continue
        try:
            operator(*args, **kwargs)
        except (RuntimeError, TypeError, IndexError, NotImplementedError):
            continue
        return name
    return None


def _held(call: Callable[[], Any]) -> int:
    call()  # what is made once
    POOL.clear()
    Path("/proc/self/clear_refs").write_text(_AGAIN)
    before = _resident("VmRSS")
    result = call()
    held = _resident("VmHWM") - before
    del result
    return held


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) << 10


if __name__ == "__main__":
    peaks = measure_all(sys.argv[2:] or list(CALLS))
    Path(sys.argv[1]).write_text(json.dumps(peaks))
