"""Which backends there are, a line each.

A backend is a folder in gint/kernel/interpreter whose `backend.py` holds a `BACKEND` that
implements protocol.Backend, and one line here. Each is imported and probed once, at first use.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import NamedTuple

from .protocol import Backend, Probe


class Entry(NamedTuple):
    """What is known of a backend before it is loaded.

    folder   the package whose module `backend` has its BACKEND
    serves   the torch device type whose tensors it runs unless another backend is named, or None
    package  the distribution on PyPI that it needs besides NumPy, or None
    """

    folder: str
    serves: str | None = None
    package: str | None = None


#: By name; the order is the default priority.
BACKENDS = {
    "cuda": Entry("gint.kernel.interpreter.cuda", serves="cuda", package="cuda-bindings"),
    "opencl": Entry("gint.kernel.interpreter.opencl", package="pyopencl"),
    "cpp": Entry("gint.kernel.interpreter.cpp", serves="cpu"),
    "python": Entry("gint.kernel.interpreter.numpy"),
}

#: Needs nothing but NumPy, so it closes every order of priority.
LAST_RESORT = "python"


def names() -> tuple[str, ...]:
    """All backends this version knows, usable or not, in the default order of priority."""
    return tuple(BACKENDS)


def entry(name: str) -> Entry:
    """The line of the backend called `name`. Raises ValueError naming the known ones."""
    if name not in BACKENDS:
        raise ValueError(f"There is no backend {name!r}. Known: {', '.join(BACKENDS)}.")
    return BACKENDS[name]


def serving(device: str) -> tuple[str, ...]:
    """The backends that run torch tensors on a device type unless another is named."""
    return tuple(name for name, known in BACKENDS.items() if known.serves == device)


@cache
def backend(name: str) -> Backend:
    """The backend called `name`, usable or not. Raises ValueError naming the known ones."""
    return import_module(f"{entry(name).folder}.backend").BACKEND


@cache
def probe(name: str) -> Probe:
    """The backend's own answer, asked once per process."""
    try:
        implementation = backend(name)
    except ModuleNotFoundError as error:
        return Probe(False, f"this installation lacks {error.name}.", built=False)
    return implementation.probe()


def usable() -> tuple[str, ...]:
    return tuple(name for name in names() if probe(name).usable)
