"""The machine a run was made on: what it is, and its memory bandwidth measured in the same run.

Each bandwidth is the best of several ways over buffers that exist already, with torch's number of
threads; glibc's memcpy and memset use non-temporal stores for blocks of this size. A copy counts
its bytes twice, read and written.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.timing import Call

ELEMENTS = 1 << 24  # float32: 64 MiB a buffer, as large as the largest kernel's operand
PACKAGES = ("torch", "transformers", "numpy", "numexpr")


def describe(threads: int) -> dict[str, Any]:
    """Return machine, versions, commit and date, for the head of every report."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "cpu": _cpu_name(),
        "instruction_sets": _instruction_sets(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "threads": threads,
        "memory_gib": _memory_gib(),
        "caches": _caches(),
        "transparent_huge_pages": _huge_pages(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "compiler": _compiler(),
    }


class Bandwidth:
    """Read, write and copy bandwidth of existing buffers, in bytes per second."""

    def __init__(self, threads: int, elements: int = ELEMENTS) -> None:
        """Make two buffers of float32 `elements`, touched, to be moved by `threads` threads."""
        import torch

        self._source = torch.zeros(elements)
        self._target = torch.zeros(elements)
        self._bytes = elements * 4
        self._pool = ThreadPoolExecutor(threads)
        self._threads = threads

    def measure(self, seconds: float = 0.15) -> dict[str, float]:
        """Return the best of several ways for each kind, `seconds` for each way."""
        found = {}
        for kind, (factor, ways) in self._ways().items():
            best_s = min(_fastest_s(way, seconds) for way in ways.values())
            found[kind] = factor * self._bytes / best_s
        return found

    def _ways(self) -> dict[str, tuple[int, dict[str, Call]]]:
        import torch

        a, b = self._source, self._target
        na, nb = a.numpy(), b.numpy()
        ways: dict[str, tuple[int, dict[str, Call]]] = {
            "read": (1, {"torch.sum": lambda: torch.sum(a), "memchr": self._spread(self._memchr)}),
            "write": (
                1,
                {"torch.fill_": lambda: b.fill_(0.0), "memset": self._spread(self._memset)},
            ),
            "copy": (
                2,
                {
                    "torch.copy_": lambda: b.copy_(a),
                    "numpy.copyto": self._spread(lambda at, n: _copyto(na, nb, at // 4, n // 4)),
                    "memcpy": self._spread(self._memcpy),
                },
            ),
        }
        return ways

    def _spread(self, part: Callable[[int, int], Any]) -> Call:
        """Return a call that runs `part(first byte, bytes)` over one share per thread."""
        share = self._bytes // self._threads // 4096 * 4096
        starts = [i * share for i in range(self._threads)]
        counts = [share] * (self._threads - 1) + [self._bytes - starts[-1]]
        return lambda: list(self._pool.map(part, starts, counts))

    def _memcpy(self, at: int, count: int) -> None:
        _LIBC.memcpy(self._target.data_ptr() + at, self._source.data_ptr() + at, count)

    def _memset(self, at: int, count: int) -> None:
        _LIBC.memset(self._target.data_ptr() + at, 0, count)

    def _memchr(self, at: int, count: int) -> None:
        """Look for a byte that is not there."""
        _LIBC.memchr(self._source.data_ptr() + at, 1, count)


def _libc() -> ctypes.CDLL:
    """Load the C library's block functions; ctypes releases the interpreter lock around them."""
    libc = ctypes.CDLL(None) if os.name != "nt" else ctypes.CDLL("msvcrt")
    address, size = ctypes.c_void_p, ctypes.c_size_t
    for name, arguments in {
        "memcpy": [address, address, size],
        "memset": [address, ctypes.c_int, size],
        "memchr": [address, ctypes.c_int, size],
    }.items():
        function = getattr(libc, name)
        function.argtypes, function.restype = arguments, address
    return libc


_LIBC = _libc()


def _copyto(source: Any, target: Any, at: int, count: int) -> None:
    target[at : at + count] = source[at : at + count]


def _fastest_s(call: Call, seconds: float) -> float:
    """Return the fastest of the calls that fit into `seconds`, at least three."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def _commit() -> str | None:
    """Return the checkout's commit, with "+changes" where tracked files differ from it."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+changes", "--abbrev=12", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _cpuinfo(key: str) -> str | None:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), None)


def _cpu_name() -> str:
    family, model = _cpuinfo("cpu family"), _cpuinfo("model\t")
    name = _cpuinfo("model name") or platform.processor() or platform.machine()
    return f"{name} (family {family}, model {model})" if family else name


def _instruction_sets() -> list[str]:
    flags = (_cpuinfo("flags") or _cpuinfo("Features") or "").split()
    wanted = (
        "avx2",
        "fma",
        "f16c",
        "avx512f",
        "avx512bw",
        "avx512_bf16",
        "avx512_vnni",
        "amx_tile",
    )
    return [flag for flag in (*wanted, "asimd", "asimddp", "sve") if flag in flags]


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None


def _caches() -> list[str]:
    found = []
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        level, kind, size = ((index / f).read_text().strip() for f in ("level", "type", "size"))
        found.append(f"L{level} {kind.lower()} {size}")
    return found


def _huge_pages() -> str | None:
    path = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return path.read_text().split("[")[1].split("]")[0] if path.exists() else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _compiler() -> str | None:
    """Return the first line of the C++ compiler's own version."""
    from gint.demo.backends import cpp_compiler

    compiler = cpp_compiler()
    if compiler is None:
        return None
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0] if done.stdout else compiler
