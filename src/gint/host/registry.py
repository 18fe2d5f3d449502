"""The list of backends: a name, the module that implements it, and whose tensors it serves.

A backend is a folder in gint/kernel/interpreter whose `backend.py` holds a `BACKEND` implementing
`gint.host.backends.Backend`, and one line here. Standard library only, so that a configuration can
be written before anything is installed.
"""

from __future__ import annotations

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
