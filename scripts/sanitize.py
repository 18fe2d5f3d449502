"""`make sanitize`: the native module built with sanitizers, and the tests that run it.

    python scripts/sanitize.py              AddressSanitizer with UndefinedBehaviorSanitizer, and
                                            ThreadSanitizer after it
    python scripts/sanitize.py thread       one of them: address, thread

Each has a build folder of its own, build/sanitize/NAME, and a copy of the Python sources beside the
module in it, so that the checkout's own module stays as it is. A finding ends the process that
runs the tests, with the report above. Knows CMake's options and which tests run native code. GCC
or Clang on Linux.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LISTS = ROOT / "scripts/sanitizers"
CPP = "tests/kernel/interpreter/cpp"
#: Tests that compile what they run, or put themselves where the sanitizer is.
LEFT_OUT = (
    f"{CPP}/schedule", f"{CPP}/test_math.py", f"{CPP}/test_integer.py", f"{CPP}/test_half.py",
    f"{CPP}/quantized/test_portable.py",
    "tests/native/test_memory_failures.py",
)  # fmt: skip
#: Tests that run many launches on one thread each, and those that run a few on several.
ADDRESS_TESTS = (
    "tests/native", CPP, "tests/kernel/interpreter/test_differential.py",
    "tests/kernel/interpreter/test_gathers.py", "tests/program/test_fuzz.py", "tests/fuzz",
    "tests/quantized", "tests/host/test_recall.py", "tests/host/test_sequence.py",
)  # fmt: skip
THREAD_TESTS = (
    f"{CPP}/test_interpreter.py", f"{CPP}/quantized/test_native.py",
    "tests/kernel/interpreter/test_differential.py", "tests/host/test_recall.py",
)  # fmt: skip
#: Native code between torch's operators. Leaks are torch's then, and not looked for.
TORCH_TESTS = (
    "tests/native/test_native_run.py", "tests/native/test_torch_rows.py",
    "tests/conductor/plan/test_body.py",
    "tests/conductor/plan/test_bare_views.py", "tests/conductor/test_regressions.py",
)  # fmt: skip


@dataclass(frozen=True)
class Sanitizer:
    """`runtime` is loaded before Python, which is not built with it; `settings` are its own."""

    name: str
    flags: str
    runtime: str
    settings: dict[str, str]
    tests: tuple[str, ...]


SANITIZERS = (
    Sanitizer(
        "address",
        "address,undefined",
        "libasan.so",
        {
            # Python's objects on the heap, where the leak check looks for pointers.
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=1"
            ":handle_segv=2:handle_sigbus=2:handle_sigill=2",
            "LSAN_OPTIONS": f"suppressions={LISTS / 'leaks.txt'}:print_suppressions=0",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        },
        ADDRESS_TESTS,
    ),
    Sanitizer(
        "thread",
        "thread",
        "libtsan.so",
        {
            "TSAN_OPTIONS": f"suppressions={LISTS / 'threads.txt'}:halt_on_error=1"
            ":ignore_noninstrumented_modules=1",
            "OMP_NUM_THREADS": "4",
        },
        THREAD_TESTS,
    ),
)


def build(sanitizer: Sanitizer) -> Path:
    """The folder of Python sources with the module that was built."""
    folder = ROOT / "build/sanitize" / sanitizer.name
    nanobind = _printed(sys.executable, "-m", "nanobind", "--cmake_dir")
    options = {
        "CMAKE_BUILD_TYPE": "None",
        "GINT_SANITIZE": sanitizer.flags,
        "Python_EXECUTABLE": sys.executable,
        "nanobind_DIR": nanobind,
        # A build of every loop takes minutes more, and this machine runs one of them.
        "GINT_SIMD_UNITS": os.environ.get("GINT_SANITIZE_UNITS", "v4vnni;v4;v3;neon;generic"),
    }
    if shutil.which("ccache"):
        options["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
    defines = [f"-D{name}={value}" for name, value in options.items()]
    _run("cmake", "-G", "Ninja", "-S", str(ROOT), "-B", str(folder), *defines)
    _run("cmake", "--build", str(folder))
    sources = folder / "src"
    shutil.rmtree(sources, ignore_errors=True)
    shutil.copytree(ROOT / "src", sources, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    (module,) = folder.glob("_native.*.so")
    shutil.copy(module, sources / "gint/native")
    return sources


def test(sanitizer: Sanitizer, sources: Path) -> int:
    """The exit status of the tests, those with torch in a process of their own; without OpenCL,
    which has leaks of its own."""
    pytest = ["-m", "not torch and not gpu", *(f"--ignore={path}" for path in LEFT_OUT)]
    status = _tested(sanitizer, sources, [*pytest, *sanitizer.tests], {})
    if sanitizer.name == "address" and importlib.util.find_spec("torch"):
        settings = sanitizer.settings["ASAN_OPTIONS"].replace("detect_leaks=1", "detect_leaks=0")
        pytest = ["-m", "not gpu", *TORCH_TESTS]
        status |= _tested(sanitizer, sources, pytest, {"ASAN_OPTIONS": settings})
    return status


def _tested(
    sanitizer: Sanitizer, sources: Path, arguments: list[str], settings: dict[str, str]
) -> int:
    # With the C++ library, or AddressSanitizer does not find what throws.
    compiler = os.environ.get("CXX", "g++")
    names = (sanitizer.runtime, "libstdc++.so.6")
    runtime = " ".join(_printed(compiler, f"-print-file-name={name}") for name in names)
    environment = os.environ | sanitizer.settings | settings
    environment |= {"PYTHONPATH": str(sources), "GINT_REQUIRE": "cpp", "OCL_ICD_VENDORS": "none"}
    environment |= {"LD_PRELOAD": runtime, "PYTHONDONTWRITEBYTECODE": "1"}
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=0"]
    pytest.append("--capture=sys")  # a report is written past Python
    command = [sys.executable, *pytest, *arguments]
    return subprocess.call(command, cwd=ROOT, env=environment)


def test_cases(sanitizer: Sanitizer) -> int:
    """The exit status of the C++ cases, which are compiled by their tests."""
    flags = f"-fsanitize={sanitizer.flags} -fno-sanitize-recover=all"
    command = [sys.executable, "-m", "pytest", "-q", f"{CPP}/schedule"]
    environment = os.environ | {"CXXFLAGS": flags, "PYTHONPATH": str(ROOT / "src")}
    return subprocess.call(command, cwd=ROOT, env=environment)


def _printed(*command: str) -> str:
    return subprocess.check_output(command, text=True).strip()


def _run(*command: str) -> None:
    if subprocess.call(command, cwd=ROOT) != 0:
        sys.exit(1)


def main(names: list[str]) -> int:
    wanted = [s for s in SANITIZERS if not names or s.name in names]
    if not wanted or set(names) - {s.name for s in SANITIZERS}:
        print("usage: python scripts/sanitize.py [address] [thread]", file=sys.stderr)
        return 2
    status = 0
    for sanitizer in wanted:
        print(f"gint: {sanitizer.name} sanitizer", flush=True)
        status |= test(sanitizer, build(sanitizer))
        if sanitizer.name == "address":
            status |= test_cases(sanitizer)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
