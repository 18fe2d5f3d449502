"""`build_ext --inplace`, `build_cuda`, `build_opencl`: get what a backend needs, or say what lacks.

Knows who builds what. Does not know compilers or devices: scripts/gint_build.py and the backends
themselves do.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import time
import tomllib
from importlib import import_module
from pathlib import Path

from airllm.commands import CommandError, way_out
from gint.backend import probing, registry
from gint.host import configuration

from . import capabilities

ROOT = configuration.SOURCES.parent


def build_ext(options: argparse.Namespace) -> None:
    """Build the C++ interpreter into src/, as an editable installation does."""
    if not configuration.is_checkout(configuration.SOURCES):
        raise CommandError(
            "this installation has no C++ sources. Install gint again from its checkout, where "
            "there is a C++ compiler (`gint info` says what came of the last build)."
        )
    _require_build_tools()
    sys.path.insert(0, str(ROOT / "scripts"))
    gint_build = import_module("gint_build")
    os.chdir(ROOT)
    built: Path | None = gint_build.build_inplace()
    if built is None:
        raise CommandError(
            "the C++ interpreter could not be built; the tools' words are above and in `gint info`."
        )
    print(f"Built {ROOT / built}")


def _require_build_tools() -> None:
    with open(ROOT / "pyproject.toml", "rb") as file:
        wanted = tomllib.load(file)["build-system"]["requires"]
    modules = [re.split(r"[^\w-]", name)[0].replace("-", "_") for name in wanted]
    lacking = [
        package
        for package, module in zip(wanted, modules, strict=True)
        if importlib.util.find_spec(module) is None
    ]
    if lacking:
        words = " ".join(f"'{package}'" for package in lacking)
        raise CommandError(f"building needs what is not installed: pip install {words}.")


def build_cuda(options: argparse.Namespace) -> None:
    """Build the CUDA interpreter with nvcc; no GPU is needed."""
    from gint.kernel.interpreter.cuda import build

    if build.main([]) != 0:
        raise CommandError("the CUDA interpreter was not built; why is said above.")

    answer = registry.probe("cuda")
    if not answer.usable:
        print(f"It cannot be used here yet: {answer.reason} {way_out('cuda', answer)}".rstrip())


def build_opencl(options: argparse.Namespace) -> None:
    """Check pyopencl, platforms and devices; build the interpreter for the device taken.

    The driver compiles at the first launch of each kind and keeps what it made: so the launches
    here, which compute next to nothing, are what later processes need not wait for.
    """
    if importlib.util.find_spec("pyopencl") is None:
        raise CommandError("pyopencl is not installed: pip install pyopencl.")
    # Whoever builds waits for a driver's first compilation.
    os.environ.setdefault(probing.VARIABLE, "60")
    print(capabilities.devices_of("opencl"), flush=True)
    answer = registry.probe("opencl")
    if not answer.usable:
        raise CommandError(
            f"no OpenCL device can be used: {answer.reason} {way_out('opencl', answer)}".strip()
        )
    begun = time.perf_counter()
    _launch_small_programs("opencl")
    print(f"Built for {answer.description or answer.reason} in {time.perf_counter() - begun:.1f} s")


def _launch_small_programs(backend: str) -> None:
    """One launch with 32-bit registers and one with 64-bit registers."""
    import numpy as np

    from gint.host.executor import load
    from gint.host.frontend import Builder

    for dtype in (np.dtype(np.float32), np.dtype(np.int64)):
        b = Builder("twice")
        n, name = b.parallel("n"), f"{dtype.kind}{8 * dtype.itemsize}"
        x = b.input("x", name, n)
        b.output("y", name, (n,), x + x)
        load(b.build(), backend)(x=np.ones(4, dtype))
