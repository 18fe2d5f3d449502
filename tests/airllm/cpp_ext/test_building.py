"""`setup.py build_ext --inplace`, `build_cuda`, `build_opencl`."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from airllm.commands import CommandError
from airllm.cpp_ext import building
from gint.backend import registry
from gint.backend.protocol import Probe
from tests.airllm.cpp_ext.trees import Tree

pytestmark = pytest.mark.checkout

PACKAGE = "src/gint/native"
# Stands in for the real build, which takes minutes: asked is who builds, and into what file.
SMALL_BUILD = """
cmake_minimum_required(VERSION 3.20...3.31)
project(gint LANGUAGES CXX)
find_package(Python 3.11 REQUIRED COMPONENTS Interpreter Development.Module)
file(WRITE ${CMAKE_BINARY_DIR}/small.cpp "int gint_small() { return 1; }")
Python_add_library(_native MODULE WITH_SOABI ${CMAKE_BINARY_DIR}/small.cpp)
install(TARGETS _native LIBRARY DESTINATION gint/native)
"""
EDITABLE = (
    "import os, sys; os.chdir(sys.argv[1]); sys.path.insert(0, 'scripts')\n"
    "import gint_build; gint_build.build_editable('.')"
)


def native_of(tree: Tree) -> list[Path]:
    return list((tree.root / PACKAGE).glob("_native.*"))


@pytest.fixture
def unbuilt(tree) -> Tree:
    for path in native_of(tree):
        path.unlink()
    return tree


def build_ext(tree: Tree, **environment: str):
    pytest.importorskip("scikit_build_core")
    return tree.setup("build_ext", "--inplace", **environment)


def test_build_ext_and_the_editable_installation_give_the_same_file(unbuilt):
    if not (shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler")
    (unbuilt.root / "CMakeLists.txt").write_text(SMALL_BUILD)
    done = build_ext(unbuilt)
    assert done.status == 0, done.out + done.err
    (built,) = native_of(unbuilt)
    assert done.out.endswith(f"Built {built}\n")
    digest = hashlib.sha256(built.read_bytes()).digest()
    built.unlink()
    assert unbuilt.run(sys.executable, "-c", EDITABLE, str(unbuilt.root)).status == 0
    (built,) = native_of(unbuilt)
    assert hashlib.sha256(built.read_bytes()).digest() == digest


def test_build_ext_that_fails_says_so(unbuilt):
    done = build_ext(unbuilt, CXX="/bin/false")
    assert done.status == 1
    assert "/bin/false" in done.out + done.err
    assert "setup.py: the C++ interpreter could not be built" in done.err
    assert not native_of(unbuilt)


def test_build_ext_without_what_building_needs(tree):
    done = tree.run(sys.executable, "-I", "-S", "setup.py", "build_ext", "--inplace")
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1)
    assert "pip install 'scikit-build-core" in done.err


def test_cpp_that_is_forced_and_not_built(unbuilt):
    done = unbuilt.setup("configure_backend", "--backend=cpp", "--force")
    assert done.status == 0
    assert "the native module is not built. Build it: python setup.py build_ext" in done.err
    said = unbuilt.python("import airllm.tensor_ops").err.splitlines()
    assert said[-2] == "ImportError: No module named 'tensor_ops_cpp'"
    assert "python setup.py build_ext --inplace" in said[-1]


@pytest.mark.parametrize("command", ["build_cuda", "build_opencl"])
def test_what_cannot_be_built_says_what_is_missing(tree, tmp_path, command):
    """No packages, no programs on the path, no platform."""
    python = (sys.executable, "-I", "-S", "setup.py", command)
    nothing = {"PATH": str(tmp_path), "CUDA_HOME": "", "CUDA_PATH": ""}
    done = tree.run(*python, **nothing)
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[-1].startswith("setup.py: ")


def test_build_cuda_says_where_the_backend_cannot_be_used_yet(monkeypatch, capsys):
    answer = Probe(False, "there is no device.", remedy="Plug one in.")
    monkeypatch.setattr(registry, "probe", lambda name: answer)
    monkeypatch.setattr("gint.kernel.interpreter.cuda.build.main", lambda arguments: 0)
    building.build_cuda(Namespace())
    said = "It cannot be used here yet: there is no device. Plug one in.\n"
    assert capsys.readouterr().out == said
    monkeypatch.setattr("gint.kernel.interpreter.cuda.build.main", lambda arguments: 1)
    with pytest.raises(CommandError, match="was not built"):
        building.build_cuda(Namespace())


@pytest.mark.opencl
@pytest.mark.slow
def test_build_opencl_where_there_is_a_device(tree):
    answer = registry.probe("opencl")
    if not answer.usable:
        required = "opencl" in os.environ.get("GINT_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)(f"backend 'opencl': {answer.reason}")
    # As outside: the platforms, and the cache of what the driver has compiled before.
    for name in ("OCL_ICD_VENDORS", "POCL_CACHE_DIR", "XDG_CACHE_HOME", "HOME"):
        tree.environment.pop(name, None)
        if name in os.environ:
            tree.environment[name] = os.environ[name]
    done = tree.setup("build_opencl")
    assert done.status == 0, done.err
    assert "\nBuilt for " in done.out
