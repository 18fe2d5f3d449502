"""Operands that a damaged plan gives a product."""

from __future__ import annotations

import numpy as np
import pytest

from gint.operators.registry import OPERATORS


@pytest.mark.parametrize("name", ["aten.mm.default", "aten.addmm.default"])
def test_the_results_of_another_operator_are_no_matrix(name):
    matrix = np.ones((2, 2), np.float32)
    operands = [matrix] * (name == "aten.addmm.default") + [[matrix, matrix], matrix]
    with pytest.raises(TypeError, match="takes arrays, not list, ndarray"):
        OPERATORS[name](*operands)
