"""What OpenCL reports, in words that name the device and the way out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

ELSEWHERE = "Run it on another backend (`gint info` lists them), or set force_backend to one."


class OpenclError(RuntimeError):
    """A device that could not be used, a build or a launch that failed."""


class OpenclMemoryError(MemoryError):
    """A device without room for what a launch needs."""


@contextmanager
def in_words(device: str, doing: str) -> Iterator[None]:
    """Errors of pyopencl inside become ours: `doing` is what failed, for the sentence."""
    import pyopencl as cl

    try:
        yield
    except cl.MemoryError as error:
        raise OpenclMemoryError(
            f"The OpenCL device {device} has no memory left for {doing}: {_code(error)}.\n"
            f"Free memory on it, use smaller tensors, or: {ELSEWHERE}"
        ) from error
    except cl.Error as error:
        raise OpenclError(
            f"The OpenCL device {device} failed while {doing}: {_first_lines(error)}\n{ELSEWHERE}"
        ) from error


def _code(error: Any) -> str:
    return str(error).strip().splitlines()[0]


def _first_lines(error: Any) -> str:
    """Enough of a build log to see what is wrong."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(line[:200] for line in lines[:12])
