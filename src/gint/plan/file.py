"""The file of a saved function: programs, plan, signature and constants.

offset   bytes  content
0        4      b"GPLN"
4        4      format version, little endian
8        8      length H of the header
16       8      length P of the programs
24       8      length W of the weights, 0 where they lie in a file beside this one
32       4      CRC-32 of the header and the programs
36       28     zeros
64       H      header, UTF-8 JSON
64+H     P      the programs in their file form, one after the other
         W      from the next multiple of 64 on, the weights (weights.py)

The header holds `programs` (the length of each), `plan` (codec.py), `signature`, `options` (names
and values, for whoever made the plan), `checksums` (the CRC-32 of every constant) and `weights`
(None, or the name and the bytes of the file beside). Nothing in the file is executed: a plan is
read, verified and then interpreted.

The same bytes without a file are what torch's own caches keep of a plan (gint.precompile).
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import zlib
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from gint.dataclass import frozen
from gint.program import VerifiedProgram, verify
from gint.program.file import from_bytes, to_bytes
from gint.program.whole import writing_whole

from . import codec
from .contents import uses
from .dtypes import ELEMENT_TYPES, span
from .model import Plan, TensorType
from .signature import Signature
from .verifier import verify_plan
from .weights import Stored, Weights, weights_header

MAGIC = b"GPLN"
VERSION = 1
_HEAD = struct.Struct("<4sIQQQI28s")
_ALIGNED = 64
#: Told of a file whose bytes are wanted soon.
Ahead = Callable[[mmap.mmap], object]


class Saved(NamedTuple):
    """A plan with how it is called, the bytes of its constants, in their order, and what whoever
    made it wants to read again: options whose values are None, bool, int or str."""

    plan: Plan
    signature: Signature
    constants: tuple[memoryview | bytes, ...]
    options: Mapping[str, Any] = MappingProxyType({})


@frozen
class Opened:
    """A plan that was read from a file, and verified. `starts` says where each constant's bytes
    begin in `buffer`; the weights are mapped, privately: what is written into them stays here.
    `path` is None for bytes that were no file."""

    path: Path | None
    plan: Plan
    signature: Signature
    options: Mapping[str, Any]
    buffer: Any
    starts: tuple[int, ...]
    checksums: tuple[int, ...]
    weights_path: Path | None = None

    def check_length(self) -> None:
        """Raise ValueError where the file was cut since it was opened: to read what it lost would
        end the process."""
        if isinstance(self.buffer, mmap.mmap) and self.buffer.size() < len(self.buffer):
            raise ValueError(
                f"{self.weights_path or self.path} was cut short while it was loaded. Load it "
                "again; to replace such a file, write another and rename it, as export does."
            )

    def check_constants(self) -> None:
        """Raise ValueError for a constant that is not what was saved."""
        view = memoryview(self.buffer) if self.starts else memoryview(b"")
        for constant, start, checksum in zip(
            self.plan.constants, self.starts, self.checksums, strict=True
        ):
            if zlib.crc32(view[start : start + constant_bytes(constant.type)]) != checksum:
                where = self.weights_path or self.path
                raise ValueError(
                    f"{where or 'the plan'}: the tensor {constant.name!r} is not the one that was "
                    "saved: its checksum does not match."
                )


def as_path(path: Any) -> Path:
    """`path` as a Path. Raises TypeError for what is none."""
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"path is that of a file, a str or a Path, not {path!r}.")
    return Path(path)


def constant_bytes(t: TensorType | None) -> int:
    """The bytes from a constant's first element to its last."""
    assert t is not None
    size: Any = t.size
    strides: Any = t.strides
    return span(size, strides) * ELEMENT_TYPES[t.dtype].nbytes


# Writing


