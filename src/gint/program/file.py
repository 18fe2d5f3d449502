"""The file form of a program: `.gint`, versioned and checksummed.

offset  bytes  content
0       4      b"GINT"
4       4      format version, little endian
8       4      length H of the header
12      4      CRC-32 of all that follows
16      H      header, UTF-8 JSON: name, axes, slots, params, sections (kind, instruction count),
               opcodes (number, name)
16+H    24n    the instructions

Opcodes are found by name: their numbers change whenever the table does. The version changes when
an opcode of the same name means something else.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from itertools import islice
from pathlib import Path

from gint.isa import SectionKind, dtype, opcode
from gint.isa.instruction import SIZE, decode

from .model import Access, Axis, AxisKind, Param, Program, Section, Slot
from .whole import write_whole

MAGIC = b"GINT"
VERSION = 1
_HEAD = struct.Struct("<4sIII")


def save(program: Program, path: str | os.PathLike) -> None:
    """Write `program` to `path`; an existing file is replaced only by a whole new one."""
    write_whole(Path(path), to_bytes(program))


def load(path: str | os.PathLike) -> Program:
    """The program in the file at `path`; not yet verified.

    Raises FileNotFoundError, or ValueError saying how the file is not a program of this version.
    """
    path = Path(path)
    try:
        return from_bytes(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def to_bytes(program: Program) -> bytes:
    header = {
        "name": program.name,
        "axes": [[a.name, a.kind.value] for a in program.axes],
        "slots": [[s.name, s.dtype.name, s.access.value, list(s.axes)] for s in program.slots],
        "params": [[p.name, p.dtype.name] for p in program.params],
        "sections": [[s.kind.value, len(s.instructions)] for s in program.sections],
        "opcodes": sorted(
            {(i.op.code, i.op.name) for s in program.sections for i in s.instructions}
        ),
    }
    text = json.dumps(header, separators=(",", ":")).encode()
    body = text + program.encode()
    return _HEAD.pack(MAGIC, VERSION, len(text), zlib.crc32(body)) + body


def from_bytes(data: bytes) -> Program:
    """The program `data` holds. Raises ValueError saying what is wrong with it."""
    if data[:4] != MAGIC:
        raise ValueError("not a .gint file: it does not start with 'GINT'.")
    if len(data) < _HEAD.size:
        raise ValueError(f"cut short: {len(data)} bytes are less than the head of the file.")
    _, version, length, checksum = _HEAD.unpack_from(data)
    if version != VERSION:
        raise ValueError(
            f"written in format version {version}; this gint reads version {VERSION}. "
            "Save the program again with this version."
        )
    body = data[_HEAD.size :]
    if zlib.crc32(body) != checksum:
        raise ValueError("the checksum does not match: the file is damaged or was cut short.")
    if length > len(body):
        raise ValueError(f"a header of {length} bytes in a file of {len(data)}.")
    return _program(_header(body[:length]), body[length:])


#: What a header holds, as nested types: a list of one stands for any number of it.
_FORM = {
    "name": str,
    "axes": [(str, str)],
    "slots": [(str, str, str, [int])],
    "params": [(str, str)],
    "sections": [(str, int)],
    "opcodes": [(int, str)],
}


def _header(text: bytes) -> dict:
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the header is no JSON: {error}.") from None
    if not isinstance(header, dict) or header.keys() != _FORM.keys():
        raise ValueError(f"the header is malformed: it must hold {', '.join(_FORM)}.")
    for key, form in _FORM.items():
        if not _has_form(header[key], form):
            raise ValueError(f"the header is malformed at {key!r}.")
    return header


def _has_form(value: object, form: object) -> bool:
    if isinstance(form, type):
        return type(value) is form
    if not isinstance(value, list):
        return False
    if isinstance(form, list):
        return all(_has_form(v, form[0]) for v in value)
    assert isinstance(form, tuple)
    return len(value) == len(form) and all(map(_has_form, value, form))


def _program(header: dict, code: bytes) -> Program:
    counts = [count for _, count in header["sections"]]
    if min(counts, default=0) < 0 or sum(counts) * SIZE != len(code):
        raise ValueError(
            f"the header announces sections of {counts} instructions, the file holds {len(code)} "
            f"bytes of them ({SIZE} bytes each)."
        )
    opcodes = {number: opcode(name) for number, name in header["opcodes"]}
    instructions = iter(decode(code, opcodes))
    return Program(
        name=header["name"],
        axes=tuple(Axis(name, AxisKind(kind)) for name, kind in header["axes"]),
        slots=tuple(
            Slot(name, dtype(t), Access(access), tuple(axes))
            for name, t, access, axes in header["slots"]
        ),
        params=tuple(Param(name, dtype(t)) for name, t in header["params"]),
        sections=tuple(
            Section(SectionKind(kind), tuple(islice(instructions, count)))
            for kind, count in header["sections"]
        ),
    )
