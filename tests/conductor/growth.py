"""How much a process grows, in MiB, while shapes change.

    python -m tests.conductor.growth                       a table: gint beside aot_eager
    python -m tests.conductor.growth CASE BACKEND COUNT    one figure, after so many sizes

Each figure is that of a process of its own, since what was left before would be used again.
"""

from __future__ import annotations

import random
import subprocess
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
#: How many sizes the table's rows have.
_COUNTS = {"dynamic": 600, "static": 59}
ROOT = Path(__file__).resolve().parents[2]


def measured(case: str, backend: str, count: int) -> int:
    """The growth of a fresh process, in MiB."""
    asked = [sys.executable, "-m", "tests.conductor.growth", case, backend, str(count)]
    done = subprocess.run(asked, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout)


def _grow(case: str, backend: str, count: int) -> None:
    # What a process pays once is paid before.
    torch.compile(function, backend=backend)(torch.randn(4, _ROW))
    before = resident_mib()
    CASES[case](backend, count)
    print(f"{resident_mib() - before:.0f}")


def _print_table() -> None:
    print(f"{'MiB':<20}{'gint':>10}{'aot_eager':>12}")
    for case, count in _COUNTS.items():
        ours, theirs = (measured(case, backend, count) for backend in ("gint", "aot_eager"))
        print(f"{f'{count} {case} sizes':<20}{ours:>10}{theirs:>12}", flush=True)


def main(arguments: list[str]) -> None:
    if arguments:
        case, backend, count = arguments
        _grow(case, backend, int(count))
    else:
        _print_table()


if __name__ == "__main__":
    main(sys.argv[1:])
