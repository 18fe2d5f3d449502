"""Prepared launches of the C++ interpreter, alone: no call path, no allocation, one thread.

    python -m benchmarks.launches [rows cols]     microseconds, the least of many

`scaled` (x * 1.5) reads and writes the same bytes, `sum` reads them: what the memory allows that
the arrays fit in. The pages a process happens to get make a fifth of difference: run it more than
once. For work on the interpreter itself; `gint bench` is for claims.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import numpy as np

from gint.host.executor import load
from gint.host.frontend import Builder
from gint.measuring.clock import time_calls

SECONDS = 1.0


def rms_norm(b, x, rows, cols):
    w = b.input("w", "f32", cols)
    return x * b.rsqrt(b.sum(x * x) / b.cast(b.extent(cols), "f32") + 1e-6) * w


def layer_norm(b, x, rows, cols):
    w, n = b.input("w", "f32", cols), b.cast(b.extent(cols), "f32")
    rest = x - b.sum(x) / n
    return rest * b.rsqrt(b.sum(rest * rest) / n + 1e-5) * w


def softmax(b, x, rows, cols):
    e = b.exp(x - b.amax(x))
    return e / b.sum(e)


def gelu_tanh(b, x, rows, cols):
    return 0.5 * x * (1 + b.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))


def weighted(b, x, rows, cols):
    return x * b.input("r", "f32", rows) * b.input("w", "f32", cols)


ROWS: dict[str, Callable] = {
    "sum": lambda b, x, rows, cols: b.sum(x),
    "sum_squares": lambda b, x, rows, cols: b.sum(x * x),
    "rms_norm": rms_norm,
    "layer_norm": layer_norm,
    "softmax": softmax,
}
ELEMENTS: dict[str, Callable] = {
    "scaled": lambda b, x, rows, cols: x * 1.5,
    "weighted": weighted,
    "exp": lambda b, x, rows, cols: b.exp(x),
    "silu": lambda b, x, rows, cols: x * b.sigmoid(x),
    "gelu_tanh": gelu_tanh,
    "gelu_erf": lambda b, x, rows, cols: 0.5 * x * (1 + b.erf(x * 0.7071067811865476)),
}


def build(name: str, function: Callable, reduces: bool):
    b = Builder(name)
    rows, cols = b.parallel("rows"), (b.reduced if reduces else b.parallel)("cols")
    y = function(b, b.input("x", "f32", rows, cols), rows, cols)
    b.output("y", "f32", (rows,) if name.startswith("sum") else (rows, cols), y)
    return load(b.build(), "cpp")


def least_us(executable, rows: int, cols: int) -> float:
    """Time of a launch on arrays that begin at a cache line, as the pool's do."""
    shapes = {"x": (rows, cols), "w": (cols,), "r": (rows,), "y": (rows, cols)}
    arrays, layouts = [], []
    for slot in executable.program.slots:
        shape = shapes[slot.name][: len(slot.axes)]
        raw = np.zeros(int(np.prod(shape)) * 4 + 64, np.uint8)
        start = -raw.__array_interface__["data"][0] % 64
        array = raw[start : len(raw) - 64 + start].view(np.float32).reshape(shape)
        array[...] = np.random.default_rng(0).standard_normal(shape)
        arrays.append(array)
        layouts.append((array.nbytes, 0, tuple(s // 4 for s in array.strides)))
    run = executable.kernel.prepare((rows, cols), (), tuple(layouts), threads=1)
    pointers = [a.__array_interface__["data"][0] for a in arrays]
    return min(time_calls(partial(run, *pointers), SECONDS)) * 1e6


def main(arguments: list[str]) -> None:
    rows, cols = map(int, arguments) if arguments else (128, 4096)
    for kernels, reduces in ((ROWS, True), (ELEMENTS, False)):
        for name, function in kernels.items():
            us = least_us(build(name, function, reduces), rows, cols)
            print(f"{name:12} {us:9.1f} us", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
