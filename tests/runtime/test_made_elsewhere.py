"""A file made by another machine, and by another gint: with torch on x86-64, when the format was as
it is. It has to load wherever NumPy does, for as long as the version of the format stands."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import gint
from tests.operators import saved_models

#: An embedding, layer norm, a product with q8_0, softmax and a product; n words, n free.
SAVED = Path(__file__).parent / "made_elsewhere" / "words.gint"


@pytest.mark.parametrize("backend", ["cpp", "python"])
def test_a_file_loads_without_torch_wherever_it_was_made(backend):
    if backend == "cpp":
        pytest.importorskip("gint.native._native")
    loaded = gint.load(SAVED, backend=backend, check=True)
    with np.load(SAVED.with_suffix(".npz")) as file:
        ids, wanted = file["ids"], file["wanted"]
    np.testing.assert_allclose(loaded(ids), wanted, rtol=0, atol=1e-6)
    np.testing.assert_allclose(loaded(ids[:, :1]), wanted[:, :1], rtol=0, atol=1e-6)
    assert loaded(ids[:, :0]).shape == (1, 0, 20)
    with pytest.raises(IndexError):
        loaded(ids + 20)


@pytest.mark.skipif(
    "GINT_SAVED_MODELS" not in os.environ,
    reason="GINT_SAVED_MODELS names no folder that tests.operators.saved_models has written",
)
def test_models_of_another_machine_equal_its_eager():
    pytest.importorskip("gint.native._native")
    folder = Path(os.environ["GINT_SAVED_MODELS"])
    assert saved_models.check(folder, "cpp") >= saved_models.LEAST
