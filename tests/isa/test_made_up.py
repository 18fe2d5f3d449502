"""An opcode is its entry in the table: in a copy of the sources three made-up ones are added there
and nowhere else, the native module is built, and every backend runs, weighs and chains them."""

from __future__ import annotations

import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gint.backend import registry as backends
from tests.once import once

pytestmark = [
    pytest.mark.checkout,
    pytest.mark.slow,
    pytest.mark.cpp,
    pytest.mark.timeout(900),
]
ROOT = Path(__file__).resolve().parents[2]
TREE = ("CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml", "scripts", "src")
BUILT = shutil.ignore_patterns("*.so", "__pycache__", "_build_error.txt")
CPP = Path("src/gint/kernel/interpreter/cpp/src")
#: The one instruction set that is built, and nothing is optimised, to save time.
UNIT = {"x86_64": "v2", "AMD64": "v2", "aarch64": "neon", "arm64": "neon"}

POINTWISE = """
    _binary("sub_square", "r[a] - r[b] * r[b]", NUMBER, "a - b * b",
            {"float": "a - b * b", "int": "({T})(({U})a - ({U})b * ({U})b)"}),
    _unary("gauss", "exp(-r[a] * r[a])", FLOAT, "np.exp(-a * a)", "gi_exp_{t}(-a * a)",
           exact=False),
"""
REDUCTION = """
    _reduce("lowest", "min(acc[d], r[a])", NUMBER,
            {"float": "np.min(a, axis=axes, keepdims=True, initial=np.inf)",
             "int": "np.min(a, axis=axes, keepdims=True, initial=np.iinfo(T).max)"},
            {"float": "-gi_maximum_{t}(-a, -b)", "int": "a < b ? a : b"}, _HIGHEST),
"""


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The sources with the made-up opcodes, built."""
    return once(tmp_path_factory, "copy", build)


def build(tree: Path) -> None:
    for name in TREE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, tree / name, ignore=BUILT)
        else:
            shutil.copy(ROOT / name, tree)
    table = tree / "src/gint/isa/opcodes.py"
    text = table.read_text()
    begin, end = "    # Bits\n", ")  # fmt: skip\n\n\ndef _complete"
    assert text.count(begin) == text.count(end) == 1
    text = text.replace(begin, POINTWISE + begin).replace(end, REDUCTION + end)
    table.write_text(text)
    define = f"GINT_SIMD_UNITS={unit()};CMAKE_CXX_FLAGS_RELEASE=-O0"
    run(tree, sys.executable, "scripts/gint_build.py", "inplace", SKBUILD_CMAKE_DEFINE=define)


def unit() -> str:
    return UNIT.get(platform.machine(), "generic")


def run(tree: Path, *command: str, **environment: str) -> str:
    """What a command prints that runs in the copy, with its packages."""
    paths = {"PYTHONPATH": str(tree / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=tree, env=os.environ | paths | environment, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_made_up_opcodes_run_on_every_backend(copy):
    unoptimised = {"POCL_EXTRA_BUILD_FLAGS": "-cl-opt-disable"}  # as the native module is
    compared = run(copy, sys.executable, str(ROOT / "tests/isa/made_up.py"), **unoptimised).split()
    # (The CUDA backend is built apart; without its binaries it is not usable in the copy.)
    wanted = {name for name in ("python", "cpp", "opencl") if backends.probe(name).usable}
    assert wanted <= set(compared)


def test_made_up_opcodes_are_measured(copy):
    pytest.importorskip("torch")
    only = "--only=sub_square,gauss,lowest", "--shapes=7x5", "--quick", "--json=rows.json"
    command = sys.executable, "-m", "benchmarks", "operators", *only
    run(copy, *command, PYTHONPATH=os.pathsep.join((str(copy / "src"), str(ROOT))))
    rows = json.loads((copy / "rows.json").read_text())["results"]["operators"]["rows"]
    assert {row["name"].split(".")[0] for row in rows} == {"sub_square", "gauss", "lowest"}
    assert all(row["medians_s"]["gint"] > 0 for row in rows)


def test_made_up_opcodes_are_weighed_and_chained(copy):
    (build,) = (found.parent for found in copy.glob("build/*/generated"))
    units = sorted(build.glob(f"CMakeFiles/loops_{unit()}.dir/**/*.o"))
    program = build / f"CMakeFiles/_native.dir/{CPP}/program/program.cpp.o"
    include = (copy / CPP, build / "generated")
    compiler = os.environ.get("CXX", "c++")
    sources = [ROOT / "tests/isa/made_up.cpp", program, *units]
    options = ["-std=c++20", f"-DGINT_SIMD_NAMESPACE=simd_{unit()}", *(f"-I{d}" for d in include)]
    run(copy, compiler, *options, *map(str, sources), "-o", "facts")
    rows = [line.split() for line in run(copy, "./facts").splitlines()]
    cost, chains, folds = ({row[0]: int(row[k]) for row in rows} for k in (1, 2, 3))
    assert cost["sub_square"] == cost["add"] < cost["exp"] < cost["gauss"] == cost["log"]
    assert chains["sub_square"] == chains["gauss"] == chains["add"] == 1
    assert chains["log"] == chains["lowest"] == 0
    assert folds["lowest"] == folds["amin"] == 1
