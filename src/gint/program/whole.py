"""Files that are written whole or not at all, whatever ends the writing and whoever else writes.

Standard library only. Does not know what is in them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def write_whole(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Put `data` into the file at `path`. As `writing_whole`."""
    with writing_whole(path, mode) as unfinished:
        unfinished.write_bytes(data)


@contextlib.contextmanager
def writing_whole(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """An empty file beside `path` to write to, which takes its place at the end.

    Raises OSError. Where that or anything else is raised inside, the file at `path` is as it was,
    and nothing else is left. Of several that write at once one is last.
    """
    import tempfile  # and what it needs, which reading a file does without

    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "rb+") as file:
            yield Path(name)
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
