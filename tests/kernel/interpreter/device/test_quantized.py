"""Quantised products on devices: the layout of weights, and the kernels there are."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gint.backend import registry
from gint.kernel.interpreter.device import quantized as device_products
from gint.kernel.interpreter.device.quantized import (
    DeviceProducts,
    DeviceWeights,
    ProductsBuild,
    kernel_of,
)
from gint.kernel.interpreter.numpy.quantized import NumpyWeights
from gint.quantized import FORMATS, format_of
from tests.quantized.matrices import bound_f32, floats, values_of, weights_of

WITH_KERNELS = ("q4_0", "q8_0")


class HostMemory:
    """A device whose memory is the host's, for its layout; it launches nothing."""

    build = ProductsBuild()

    def upload(self, array):
        assert array.flags.c_contiguous
        return array.copy()

    def allocate(self, nbytes):
        return np.empty(nbytes, np.uint8)

    def download(self, memory, array):
        array[...] = memory


@pytest.mark.parametrize("name", WITH_KERNELS)
@pytest.mark.parametrize("shape", [(1, 32), (31, 64), (32, 32), (77, 96)], ids=str)
def test_weights_lie_by_groups_blocks_and_lanes(shape, name):
    """Row 32 g + l is lane l of group g; lanes without a row are zeros."""
    products, weights = DeviceProducts(HostMemory()), weights_of(format_of(name), *shape)
    held = products.prepare(weights)
    outputs, blocks = shape[0], shape[1] // 32
    groups = -(-outputs // 32)
    rows = weights.data.reshape(outputs, blocks, weights.format.block_bytes)
    quads = (weights.format.block_bytes - 2) // 4
    assert held.scales.shape == (groups, blocks, 32)
    assert held.words.shape == (groups, blocks, quads, 32)
    assert held.nbytes == held.scales.nbytes + held.words.nbytes
    for row in range(groups * 32):
        scales, words = held.scales[row // 32, :, row % 32], held.words[row // 32, ..., row % 32]
        if row >= outputs:
            assert not scales.any()
            assert not words.any()
            continue
        of_blocks = np.ascontiguousarray(rows[row, :, :2]).view(np.uint16)[:, 0]
        np.testing.assert_array_equal(scales, of_blocks)
        found = np.ascontiguousarray(words).view(np.uint8).reshape(blocks, -1)
        np.testing.assert_array_equal(found, rows[row, :, 2:])
    np.testing.assert_array_equal(held.unpack().data, weights.data)
    assert repr(held) == f"DeviceWeights(shape={shape}, {name})"


@pytest.mark.parametrize("quantized", FORMATS, ids=lambda f: f.name)
def test_formats_without_a_kernel_stay_with_the_host(quantized):
    held = DeviceProducts(HostMemory()).prepare(weights_of(quantized, 5, quantized.block))
    on_device = quantized.name in WITH_KERNELS
    assert isinstance(held, DeviceWeights if on_device else NumpyWeights)


def test_products_of_nothing_launch_nothing():
    products = DeviceProducts(HostMemory())
    weights = weights_of(format_of("q4_0"), 3, 0)
    out = np.full((2, 3), np.nan, np.float32)
    products.multiply(floats(2, 0), weights, out)
    assert not out.any()
    products.multiply(floats(0, 32), weights_of(format_of("q4_0"), 3, 32), out[:0])


def test_every_kernel_stands_in_the_source_once():
    """As the macros of its part make its name."""
    text = ProductsBuild(64).text
    assert not re.search(r'^#include "', text, re.MULTILINE)
    for name in WITH_KERNELS:
        for rows in (1, 8):
            variant = kernel_of(format_of(name), rows).removeprefix("gint_quantized")
            assert text.count(f"#define GI_VARIANT(name) name##{variant}\n") == 1
    assert ProductsBuild(64).defines["GI_BLOCK"] == 64


@pytest.mark.parametrize("name", ["opencl", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_rows_that_32_bits_do_not_count_are_done_in_parts(name, monkeypatch):
    answer = registry.probe(name)
    if not answer.usable:
        pytest.skip(f"backend {name!r}: {answer.reason}")
    monkeypatch.setattr(device_products, "_MOST_VALUES", 3 * 64)
    weights, x = weights_of(FORMATS[0], 16, 64), floats(13, 64)
    found = np.full((13, 16), np.nan, np.float32)
    registry.backend(name).quantized.multiply(x, weights, found)
    w = values_of(weights)
    assert np.all(np.abs(found - x.astype(np.float64) @ w.T) <= bound_f32(x, w))
