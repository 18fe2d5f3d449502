"""The native module built by clang, and its tests.

    make clang                           all tests of what is written in C++
    make clang ARGS='-k gather'          other arguments for pytest
    CXX=clang++-19 make clang            another clang

The module is built in build/clang/native and tested in a copy of the packages, build/clang/src, so
that the checkout keeps its own. Tests that compile C++ take the same compiler.

Knows cmake, pytest. Does not know gint.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "build/clang"
COMPILER = os.environ.get("CXX", "clang++")
TESTS = (
    "tests/native",
    "tests/kernel",
    "tests/program",
    "tests/isa",
    "tests/quantized",
    "tests/packaging/test_one_openmp.py",
)
#: Those that build the whole module again, or code that only gcc is asked to compile.
LEFT_OUT = ("--ignore=tests/isa/test_made_up.py", "--ignore=tests/kernel/interpreter/cuda")


def build() -> None:
    import nanobind

    configure = [
        "cmake", "-S", ROOT, "-B", HERE / "native", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_CXX_COMPILER={COMPILER}", f"-DPython_EXECUTABLE={sys.executable}",
        f"-Dnanobind_DIR={nanobind.cmake_dir()}", "-DCMAKE_COMPILE_WARNING_AS_ERROR=ON",
    ]  # fmt: skip
    subprocess.run(configure, check=True)
    subprocess.run(["cmake", "--build", HERE / "native"], check=True)


def copy_packages() -> Path:
    sources = HERE / "src"
    shutil.rmtree(sources, ignore_errors=True)
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "src", sources, ignore=ignored)
    (module,) = (HERE / "native").glob("_native.*.so")
    shutil.copy(module, sources / "gint/native")
    return sources


def main(arguments: list[str]) -> int:
    if shutil.which(COMPILER) is None:
        print(f"gint: there is no {COMPILER}. On Debian: apt-get install clang", file=sys.stderr)
        return 2
    build()
    environment = {
        "PYTHONPATH": str(copy_packages()),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CXX": COMPILER,
        "GINT_REQUIRE": "cpp",
    }
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-n", "2"]
    chosen = arguments or [*TESTS, *LEFT_OUT]
    return subprocess.call([*command, *chosen], cwd=ROOT, env=os.environ | environment)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError:
        print("gint: clang could not build the native module; see above.", file=sys.stderr)
        sys.exit(1)
