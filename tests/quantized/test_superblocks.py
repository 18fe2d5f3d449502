"""Super-blocks of 256: their errors stay below the layouts' bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.quantized import FORMATS, quantize, superblocks
from tests.quantized.accuracy import decoded, rms_of, weights_like

super_blocks = pytest.mark.parametrize(
    "quantized", [f for f in FORMATS if f.block == superblocks.SUPER_BLOCK], ids=lambda f: f.name
)


@super_blocks
@given(
    exponent=st.floats(-9, 2), shift=st.floats(-4, 4), heavy=st.booleans(), seed=st.integers(0, 999)
)
def test_errors_stay_below_the_layouts_bound(quantized, exponent, shift, heavy, seed):
    values = weights_like(exponent, shift, heavy, seed)
    layout = getattr(superblocks, quantized.name[:2].upper())
    bound = layout.error_bound(values.reshape(-1, 256).astype(np.float64))
    assert np.all(rms_of(values, quantized) <= bound)


@super_blocks
def test_integers_that_the_layout_holds_are_off_by_the_rounding_of_scales_alone(quantized):
    """Every block has both extremes: its scale is 1 and its minimum what the layout calls it."""
    layout = getattr(superblocks, quantized.name[:2].upper())
    symmetric = isinstance(layout, superblocks.SymmetricScales)
    low, high = (layout.lowest, -layout.lowest - 1) if symmetric else (0, layout.levels)
    values = np.random.default_rng(0).integers(low, high + 1, (5, 256)).astype(np.float32)
    values.reshape(-1, layout.block)[:, :2] = low, high
    found = decoded(quantize(values, quantized), values.shape, quantized)
    assert np.abs(found - values).max() <= 2**-10 * max(-low, high)
