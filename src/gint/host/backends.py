"""The backend protocol, and the registry: the one list of backends there are.

A backend is a folder in gint/kernel/interpreter with a `backend.py` that holds a `BACKEND`
implementing `Backend`, and one line in `_MODULES` below.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Protocol

from gint.isa.dtypes import DTYPES
from gint.program import Binding, VerifiedProgram


@dataclass(frozen=True)
class Probe:
    """Whether a backend is usable here; `reason` says why or why not, `description` on what."""

    usable: bool
    reason: str
    description: str = ""


@dataclass(frozen=True)
class Capabilities:
    """The bounds a program must keep to run on a backend."""

    max_slots: int = 64
    max_registers: int = 4096
    types: frozenset[str] = field(default_factory=lambda: frozenset(t.name for t in DTYPES))


class Kernel(Protocol):
    """A program loaded into a backend."""

    def launch(
        self, binding: Binding, stream: int | None = None, threads: int | None = None
    ) -> int:
        """Verify the binding and run; the error flag (see kernel.interpreter.errors).

        On the CPU, `threads` bounds the number of threads (None: the backend's own); the result
        does not depend on it. Raises VerificationError, and nothing has run then.
        """

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[tuple[int, int, tuple[int, ...]], ...],
    ) -> Callable[..., int]:
        """Everything of a launch but the pointers: storage bytes, offset and strides per slot.

        The result takes a pointer per slot and returns the error flag.
        """


class Backend(Protocol):
    """What every interpreter offers. `device` is the torch device type whose memory it reaches."""

    name: str
    device: str
    capabilities: Capabilities

    def probe(self) -> Probe:
        """Is it usable here; never raises."""

    def load(self, verified: VerifiedProgram) -> Kernel:
        """The program in a form of the backend's own."""


#: Backend name -> module of its BACKEND. Order is the default priority.
_MODULES = {
    "cpp": "gint.kernel.interpreter.cpp.backend",
    "python": "gint.kernel.interpreter.numpy.backend",
}


def names() -> tuple[str, ...]:
    """All backends this version knows, usable or not, in the default order of priority."""
    return tuple(_MODULES)


@cache
def backend(name: str) -> Backend:
    """The backend called `name`, usable or not. Raises ValueError naming the known ones."""
    if name not in _MODULES:
        raise ValueError(f"There is no backend {name!r}. Known: {', '.join(_MODULES)}.")
    return import_module(_MODULES[name]).BACKEND


@cache
def probe(name: str) -> Probe:
    """The backend's own answer, asked once per process."""
    return backend(name).probe()


def usable() -> tuple[str, ...]:
    return tuple(name for name in names() if probe(name).usable)
