"""Which backends there are: a name, the module that implements it, and whose tensors it serves.

A backend is a folder in gint/kernel/interpreter whose `backend.py` holds a `BACKEND` that
implements protocol.Backend, and one line here. Each is imported and probed once, at first use.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module

from .protocol import Backend, Probe

#: Backend name -> module of its BACKEND. The order is the default priority.
MODULES = {
    "cuda": "gint.kernel.interpreter.cuda.backend",
    "opencl": "gint.kernel.interpreter.opencl.backend",
    "cpp": "gint.kernel.interpreter.cpp.backend",
    "python": "gint.kernel.interpreter.numpy.backend",
}

#: Needs nothing but NumPy, so it closes every order of priority.
LAST_RESORT = "python"

#: torch device type -> the backend that serves tensors living there, unless another is named.
HOME = {"cpu": "cpp", "cuda": "cuda"}


def names() -> tuple[str, ...]:
    """All backends this version knows, usable or not, in the default order of priority."""
    return tuple(MODULES)


def module_of(name: str) -> str:
    """The module of the backend called `name`. Raises ValueError naming the known ones."""
    if name not in MODULES:
        raise ValueError(f"There is no backend {name!r}. Known: {', '.join(MODULES)}.")
    return MODULES[name]


@cache
def backend(name: str) -> Backend:
    """The backend called `name`, usable or not. Raises ValueError naming the known ones."""
    return import_module(module_of(name)).BACKEND


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
