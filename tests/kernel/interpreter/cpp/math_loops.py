"""Builds math_loops.cpp for an instruction set, calls its loops, and measures their error in ULP.

Knows compilers, ctypes and the table of stated bounds. Does not know the interpreter.

    python -m tests.kernel.interpreter.cpp.math_loops     writes docs/accuracy.md
"""

from __future__ import annotations

import ctypes
import functools
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gint.isa.generate import header

ROOT = Path(__file__).resolve().parents[4]
SOURCE = Path(__file__).with_suffix(".cpp")
INTERPRETERS = ROOT / "src/gint/kernel/interpreter"
LIBRARY, REPORT = "math_loops.so", "vectorised.txt"
FLAGS = ["-std=c++20", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]
TARGETS = {  # instruction set: what /proc/cpuinfo must list, compiler flags
    "v2": (["sse4_2", "popcnt"], ["-march=x86-64-v2"]),
    "v3": (["avx2", "fma", "bmi2", "f16c"], ["-march=x86-64-v3"]),
    "v4": (
        ["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"],
        ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    ),
    "native": ([], []),
}


def why_not(target: str) -> str | None:
    """Why loops for `target` cannot be built and run here; None where they can."""
    if compiler() is None:
        return "no C++ compiler (looked for $CXX, g++, clang++, c++)"
    on_x86 = platform.machine() in ("x86_64", "AMD64")
    if (target == "native") == on_x86:
        return f"{target} is not for {platform.machine()}"
    info = Path("/proc/cpuinfo")
    present = set(info.read_text().split()) if info.exists() else set()
    missing = [feature for feature in TARGETS[target][0] if feature not in present]
    return f"the processor lacks {', '.join(missing)}" if missing else None


def compiler() -> str | None:
    names = [os.environ.get("CXX"), "g++", "clang++", "c++"]
    return next((name for name in names if name and shutil.which(name)), None)


@functools.cache
def is_gcc() -> bool:
    said = subprocess.run([str(compiler()), "-v"], capture_output=True, text=True, check=True)
    return "gcc version" in said.stderr


def build(target: str, folder: Path) -> ctypes.CDLL:
    """LIBRARY in `folder`, and beside it gcc's REPORT of the loops that it has vectorised."""
    library = folder / LIBRARY
    (folder / "isa.inc").write_text(header())
    include = [f"-I{d}" for d in (INTERPRETERS / "portable", INTERPRETERS / "cpp/src", folder)]
    command = [compiler(), *FLAGS, *TARGETS[target][1], *include, "-shared", "-fPIC"]
    if is_gcc():
        command.append(f"-fopt-info-vec-optimized={folder / REPORT}")
    subprocess.run([*command, str(SOURCE), "-o", str(library)], check=True)
    return ctypes.CDLL(str(library))


def call(library: ctypes.CDLL, name: str, *inputs: np.ndarray, out: object = None) -> np.ndarray:
    """`loop_NAME` over equally long 1-D arrays; the result has dtype `out`, or the inputs'."""
    return call_checked(library, name, *inputs, out=out)[0]


def call_checked(
    library: ctypes.CDLL, name: str, *inputs: np.ndarray, out: object = None
) -> tuple[np.ndarray, int]:
    """As `call`; also the error flag of loops that return one."""
    result = np.empty(len(inputs[0]), out or inputs[0].dtype)
    arrays = [np.ascontiguousarray(a) for a in inputs] + [result]
    pointers = [ctypes.c_void_p(a.ctypes.data) for a in arrays]
    error = getattr(library, f"loop_{name}")(ctypes.c_long(len(result)), *pointers)
    return result, error


