"""How the commands of `setup.py` are typed here, and what they say when they cannot be done."""

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


def way_out(backend: str, probe: Probe) -> str:
    """What makes a backend usable that is not, in one sentence, or "" where nothing is known."""
    if probe.remedy:  # a backend names the commands of a checkout
        return probe.remedy.replace("python setup.py ", command_line(""))
    if not probe.built and backend in BUILD:
        return f"Build it: {command_line(BUILD[backend])}."
    return ""
