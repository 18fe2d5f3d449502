"""`build_ext --inplace`, `build_cuda`, `build_opencl`: get what a backend needs, or say what lacks.

Knows who builds what. Does not know compilers or devices: scripts/gint_build.py and the backends'
own `build` modules do.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import sys
import tomllib
from importlib import import_module
from pathlib import Path

from gint.host import configuration

from .commands import CommandError

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
    _build("cuda")


def build_opencl(options: argparse.Namespace) -> None:
    """Check pyopencl, platforms and devices; build the interpreter for the device taken."""
    _build("opencl")


def _build(backend: str) -> None:
    """Run the `build` module of a backend; it prints what it does, and why it cannot."""
    name = f"gint.kernel.interpreter.{backend}.build"
    try:
        build = import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        raise CommandError(f"the backend {backend} is not part of this version.") from None
    if build.main([]) != 0:
        raise CommandError(f"the backend {backend} was not built; why is said above.")
