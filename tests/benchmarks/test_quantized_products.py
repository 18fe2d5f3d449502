"""The measurements run everywhere; their arithmetic is right."""

import numpy as np
import pytest

from airllm import tensor_ops
from benchmarks import quantized_products as measure
from gint.quantized import format_of


@pytest.mark.parametrize("quant_type", measure.COMMON)
def test_measurements(backend, quant_type, monkeypatch):
    monkeypatch.setattr(measure, "ring_bytes", lambda: 1 << 16)
    read = []
    with tensor_ops.use_backend(backend):
        one = measure.one_row(quant_type, (48, 256), 0, threads=2, readers={"mine": read.append})
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


def test_the_ring_is_larger_than_the_caches():
    assert measure.ring_bytes() >= 128 << 20
