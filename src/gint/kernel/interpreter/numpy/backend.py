"""The `python` backend: NumPy on the host, always usable."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from gint.backend.protocol import Capabilities, Probe
from gint.program import Binding, SlotBinding, VerifiedProgram, verify_binding

from .interpreter import last_reads, run

if TYPE_CHECKING:
    from gint.quantized import QuantizedProducts


class NumpyKernel:
    """A program on the NumPy interpreter."""

    def __init__(self, verified: VerifiedProgram) -> None:
        self.verified = verified
        self.unused = last_reads(verified.program)

    def launch(
        self, binding: Binding, stream: int | None = None, threads: int | None = None
    ) -> int:
        """Verify the binding and run, always on one thread; the error flag."""
        verify_binding(self.verified, binding)
        return run(self.verified, binding, self.unused)

    def prepare(self, extents, params, slots) -> Callable[..., int]:
        def launch(*pointers: int) -> int:
            bound = (SlotBinding(p, *layout) for p, layout in zip(pointers, slots, strict=True))
            return self.launch(Binding(extents, params, tuple(bound)))

        return launch

    def describe(self, extents, params, slots) -> str:
        kinds = ", ".join(section.kind.value for section in self.verified.program.sections)
        return f"runs section by section, each on whole arrays: {kinds}\n"


class NumpyBackend:
    name = "python"
    device = "cpu"
    capabilities = Capabilities()

    def probe(self) -> Probe:
        import numpy

        return Probe(True, f"NumPy {numpy.__version__}", "NumPy on the host")

    @cached_property
    def quantized(self) -> QuantizedProducts:
        from .quantized import NumpyProducts

        return NumpyProducts()

    def load(self, verified: VerifiedProgram) -> NumpyKernel:
        return NumpyKernel(verified)


BACKEND = NumpyBackend()