def write(path: Path, saved: Saved, weights_beside: bool) -> list[Path]:
    """Write the file, whole or not at all, and the weights into one of the same name that ends in
    .safetensors if they are to lie beside it. The files written.

    Raises codec.ForeignError for a plan that no file can hold, OSError.
    """
    beside = path.with_suffix(".safetensors") if weights_beside and saved.constants else None
    checksums = [zlib.crc32(c) for c in saved.constants]
    order, header = _weights_header(saved, _stamp(checksums) if beside is not None else "")
    data = [saved.constants[n] for n in order]
    size = len(header) + sum(memoryview(d).nbytes for d in data) if data else 0
    if beside is not None:
        _write(beside, [header, *data])
    weights = None if beside is None else {"name": beside.name, "nbytes": size}
    head = _head(saved, weights, 0 if beside else size)
    _write(path, head if beside or not data else [*head, header, *data])
    return [path] if beside is None else [path, beside]


def saved_bytes(saved: Saved) -> bytes:
    """The bytes of a file with the weights inside. Raises codec.ForeignError as `write`."""
    order, header = _weights_header(saved)
    data = [header, *[saved.constants[n] for n in order]] if saved.constants else []
    size = sum(memoryview(d).nbytes for d in data)
    return b"".join([*_head(saved, None, size), *data])


def _write(path: Path, pieces: Iterable[Any]) -> None:
    with writing_whole(path) as unfinished, unfinished.open("wb") as file:
        file.writelines(pieces)


def _stamp(checksums: Iterable[int]) -> str:
    """What weights in a file of their own say of the plan that they were written with."""
    return f"{zlib.crc32(repr(list(checksums)).encode()):08x}"


def _weights_header(saved: Saved, stamp: str = "") -> tuple[list[int], bytes]:
    """The constants in the order in which they lie in the file, and the header of that."""
    stored = [_stored(c.name, c.type) for c in saved.plan.constants]
    order = sorted(range(len(stored)), key=lambda n: -ELEMENT_TYPES[stored[n].dtype].nbytes)
    return order, weights_header((stored[n] for n in order), stamp)


