"""The backend protocol: what every interpreter offers, and the values it answers with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from gint.isa.dtypes import DTYPES
from gint.isa.limits import MAX_SLOTS
from gint.program import Binding, VerifiedProgram

if TYPE_CHECKING:
    import numpy as np

    from gint.quantized import QuantizedProducts


@dataclass(frozen=True)
class Probe:
    """Whether a backend is usable here, as data; whoever shows it puts the words together.

    reason       a sentence: why, or why not
    description  on what it runs, for a reader
    device       which of its devices that is, for its own use; "" where there is no choice
    built        False says that its own binary or package is missing (as opposed to a device)
    remedy       where it is not usable, a sentence on what helps that holds for every reader
    command      ... or the command of gint's own that builds what is missing or out of date. Who
                 has commands of another name says those
    cpu_only     all its devices are the CPUs that `cpp` runs on too
    """

    usable: bool
    reason: str
    description: str = ""
    built: bool = True
    remedy: str = ""
    cpu_only: bool = False
    device: str = ""
    command: str = ""


class Platform(NamedTuple):
    """A driver, and the devices it knows, each in words; `reason` says why there is none."""

    name: str
    devices: tuple[str, ...] = ()
    reason: str = ""


class Listing(NamedTuple):
    """All platforms that a backend could find devices on; `reason` says why there is none."""

    platforms: tuple[Platform, ...] = ()
    reason: str = ""


#: The names of all types a program may compute in.
ALL_TYPES = frozenset(t.name for t in DTYPES)


@dataclass(frozen=True)
class Capabilities:
    """The bounds a program must keep to run on a backend."""

    max_slots: int = MAX_SLOTS
    max_registers: int = 4096
    types: frozenset[str] = ALL_TYPES


class Kernel(Protocol):
    """A program loaded into a backend."""

    def launch(
        self, binding: Binding, stream: int | None = None, threads: int | None = None
    ) -> int:
        """Verify the binding and run; the error flag (see errors.py).

        On the CPU, `threads` bounds the number of threads (None: the backend's own); the result
        does not depend on it. Raises VerificationError, and nothing has run then.

        A backend with memory of its own takes `device=` too, the ordinal of the device that the
        pointers belong to, launches on `stream` and does not wait: the flag is what earlier
        launches on the device are known to have left.
        """

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[tuple[int, int, tuple[int, ...]], ...],
    ) -> Callable[..., int]:
        """Everything of a launch but the pointers: storage bytes, offset and strides per slot.

        The result takes a pointer per slot and returns the error flag; where it has a true
        attribute `takes_arrays`, also an array whose first element lies where the storage begins.
        With memory of its own, a backend takes `device=` here, and the result `stream=`.
        """


@runtime_checkable
class Describing(Protocol):
    """What a Kernel may offer besides: to show what it makes of a launch."""

    def describe(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[tuple[int, int, tuple[int, ...]], ...],
    ) -> str:
        """What is decided for a launch, given as to `prepare`: lines of text, the same for the
        same program and layout. Nothing runs. Raises VerificationError."""


def describe(
    kernel: Kernel,
    extents: tuple[int, ...],
    params: tuple[int | float, ...],
    slots: tuple[tuple[int, int, tuple[int, ...]], ...],
) -> str:
    """What a kernel makes of a launch, as text."""
    if isinstance(kernel, Describing):
        return kernel.describe(extents, params, slots)
    return f"{type(kernel).__name__} does not show what it makes of a launch.\n"


class Memory(Protocol):
    """Memory that the host cannot address, of a backend whose `device` is not "cpu"."""

    @property
    def ordinal(self) -> int:
        """Of the device whose memory it is, torch's index: the one NumPy arrays go to."""

    def upload(self, array: np.ndarray) -> Any:
        """A copy on the device; it offers `__cuda_array_interface__`."""

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """The same without values, in C order."""

    def download(self, source: Any, array: np.ndarray) -> None:
        """Fill an array from what `upload` or `allocate` gave."""

    def synchronize(self) -> int:
        """Wait for what was launched on the default device; the error flag, which is 0 after."""


class Backend(Protocol):
    """What every interpreter offers.

    `device` is the torch device type in whose memory the pointers of a binding lie. Optional is
    `memory`, which carries NumPy arrays there and back (default: None, the host's own memory).
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
