"""Which backend runs the tensors of a graph: they stay where they live."""

from __future__ import annotations

import warnings
from functools import cache

from gint.backend.protocol import Backend
from gint.host.selection import choose_for_torch


def backend_for(device: str, wanted: str | None) -> tuple[Backend | None, str | None]:
    """The backend for tensors on `device`, or None and the reason why everything is left to eager.

    `wanted` is the option's. Raises ImportError for one that must be taken and is not usable here,
    ValueError for an unknown name or a configuration that cannot be used.
    """
    choice = choose_for_torch(device, wanted)
    if choice.backend is not None:
        return choice.backend, None
    because = "; ".join(f"the backend {name!r} is {why}" for name, why in choice.reasons.items())
    reason = because or f"no backend runs tensors on {device}"
    _say_once(reason)
    return None, reason


@cache
def _say_once(reason: str) -> None:
    warnings.warn(f"gint leaves everything to eager: {reason}", RuntimeWarning, stacklevel=2)
