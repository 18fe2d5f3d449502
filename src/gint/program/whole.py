"""Files that are written whole or not at all, whatever ends the writing and whoever else writes.

Standard library only. Does not know what is in them.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: Whatever has bytes to show: bytes, a memoryview, an array.
Buffer = Any


def write_whole(path: Path, data: bytes | Iterable[Buffer], mode: int = 0o644) -> None:
    """Put `data`, or pieces of it one after the other, into the file at `path`.

    Raises OSError. The file is then as it was, and nothing else is left: it is another file that is
    written, and renamed at the end. Of several that write at once one is last.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            for piece in (data,) if isinstance(data, bytes) else data:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, mode)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
