"""The torch.compile backends that are compared: names, whether each can run here, compiling."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

NAMES: tuple[str, ...] = ("eager", "aot_eager", "gint", "inductor")
TITLES: dict[str, str] = {"inductor": "Inductor"}
#: What has a backend take weights for constants.
FREEZING: dict[str, dict[str, bool]] = {"gint": {"freeze": True}, "inductor": {"freezing": True}}


def title_of(backend: str) -> str:
    """Return the name as it is written in tables."""
    return TITLES.get(backend, backend)


def why_not(backend: str, device: str = "cpu") -> str | None:
    """Return why `backend` cannot run here, in words, or None where it can."""
    if backend == "gint" and importlib.util.find_spec("gint.conductor") is None:
        return "this installation of gint has no gint.conductor"
    if backend == "inductor" and device == "cpu" and not cpp_compiler():
        return "Inductor needs a C++ compiler, and none was found (CXX, g++, clang++)"
    if backend == "inductor" and device != "cpu" and importlib.util.find_spec("triton") is None:
        return "Inductor needs Triton for this device, and it is not installed"
    return None


def cpp_compiler() -> str | None:
    """Return the path of the C++ compiler that Inductor would take, or None."""
    candidates = (os.environ.get("CXX"), "g++", "clang++")
    return next((path for c in candidates if c and (path := shutil.which(c))), None)


def compile_for(function: Callable[..., Any], backend: str, **options: Any) -> Callable[..., Any]:
    """Return `function` compiled for `backend`; "eager" is the function itself.

    gint is registered here, so importing `gint.conductor` counts as part of its first call.
    """
    import torch

    if backend == "eager":
        return function
    if backend == "gint":
        from gint.conductor import register_backend

        register_backend()
    return torch.compile(function, backend=backend, **options)


def compile_all(
    function: Callable[..., Any], backends: Sequence[str], frozen: bool = False
) -> dict[str, Callable[..., Any]]:
    """Return `function` compiled for each backend, by name; if `frozen`, for those that can do
    that with constant weights too, as "gint frozen"."""
    found = {backend: compile_for(_of_its_own(function), backend) for backend in backends}
    for backend in backends if frozen else ():
        if backend in FREEZING:
            frozen_one = compile_for(_of_its_own(function), backend, options=FREEZING[backend])
            found[f"{backend} frozen"] = frozen_one
    return found


def _of_its_own(function: Callable[..., Any]) -> Callable[..., Any]:
    """A call of `function` with a code object of its own: Dynamo looks through all that it has
    compiled for one, other contenders' too."""
    space = {"function": function}
    exec("def call(*args, **kwargs):\n    return function(*args, **kwargs)\n", space)
    return space["call"]


def parse(text: str) -> tuple[str, ...]:
    """Parse "eager,gint" into names; an unknown or repeated one is a ValueError."""
    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = [name for name in names if name not in NAMES]
    if unknown or not names or len(set(names)) != len(names):
        raise ValueError(
            f"backends {text!r}: expected a comma-separated choice of {', '.join(NAMES)}, each once"
        )
    return names