def libm(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A function of the C library, float64."""
    function = getattr(ctypes.CDLL(None), name)
    function.argtypes, function.restype = [ctypes.c_double], ctypes.c_double
    return lambda x: np.fromiter(map(function, x), np.float64, len(x))


def sigmoid(x: np.ndarray) -> np.ndarray:
    return np.exp(np.minimum(x, 0)) / (1 + np.exp(-np.abs(x)))


@dataclass(frozen=True)
class Function:
    """A float function, what it is to be, and how many ULP it may be off."""

    name: str
    reference: Callable[..., np.ndarray]
    bound: float
    inputs: int = 1
    bits: int = 32
    where: Callable[..., np.ndarray] | None = None  # the inputs it is for; None: all


def near(x: np.ndarray) -> np.ndarray:
    return ~(np.abs(x) >= 2.0**18) | np.isinf(x)


def near_f64(x: np.ndarray) -> np.ndarray:
    return ~(np.abs(x) >= 2.0**20) | np.isinf(x)


# Bounds in units in the last place of the exact result, over all float32, on every processor.
FLOAT32 = [
    Function("exp", np.exp, 1.5),
    Function("exp2", np.exp2, 1.5),
    Function("expm1", np.expm1, 2.0),
    Function("log", np.log, 1.0),
    Function("log2", np.log2, 2.0),
    Function("log10", np.log10, 2.0),
    Function("log1p", np.log1p, 1.5),
    Function("sigmoid", sigmoid, 2.5),
    Function("tanh", np.tanh, 2.5),
    Function("sinh", np.sinh, 2.0),
    Function("cosh", np.cosh, 2.0),
    Function("asinh", np.arcsinh, 2.0),
    Function("acosh", np.arccosh, 2.5),
    Function("atanh", np.arctanh, 2.5),
    Function("sin", np.sin, 1.6),
    Function("cos", np.cos, 1.6),
    Function("tan", np.tan, 3.0),
    Function("sin_fast", np.sin, 1.6, where=near),
    Function("cos_fast", np.cos, 1.6, where=near),
    Function("tan_fast", np.tan, 3.0, where=near),
    Function("asin", np.arcsin, 2.5),
    Function("acos", np.arccos, 1.5),
    Function("atan", np.arctan, 1.5),
    Function("erf", libm("erf"), 2.5),
    Function("erfc", libm("erfc"), 4.0),
    Function("sqrt", np.sqrt, 0.5),
    Function("rsqrt", lambda x: 1 / np.sqrt(x), 1.5),
    Function("reciprocal", lambda x: 1 / x, 0.5),
    Function("pow", np.power, 0.51, inputs=2),
    Function("atan2", np.arctan2, 2.0, inputs=2),
]


def wide(name: str) -> Callable[[np.ndarray], np.ndarray]:
    """A loop over a function of the C library, long double."""
    return lambda x: call(wide_loops(), f"{name}_wide", x)


@functools.cache
def wide_loops() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "wide_loops.so"
        source = SOURCE.with_name("wide_loops.cpp")
        command = [str(compiler()), *FLAGS, "-shared", "-fPIC", str(source), "-o", str(library)]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(library))


# As above, over all float64. sin, cos and tan beyond 2^20 are the C library's.
FLOAT64 = [
    Function("exp", np.exp, 1.5, bits=64),
    Function("exp2", np.exp2, 1.5, bits=64),
    Function("expm1", np.expm1, 1.5, bits=64),
    Function("log", np.log, 1.0, bits=64),
    Function("log2", np.log2, 1.0, bits=64),
    Function("log10", np.log10, 1.0, bits=64),
    Function("log1p", np.log1p, 1.5, bits=64),
    Function("sigmoid", sigmoid, 2.0, bits=64),
    Function("tanh", np.tanh, 3.0, bits=64),
    Function("sinh", np.sinh, 1.5, bits=64),
    Function("cosh", np.cosh, 1.5, bits=64),
    Function("asinh", np.arcsinh, 2.0, bits=64),
    Function("acosh", np.arccosh, 2.25, bits=64),
    Function("atanh", np.arctanh, 1.5, bits=64),
    Function("sin_fast", np.sin, 1.5, bits=64, where=near_f64),
    Function("cos_fast", np.cos, 1.5, bits=64, where=near_f64),
    Function("tan_fast", np.tan, 1.5, bits=64, where=near_f64),
    Function("asin", np.arcsin, 1.5, bits=64),
    Function("acos", np.arccos, 1.5, bits=64),
    Function("atan", np.arctan, 1.5, bits=64),
    Function("erf", wide("erf"), 1.5, bits=64),
    Function("erfc", wide("erfc"), 1.6, bits=64),
    Function("pow", np.power, 1.5, inputs=2, bits=64),
    Function("atan2", np.arctan2, 1.5, inputs=2, bits=64),
    Function("hypot", np.hypot, 1.5, inputs=2, bits=64),
]


def loop_of(function: Function) -> str:
    stem, _, fast = function.name.partition("_")
    return f"{stem}_f{function.bits}{'_fast' if fast else ''}"


def around(values: np.ndarray, reach: int) -> np.ndarray:
    """The bit patterns of `values` and of `reach` floats on both sides, with both signs."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.int64)
    bits = (bits[:, None] + np.arange(-reach, reach + 1)).ravel().astype(np.uint32)
    return np.concatenate([bits, bits ^ np.uint32(1 << 31)])


def every(step: int) -> np.ndarray:
    """Every `step`-th float32, and all that lie close to where something changes."""
    patterns = np.arange(0, 2**32, step, dtype=np.uint64).astype(np.uint32)
    exponents = around((np.arange(256, dtype=np.uint32) << 23).view(np.float32), 40)
    edges = [0.25, 0.41421357, 0.5, 0.70710677, 1, 1.4142135, 4, 9.1945, 10, 10.05, 40, 126]
    edges += [17.3, 87.33655, 88.72284, 103.97208, 106, 128, 149, 150, 2.0**18, 2.0**30, 0.785398]
    turns = np.concatenate(
        [np.arange(1, 400), np.arange(10**5, 2 * 10**5, 997), 2.0 ** np.arange(60)]
    )
    close = around(np.concatenate([edges, turns * (np.pi / 2)]), 30)
    return np.unique(np.concatenate([patterns, exponents, close])).view(np.float32)


def pairs(count: int) -> list[np.ndarray]:
    """Random bit patterns, random moderate values, and all pairs of special ones."""
    random = np.random.default_rng(1)
    bits = random.integers(0, 2**32, (2, count), dtype=np.uint32).view(np.float32)
    bits = np.where(np.isnan(bits), np.float32(np.nan), bits)  # no signalling ones
    moderate = random.normal(0, 8, (2, count)).astype(np.float32)
    powers = np.exp(random.normal(0, 4, (2, count))).astype(np.float32)
    powers[1] *= random.choice(np.float32([-1, 1]), count)
    special = [
        0.0,
        1e-45,
        1.1754944e-38,
        0.5,
        1,
        2,
        3,
        4.5,
        16777215,
        16777216,
        3e38,
        np.inf,
        np.nan,
    ]
    special = np.float32(special + [-value for value in special])
    grid = np.array(np.meshgrid(special, special)).reshape(2, -1)
    return list(np.concatenate([bits, moderate, powers, grid], axis=1))


DOUBLES = [0.0, 5e-324, 2.2e-308, 0.5, 1, 2, 3, 4.5, 709.78, 709.79, 745.13, 745.14, 750]
DOUBLES += [2.0**53 - 1, 2.0**53, 1e300, 1.7e308, np.inf, np.nan]
DOUBLES += [-value for value in DOUBLES]


def doubles(count: int) -> np.ndarray:
    """Random float64 bit patterns, random moderate values, those close to multiples of pi/2 and to
    where something changes, and special ones."""
    random = np.random.default_rng(3)
    bits = random.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    spread = [random.normal(0, scale, count) for scale in (0.01, 1, 20)]
    close = 1 + random.normal(0, 0.01, count)
    range_of_exp = random.uniform(-750, 720, count)
    edges = [0.5, 0.70710678118654757, 1, 2.0, 28, *(np.arange(1, 4000) * (np.pi / 2)), 2.0**20]
    turns = np.array([*edges, *(random.integers(1, 2**19, count // 8) * (np.pi / 2))])
    turns = np.concatenate([turns, np.nextafter(turns, 0), np.nextafter(turns, np.inf), -turns])
    powers = [np.exp(spread[1]), np.exp(10 * spread[1])]
    return np.concatenate([bits, *spread, close, range_of_exp, *powers, turns, DOUBLES])


def double_pairs(count: int) -> list[np.ndarray]:
    """As `pairs`; also powers of all sizes, of numbers close to 1 as well."""
    random = np.random.default_rng(8)
    bits = random.integers(0, 2**64, (2, count), dtype=np.uint64).view(np.float64)
    moderate = random.normal(0, 8, (2, count))
    x = np.exp(np.concatenate([random.normal(0, 4, count), random.normal(0, 1e-3, count)]))
    with np.errstate(all="ignore"):
        y = random.uniform(-1100, 1100, 2 * count) / np.log2(x)
    scales = np.exp2(random.integers(-1070, 1020, count).astype(np.float64))
    alike = np.array([scales * random.normal(0, 1, count), scales * random.normal(0, 1, count)])
    grid = np.array(np.meshgrid(DOUBLES, DOUBLES)).reshape(2, -1)
    return list(np.concatenate([bits, moderate, [x, y], alike, grid], axis=1))


def ulp_error(result: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """|result - exact| in units in the last place of `exact`, which is of a wider type.

    Zeros must have the right sign, NaN and infinities must be where the narrow type has them: else
    infinite.
    """
    limits = np.finfo(result.dtype)
    with np.errstate(all="ignore"):
        nearest = exact.astype(result.dtype)
        exponent = np.clip(np.frexp(exact)[1] - 1, limits.minexp, limits.maxexp - 1)
        ulp = np.ldexp(exact.dtype.type(1), exponent - limits.nmant)
        error = np.abs(result.astype(exact.dtype) - exact) / ulp
    both_nan = np.isnan(result) & np.isnan(exact)
    special = ~np.isfinite(nearest) | ~np.isfinite(result)
    error = np.where(special, np.where((result == nearest) | both_nan, 0.0, np.inf), error)
    wrong_zero = (result == 0) & (nearest == 0) & (np.signbit(result) != np.signbit(nearest))
    return np.where(wrong_zero, np.inf, error)


def measure(
    function: Function, library: ctypes.CDLL, inputs: list[np.ndarray], exact: np.ndarray
) -> tuple[float, str]:
    """The largest error in ULP, and where it is."""
    result = call(library, loop_of(function), *inputs)
    error = ulp_error(result, exact)
    worst = int(np.argmax(error))
    arguments = ", ".join(repr(float(a[worst])) for a in inputs)
    met = f"{function.name}({arguments}) = {result[worst]!r}, exactly {exact[worst]!r}"
    return float(error[worst]), met


def inputs_of(function: Function, step: int) -> list[np.ndarray]:
    count = 2**30 // step
    if function.bits == 64:
        inputs = [doubles(count)] if function.inputs == 1 else double_pairs(count)
    else:
        inputs = [every(step)] if function.inputs == 1 else pairs(count)
    return inputs if function.where is None else [inputs[0][function.where(inputs[0])]]


def exact_of(function: Function, inputs: list[np.ndarray]) -> np.ndarray:
    """The reference in float64 for float32, in 80-bit long double for float64."""
    wide = np.float64 if function.bits == 32 else np.longdouble
    with np.errstate(all="ignore"):
        return function.reference(*(a.astype(wide) for a in inputs))


HEAD = """# Accuracy of the elementary functions

Largest error in units in the last place (ULP) of the exact result; NaN, infinities, denormals and
signed zeros included. The functions are in `src/gint/kernel/interpreter/portable/`, the bounds are
checked by `tests/kernel/interpreter/cpp/test_math.py`, and this page is written by
`python -m tests.kernel.interpreter.cpp.math_loops`: over every 997th float32, the neighbours of
every power of two and of the places where a function changes its method; for pow and atan2 over
3 million pairs; for float64 over millions of values and pairs. v2, v3, v4 are the x86-64
levels (v2 has no fused multiply-add, hence the differences). `_fast` forms are for |x| < 2^18
(float64: 2^20), the others for all x; sin, cos and tan of larger float64 are the C library's.
"""
TABLE = """
| {title} | bound | {columns} |
| --- | ---: | {rules} |
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        targets = {}
        for target in (t for t in TARGETS if why_not(t) is None):
            (Path(folder) / target).mkdir()
            targets[target] = build(target, Path(folder) / target)
        text = HEAD
        for title, functions in (("float32", FLOAT32), ("float64", FLOAT64)):
            rules = " | ".join("---:" for _ in targets)
            text += TABLE.format(title=title, columns=" | ".join(targets), rules=rules)
            text += "".join(row(function, list(targets.values())) for function in functions)
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs/accuracy.md").write_text(text)


def row(function: Function, libraries: list[ctypes.CDLL]) -> str:
    inputs = inputs_of(function, 997)
    exact = exact_of(function, inputs)
    found = [f"{measure(function, library, inputs, exact)[0]:.3f}" for library in libraries]
    return f"| {function.name} | {function.bound:g} | {' | '.join(found)} |\n"


if __name__ == "__main__":
    sys.exit(main())
