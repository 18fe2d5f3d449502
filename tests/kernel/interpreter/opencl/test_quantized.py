"""The device that quantised products run on under OpenCL: its memory and its kernels."""

import numpy as np
import pytest

from gint.backend import registry
from gint.quantized import format_of
from tests.quantized.matrices import bound_f32, floats, values_of, weights_of

pytest.importorskip("pyopencl")
pytestmark = pytest.mark.opencl


@pytest.fixture
def products():
    return registry.backend("opencl").quantized


@pytest.mark.parametrize("shape", [(0,), (1,), (3, 0), (7, 5)], ids=str)
def test_what_is_uploaded_comes_back(products, shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    back = np.full(shape, np.nan, np.float32)
    products.device.download(products.device.upload(array), back)
    np.testing.assert_array_equal(back, array)


def test_a_build_fits_the_device(products, device):
    block = products.device.build.block
    assert block % 32 == 0
    assert 0 < block <= device.device.max_work_group_size


@pytest.mark.parametrize("name", ["q4_0", "q8_0"])
@pytest.mark.parametrize("rows", [1, 7])
def test_weights_stay_on_the_device_between_products(products, device, rows, name):
    weights, x = weights_of(format_of(name), 33, 64), floats(rows, 64)
    held, w = products.prepare(weights), values_of(weights)
    weights.data[...] = 0
    for _ in range(2):
        out = np.full((rows, 33), np.nan, np.float32)
        products.multiply(x, held, out)
        assert np.all(np.abs(out - x.astype(np.float64) @ w.T) <= bound_f32(x, w))
