"""What a plan launches, kept so that it can be shown. Nothing is made until it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gint.backend.protocol import Kernel
from gint.program import VerifiedProgram


class LaunchRecord(NamedTuple):
    """A launch of a plan: its program, and the layouts it was prepared for, as `Kernel.prepare`
    takes them: one of static sizes, of symbolic ones those met, which grow as the plan is called.
    """

    verified: VerifiedProgram
    kernel: Kernel
    layouts: Sequence[tuple]

    def schedules(self) -> list[str]:
        """What the backend decides for each layout."""
        return [self.kernel.describe(*layout) for layout in self.layouts]

    def device_forms(self) -> list[str]:
        """What a device with builds of the default numbers would run for each layout."""
        from gint.kernel.interpreter.device.kernel import DeviceKernel, NoDevice

        kernel = DeviceKernel(self.verified, NoDevice())
        return [kernel.describe(*layout) for layout in self.layouts]
