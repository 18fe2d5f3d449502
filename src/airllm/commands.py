"""The commands of cpp_ext/ in sentences: how they are typed here, when they are the way out, and
the error that one cannot be done.

Knows their names. Does not know what they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gint.host import configuration

if TYPE_CHECKING:
    from gint.backend.protocol import Probe

#: Backend -> the command that builds or checks what it needs.
BUILD = {"cuda": "build_cuda", "opencl": "build_opencl", "cpp": "build_ext --inplace"}


class CommandError(Exception):
    """A command cannot be done here; the message is a sentence that says what is missing."""


def command_line(command: str) -> str:
    """How this command is typed here: in the checkout's cpp_ext/, or of an installed package."""
    if configuration.is_checkout(configuration.SOURCES):
        return f"python setup.py {command}"
    return f"python -m airllm.cpp_ext {command}"


def build_line(backend: str, probe: Probe) -> str:
    """What is typed to build a backend: a command of ours, else its own; "" if there is none."""
    return command_line(BUILD[backend]) if backend in BUILD else probe.command


def way_out(backend: str, probe: Probe) -> str:
    """What makes a backend usable that is not, in one sentence, or "" where nothing is known."""
    command = build_line(backend, probe)
    if probe.remedy or not command or (probe.built and not probe.command):
        return probe.remedy
    return f"Build it{' again' if probe.built else ''}: {command}."
