"""Damaged and forged `.gint` files: each read as a program, or refused with a ValueError.

Damage (bits, bytes, cuts) must always be noticed. A forged file has a right checksum, so it may be
a program: then writing and reading it again gives the same one, and the verifier has an answer.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from gint.program import VerificationError, verify
from gint.program.file import from_bytes, to_bytes
from tests.generation import random_program

from . import kinds
from .kinds import Kind, Outcome
from .words import refused

_HEAD = 16
#: Numbers of cases that share a program.
_BATCH = 64


@dataclass(frozen=True)
class FileCase:
    """`original` is the file before it was damaged; empty for a forged one."""

    data: bytes
    original: bytes = b""


class Files:
    def __init__(self) -> None:
        self._batch: tuple[tuple[int, int], bytes] = ((-1, -1), b"")

    def case(self, seed: int, number: int) -> FileCase:
        original = self._original(seed, number // _BATCH)
        random = Random(f"file {seed} {number}")
        if random.randrange(3) == 0:
            return FileCase(_damaged(random, original), original)
        return FileCase(random.choice(_FORGERIES)(random, original))

    def _original(self, seed: int, batch: int) -> bytes:
        if self._batch[0] != (seed, batch):
            made = random_program(Random(f"program {seed} {batch}"), 6)
            self._batch = ((seed, batch), to_bytes(made.program))
        return self._batch[1]

    def run(self, case: FileCase) -> Iterator[Outcome]:
        try:
            program = from_bytes(case.data)
        except ValueError as error:
            yield Outcome("file", refused(error))
            return
        assert case.data == case.original or not case.original, "damage was not noticed"
        assert to_bytes(from_bytes(to_bytes(program))) == to_bytes(program)
        yield Outcome("file", "read")
        try:
            verify(program)
            yield Outcome("verifier", "accepted")
        except VerificationError as error:
            yield Outcome("verifier", refused(error))

    def smaller(self, case: FileCase) -> Iterator[FileCase]:
        """Nothing: what a part of a file says depends on all of it."""
        yield from ()

    def dump(self, case: FileCase) -> dict:
        return {"data": kinds.written(case.data), "original": kinds.written(case.original)}

    def load(self, written: dict) -> FileCase:
        return FileCase(kinds.read(written["data"]), kinds.read(written["original"]))


def _damaged(random: Random, data: bytes) -> bytes:
    how, at = random.randrange(4), random.randrange(len(data))
    if how == 0:
        return data[:at]
    if how == 1:
        return data + random.randbytes(random.randint(1, 8))
    if how == 2:
        return data[:at] + random.randbytes(1) + data[at + 1 :]
    bits = bytearray(data)
    bits[at] ^= 1 << random.randrange(8)
    return bytes(bits)


def sealed(header: bytes, code: bytes = b"") -> bytes:
    """A file with a right checksum."""
    body = header + code
    return b"GINT" + struct.pack("<III", 1, len(header), zlib.crc32(body)) + body


def parts(data: bytes) -> tuple[bytes, bytes]:
    """The header of a file and its instructions."""
    (length,) = struct.unpack_from("<I", data, 8)
    return data[_HEAD : _HEAD + length], data[_HEAD + length :]


def _other_bytes(random: Random, data: bytes) -> bytes:
    header, code = parts(data)
    if code and random.randrange(2):
        return sealed(header, _damaged(random, code))
    return sealed(_damaged(random, header), code)


def _other_field(random: Random, data: bytes) -> bytes:
    """Some value in the header is another one."""
    header, code = parts(data)
    found = json.loads(header)
    place, key = found, random.choice(list(found))
    while isinstance(place[key], list) and place[key] and random.randrange(5):
        place = place[key]
        key = random.randrange(len(place))
    place[key] = _value(random, place[key])
    return sealed(json.dumps(found).encode(), code)


def _other_list(random: Random, data: bytes) -> bytes:
    """An entry of a table more, less, or in another place."""
    header, code = parts(data)
    found = json.loads(header)
    entries = found[random.choice([k for k, v in found.items() if isinstance(v, list)])]
    how = random.randrange(3)
    if entries and how == 0:
        entries.pop(random.randrange(len(entries)))
    elif entries and how == 1:
        entries.append(random.choice(entries))
    else:
        random.shuffle(entries)
    return sealed(json.dumps(found).encode(), code)


_VALUES = (
    None, True, -1, 0, 1, 2**31, 2**64, 10**40, 1.5, float("nan"), "", "f32", "in", "map", "add",
    "parallel", "scatter", "\x00", "x" * 1000, [], [[]], {}, [0, 1, 2], ["a", "parallel"],
)  # fmt: skip


def _value(random: Random, old: object) -> object:
    if isinstance(old, str) and random.randrange(2):
        words = ("out", "inout", "reduced", "indexed", "reduce", "scalar", "bf16", "u8", "gather2")
        return random.choice(words)
    if isinstance(old, int) and random.randrange(2):
        return old + random.choice((-1, 1, 2))
    return random.choice(_VALUES)


_FORGERIES: tuple[Callable[[Random, bytes], bytes], ...] = (_other_bytes, _other_field, _other_list)

KIND: Kind = Files()
