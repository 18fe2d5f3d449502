"""Files that are written whole or not at all, whatever ends the writing and whoever else writes.

Standard library only. Does not know what is in them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_OPEN = "/proc/self/fd"
_NAMELESS = getattr(os, "O_TMPFILE", None)


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put `data` into the file at `path`. As `writing_whole`."""
    with writing_whole(path, mode) as unfinished:
        unfinished.write_bytes(data)


@contextlib.contextmanager
def writing_whole(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """An empty file in the folder of `path` to write to, which takes its place at the end.

    Raises OSError. Where that or anything else is raised inside, the file at `path` is as it was,
    and nothing else is left; nor where the process is killed, if the file system has files without
    a name, as most of Linux's do. Of several that write at once one is last.
    """
    import tempfile  # and what it needs, which reading a file does without

    name: str | None = None
    try:
        handle = _open_nameless(path.parent)
        if handle is None:
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "rb+"):
            yield Path(name or f"{_OPEN}/{handle}")
            os.fsync(handle)
            if name is None:
                name = _named(handle, path)
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException as error:
        if name is not None:
            with contextlib.suppress(OSError):
                os.unlink(name)
        if isinstance(error, OSError) and error.errno is not None:
            # A full disk says nothing of where, and a folder that takes no files names another.
            at = error.filename
            if at is None or os.path.basename(str(at)).startswith(f".{path.name}."):
                error.filename = str(path)
        raise


def _open_nameless(folder: Path) -> int | None:
    """A file in a folder that goes with whoever has it open; None where there are no such."""
    if _NAMELESS is None or not os.path.exists(_OPEN):
        return None
    try:
        return os.open(folder or ".", os.O_RDWR | os.O_CLOEXEC | _NAMELESS, 0o600)
    except OSError:  # the file system has none, or the folder says why at the other try
        return None


def _named(handle: int, path: Path) -> str:
    """Give an open file a name beside `path` that nothing else has; the name."""
    for n in range(10_000):
        name = str(path.parent / f".{path.name}.{os.getpid()}.{n}")
        with contextlib.suppress(FileExistsError):
            # Python follows the link only where a folder's handle is given; which one is the same.
            os.link(f"{_OPEN}/{handle}", name, src_dir_fd=handle)
            return name
    raise FileExistsError(f"There is no free name beside {path}.")
