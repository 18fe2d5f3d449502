"""What every kind of weights offers: a matrix's rows in order, its bytes, pass after pass."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops
from airllm.model.matrices import Matrix
from airllm.model.resident import Resident
from airllm.model.streamed import Streamed
from airllm.tensor_ops import steps
from tests.airllm.model.files import tensor_of

SHAPES = {"0.qkv": [(5, 64), (3, 64)], "0.o": [(1, 128)], "output": [(17, 64)]}
KINDS = ("f32", "f16", "q8_0")


def made(folder, kind):
    """Matrices of some tensors each, and what their rows are, about."""
    rng, stored, wanted = np.random.default_rng(0), [], {}
    for key, shapes in SHAPES.items():
        values = [rng.standard_normal(shape, np.float32) for shape in shapes]
        tensors = [tensor_of(v, folder / f"{key}{n}.bin", kind) for n, v in enumerate(values)]
        stored.append(Matrix(key, tuple(tensors)))
        wanted[key] = np.concatenate(values)
    return stored, wanted


@pytest.mark.parametrize("name", ["cpp", "python"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [None, 16 * 512, 1 << 20])
def test_parts_are_a_matrix_in_order(budget, kind, name, tmp_path):
    stored, wanted = made(tmp_path, kind)
    seen = []

    def progress(done, total):
        seen.append((done, total))

    with tensor_ops.use_backend(name):
        if budget is None:
            weights = Resident(stored, {}, progress)
        else:
            weights = Streamed(stored, budget, progress)
        assert seen[-1] == (sum(m.nbytes for m in stored),) * 2
        for _ in range(2):
            for key, rows in wanted.items():
                at = 0
                for begin, part in weights.parts(key):
                    assert begin == at
                    found = steps.float_rows(part)
                    at += len(found)
                    np.testing.assert_allclose(found, rows[begin:at], atol=0.02)
                assert at == len(rows)
        native = budget is None and name == "cpp"
        assert weights.is_recordable == native
    assert weights.nbytes >= sum(m.nbytes for m in stored)
