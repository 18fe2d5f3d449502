"""What memory this process can still have, as the system says. Standard library only."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

#: What takes no more than this is not asked about.
ASKED_BYTES = 256 << 20
_CGROUPS = Path("/sys/fs/cgroup")


def memory_left() -> int | None:
    """Bytes that this process can have beside what it has: of the machine's memory, of its
    control groups', and of the process's own limit, the least; None where nothing says so."""
    found = [f for f in (_of_machine(), *_of_groups(), _of_process()) if f is not None]
    return max(min(found), 0) if found else None


def need_memory(nbytes: int, what: str) -> None:
    """Raise MemoryError with a sentence where `what` takes more bytes than there are left.

    The system gives out more than it has, and ends whoever then uses it; so what is large is
    refused before.
    """
    if nbytes <= ASKED_BYTES:
        return
    left = memory_left()
    if left is not None and nbytes > left:
        raise MemoryError(f"{what} takes {shown(nbytes)}, and {shown(left)} are left here.")


def shown(nbytes: int) -> str:
    """A number of bytes as people read it."""
    if nbytes < 10 << 20:
        return f"{nbytes:,} bytes"
    return f"{nbytes / 2**20:,.0f} MiB" if nbytes < 10 << 30 else f"{nbytes / 2**30:,.1f} GiB"


def _of_machine() -> int | None:
    facts = _fields(Path("/proc/meminfo"))
    if "MemAvailable" in facts:
        return (facts["MemAvailable"] + facts.get("SwapFree", 0)) << 10
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return None


def _of_process() -> int | None:
    try:
        import resource
    except ImportError:  # not on Windows
        return None
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    used = _fields(Path("/proc/self/status")).get("VmSize")
    return None if most == resource.RLIM_INFINITY or used is None else most - (used << 10)


def _of_groups() -> list[int]:
    """What the control groups that this process is in, and those around them, have left."""
    left = []
    for folder in _groups():
        most, used = _number(folder / "memory.max"), _number(folder / "memory.current")
        if most is not None and used is not None:
            cached = _fields(folder / "memory.stat", " ").get("inactive_file", 0)
            left.append(most - used + cached)
    return left


@cache
def _groups() -> tuple[Path, ...]:
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return ()
    own = next((line[3:] for line in lines if line.startswith("0::/")), None)
    if own is None:
        return ()
    folder = _CGROUPS / own.lstrip("/")
    around = (folder, *folder.parents)
    return tuple([f for f in around if f.is_relative_to(_CGROUPS) and (f / "memory.max").exists()])


def _number(path: Path) -> int | None:
    try:
        text = path.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def _fields(path: Path, after: str = ":") -> dict[str, int]:
    """Lines of a name and a number."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    pairs = [line.partition(after) for line in lines]
    numbers = [(name, rest.split()) for name, _, rest in pairs]
    return {name: int(rest[0]) for name, rest in numbers if rest and rest[0].isdigit()}
