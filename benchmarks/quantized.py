"""Quantised products: weights from memory by read bandwidth, many rows by NumPy's product.

What is measured, and how, is in quantized_products.py; here it is set in tables, with torch's and
the bandwidth probe's way of reading added to those that an installation has.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from airllm import tensor_ops
from benchmarks import goals
from benchmarks import quantized_products as measure
from benchmarks.bandwidth import reader
from benchmarks.quantized_products import ManyRows, OneRow
from benchmarks.report import Report, Table, micros, ratio
from benchmarks.settings import Settings, threads_in_effect
from gint.measuring.clock import medians
from gint.measuring.progress import progress

OURS = {"prepared": "prepared", "bytes": "bytes", "float": "float x"}
NOTE = "prepared: as prepare makes it; bytes: GGUF's; float x: prepared, x not rounded to 8 bits."


def run(settings: Settings) -> Report:
    """Measure on the backend in effect, and report."""
    threads = threads_in_effect()
    seconds = 0.7 if settings.quick else 3.0
    ring = measure.LEAST_RING if settings.quick else measure.cold_ring_bytes()
    readers = _readers(threads)
    cases = cases_of(settings)
    one, many = [], []
    with progress("quantized", 2 * len(cases)) as step:
        for quant_type, shape in cases:
            step(f"{quant_type}, {shape[0]}x{shape[1]}, 1 row")
            one.append(measure.one_row(quant_type, shape, seconds, threads, readers, ring))
            step(f"{quant_type}, {shape[0]}x{shape[1]}, {measure.ROWS} rows")
            many.append(measure.many_rows(quant_type, shape, seconds=seconds))
    cache = measure.last_cache_bytes()
    warm = (
        f"The weights of one row go round in {ring >> 20} MiB, and the last cache is said to hold "
        f"{cache >> 20}: some may have come from there."
    )
    return report_of(one, many, tensor_ops.get_backend(), *([warm] if ring < 8 * cache else []))


def cases_of(settings: Settings) -> list[tuple[str, tuple[int, int]]]:
    """Formats and shapes: every format at the first shape, the common ones at the others too;
    quickly the common ones at the first."""
    first, *others = measure.SHAPES
    common = [(quant_type, first) for quant_type in measure.COMMON]
    if settings.quick:
        return common
    every = [(quant_type, first) for quant_type in measure.QUANT_TYPES]
    return every + [(quant_type, shape) for shape in others for quant_type in measure.COMMON]


def _readers(threads: int) -> dict[str, Callable[[Any], Any]]:
    """Ways to read, beside those of an installation: torch's, and the bandwidth probe's."""
    readers: dict[str, Callable[[Any], Any]] = {}
    if importlib.util.find_spec("torch"):
        import torch

        readers["torch"] = lambda data: torch.sum(torch.from_numpy(data.view(np.int32)))
    if own := reader(threads):
        readers["own loop"] = own
    return readers


def report_of(one: Sequence[OneRow], many: Sequence[ManyRows], backend: str, *notes: str) -> Report:
    """Make the two tables, and verdicts where the backend is the one that the goals are for."""
    common = [case for case in one if case.quant_type in measure.COMMON]
    worst = min((case.of_read() for case in common), default=math.nan)
    q4_0 = min((c.over_numpy() for c in many if c.quant_type == "q4_0"), default=math.nan)
    verdicts = [goals.QUANTIZED_READ.verdict(worst), goals.QUANTIZED_ROWS.verdict(q4_0)]
    if backend != goals.TENSOR_OPS_BACKEND:
        verdicts = []
    return Report(
        "quantized",
        (_one_row_table(one), _many_rows_table(many)),
        {
            "backend": backend,
            "one_row": [_data(c) for c in one],
            "many_rows": [_data(c) for c in many],
        },
        (NOTE, *notes, *verdicts),
    )


def _one_row_table(cases: Sequence[OneRow]) -> Table:
    headers = ["", "read", *(h for title in OURS.values() for h in (title, "/ read"))]
    rows = []
    for c in cases:
        ours = (
            text for n in OURS for text in (f"{c.bytes_per_s(n) / 1e9:.1f}", ratio(c.of_read(n)))
        )
        rows.append([_name(c), f"{c.read_bytes_per_s / 1e9:.1f}", *ours])
    return Table("1 row, weights from memory, GB/s (median)", headers, rows)


def _many_rows_table(cases: Sequence[ManyRows]) -> Table:
    headers = ["", "NumPy", *(h for title in OURS.values() for h in (title, "NumPy /"))]
    rows = []
    for c in cases:
        found = medians(c.seconds)
        ours = (text for n in OURS for text in (micros(found[n] / 1000), ratio(c.over_numpy(n))))
        rows.append([_name(c), micros(c.numpy_s / 1000), *ours])
    return Table(
        f"{measure.ROWS} rows, milliseconds (median), and NumPy's float32 product", headers, rows
    )


def _name(case: OneRow | ManyRows) -> str:
    return f"{case.quant_type} {case.shape[0]}x{case.shape[1]}"


def _data(case: OneRow | ManyRows) -> dict[str, Any]:
    return {
        "quant_type": case.quant_type,
        "shape": case.shape,
        "samples_s": case.seconds,
        "medians_s": medians(case.seconds),
    }
