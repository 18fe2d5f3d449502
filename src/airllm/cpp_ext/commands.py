"""The names of the commands of `setup.py`, as users type them."""

from __future__ import annotations

from gint.host import configuration

#: Backend -> the command that builds or checks what it needs.
BUILD = {"cuda": "build_cuda", "opencl": "build_opencl", "cpp": "build_ext --inplace"}


def command_line(command: str) -> str:
    """How this command is typed here: in the checkout's cpp_ext/, or of an installed package."""
    if configuration.is_checkout(configuration.SOURCES):
        return f"python setup.py {command}"
    return f"python -m airllm.cpp_ext {command}"
