"""The measurements run everywhere; their arithmetic is right."""

import numpy as np
import pytest

from airllm import tensor_ops
from benchmarks import quantized_products as measure
from gint.quantized import format_of


@pytest.mark.parametrize("quant_type", measure.COMMON)
def test_measurements(backend, quant_type):
    read = []
    with tensor_ops.use_backend(backend):
        readers = {"mine": read.append}
        one = measure.one_row(quant_type, (48, 256), 0, 2, readers, ring_bytes=1 << 16)
        many = measure.many_rows(quant_type, (48, 256), rows=3, seconds=0)
    assert one.weight_bytes == 48 * format_of(quant_type).row_bytes(256)
    assert {"prepared", "bytes", "float", "read NumPy", "read mine"} <= set(one.seconds)
    assert all(data.nbytes == one.weight_bytes and data.dtype == np.uint8 for data in read)
    assert len({id(data) for data in read}) > 1
    assert one.of_read() > 0
    assert many.over_numpy() > 0


def test_figures():
    one = measure.OneRow(
        "q4_0", (1, 1), 1000, {"prepared": [2.0], "read a": [4.0], "read b": [1.0]}
    )
    assert (one.bytes_per_s("prepared"), one.read_bytes_per_s, one.of_read()) == (500, 1000, 0.5)
    samples = {"prepared": [2.0], "NumPy, (out, in)": [8.0], "NumPy, (in, out)": [6.0]}
    assert measure.ManyRows("q4_0", (1, 1), 32, samples).over_numpy() == 3


@pytest.mark.parametrize(
    ("cache_mib", "ring_mib"), [(0, 256), (32, 256), (96, 768), (480, 3 << 10), (1 << 10, 3 << 10)]
)
def test_the_ring_is_larger_than_the_caches_and_leaves_memory(cache_mib, ring_mib, monkeypatch):
    monkeypatch.setattr(measure, "last_cache_bytes", lambda: cache_mib << 20)
    pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 24 << 18}  # 24 GiB
    monkeypatch.setattr(measure.os, "sysconf", pages.__getitem__)
    assert measure.cold_ring_bytes() == ring_mib << 20