def _stored(name: str, t: TensorType | None) -> Stored:
    """How a constant lies among the weights: one with gaps as a line of elements."""
    assert t is not None
    size: Any = t.size
    strides: Any = t.strides
    nbytes = constant_bytes(t)
    is_plain = span(size, strides) == _product(size) and strides == _plain(size)
    shape = size if is_plain else (nbytes // ELEMENT_TYPES[t.dtype].nbytes,)
    return Stored(name, t.dtype, shape, nbytes)


def _product(size: tuple[int, ...]) -> int:
    count = 1
    for length in size:
        count *= length
    return count


def _plain(size: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of a contiguous tensor."""
    strides = [1]
    for length in reversed(size[1:]):
        strides.append(strides[-1] * max(length, 1))
    return tuple(reversed(strides))[: len(size)] if size else ()


def _head(saved: Saved, weights: dict | None, nbytes: int) -> list[bytes]:
    """All of the file but the weights in it."""
    programs = [to_bytes(p.program) for p in saved.plan.programs]
    s = saved.signature
    header = {
        "programs": [len(p) for p in programs],
        "plan": codec.written_plan(saved.plan),
        "signature": {
            "args": codec.written_argument(list(s.args)),
            "names": list(s.names),
            "kwargs": codec.written_argument(s.kwargs),
            "result": codec.written_argument(s.result),
        },
        "options": dict(saved.options),
        "checksums": [zlib.crc32(c) for c in saved.constants],
        "weights": weights,
    }
    body = json.dumps(header, separators=(",", ":")).encode()
    length, body = len(body), body + b"".join(programs)
    checksum = zlib.crc32(body)
    padding = b"" if not nbytes else b"\0" * (-len(body) % _ALIGNED)
    head = _HEAD.pack(MAGIC, VERSION, length, len(body) - length, nbytes, checksum, b"")
    return [head, body, padding]


# Reading


def open_saved(path: Path, operators: Iterable[str] = (), ahead: Ahead | None = None) -> Opened:
    """The saved function in the file at `path`. `operators` are further ones it may call. `ahead`
    is given the file that holds the weights before the plan is read, so that they may be brought
    in meanwhile.

    Raises FileNotFoundError, or ValueError saying what is wrong with the file, or with the one
    that holds its weights.
    """
    try:
        return _opened(mapped(path), path, frozenset(operators), ahead)
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no file {str(path)!r}.") from None
    except IsADirectoryError:
        raise ValueError(f"{str(path)!r} is a folder, not a saved function.") from None
    except _MALFORMED as error:
        raise ValueError(f"{path}: {_sentence(error)}") from None


def open_bytes(data: bytes, operators: Container[str]) -> Opened:
    """The saved function in these bytes, the weights of which are inside and a copy of theirs.

    `operators` are further ones it may call. Raises ValueError saying what is wrong with the bytes.
    """
    try:
        return _opened(bytearray(data), None, operators)
    except _MALFORMED as error:
        raise ValueError(_sentence(error)) from None


#: What reading something malformed raises.
_MALFORMED = (ValueError, LookupError, RecursionError, OverflowError)


def _sentence(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the plan is malformed: lists within lists within lists."
    return str(error.args[0] if isinstance(error, KeyError) and error.args else error)


def _opened(
    file: Any, path: Path | None, operators: Container[str], ahead: Ahead | None = None
) -> Opened:
    length, programs_bytes, weights_bytes = _read_head(file)
    start, end = _HEAD.size, _HEAD.size + length
    header = _header(bytes(file[start:end]))
    at = end + programs_bytes
    at += -at % _ALIGNED if weights_bytes else 0
    buffer, beside = file, None
    if header["weights"] is not None:
        if path is None:
            raise ValueError("its weights cannot lie beside it: it is no file.")
        beside = path.parent / _name_beside(header["weights"])
        buffer = _mapped_beside(beside, header["weights"]["nbytes"])
        at, weights_bytes = 0, len(buffer)
    if ahead is not None and isinstance(buffer, mmap.mmap):
        ahead(buffer)
    programs = _programs(file, end, end + programs_bytes, header["programs"])
    plan = codec.plan_of(header["plan"], programs)
    verify_plan(plan, operators)
    signature, options = _signature(header["signature"], plan), _options(header["options"])
    checksums = _checksums(header["checksums"], plan)
    starts: tuple[int, ...] = ()
    if plan.constants:
        weights = Weights(buffer, at, at + weights_bytes)
        if beside is not None and weights.stamp not in (None, _stamp(checksums)):
            raise ValueError(
                f"the weights in {beside.name} were written for another plan: an export was cut "
                "short, or one of the two files is an older one. Export it again."
            )
        starts = tuple([weights.find(_stored(c.name, c.type)) for c in plan.constants])
    return Opened(path, plan, signature, options, buffer, starts, checksums, beside)


def mapped(path: Path) -> Any:
    """The file's bytes, mapped; what is written into them is seen by this process alone."""
    with path.open("rb") as file:
        try:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        except ValueError:  # an empty file
            return b""


def _read_head(buffer: Any) -> tuple[int, int, int]:
    """The lengths of header, programs and weights; the file is as long as they say."""
    if bytes(buffer[:4]) != MAGIC:
        raise ValueError("not a saved plan: it does not start with 'GPLN'.")
    if len(buffer) < _HEAD.size:
        raise ValueError(f"cut short: {len(buffer)} bytes are less than the head of the file.")
    _, version, length, programs, weights, checksum, zeros = _HEAD.unpack_from(buffer)
    if version > VERSION:
        raise ValueError(
            f"written in format version {version} by a newer gint; this one reads version "
            f"{VERSION}. Update gint, or export the model again with this version."
        )
    if version != VERSION:
        raise ValueError(f"written in format version {version}, which no gint has written.")
    end = _HEAD.size + length + programs
    whole = end + (-end % _ALIGNED if weights else 0) + weights
    if whole != len(buffer):
        raise ValueError(f"cut short or altered: it should have {whole} bytes, not {len(buffer)}.")
    if any(zeros) or any(buffer[end : whole - weights]):
        raise ValueError("altered: there is something where nothing should be.")
    if zlib.crc32(memoryview(buffer)[_HEAD.size : end]) != checksum:
        raise ValueError("the checksum does not match: the file is damaged or was altered.")
    return length, programs, weights


def _header(text: bytes) -> dict[str, Any]:
    wanted = {"programs", "plan", "signature", "options", "checksums", "weights"}
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the header is no JSON: {error}.") from None
    if not isinstance(header, dict) or header.keys() != wanted:
        raise ValueError(f"the header is malformed: it must hold {', '.join(sorted(wanted))}.")
    return header


def _programs(buffer: Any, start: int, end: int, lengths: Any) -> tuple[VerifiedProgram, ...]:
    if not isinstance(lengths, list) or not all(type(n) is int and n > 0 for n in lengths):
        raise ValueError("the header is malformed at 'programs'.")
    if sum(lengths) != end - start:
        raise ValueError(f"the programs have {end - start} bytes, the header says {sum(lengths)}.")
    programs = []
    for n, length in enumerate(lengths):
        try:
            programs.append(verify(from_bytes(bytes(buffer[start : start + length]))))
        except (ValueError, LookupError) as error:
            raise ValueError(f"program {n}: {error}") from None
        start += length
    return tuple(programs)


def _signature(form: Any, plan: Plan) -> Signature:
    names = {"args", "names", "kwargs", "result"}
    if not isinstance(form, dict) or form.keys() != names:
        raise ValueError("the header is malformed at 'signature'.")
    args, kwargs = codec.argument_of(form["args"]), codec.argument_of(form["kwargs"])
    result, listed = codec.argument_of(form["result"]), form["names"]
    if not isinstance(args, list) or not isinstance(kwargs, dict) or not isinstance(listed, list):
        raise ValueError("the header is malformed at 'signature'.")
    if len(listed) != len(args) or not all(isinstance(n, str) for n in listed):
        raise ValueError("the header is malformed at 'signature'.")
    given = sorted(uses((args, kwargs)))
    if given != list(range(len(plan.inputs))):
        raise ValueError(f"the signature does not fit the plan's {len(plan.inputs)} inputs.")
    if any(n >= len(plan.result) for n in uses(result)):
        raise ValueError(f"the signature does not fit the plan's {len(plan.result)} results.")
    return Signature(tuple(args), tuple(listed), kwargs, result)


def _options(form: Any) -> dict[str, Any]:
    plain = (type(None), bool, int, str)
    if not isinstance(form, dict) or not all(isinstance(value, plain) for value in form.values()):
        raise ValueError("the header is malformed at 'options'.")
    return form


def _checksums(found: Any, plan: Plan) -> tuple[int, ...]:
    is_list = isinstance(found, list) and all(type(n) is int for n in found)
    if not is_list or len(found) != len(plan.constants):
        raise ValueError("the header is malformed at 'checksums'.")
    return tuple(found)


def _name_beside(form: Any) -> str:
    if not isinstance(form, dict) or form.keys() != {"name", "nbytes"}:
        raise ValueError("the header is malformed at 'weights'.")
    name = form["name"]
    is_name = isinstance(name, str) and name and Path(name).name == name
    if not is_name or type(form["nbytes"]) is not int:
        raise ValueError(
            f"its weights cannot lie in {str(name)[:60]!r}: that is no file beside it."
        )
    return name


def _mapped_beside(path: Path, nbytes: int) -> Any:
    try:
        buffer = mapped(path)
    except FileNotFoundError:
        raise ValueError(
            f"its weights are missing: they lie in {path.name}, which belongs beside it."
        ) from None
    if len(buffer) != nbytes:
        raise ValueError(
            f"its weights in {path.name} have {len(buffer)} bytes; {nbytes} were saved."
        )
    return buffer
