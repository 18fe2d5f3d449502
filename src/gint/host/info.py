"""`gint info`: what is installed here, and which backends are usable, or why not.

Knows versions and the backends' own words. Imports neither torch nor a device library itself.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata

from gint import __version__
from gint.kernel.interpreter.cpp.loader import build_error

from . import backends
from .selection import ENVIRONMENT

_PACKAGES = ("numpy", "torch", "pyopencl", "cuda-bindings")


def main(arguments: Sequence[str] = ()) -> int:
    if arguments:
        print(f"gint info takes no arguments, got {' '.join(arguments)!r}", file=sys.stderr)
        return 2
    for name, text in facts():
        print(f"{name:<16}{text}")
    error = build_error()
    if error is not None:
        print(f"\nThe build of the C++ interpreter said:\n\n{error}")
    return 0


def facts() -> Iterator[tuple[str, str]]:
    """The lines of the report: (what, how it is here)."""
    yield "gint", __version__
    yield "python", f"{platform.python_version()} ({sys.executable})"
    yield "platform", platform.platform()
    for package in _PACKAGES:
        yield package, _version(package)
    for name in backends.names():
        answer = backends.probe(name)
        state = "usable" if answer.usable else "not usable"
        yield f"backend {name}", f"{state}: {answer.description or answer.reason}"
    chosen = " > ".join(backends.usable())
    yield "order", f"{chosen} (GINT_BACKEND={os.environ.get(ENVIRONMENT, '')} names one for a run)"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
