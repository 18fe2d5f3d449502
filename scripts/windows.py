"""What can be said about Windows on a Linux machine: the interpreter's sources compile for it.

    make windows

Debian's g++-mingw-w64-x86-64 reads every source of the interpreter and of the quantised products,
the loops once for each instruction set. Nothing is linked or run, and what needs Python's headers
for Windows (native/src) is not read.

Knows the compiler. Does not know gint, but for its generated headers.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
INTERPRETERS = ROOT / "src/gint/kernel/interpreter"
SOURCES = INTERPRETERS / "cpp/src"
COMPILERS = ("x86_64-w64-mingw32-g++-posix", "x86_64-w64-mingw32-g++")
#: As CMakeLists.txt has them.
UNITS = {
    "v2": ["-march=x86-64-v2"],
    "v3": ["-march=x86-64-v3"],
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "v4vnni": ["-march=x86-64-v4", "-mavx512vnni", "-mprefer-vector-width=512"],
}
#: All is compiled by one compiler, so how others pass vectors is of no interest.
OPTIONS = ("-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Wno-psabi")


def works() -> list[list[str]]:
    """The compiler's arguments, one list for each source and instruction set."""
    loops = [*SOURCES.glob("loops/*.cpp"), *SOURCES.glob("*/*_loops.cpp")]
    found = [[str(s)] for s in sorted(SOURCES.rglob("*.cpp")) if s not in loops]
    for name, flags in UNITS.items():
        define = f"-DGINT_SIMD_NAMESPACE=simd_{name}"
        found += [[define, *flags, str(source)] for source in loops]
    return found


def main() -> int:
    compiler = next((name for name in COMPILERS if shutil.which(name)), None)
    if compiler is None:
        print("gint: for `make windows`: apt-get install g++-mingw-w64-x86-64", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        generated = Path(folder)
        header = [sys.executable, "-m", "gint.isa.generate", "header", generated / "isa.inc"]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
        subprocess.run(header, env=environment, check=True)
        units = "".join(f"GINT_SIMD_UNIT(simd_{name}, simd_{name}, true)\n" for name in UNITS)
        (generated / "simd_units.inc").write_text(units)
        include = [f"-I{path}" for path in (SOURCES, INTERPRETERS / "portable", generated)]
        command = [compiler, *OPTIONS, *include]

        def compile(work: list[str]) -> int:
            return subprocess.call([*command, *work])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            failed = sum(status != 0 for status in pool.map(compile, works()))
    print(f"gint: for Windows: {len(works()) - failed} of {len(works())} compile with {compiler}")
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
