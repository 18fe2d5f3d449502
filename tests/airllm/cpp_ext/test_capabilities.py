"""`setup.py test_capabilities`: what this machine has, line by line, or why it has it not."""

from __future__ import annotations

import sys

import pytest

pytestmark = pytest.mark.checkout

ROWS = ("C++ compiler", "SIMD, this CPU", "SIMD, the build", "OpenMP", "nvcc", "OpenCL", "CUDA")


def test_capabilities_of_this_machine(tree):
    said = tree.setup("test_capabilities").fine()
    for row in (*ROWS, "backend cpp", "backend python"):
        assert f"\n{row} " in f"\n{said}"
    assert "backend python    usable" in said


def test_capabilities_of_a_machine_that_has_nothing(tree, tmp_path):
    """No program on the path, no package, no device: said line by line."""
    command = (sys.executable, "-I", "-S", "setup.py", "test_capabilities")
    said = tree.run(*command, PATH=str(tmp_path)).fine()
    for row in (*ROWS, "backends"):
        assert f"\n{row} " in f"\n{said}"
    assert "C++ compiler      not found" in said
    assert "OpenCL            no" in said
    assert "NumPy is not installed" in said


def test_capabilities_with_a_compiler_that_fails(tree):
    said = tree.setup("test_capabilities", CXX="/bin/false").fine()
    assert "OpenMP            not found" in said


def test_capabilities_with_a_broken_opencl_driver(tree):
    pytest.importorskip("pyopencl")
    (tree.root / "home" / "no-opencl" / "broken.icd").write_text("/nonexistent/libbroken.so\n")
    assert "OpenCL            no platform" in tree.setup("test_capabilities").fine()
