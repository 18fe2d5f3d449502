"""`gint info`: what is installed here, and whether the native module works.

Knows versions and the native module's own words. Imports neither torch nor a device library.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata

from gint import __version__
from gint.kernel.interpreter.cpp.loader import NativeMissingError, build_error, load_native

_PACKAGES = ("numpy", "torch", "pyopencl", "cuda-bindings")


def main(arguments: Sequence[str] = ()) -> int:
    if arguments:
        print(f"gint info takes no arguments, got {' '.join(arguments)!r}", file=sys.stderr)
        return 2
    for name, text in facts():
        print(f"{name:<14}{text}")
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
    yield "native", _native()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _native() -> str:
    try:
        native = load_native()
    except NativeMissingError as error:
        return f"not usable: {error}"
    sets = [name.removeprefix("simd_") for name in native.instruction_sets()]
    if not sets:
        return "not usable: this CPU has none of the instruction sets in the build"
    return f"{sets[0]} (usable: {', '.join(sets)}), {native.threads()} threads"
