"""`test_capabilities`: a table of what this machine has for the backends, or why it has it not.

Asks tools and drivers what a build and a run could use, and then the backends themselves. Drivers
are asked in a process of their own, which may hang or die. Works with the standard library alone.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from airllm.commands import way_out
from gint.backend import probing, registry
from gint.native.loader import NativeMissingError, load_native

#: Seconds that a tool or a driver may take to answer.
PATIENCE_S = 20.0

#: The flags of /proc/cpuinfo that an instruction set of the build needs, beyond the one before it.
_X86_LEVELS = {
    "v2": ("sse4_2", "popcnt", "ssse3"),
    "v3": ("avx2", "fma", "bmi2", "f16c"),
    "v4": ("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"),
}
#: Worth naming although no level contains them.
_EXTRAS = ("avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "asimd", "asimddp", "sve")

_OPENMP_TEST = "#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n"


def run(options: argparse.Namespace) -> None:
    """Print the table."""
    for what, found in rows():
        first, *others = found.splitlines() or [""]
        print(f"{what:<18}{first}")
        for line in others:
            print(f"{'':<18}{line}")


def rows() -> Iterator[tuple[str, str]]:
    """(what, what was found of it or why nothing was), one line of `found` each."""
    compiler = _compiler()
    yield (
        "C++ compiler",
        _version_of(compiler)
        if compiler
        else ("not found: neither $CXX nor c++, g++, clang++ is a program here"),
    )
    yield "SIMD, this CPU", _cpu_sets()
    yield "SIMD, the build", _built_sets()
    yield "OpenMP", _openmp(compiler)
    yield "nvcc", _nvcc()
    yield from _devices()
    yield from _backends()


def _compiler() -> str | None:
    names = (os.environ.get("CXX"), "c++", "g++", "clang++")
    return next((path for name in names if name and (path := shutil.which(name))), None)


def _version_of(program: str) -> str:
    """A program's path, and the line of its --version that names the release."""
    done = _run([program, "--version"])
    said = done if isinstance(done, str) else done.stdout or done.stderr
    lines = [line.strip() for line in said.splitlines() if line.strip()] or ["says nothing"]
    return f"{program}: {next((line for line in lines if 'release' in line), lines[0])}"


def _run(command: list[str]) -> subprocess.CompletedProcess[str] | str:
    """The finished process, or why there is none."""
    try:
        return subprocess.run(
            command, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except OSError as error:
        return f"cannot be run: {error.strerror}"
    except subprocess.TimeoutExpired:
        return f"gave no answer within {PATIENCE_S:.0f} seconds"


def _cpu_sets() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError as error:
        return f"{platform.machine()}; more cannot be told: no /proc/cpuinfo ({error.strerror})"
    lines = (line.partition(":") for line in text.splitlines())
    flags = next((v.split() for k, _, v in lines if k.strip() in ("flags", "Features")), [])
    found = []
    for level, needed in _X86_LEVELS.items():
        if not set(needed) <= set(flags):
            break
        found.append(level)
    found += [flag for flag in _EXTRAS if flag in flags]
    return f"{platform.machine()}: {', '.join(found) or 'none that the build knows'}"


def _built_sets() -> str:
    try:
        native = load_native()
    except NativeMissingError as error:
        return f"none: {error.reason}"
    sets = [
        name + ("" if usable else " (not on this CPU)")
        for name, usable in native.instruction_sets()
    ]
    return f"{', '.join(sets)}; in use: {native.instruction_set() or 'none'}"


def _openmp(compiler: str | None) -> str:
    if compiler is None:
        return "cannot be tried without a C++ compiler"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "openmp.cpp"
        source.write_text(_OPENMP_TEST, encoding="utf-8")
        done = _run([compiler, "-fopenmp", str(source), "-o", str(Path(folder) / "openmp")])
    if isinstance(done, str):
        return f"the compiler {done}"
    if done.returncode != 0:
        why = (done.stderr.strip().splitlines() or ["no reason given"])[0]
        return f"not found: a test program with -fopenmp is not built: {why}"
    return f"found: a test program with -fopenmp is built; {os.cpu_count()} CPUs"


def _nvcc() -> str:
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")] + ["/usr/local/cuda"]
    folders = [str(Path(home) / "bin") for home in homes if home]
    path = shutil.which("nvcc") or shutil.which("nvcc", path=os.pathsep.join(folders))
    if path is None:
        return "not found: neither on PATH nor in $CUDA_HOME/bin nor in /usr/local/cuda/bin"
    return _version_of(path)


def _devices() -> Iterator[tuple[str, str]]:
    """What the drivers know that backends use, by the drivers' names."""
    for name, entry in registry.BACKENDS.items():
        if importlib.util.find_spec(f"{entry.folder}.devices"):
            yield import_module(f"{entry.folder}.devices").DRIVER, devices_of(name)


def devices_of(backend: str) -> str:
    """The platforms and devices that a backend's driver knows, or why there are none."""
    try:
        module = f"{registry.entry(backend).folder}.devices"
        found = probing.list_in_subprocess(module, PATIENCE_S)
    except probing.NoAnswerError as error:
        return str(error)
    lines = [found.reason] if found.reason else []
    for known in found.platforms:
        none = f"no device: {known.reason}".removesuffix(": ")
        lines += [known.name, *(f"  {words}" for words in known.devices or (none,))]
    return "\n".join(lines)


def _backends() -> Iterator[tuple[str, str]]:
    """What the backends themselves answer."""
    if importlib.util.find_spec("numpy") is None:
        yield "backends", "none is usable: NumPy is not installed (pip install numpy)"
        return

    for name in registry.names():
        answer = registry.probe(name)
        if answer.usable:
            said = f"usable: {answer.description or answer.reason}"
        else:
            said = f"not usable: {' '.join(f'{answer.reason} {way_out(name, answer)}'.split())}"
        yield f"backend {name}", said
