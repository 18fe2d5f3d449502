"""Small saved functions, made by hand: no torch, no tracing."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np

from gint.plan import (
    Allocate,
    Call,
    Constant,
    Define,
    Expect,
    Input,
    Launch,
    Operation,
    Plan,
    Release,
    SlotUse,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.plan.file import Saved, write
from gint.plan.signature import Signature
from gint.program import assemble, verify

N = Symbol("n")
#: (n, 4) float32 in C order.
ROWS = TensorType("float32", (N, 4), (4, 1))
BYTES = Operation("mul", (16, N))
WEIGHTS = np.arange(8, dtype=np.float32).reshape(2, 4)

SCALED = verify(
    assemble("""\
program scaled
axis i parallel
axis j parallel
slot x f32 in (i, j)
slot w f32 in (j)
slot y f32 out (i, j)
map
  load.f32 r[0] <- s[x]
  load.f32 r[1] <- s[w]
  mul.f32 r[2] <- r[0] * r[1]
  store.f32 s[y] <- r[2]
""")
)


def plan() -> Plan:
    """y = x * w[1], and y @ w.T by an operator."""
    slots = (
        SlotUse(0, BYTES, 0, (4, 1)), SlotUse(2, 16, 0, (1,)), SlotUse(3, BYTES, 0, (4, 1)),
    )  # fmt: skip
    steps = (
        Define("n", 0, ("size", 0)),
        View(2, 1, (4,), (1,), 4),
        Allocate(3, ROWS, "cpu"),
        Launch(0, (N, 4), (), slots, "cpu", on_copies=True),
        Release((0, 2)),
        View(4, 1, (4, 2), (1, 4), 0),
        Call(5, "aten.mm.default", (Use(3), Use(4))),
        Expect(5, TensorType("float32", (N, 2), (2, 1))),
    )
    constants = (Constant("w", TensorType("float32", (2, 4), (4, 1))),)
    return Plan((Input("x", ROWS),), constants, (SCALED,), steps, (Use(3), Use(5)))


SIGNATURE = Signature((Use(0),), ("x",), {}, {"y": Use(0), "product": Use(1)})


def save(path: Path, made: Plan | None = None, beside: bool = False) -> Path:
    """The file of a plan, the one above where none is given."""
    constants = (memoryview(WEIGHTS).cast("B"),)
    write(path, Saved(made or plan(), SIGNATURE, constants), beside)
    return path


def expected(x: np.ndarray) -> dict[str, np.ndarray]:
    y = x * WEIGHTS[1]
    return {"y": y, "product": y @ WEIGHTS.T}


def header_of(data: bytes) -> tuple[dict, tuple[bytes, bytes]]:
    """The header of a file; its programs and its weights."""
    _, _, length, programs, weights = struct.unpack_from("<4sIQQQ", data)
    end = 64 + length
    found = data[end : end + programs], data[len(data) - weights :] if weights else b""
    return json.loads(data[64:end]), found


def sealed(header: bytes, programs: bytes, weights: bytes) -> bytes:
    """A file with these parts and a right checksum."""
    body = header + programs
    sizes = len(header), len(programs), len(weights)
    head = struct.pack("<4sIQQQI28x", b"GPLN", 1, *sizes, zlib.crc32(body))
    return head + body + b"\0" * (-len(body) % 64 if weights else 0) + weights
