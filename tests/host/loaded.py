"""How much a process grows, in MiB, while ever other programs are loaded and launched.

    python -m tests.host.loaded LENGTH COUNT    after a quarter of COUNT programs, a half, and all

A program is LENGTH links of a chain, no two alike. Printed are the programs met, the growth, and
what the kept ones are accounted as.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from gint.host.executor import load
from gint.host.frontend import Builder
from gint.host.launches import load_kernel
from gint.program import VerifiedProgram


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def program(n: int, length: int) -> VerifiedProgram:
    b = Builder(f"chain{n}")
    i = b.parallel("i")
    y = x = b.input("x", "f32", i)
    for k in range(length):
        y = y * (1.0 + n + k / 7) + x
    b.output("y", "f32", (i,), y)
    return b.build()


def main(length: int, count: int) -> None:
    x = np.ones(100, np.float32)
    load(program(count, length), "cpp")(x=x)  # what a process pays once
    before = resident_mib()
    for n in range(count):
        load(program(n, length), "cpp")(x=x)
        if n + 1 in (count // 4, count // 2, count):
            kept = load_kernel.statistics().kept / 2**20
            print(f"{n + 1} {resident_mib() - before:.1f} {kept:.1f}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
