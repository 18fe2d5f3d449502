"""Constants in safetensors' form, inside a plan's file or in one beside it.

    8 bytes   length N of the header, little endian
    N bytes   JSON: name -> {"dtype", "shape", "data_offsets": [begin, end]}, padded with spaces
    the rest  the tensors' bytes

The format is safetensors' (https://github.com/huggingface/safetensors). It is read here in a few
lines, since tensors are views of mapped memory and never copied, and a plan needs no package for
it. A tensor that is not contiguous is saved as the elements from its first to its last.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from typing import Any, NamedTuple

from .dtypes import ELEMENT_TYPES

_LENGTH = struct.Struct("<Q")
_ALIGNED = 64
#: Among safetensors' own metadata.
_STAMP = "gint.plan"
#: A header of more bytes is refused before it is read, as safetensors itself does.
_MOST_HEADER = 100 << 20


class Stored(NamedTuple):
    """A tensor to be saved: `shape` as it lies in the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    nbytes: int


def weights_header(tensors: Iterable[Stored], stamp: str = "") -> bytes:
    """Everything before the tensors' bytes, which follow one another without gaps. Those with the
    largest elements are to come first: then each begins at a multiple of its elements. `stamp`
    says which plan they were written for."""
    entries: dict[str, Any] = {"__metadata__": {_STAMP: stamp}} if stamp else {}
    at = 0
    for t in tensors:
        code = ELEMENT_TYPES[t.dtype].safetensors
        entries[t.name] = {"dtype": code, "shape": t.shape, "data_offsets": [at, at + t.nbytes]}
        at += t.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + _LENGTH.size) % _ALIGNED)
    return _LENGTH.pack(len(text)) + text


class Weights:
    """Where every tensor lies in `buffer`, from `begin` to `end` of which are in the form above.

    Raises ValueError for a header that is not, or that announces what is not there.
    """

    def __init__(self, buffer: Any, begin: int, end: int) -> None:
        self.buffer = buffer
        size = end - begin
        if size < _LENGTH.size:
            raise ValueError(f"the weights are cut short: they have {size} bytes.")
        (length,) = _LENGTH.unpack_from(buffer, begin)
        if length > min(_MOST_HEADER, size - _LENGTH.size):
            raise ValueError(f"the weights announce a header of {length} bytes, of {size} in all.")
        self.data = begin + _LENGTH.size + length
        self.nbytes = end - self.data
        try:
            self.entries = json.loads(bytes(buffer[begin + _LENGTH.size : self.data]))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"the weights' header is no JSON: {error}.") from None
        if not isinstance(self.entries, dict):
            raise ValueError("the weights' header is malformed.")

    @property
    def stamp(self) -> str | None:
        """Of the plan they were written for; None where they do not say."""
        metadata = self.entries.get("__metadata__")
        return metadata.get(_STAMP) if isinstance(metadata, dict) else None

    def find(self, tensor: Stored) -> int:
        """Where the elements of a tensor begin in the buffer. Raises ValueError."""
        name, dtype, shape, nbytes = tensor
        entry = self.entries.get(name)
        if not isinstance(entry, dict):
            raise ValueError(f"the weights lack the tensor {name!r}.")
        element = ELEMENT_TYPES[dtype]
        offsets: Any = entry.get("data_offsets")
        is_pair = isinstance(offsets, list) and [type(n) for n in offsets] == [int, int]
        if not is_pair or not 0 <= offsets[0] <= offsets[1] <= self.nbytes:
            raise ValueError(f"the weights do not hold all of the tensor {name!r}.")
        if entry.get("dtype") != element.safetensors:
            raise ValueError(
                f"the tensor {name!r} is of {entry.get('dtype')}, the plan wants {dtype}."
            )
        if entry.get("shape") != list(shape):
            raise ValueError(
                f"the tensor {name!r} has the shape {entry.get('shape')}, the plan wants "
                f"{list(shape)}."
            )
        if offsets[1] - offsets[0] != nbytes:
            raise ValueError(
                f"the tensor {name!r} has {offsets[1] - offsets[0]} bytes, the plan wants {nbytes}."
            )
        at = self.data + offsets[0]
        if at % element.nbytes:
            raise ValueError(f"the tensor {name!r} does not begin at a multiple of its elements.")
        return at
