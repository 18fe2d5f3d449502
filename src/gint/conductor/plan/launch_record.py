"""What a plan launches, kept so that it can be shown. Nothing is made until it is asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from gint.backend.protocol import BoundLaunch, Kernel
from gint.host.launches import MOST_BOUND
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


def preparing(
    kernel: Kernel, device: int | None
) -> tuple[Callable[..., BoundLaunch], deque[tuple]]:
    """`Kernel.prepare` on a device, and the layouts it was called with, the latest."""
    layouts: deque[tuple] = deque(maxlen=MOST_BOUND)

    def prepare(*layout: Any) -> BoundLaunch:
        launch = kernel.prepare(*layout, device=device)
        layouts.append(layout)
        return launch

    return prepare, layouts
