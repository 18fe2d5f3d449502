"""The backend protocol, and the backends of the registry, loaded and probed once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from gint.isa.dtypes import DTYPES
from gint.program import Binding, VerifiedProgram

from .registry import module_of, names

if TYPE_CHECKING:
    from gint.kernel.quantized import QuantizedProducts


@dataclass(frozen=True)
class Probe:
    """Whether a backend is usable here; `reason` says why or why not, `description` on what.

    Where it is not: `built` False says that its own binary or package is missing (as opposed to a
    device), `remedy` is a sentence on how to get it. `cpu_only`: all its devices are the CPUs that
    `cpp` runs on too.
    """

    usable: bool
    reason: str
    description: str = ""
    built: bool = True
    remedy: str = ""
    cpu_only: bool = False


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
    """What every interpreter offers.

    `device` is the torch device type in whose memory the pointers of a binding lie.
    """

    name: str
    device: str
    capabilities: Capabilities

    def probe(self) -> Probe:
        """Is it usable here; never raises."""

    @property
    def quantized(self) -> QuantizedProducts | None:
        """Its products with quantised matrices; None where it has none of its own."""

    def load(self, verified: VerifiedProgram) -> Kernel:
        """The program in a form of the backend's own."""


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
