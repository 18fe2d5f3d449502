"""Read, write and copy bandwidth of the machine, measured in the run whose figures they judge.

Each is the best of several ways over buffers that exist already, with torch's number of threads; a
copy with non-temporal stores and a bare read loop are among them where a compiler can build them.
A copy counts its bytes twice, read and written.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from gint.measuring.backends import cpp_compiler
from gint.measuring.clock import Call, time_calls

ELEMENTS = 1 << 24  # float32: 64 MiB a buffer, as large as the largest kernel's operand


class Bandwidth:
    """Read, write and copy bandwidth of existing buffers, in bytes per second."""

    def __init__(self, threads: int, elements: int = ELEMENTS) -> None:
        """Make two buffers of float32 `elements`, touched, to be moved by `threads` threads."""
        import torch

        self._source = torch.ones(elements)  # written: fresh zeros would all be one page
        self._target = torch.ones(elements)
        self._bytes = elements * 4
        self._pool = ThreadPoolExecutor(threads)
        self._threads = threads

    def measure(self, seconds: float = 0.15) -> dict[str, float]:
        """Return the best of several ways for each kind, `seconds` for each way."""
        found = {}
        for kind, (factor, ways) in self._ways().items():
            best_s = min(min(time_calls(way, seconds, least=3)) for way in ways.values())
            found[kind] = factor * self._bytes / best_s
        return found

    def _ways(self) -> dict[str, tuple[int, dict[str, Call]]]:
        """Return, per kind, how often a buffer's bytes count, and the ways to move them."""
        import torch

        a, b = self._source, self._target
        na, nb = a.numpy(), b.numpy()
        read: dict[str, Call] = {"torch.sum": lambda: torch.sum(a)}
        write: dict[str, Call] = {
            "torch.fill_": lambda: b.fill_(0.0),
            "memset": self._spread(lambda at, n: _LIBC.memset(b.data_ptr() + at, 0, n)),
        }
        copy: dict[str, Call] = {
            "torch.copy_": lambda: b.copy_(a),
            "numpy": self._spread(lambda at, n: _copyto(na, nb, at // 4, n // 4)),
            "memcpy": self._spread(
                lambda at, n: _LIBC.memcpy(b.data_ptr() + at, a.data_ptr() + at, n)
            ),
        }
        own = _own_loops()
        if own is not None:
            read["own loop"] = self._spread(lambda at, n: own.read_all(a.data_ptr() + at, n))
            copy["streaming"] = self._spread(
                lambda at, n: own.copy_streaming(b.data_ptr() + at, a.data_ptr() + at, n)
            )
        return {"read": (1, read), "write": (1, write), "copy": (2, copy)}

    def _spread(self, part: Callable[[int, int], Any]) -> Call:
        """Return a call that runs `part(first byte, bytes)` over one share per thread."""
        share = self._bytes // self._threads // 4096 * 4096
        starts = [i * share for i in range(self._threads)]
        counts = [share] * (self._threads - 1) + [self._bytes - starts[-1]]
        return lambda: list(self._pool.map(part, starts, counts))


def reader(threads: int) -> Callable[[Any], Any] | None:
    """Return a call that reads a NumPy array with the own loop; None where it cannot be built."""
    own = _own_loops()
    if own is None:
        return None
    pool = ThreadPoolExecutor(threads)

    def read(data: Any) -> None:
        share = data.nbytes // threads
        starts = [data.ctypes.data + i * share for i in range(threads)]
        list(pool.map(own.read_all, starts, [share] * threads))

    return read


def _libc() -> ctypes.CDLL:
    """Load the C library's block functions; ctypes releases the interpreter lock around them."""
    libc = ctypes.CDLL(None) if os.name != "nt" else ctypes.CDLL("msvcrt")
    _declare(libc.memcpy, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    _declare(libc.memset, ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t)
    return libc


def _declare(function: Any, *arguments: Any) -> None:
    function.argtypes, function.restype = arguments, ctypes.c_void_p


@cache
def _own_loops() -> ctypes.CDLL | None:
    """Build bandwidth.c for this machine, and load it; None where there is no compiler for it."""
    compiler = cpp_compiler()
    if compiler is None:
        return None
    source = Path(__file__).with_suffix(".c")
    flags = ("-xc", "-O3", "-march=native", "-shared", "-fPIC")
    with tempfile.TemporaryDirectory(prefix="gint-bench-") as folder:
        library = Path(folder) / "bandwidth.so"
        command = [compiler, *flags, str(source), "-o", str(library)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
        own = ctypes.CDLL(str(library))
    _declare(own.copy_streaming, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
    _declare(own.read_all, ctypes.c_void_p, ctypes.c_size_t)
    return own


_LIBC = _libc()


def _copyto(source: Any, target: Any, at: int, count: int) -> None:
    target[at : at + count] = source[at : at + count]
