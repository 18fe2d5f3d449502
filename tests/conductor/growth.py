"""How much a process grows, in MiB, while shapes change.

    python -m tests.conductor.growth CASE BACKEND COUNT

prints it, after calls with so many sizes: in a process of its own, since what other tests have left
would be used again.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import torch

#: Elements of a row, of float32.
_ROW = 1024


def resident_mib() -> float:
    """The memory of this process that is resident now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def function(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    y = x * 2 + 1
    return y.softmax(-1), y.sum(0)


def dynamic_sizes(backend: str, count: int) -> None:
    """Calls of sizes from 2 to 4 MB, in no order."""
    compiled = torch.compile(function, backend=backend, dynamic=True)
    rows = random.Random(0)
    for _ in range(count):
        compiled(torch.ones(rows.randrange(512, 1024), _ROW))


def static_sizes_with_reset(backend: str, count: int) -> None:
    """Sizes from 2 MB on, everything forgotten between them."""
    for n in range(count):
        torch._dynamo.reset()
        torch.compile(function, backend=backend, dynamic=False)(torch.ones(512 + 16 * n, _ROW))


CASES: dict[str, Callable[[str, int], None]] = {
    "dynamic": dynamic_sizes,
    "static": static_sizes_with_reset,
}


def main(case: str, backend: str, count: str) -> None:
    # What a process pays once is paid before.
    torch.compile(function, backend=backend)(torch.randn(4, _ROW))
    before = resident_mib()
    CASES[case](backend, int(count))
    print(f"{resident_mib() - before:.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
