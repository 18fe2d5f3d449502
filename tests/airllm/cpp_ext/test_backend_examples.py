"""`backend_examples.py` and `benchmark.py` run to the end as they are typed."""

from __future__ import annotations

import json
import sys

import pytest

pytestmark = pytest.mark.checkout


def test_the_examples(tree):
    said = tree.run(sys.executable, "backend_examples.py", OMP_NUM_THREADS="1").fine()
    assert "Active backend: " in said
    assert "\ndecoder layer " in said


def test_the_examples_where_the_configuration_cannot_be_met(tree):
    tree.file.write_text('{"force_backend": "opencl"}')
    said = tree.run(sys.executable, "backend_examples.py", OMP_NUM_THREADS="1").fine()
    assert "The configuration cannot be met:" in said
    assert "tensor_ops_opencl" in said
    assert "\ndecoder layer " in said


@pytest.mark.parametrize("script", ["backend_examples.py", "benchmark.py"])
def test_a_configuration_to_correct_is_a_sentence(tree, script):
    done = tree.run(sys.executable, script, GINT_BACKEND="CPP")
    assert (done.status, done.out) == (1, "")
    assert f"{script}: GINT_BACKEND asks for what is no backend: 'CPP'. Allowed: auto" in done.err


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


def test_examples_and_benchmark_without_numpy(tree):
    for script in ("backend_examples.py", "benchmark.py"):
        done = tree.run(sys.executable, "-I", "-S", script)
        assert (done.status, done.out) == (1, "")
        assert done.err.splitlines()[-1] == f"{script}: this needs numpy: pip install numpy."
