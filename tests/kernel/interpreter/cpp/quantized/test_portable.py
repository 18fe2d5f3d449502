"""The loops of no instruction set at all: plain C++, for other architectures."""

from __future__ import annotations

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from gint.quantized import FORMATS
from tests.kernel.interpreter.cpp.math_loops import FLAGS, ROOT, compiler
from tests.once import once
from tests.quantized.matrices import (
    bound_8_bits,
    bound_f32,
    floats,
    sizes_of,
    values_of,
    weights_of,
)

pytestmark = pytest.mark.checkout
SOURCES = ROOT / "src/gint/kernel/interpreter/cpp/src"
INTERPRETERS = ROOT / "src/gint/kernel/interpreter"
LIBRARY = "portable_loops.so"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    if compiler() is None:
        pytest.skip("no C++ compiler (looked for $CXX, g++, clang++, c++)")
    return ctypes.CDLL(str(once(tmp_path_factory, "portable", build) / LIBRARY))


def build(folder: Path) -> None:
    include = [SOURCES, INTERPRETERS / "portable"]
    units = [
        Path(__file__).with_name("portable_loops.cpp"),
        SOURCES / "quantized/quantized_loops.cpp",
        SOURCES / "quantized/quantized_f32_loops.cpp",
        SOURCES / "quantized/quantized.cpp",
        SOURCES / "cpu/team.cpp",
        SOURCES / "cpu/threads.cpp",
    ]
    options = [
        "-Wno-unknown-pragmas",
        "-DGINT_SIMD_NAMESPACE=simd_portable",
        "-shared",
        "-fPIC",
        "-pthread",
    ]
    command = [compiler(), *FLAGS, *options, *[f"-I{folder}" for folder in include]]
    subprocess.run([*command, *map(str, units), "-o", str(folder / LIBRARY)], check=True)


@pytest.mark.parametrize("code", range(len(FORMATS)), ids=[f.name for f in FORMATS])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 17, 3), (3, 16, 2), (15, 33, 2)], ids=str)
def test_products(library, code, shape):
    quantized = FORMATS[code]
    rows, outputs, inputs = *shape[:2], shape[2] * quantized.block
    weights, x = weights_of(quantized, outputs, inputs), floats(rows, inputs)
    w, sizes = values_of(weights), sizes_of(weights)
    for rounded, bound in ((True, bound_8_bits), (False, bound_f32)):
        out = np.full((rows, outputs), np.nan, np.float32)
        library.multiply(
            code, *map(ctypes.c_size_t, (outputs, inputs)),
            ctypes.c_void_p(weights.data.ctypes.data), ctypes.c_size_t(rows),
            *(ctypes.c_void_p(a.ctypes.data) for a in (x, out)), rounded,
        )  # fmt: skip
        assert np.all(np.abs(out - x.astype(np.float64) @ w.T) <= bound(x, w, sizes))
