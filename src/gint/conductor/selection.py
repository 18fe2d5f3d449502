"""Which backend runs the tensors of a graph: they stay where they live."""

from __future__ import annotations

import warnings
from functools import cache

from gint.host import backends
from gint.host.backends import Backend
from gint.host.selection import configured, select

#: Device type -> the backend that runs tensors living there.
_HOME = {"cpu": "cpp", "cuda": "cuda"}


def backend_for(device: str, wanted: str | None) -> tuple[Backend | None, str | None]:
    """The backend for tensors on `device`, or None and the reason why everything is left to eager.

    `wanted` is the option's; without one the environment may name a backend. Either counts where
    it reaches the device. Raises ImportError for one that is not usable here.
    """
    wanted = wanted or configured()
    if wanted is not None and backends.backend(wanted).device == device:
        return select(wanted), None
    name = _HOME.get(device)
    if name is None or name not in backends.names():
        reason = f"no backend runs tensors on {device}"
    elif (probe := backends.probe(name)).usable:
        return backends.backend(name), None
    else:
        reason = f"the backend {name!r} is not usable here: {probe.reason}"
    _say_once(reason)
    return None, reason


@cache
def _say_once(reason: str) -> None:
    warnings.warn(f"gint leaves everything to eager: {reason}", RuntimeWarning, stacklevel=2)
