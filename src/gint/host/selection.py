"""Choosing a backend: the one rule both doors use."""

from __future__ import annotations

import os

from . import backends
from .backends import Backend

ENVIRONMENT = "GINT_BACKEND"


def configured() -> str | None:
    """The backend that the environment names for this run, or None."""
    return os.environ.get(ENVIRONMENT) or None


def select(name: str | None = None) -> Backend:
    """The backend called `name`, or $GINT_BACKEND, or the first usable one in priority order.

    Raises ValueError for an unknown name, ImportError (with the reason) for one that is asked for
    and not usable here.
    """
    wanted = name or configured()
    if wanted:
        backend = backends.backend(wanted)
        answer = backends.probe(wanted)
        if not answer.usable:
            usable = ", ".join(backends.usable())
            raise ImportError(
                f"The backend {wanted!r} is not usable here: {answer.reason}\n"
                f"Usable here: {usable}."
            )
        return backend
    return backends.backend(backends.usable()[0])
