"""Load: eight threads call one another's functions with sizes that change, results compared; and
calls without end, between which memory may not grow.

A case is a second of the one, and many calls of the other. After each, when nobody calls, what the
process holds is looked at: bytes that malloc has handed out and not got back, less those of gint's
pool (it has a bound of its own); Python's blocks; and what is resident once malloc has given back
its free pages. A leak is in every case, however the heap is cut up; caches that fill, and first
times, are not. So the least of the last five cases is compared with that of five after a warm-up.
What Dynamo compiles in between stays: there the comparison begins anew, but for what is resident.
(It compiles some twenty times more than it has to, as guards fail while another thread's run:
"Unexpected recompilation: runtime guards failed even though they passed", `TORCH_LOGS=recompiles`.)
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import torch

from gint.conductor import register_backend
from gint.host.memory import POOL
from tests.conductor.growth import resident_mib

THREADS = 8
#: Cases that warm up, and cases of which the least counts.
_WARM = _WINDOW = 5
_ROWS = (1, 3, 17, 256, 700)

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda x: (x * 2 + 1).softmax(-1),
    "norm": lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6),
    "product": lambda x: torch.nn.functional.gelu(x @ x.mT).sum(0),
    "written": lambda x: x.clone().mul_(3).add_(x.mean()).t().contiguous(),
    "gathered": lambda x: x[:, torch.arange(x.shape[1] - 1, -1, -1)].cumsum(0),
    "gradient": lambda x: (x * x.sigmoid()).sin(),
}


class Held(NamedTuple):
    """What a process holds, in MiB; of Python's small objects the thousands."""

    heap: float
    blocks: float
    resident: float

    def __str__(self) -> str:
        return (
            f"{self.heap:.2f} MiB of malloc's, {self.blocks:,.1f} thousand blocks of Python's, "
            f"{self.resident:.0f} MiB resident"
        )


#: By how much the least of the last cases may exceed that after the warm-up. Twenty cases apart,
#: with 6,400 calls of threads and 200,000 small ones, the first is 164 bytes a call of the one
#: kind, 5.2 of the other.
MOST = Held(1, 8, 64)


class _Malloc(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = tuple((name, ctypes.c_size_t) for name in _names.split())


def held() -> Held:
    """What this process holds now."""
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = _Malloc
    gc.collect()
    used = libc.mallinfo2()
    heap = used.uordblks + used.hblkhd - POOL.bytes
    libc.malloc_trim(0)
    return Held(heap / 2**20, sys.getallocatedblocks() / 1000, resident_mib())


def growth(readings: list[Held]) -> Held | None:
    """Of the last cases beyond those after the warm-up; None where there are not enough."""
    if len(readings) < _WARM + 2 * _WINDOW:
        return None
    first, last = (_least(part) for part in (readings[_WARM:][:_WINDOW], readings[-_WINDOW:]))
    return Held(*(now - before for before, now in zip(first, last, strict=True)))


def _least(readings: list[Held]) -> Held:
    return Held(*map(min, zip(*readings, strict=True)))


@dataclass(frozen=True)
class LoadCase:
    """What every thread calls, in order: functions by name, and rows; then so many small calls."""

    calls: tuple[tuple[tuple[str, int], ...], ...]
    repeats: int


class Load:
    def __init__(self, *names: str) -> None:
        self.functions = {name: FUNCTIONS[name] for name in names}
        self.compiled: dict[str, Callable] = {}
        self.expected: dict[tuple[str, int], torch.Tensor] = {}
        self.readings: list[Held] = []
        self.since_compiled: list[Held] = []
        self.graphs = 0

    def case(self, seed: int, number: int) -> LoadCase:
        random = Random(f"load {seed} {number}")
        calls = (
            tuple((random.choice(list(self.functions)), random.choice(_ROWS)) for _ in range(40))
            for _ in range(THREADS)
        )
        return LoadCase(tuple(calls), 10_000)

    def run(self, case: LoadCase) -> Iterator[tuple[str, str]]:
        self._prepare()
        with ThreadPoolExecutor(THREADS) as threads:
            for wrong in threads.map(self._call_all, case.calls):
                assert not wrong, wrong
        small, function = torch.ones(4, 4), next(iter(self.compiled.values()))
        for _ in range(case.repeats):
            function(small)
        if grown := self._growth():
            assert all(a < b for a, b in zip(grown, MOST, strict=True)), f"grown by {grown}"
            yield "memory", f"{grown.heap:.1f} MiB more than after the warm-up"
        yield from [("thread", "as eager")] * THREADS * len(case.calls[0])
        yield from [("main", "called")] * case.repeats

    def _growth(self) -> Held | None:
        """Since something was compiled; of what is resident, in all."""
        graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        if graphs != self.graphs:
            self.graphs = graphs
            self.since_compiled.clear()
        now = held()
        self.readings.append(now)
        self.since_compiled.append(now)
        lately, in_all = growth(self.since_compiled), growth(self.readings)
        return lately and in_all and lately._replace(resident=in_all.resident)

    def _prepare(self) -> None:
        """Compile in this thread, and have eager's answers."""
        if self.compiled:
            return
        register_backend()
        torch._dynamo.reset()
        for name, function in self.functions.items():
            self.compiled[name] = torch.compile(function, backend="gint", dynamic=True)
            for rows in _ROWS:
                self.expected[name, rows] = _called(function, name, rows)
                _called(self.compiled[name], name, rows)

    def _call_all(self, calls: tuple[tuple[str, int], ...]) -> str:
        for name, rows in calls:
            found, expected = _called(self.compiled[name], name, rows), self.expected[name, rows]
            if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3):
                return f"{name} of {rows} rows: {found}, expected {expected}"
        return ""

    def smaller(self, case: LoadCase) -> Iterator[LoadCase]:
        """Nothing: what threads do is not the same twice."""
        yield from ()

    def dump(self, case: LoadCase) -> dict:
        return {"calls": case.calls, "repeats": case.repeats}

    def load(self, written: dict) -> LoadCase:
        calls = tuple(tuple((name, rows) for name, rows in calls) for calls in written["calls"])
        return LoadCase(calls, written["repeats"])


def _called(function: Callable, name: str, rows: int) -> torch.Tensor:
    x = torch.linspace(-2, 2, rows * 512).view(rows, 512)
    if name != "gradient":
        return function(x)
    x.requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]


KIND = Load(*FUNCTIONS)
