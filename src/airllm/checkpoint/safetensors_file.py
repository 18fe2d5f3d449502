"""A safetensors file: 8 bytes that say how long the header is, the header, the tensors' bytes.

The header is JSON: {name: {"dtype", "shape", "data_offsets": [first, end]}}, counted from its end
(github.com/huggingface/safetensors, "Format"). The package `safetensors` is not used: it maps the
whole file when it opens one, which a limited address space does not hold, keeps Python's lock while
it reads, and does not say which tensor a file breaks off in.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from .files import FileTensor, OpenFile
from .tensors import CheckpointError

#: The format's names of types -> ours, and the bytes of an element.
_TYPES = {"F32": ("f32", 4), "F16": ("f16", 2), "BF16": ("bf16", 2)}
_LENGTH_BYTES = 8
#: As the package has it.
_LONGEST_HEADER = 100_000_000


def read_tensors(path: Path) -> dict[str, FileTensor]:
    """The tensors of a file by name. Raises CheckpointError for one that is not sound."""
    try:
        opened = OpenFile(path)
        header, start = _read_header(opened)
        return {
            name: _tensor(name, said, start, opened)
            for name, said in header.items()
            if name != "__metadata__"
        }
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error


def _read_header(opened: OpenFile) -> tuple[dict[str, Any], int]:
    """The header, and where the tensors' bytes begin."""
    length_bytes = bytearray(_LENGTH_BYTES)
    missing = opened.fill(memoryview(length_bytes), 0)
    length = int.from_bytes(length_bytes, "little")
    if missing or length > min(_LONGEST_HEADER, opened.size - _LENGTH_BYTES):
        raise CheckpointError(
            f"{opened.path} is broken: a header of {length} bytes does not fit into its "
            f"{opened.size} bytes."
        )
    text = bytearray(length)
    opened.fill(memoryview(text), _LENGTH_BYTES)
    try:
        header = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"{opened.path} is broken: its header is no JSON: {error}.") from None
    if not isinstance(header, dict):
        raise CheckpointError(f"{opened.path} is broken: its header is no JSON object.")
    return header, _LENGTH_BYTES + length


def _tensor(name: str, said: Any, start: int, opened: OpenFile) -> FileTensor:
    try:
        dtype, shape = said["dtype"], tuple(map(int, said["shape"]))
        first, end = map(int, said["data_offsets"])
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"{opened.path} is broken: its header does not say type, shape and place of tensor "
            f"{name!r}."
        ) from None
    kind, size = _TYPES.get(dtype, (str(dtype), None))
    if size is not None and (end - first != math.prod(shape) * size or min(first, *shape, 0) < 0):
        raise CheckpointError(
            f"{opened.path} is broken: tensor {name!r} of shape {shape} and type {dtype} has the "
            f"bytes {first} to {end}."
        )
    return FileTensor(name, shape, kind, start + first, opened)
