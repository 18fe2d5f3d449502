"""`benchmark.py` runs to the end as it is typed, or says in a sentence why it does not."""

from __future__ import annotations

import json
import sys

import pytest

from tests.airllm.cpp_ext.trees import needs_numpy, refuses_a_name

pytestmark = pytest.mark.checkout


@pytest.mark.slow
def test_benchmarking_as_the_guide_has_it(tree):
    """Configure, benchmark; configure another, benchmark; compare."""
    script = (
        "python setup.py configure_backend --backend={}\n"
        "python benchmark.py {} --quick --threads 1 --json result.json\n"
    )
    for name, benchmarks in (("cpp", ""), ("cuda", "tensor_ops")):
        done = tree.bash(script.format(name, benchmarks))
        assert done.status == 0, done.err
        assert "rms_norm (2048, 4096)" in done.out
        results = json.loads((tree.start / "result.json").read_text())["results"]
        assert len(results["tensor_ops"]["cases"]) == 8
        assert list(results) == [benchmarks or "tensor_ops", "quantized"][: 1 + (not benchmarks)]


def test_benchmarking_a_forced_backend_that_is_not_there(tree):
    tree.file.write_text('{"force_backend": "opencl"}')
    done = tree.run(sys.executable, "benchmark.py")
    assert (done.status, done.out) == (1, "")
    assert "benchmark.py: tensor_ops_opencl is built, and not usable here: " in done.err or (
        "benchmark.py: No module named 'tensor_ops_opencl'" in done.err
    )


def test_a_configuration_to_correct_is_a_sentence(tree):
    refuses_a_name(tree, "benchmark.py")


def test_without_numpy(tree):
    needs_numpy(tree, "benchmark.py")


def test_without_the_checkouts_benchmarks(tree):
    (tree.root / "benchmarks" / "tensor_ops.py").unlink()
    done = tree.run(sys.executable, "benchmark.py")
    said = "benchmark.py: the benchmarks are in a checkout of gint only.\n"
    assert (done.status, done.out, done.err) == (1, "", said)
