"""The machine a run was made on: what it is, its versions, the checkout's commit, the date."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gint.measuring.backends import cpp_compiler

PACKAGES = ("torch", "transformers", "numpy", "numexpr")


def describe(threads: int) -> dict[str, Any]:
    """Return machine, versions, commit and date, for the head of every report.

    `threads` is what the run used. What cannot be found out is None.
    """
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


def _commit() -> str | None:
    """Return the checkout's commit, with "+changes" where tracked files differ from it."""
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():  # installed: a repository around that would not be ours
        return None
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty=+changes", "--abbrev=12", "--exclude=*"],
            cwd=root,
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
    compiler = cpp_compiler()
    if compiler is None:
        return None
    done = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return done.stdout.splitlines()[0] if done.stdout else compiler
