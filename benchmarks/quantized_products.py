"""How fast `matmul_quantized` is: one row by memory, many rows by NumPy's float32 product.

The weights of one-row products come from memory: a ring of matrices larger than the last cache.
Reading the same bytes, as fast as anything here can, is measured in turns with the products.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np

from airllm import tensor_ops as ops
from gint.backend import registry
from gint.measuring.clock import Call, Effort, Samples, medians, take_turns
from gint.quantized import FORMATS, format_of, quantize

#: (out, in): the square and the wide matrices of a 7-billion-parameter Llama.
SHAPES = ((4096, 4096), (11008, 4096))
QUANT_TYPES = tuple(f.name for f in FORMATS)
#: Those that are measured at both shapes; the others at the first.
COMMON = ("q4_0", "q8_0", "q4_k", "q6_k")
ROWS = 32
LEAST_RING = 256 << 20  # bytes
MOST_ROUNDS = 1_000_000  # time is what ends a measurement

#: Reads all of a contiguous array.
Reader = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class OneRow:
    """Products of one row with weights from memory; `seconds` holds samples by contender.

    Contenders: "prepared", "bytes" (not prepared), "float" (prepared, activations not rounded),
    and "read NAME" for every way to read.
    """

    quant_type: str
    shape: tuple[int, int]
    weight_bytes: int
    seconds: Samples

    def bytes_per_s(self, contender: str) -> float:
        return self.weight_bytes / medians(self.seconds)[contender]

    @property
    def read_bytes_per_s(self) -> float:
        """By the fastest way."""
        return max(self.bytes_per_s(name) for name in self.seconds if name.startswith("read "))

    def of_read(self, contender: str = "prepared") -> float:
        """Weight bytes per second over the bytes per second of reading."""
        return self.bytes_per_s(contender) / self.read_bytes_per_s


@dataclass(frozen=True)
class ManyRows:
    """Products of many rows. Contenders: as for one row, and "NumPy", the faster of two layouts."""

    quant_type: str
    shape: tuple[int, int]
    rows: int
    seconds: Samples

    def over_numpy(self, contender: str = "prepared") -> float:
        """NumPy's time over the contender's."""
        return self.numpy_s / medians(self.seconds)[contender]

    @property
    def numpy_s(self) -> float:
        found = medians(self.seconds)
        return min(seconds for name, seconds in found.items() if name.startswith("NumPy"))


def one_row(
    quant_type: str,
    shape: tuple[int, int],
    seconds: float = 2.0,
    threads: int | None = None,
    readers: Mapping[str, Reader] | None = None,
    ring_bytes: int = LEAST_RING,
) -> OneRow:
    """Measure on the active backend, with a ring of matrices that take `ring_bytes`; `readers` are
    further ways to read, `threads` is for ours."""
    size = shape[0] * format_of(quant_type).row_bytes(shape[1])
    count = max(4, -(-ring_bytes // size))
    ring = [_random_bytes(quant_type, shape, seed) for seed in range(count)]
    prepared = [ops.prepare(data, shape, quant_type) for data in ring]
    x = np.random.default_rng(0).standard_normal((1, shape[1])).astype(np.float32)

    def product(weights: list, first: int, **options: Any) -> Call:
        held = _around(weights, first)
        return lambda: ops.matmul_quantized(x, next(held), shape, quant_type, **options)

    def reading(reader: Reader, first: int) -> Call:
        held = _around(ring, first)
        return lambda: reader(next(held))

    # Who shares memory starts apart in the ring, so as to find it as cold as the others do.
    ways = {**_readers(threads), **(readers or {})}
    apart = count // (len(ways) + 1)
    calls: dict[str, Call] = {
        "prepared": product(prepared, 0),
        "bytes": product(ring, 0),
        "float": product(prepared, count // 2, quantize_activations=False),
    }
    for n, (name, reader) in enumerate(ways.items()):
        calls[f"read {name}"] = reading(reader, (n + 1) * apart)
    return OneRow(quant_type, shape, size, take_turns(calls, _effort(seconds)))


def many_rows(
    quant_type: str, shape: tuple[int, int], rows: int = ROWS, seconds: float = 2.0
) -> ManyRows:
    """Measure on the active backend."""
    data = _random_bytes(quant_type, shape, 0)
    prepared = ops.prepare(data, shape, quant_type)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((rows, shape[1])).astype(np.float32)
    weight = rng.standard_normal(shape, np.float32)
    turned = np.ascontiguousarray(weight.T)
    out = np.empty((rows, shape[0]), np.float32)

    def product(weights: Any, **options: Any) -> Call:
        fixed = {"out": out, **options}
        return lambda: ops.matmul_quantized(x, weights, shape, quant_type, **fixed)

    calls: dict[str, Call] = {
        "prepared": product(prepared),
        "bytes": product(data),
        "float": product(prepared, quantize_activations=False),
        "NumPy, (out, in)": lambda: np.matmul(x, weight.T, out=out),
        "NumPy, (in, out)": lambda: np.matmul(x, turned, out=out),
    }
    return ManyRows(quant_type, shape, rows, take_turns(calls, _effort(seconds)))


def _effort(seconds: float) -> Effort:
    """Single calls: each turn of a contender meets the next matrix of its ring."""
    return Effort(rounds=MOST_ROUNDS, batch_s=0.0, total_s=seconds, least=5)


def _around(ring: list, first: int) -> Iterator[Any]:
    """The ring from its element `first` on, without end."""
    return cycle(ring[first:] + ring[:first])


def cold_ring_bytes() -> int:
    """Far more than the last cache holds, as every matrix has several readers: eight times what the
    system says. But an eighth of the memory at most, as a virtual machine may be told of a cache
    that it shares with many."""
    cache = last_cache_bytes()
    if not cache:
        return LEAST_RING
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(LEAST_RING, min(8 * cache, memory // 8))


def last_cache_bytes() -> int:
    """The largest cache that the system tells of; 0 where it tells of none."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text(encoding="ascii").strip()
        unit = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}.get(text[-1:], 1)
        sizes.append(int(text.rstrip("KMG")) * unit)
    return max(sizes, default=0)


def _random_bytes(quant_type: str, shape: tuple[int, int], seed: int) -> np.ndarray:
    """Quantised random numbers: a few rows of them, over and over."""
    quantized = format_of(quant_type)
    rng = np.random.default_rng(seed)
    rows = quantize(rng.standard_normal((min(shape[0], 64), shape[1]), np.float32), quantized)
    return np.resize(rows, (shape[0], rows.shape[1]))


def _readers(threads: int | None) -> dict[str, Reader]:
    """Ways to read memory that an installation has: NumPy's, and the C++ module's."""
    count = threads or os.cpu_count() or 1
    pool = ThreadPoolExecutor(count)

    def by_numpy(data: np.ndarray) -> None:
        flat = data.reshape(-1)
        words = flat[: flat.size // (8 * count) * 8 * count].view(np.uint64)
        list(pool.map(np.bitwise_xor.reduce, np.split(words, count)))

    readers: dict[str, Reader] = {"NumPy": by_numpy}
    if registry.probe("cpp").usable:
        from gint.kernel.interpreter.cpp.quantized import read_all

        readers["gint"] = lambda data: read_all(data, threads or 0)
    return readers
