"""The backend that the operations run on: chosen at import as the configuration says.

Knows the selection of gint.host and the words of the configuration guide. Does not know operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeVar

from airllm.commands import build_line, command_line, way_out
from gint.host import configuration, recall, selection
from gint.host.selection import Backend

P = ParamSpec("P")
R = TypeVar("R")


class ConfigurationValues(dict):
    """The configuration's values; prints one key a line, as the guide shows them."""

    def __str__(self) -> str:
        return "{\n" + ",\n".join(f"  {key!r}: {value!r}" for key, value in self.items()) + "\n}"


def _choose() -> selection.Choice:
    """The backend in effect; raises ImportError, as a missing module would, for one demanded."""
    try:
        return selection.choose()
    except selection.BackendNotUsableError as error:
        raise _import_error(error) from None


def _import_error(error: selection.BackendNotUsableError) -> ImportError:
    module = f"tensor_ops_{error.backend}"
    if error.demand.startswith("force_backend"):
        undo = f"remove force mode: {command_line('configure_backend --backend=auto')}"
    else:
        undo = f"unset {configuration.BACKEND_VARIABLE}"
    if not error.probe.built:
        build = build_line(error.backend, error.probe)
        ways = f"Build the backend: {build}, or {undo}." if build else f"Get it, or {undo}."
        return ImportError(f"No module named {module!r}\n{ways}", name=module)
    words = f"{error.probe.reason} {way_out(error.backend, error.probe)}".strip()
    return ImportError(
        f"{module} is built, and not usable here: {words}\nMake it usable, or {undo}.", name=module
    )


_CHOICE = _choose()
#: What `use_backend` asks for, and what runs the operations otherwise.
CHOSEN: ContextVar[Backend | None] = ContextVar("airllm.tensor_ops.backend", default=None)
DEFAULT: Backend = _CHOICE.backend  # type: ignore[assignment]


def active() -> Backend:
    """The backend that operations called here run on."""
    return CHOSEN.get() or DEFAULT


def recalled(operation: Callable[P, R]) -> Callable[P, R]:
    """The operation, which remembers its calls per active backend (gint.host.recall)."""
    return recall.recalled(operation, CHOSEN, DEFAULT)


def get_backend() -> str:
    """The name of the backend that operations called here run on: "cpp", for example."""
    return active().name


def get_backend_info() -> dict[str, Any]:
    """What runs the operations, and why.

    backend             the active backend's name
    device              what it runs on, in words
    config              the configuration in effect: `preferred_backend`, `backend_priority`,
                        `force_backend`
    config_file         where that came from
    available_backends  the names of the backends usable here
    reasons             backend name -> why it was or was not taken
    """
    backend = active()
    reasons = selection.explain(_CHOICE)
    if backend is not _CHOICE.backend:
        elsewhere = _CHOICE.backend.name  # type: ignore[union-attr]
        reasons[elsewhere] = reasons[elsewhere].replace("taken:", "taken outside of use_backend:")
        reasons[backend.name] = "taken: use_backend asks for it"
    return {
        "backend": backend.name,
        "config": ConfigurationValues(configuration.current().as_dict()),
        "available_backends": list(selection.usable()),
        "device": selection.describe(backend),
        "config_file": str(configuration.locate().path),
        "reasons": reasons,
    }


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Operations called inside run on the backend `name`, in this thread or task alone.

    Raises ValueError for an unknown name, ImportError (with the reason) for one that is not usable.
    """
    token = CHOSEN.set(selection.select(name))
    try:
        yield
    finally:
        CHOSEN.reset(token)
