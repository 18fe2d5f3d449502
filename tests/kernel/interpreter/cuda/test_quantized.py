"""Quantised products on the rehearsal driver: the source's kernels, launched as on a device."""

import pytest

from tests.kernel.interpreter.cuda.rehearsal.start import START

pytestmark = [pytest.mark.checkout]

PRODUCT = (
    START
    + """
from gint.quantized import format_of
from tests.quantized.matrices import bound_f32, floats, values_of, weights_of
products = BACKEND.quantized
"""
)


@pytest.mark.parametrize("name", ["q4_0", "q8_0", "q6_k"])
def test_products_are_those_of_the_values(rehearsal, name):
    """One row and several, outputs that do not fill a group, a format the host multiplies."""
    code = (
        PRODUCT
        + f"""
for rows, outputs, blocks in ((1, 1, 1), (7, 33, 2), (9, 64, 3)):
    kind = format_of({name!r})
    weights, x = weights_of(kind, outputs, blocks * kind.block), floats(rows, blocks * kind.block)
    w = values_of(weights)
    held = products.prepare(weights)
    out = np.full((rows, outputs), np.nan, np.float32)
    products.multiply(x, held, out)
    print(type(held).__name__, bool((np.abs(out - x @ w.T) <= bound_f32(x, w)).all()),
          (held.unpack().data == weights.data).all())
"""
    )
    kind = "NumpyWeights" if name == "q6_k" else "DeviceWeights"
    assert rehearsal(code).splitlines() == [f"{kind} True True"] * 3


def test_weights_that_do_not_fit_name_the_device(rehearsal):
    code = (
        PRODUCT
        + """
weights = weights_of(format_of("q8_0"), 4096, 4096)
said(lambda: products.prepare(weights))
print(double())
"""
    )
    lines = rehearsal(code, MEMORY=8 << 20).splitlines()
    assert lines[0].startswith("CudaOutOfMemoryError: CUDA device 0 (Rehearsal 0) has not enough")
    assert lines[-1] == "[0. 2. 4. 6.]"
