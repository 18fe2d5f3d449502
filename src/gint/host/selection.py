"""Choosing a backend: the one rule of every door, and its reasons.

A name given as an argument, or by $GINT_BACKEND, or `force_backend`: that backend or an error.
Then `preferred_backend`, then `backend_priority`, then NumPy: the first that is usable here.

torch tensors stay where they live: there a name counts if that backend reaches their memory, the
priority does not count, and nothing falls back to NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from gint.backend import registry
from gint.backend.protocol import Backend, Probe
from gint.backend.registry import LAST_RESORT, names

from . import configuration
from .configuration import AUTO, BACKEND_VARIABLE, Configuration, ConfigurationError

if TYPE_CHECKING:
    from gint.quantized import QuantizedProducts

_BY_DEFAULT = "the first usable in the default priority"


class BackendNotUsableError(ImportError):
    """A backend that must be taken is not usable here.

    `backend` is its name, `probe` says why it is not, `demand` who asks for it.
    """

    def __init__(self, backend: str, probe: Probe, demand: str) -> None:
        self.backend, self.probe, self.demand = backend, probe, demand
        words = " ".join(filter(None, (probe.reason, way_out(probe))))
        super().__init__(
            f"The backend {backend!r} is not usable here: {words}\n"
            f"It must be used because {demand}. Usable here: {', '.join(registry.usable())}."
        )


def way_out(probe: Probe) -> str:
    """What makes a backend usable that is not, as gint says it: a sentence, "" if none is known."""
    if probe.remedy or not probe.command:
        return probe.remedy
    return f"Build it{' again' if probe.built else ''}: {probe.command}."


class Choice(NamedTuple):
    """The backend taken, None where torch tensors are left to eager; per backend looked at, why it
    was or was not taken."""

    backend: Backend | None
    reasons: dict[str, str]


def demanded(name: str | None = None) -> tuple[str, str] | None:
    """The backend that must be taken and who says so: the argument, the environment or the file.

    Raises ValueError for an unknown name, ConfigurationError (a ValueError) for one in the
    environment, or a file that cannot be used.
    """
    if name and name != AUTO:
        found = name, "it is asked for by name"
    elif (named := os.environ.get(BACKEND_VARIABLE)) and named != AUTO:
        if named not in names():
            raise ConfigurationError(
                f"{BACKEND_VARIABLE} asks for what is no backend: {named!r}. "
                f"Allowed: {', '.join([AUTO, *names()])}."
            )
        found = named, f"{BACKEND_VARIABLE} asks for it"
    elif not named and (forced := configuration.current().force_backend):
        found = forced, "force_backend asks for it"
    else:
        return None
    registry.entry(found[0])
    return found


def choose(name: str | None = None) -> Choice:
    """The backend for NumPy arrays, or that called `name`.

    Raises ValueError for an unknown name, BackendNotUsableError (an ImportError) for a backend
    that is demanded and not usable here, ConfigurationError.
    """
    if demand := demanded(name):
        return _take(*demand)
    reasons: dict[str, str] = {}
    for candidate, why in _candidates(_wish()):
        if candidate in reasons:
            continue
        answer = registry.probe(candidate)
        if not answer.usable:
            reasons[candidate] = f"not usable here: {answer.reason}"
        elif why is _BY_DEFAULT and answer.cpu_only and registry.probe("cpp").usable:
            reasons[candidate] = "passed over: it has only this CPU, which cpp reaches faster"
        else:
            reasons[candidate] = f"taken: {why}"
            return Choice(registry.backend(candidate), reasons)
    raise BackendNotUsableError(LAST_RESORT, registry.probe(LAST_RESORT), "it is the last resort")


def choose_for_torch(device: str, name: str | None = None) -> Choice:
    """The backend for torch tensors on a device type; its `backend` is None where there is none.

    Raises as `choose` does.
    """
    demand = demanded(name)
    if demand and registry.backend(demand[0]).device == device:
        return _take(*demand)
    reasons: dict[str, str] = {}
    for candidate, why in _homes(device, preferred=_wish().preferred_backend):
        if candidate in reasons:
            continue
        answer = registry.probe(candidate)
        if answer.usable:
            reasons[candidate] = f"taken: {why}"
            return Choice(registry.backend(candidate), reasons)
        reasons[candidate] = f"not usable here: {answer.reason}"
    return Choice(None, reasons)


def usable() -> tuple[str, ...]:
    """The names of the backends usable here, in the default order of priority."""
    return registry.usable()


def describe(backend: Backend) -> str:
    """What a usable backend runs on, in words."""
    return registry.probe(backend.name).description


def products_for(backend: Backend) -> QuantizedProducts:
    """The backend's products with quantised matrices; of one without, those of the first usable
    backend that has some."""
    candidates = (backend, *map(registry.backend, registry.usable()))
    return next(products for b in candidates if (products := b.quantized) is not None)


def select(name: str | None = None) -> Backend:
    """The backend that `choose` takes."""
    found = choose(name).backend
    assert found is not None
    return found


def explain(choice: Choice) -> dict[str, str]:
    """Why each backend there is was or was not taken, in the default order of priority."""
    found = {}
    for name in names():
        answer = registry.probe(name)
        if name in choice.reasons:
            found[name] = choice.reasons[name]
        elif not answer.usable:
            found[name] = f"not usable here: {answer.reason}"
        else:
            found[name] = "usable, and not asked for"
    return found


def _take(name: str, demand: str) -> Choice:
    answer = registry.probe(name)
    if not answer.usable:
        raise BackendNotUsableError(name, answer, demand)
    return Choice(registry.backend(name), {name: f"taken: {demand}"})


def _wish() -> Configuration:
    """The file's, unless $GINT_BACKEND asks for the automatic choice in this run."""
    if os.environ.get(BACKEND_VARIABLE) == AUTO:
        return Configuration(backend_priority=configuration.current().backend_priority)
    return configuration.current()


def _candidates(wish: Configuration) -> Iterator[tuple[str, str]]:
    """The backends to try, and why each would be taken."""
    if wish.preferred_backend != AUTO:
        yield wish.preferred_backend, "it is the preferred backend"
    # An order that the user wrote is followed to the letter.
    why = _BY_DEFAULT if wish.backend_priority == names() else "the first usable in the priority"
    for name in wish.backend_priority:
        yield name, why
    yield LAST_RESORT, "the last resort"


def _homes(device: str, preferred: str) -> Iterator[tuple[str, str]]:
    if preferred != AUTO and registry.backend(preferred).device == device:
        yield preferred, "it is the preferred backend"
    for name in registry.serving(device):
        yield name, f"torch tensors on {device} stay where they live"
