"""`configure_backend`: shows and changes the configuration file in effect.

Knows the words of the configuration guide. Does not know where the file lies or what it may hold
(gint.host.configuration). Asks whether a backend is usable only after the file is written, because
that takes NumPy.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace

from airllm.commands import way_out
from gint.backend import registry
from gint.host import configuration
from gint.host.configuration import (
    AUTO,
    BACKEND_VARIABLE,
    Configuration,
    ConfigurationError,
    Location,
)


def run(options: argparse.Namespace) -> None:
    """Write what is asked for, if anything is; show what then holds. Raises ConfigurationError."""
    location = configuration.locate()
    before = configuration.read(location)
    after = changed(before, options.backend, options.force, options.priority)
    asked = options.backend is not None or options.priority is not None
    if asked:
        configuration.write(location, after)
    print(text_of(after, location), flush=True)
    if asked:
        _warn_of_environment()
        if options.backend not in (None, AUTO):
            _warn_unless_usable(options.backend, options.force)


def changed(
    before: Configuration, backend: str | None, force: bool, priority: str | None
) -> Configuration:
    """The configuration after `--backend`, `--force` and `--priority`, None where not given.

    Raises ConfigurationError.
    """
    if force and backend in (None, AUTO):
        raise ConfigurationError(
            f"--force needs the backend to force: --backend=NAME. "
            f"Allowed: {', '.join(registry.names())}."
        )
    after = before
    if backend is not None:
        after = replace(after, preferred_backend=backend, force_backend=backend if force else None)
    if priority is not None:
        names = [name.strip() for name in priority.split(",")] if priority.strip() else []
        after = replace(after, backend_priority=tuple(names))
    return after


def text_of(values: Configuration, location: Location) -> str:
    """The configuration as `--show` prints it."""
    return (
        "Current Backend Configuration:\n"
        f"  Preferred backend: {values.preferred_backend}\n"
        f"  Force backend: {values.force_backend}\n"
        f"  Priority order: {', '.join(values.backend_priority)}\n"
        "\n"
        f"Configuration file: {location.path.absolute()}"
    )


def _warn_of_environment() -> None:
    if named := os.environ.get(BACKEND_VARIABLE):
        _warn(f"{BACKEND_VARIABLE}={named} in the environment rules over this file.")


def _warn_unless_usable(name: str, force: bool) -> None:
    """Say why a backend that is configured is not usable here, and how to get it."""
    if force:
        until = "Until it is usable, importing airllm.tensor_ops fails."
    else:
        until = "Until it is usable, the next one in the priority that is will be used."
    try:
        import numpy  # noqa: F401  # every backend needs it
    except ImportError as error:
        _warn(f"whether {name!r} is usable here cannot be told without NumPy: {error}.")
        return

    answer = registry.probe(name)
    if not answer.usable:
        words = [f"{name!r} is not usable here: {answer.reason}", way_out(name, answer), until]
        _warn(" ".join(filter(None, words)))


def _warn(sentence: str) -> None:
    print(f"warning: {' '.join(sentence.split())}", file=sys.stderr)
