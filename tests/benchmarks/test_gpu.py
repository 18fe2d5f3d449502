"""What of the GPU benchmarks needs no GPU: which builds are compared, the programs, the tables."""

import numpy as np
import pytest

from benchmarks import gpu_sweep
from benchmarks.report import Table, plain
from gint.host import executor
from gint.kernel.interpreter.cuda.build import NARROW

pytestmark = pytest.mark.checkout


def test_builds_are_compared_once_each_with_the_one_that_is_shipped():
    for quick in (True, False):
        builds = gpu_sweep.variants(quick)
        assert builds[0] == NARROW
        assert len(set(builds)) == len(builds)
        assert {2, 3, 5} <= {b.groups_together for b in builds}
    assert 20 < len(builds) < 100


@pytest.mark.parametrize("degree", [1, 5])
def test_the_polynomial_is_one(degree):
    x = np.linspace(0, 1, 11, dtype=np.float32)
    (y,) = executor.run(gpu_sweep.polynomial(degree), backend="python", x=x)
    value = np.full_like(x, 0.5)
    for k in range(degree):
        value = value * x + np.float32(0.5 + (k % 7) / 16)
    assert np.array_equal(y, value)


def test_tables_without_rich():
    text = plain(Table("title", ["", "us"], [["a", "1.5"], ["longer", "22"]]))
    assert text == "\ntitle\n\n         us\na       1.5\nlonger   22"


def test_the_tables_of_a_sweep():
    point = {"degree": 1, "seconds": 1.0, "bytes_per_s": 5e11, "flops": 1e12}
    row = {"build": NARROW.defines, "shipped": True, "points": [point]}
    moved, done = gpu_sweep._tables([row, {"build": NARROW.defines, "shipped": False}], 1e12, 2e13)
    assert moved.rows == [["8 x 4 x 128 x 5 (shipped)", "0.50"]]
    assert done.rows == [["8 x 4 x 128 x 5 (shipped)", "0.050"]]
