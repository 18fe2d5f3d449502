"""Load: eight threads call one another's functions with sizes that change, results compared; and
calls without end, between which memory may not grow.

A case is a second of the one, or many calls of the other. What a process has grown by since its
first cases is looked at after each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

import torch

from gint.conductor import register_backend
from tests.conductor.growth import resident_mib

THREADS = 8
#: What a process may grow by beyond the most it had while it warmed up: fragments of the heap, and
#: no more. (With threads that come and go glibc's heaps grow for some 100 cases: gint's from 470 to
#: 550 MiB, aot_eager's to 580, and both stay there.)
MOST_MIB = 64
_WARM = 200
_ROWS = (1, 3, 17, 256, 700)

FUNCTIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "softmax": lambda x: (x * 2 + 1).softmax(-1),
    "norm": lambda x: x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6),
    "product": lambda x: torch.nn.functional.gelu(x @ x.mT).sum(0),
    "written": lambda x: x.clone().mul_(3).add_(x.mean()).t().contiguous(),
    "gathered": lambda x: x[:, torch.arange(x.shape[1] - 1, -1, -1)].cumsum(0),
    "gradient": lambda x: (x * x.sigmoid()).sin(),
}


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
        self.ran, self.warm_mib = 0, 0.0

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
        self.ran += 1
        now = resident_mib()
        if self.ran <= _WARM:
            self.warm_mib = max(self.warm_mib, now)
        assert now - self.warm_mib < MOST_MIB, f"grown by {now - self.warm_mib:.0f} MiB"
        yield from [("thread", "as eager")] * THREADS * len(case.calls[0])
        yield from [("main", "called")] * case.repeats

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
