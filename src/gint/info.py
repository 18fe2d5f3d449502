"""`gint info`: what is installed here, and which backends are usable, or why not.

Knows versions and the backends' own words. Imports neither torch nor a device library itself.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata

from gint import __version__
from gint.backend import registry
from gint.host import configuration, memory, selection
from gint.host.launches import load_kernel
from gint.native.loader import build_error

_PACKAGES = ("numpy", "torch")


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
    for package in (*_PACKAGES, *(e.package for e in registry.BACKENDS.values() if e.package)):
        yield package, _version(package)
    for name in registry.names():
        answer = registry.probe(name)
        state = "usable" if answer.usable else "not usable"
        words = [answer.description or answer.reason, selection.way_out(answer)]
        yield f"backend {name}", f"{state}: {' '.join(w for w in words if w)}"
    yield "configuration", _configuration()
    yield "memory pool", _memory()
    yield "loaded programs", _loaded()
    yield "NumPy arrays", _choice(selection.choose)
    yield "torch, cpu", _choice(lambda: selection.choose_for_torch("cpu"))


def _configuration() -> str:
    location = configuration.locate()
    found = "" if location.path.exists() else " (does not exist: the defaults hold)"
    named = os.environ.get(configuration.BACKEND_VARIABLE)
    return f"{location.path}{found}{f'; {configuration.BACKEND_VARIABLE}={named}' if named else ''}"


def _memory() -> str:
    now = memory.POOL.statistics()
    kept, used, limit = (f"{n / (1 << 20):,.0f} MiB" for n in (now.kept, now.used, now.limit))
    return f"keeps at most {limit} of results; {kept} now, {used} of it in use"


def _loaded() -> str:
    now = load_kernel.statistics()
    kept, limit = (f"{n / (1 << 20):,.1f} MiB" for n in (now.kept, now.limit))
    return f"keeps at most {limit} of them; {now.programs} now, {kept}"


def _choice(choose: Callable[[], selection.Choice]) -> str:
    """The backend taken and why, or why there is none."""
    try:
        choice = choose()
    except (ImportError, ValueError) as error:
        return str(error)
    if choice.backend is None:
        return "; ".join(f"{name}: {why}" for name, why in choice.reasons.items())
    return f"{choice.backend.name} ({choice.reasons[choice.backend.name].removeprefix('taken: ')})"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
