"""The file form: there and back, and every kind of damage named."""

import json
import os
import struct
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gint.program import Program, assemble
from gint.program.file import from_bytes, load, save, to_bytes
from tests.program.test_text import RMS_NORM
from tests.strategies import programs

PROGRAM = assemble(RMS_NORM)
SMALL = """
axis n parallel
slot y i64 out (n)
map
  const.i64 r[0] <- 7
  store.i64 s[y] <- r[0]
"""


@given(programs())
def test_bytes_are_exact_inverses(verified):
    data = to_bytes(verified.program)
    assert from_bytes(data) == verified.program
    assert to_bytes(from_bytes(data)) == data


def test_save_and_load(tmp_path):
    path = tmp_path / "norm.gint"
    path.write_bytes(b"old")
    save(PROGRAM, path)
    assert load(path) == PROGRAM
    assert [p.name for p in tmp_path.iterdir()] == ["norm.gint"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o044, "as readable as any file one writes"


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "norm.gint"
    save(PROGRAM, path)

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        save(PROGRAM, path)
    assert load(path) == PROGRAM
    assert [p.name for p in tmp_path.iterdir()] == ["norm.gint"]


def test_a_missing_file_is_that(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.gint"):
        load(tmp_path / "none.gint")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: b"", "not a .gint file"),
        (lambda d: b"PNG" + d, "not a .gint file"),
        (lambda d: d[:10], "cut short: 10 bytes"),
        (lambda d: d[:-1], "the checksum does not match: the file is damaged or was cut short"),
        (lambda d: d + b"\0", "the checksum does not match"),
        (lambda d: d[:4] + struct.pack("<I", 9) + d[8:], "version 9; this gint reads version 1"),
        (lambda d: d[:8] + struct.pack("<I", 2**31) + d[12:], "a header of 2147483648 bytes"),
    ],
    ids=("empty", "other", "head", "cut", "longer", "version", "length"),
)
def test_damage_is_named_with_the_path(tmp_path, change, message):
    path = tmp_path / "p.gint"
    path.write_bytes(change(to_bytes(PROGRAM)))
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", [SMALL, RMS_NORM], ids=("small", "norm"))
def test_every_bit_flip_is_noticed(text):
    data = bytearray(to_bytes(assemble(text)))
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"not a \.gint file|version|checksum|header"):
            from_bytes(bytes(data))
        data[bit // 8] ^= 1 << bit % 8
    assert from_bytes(bytes(data)) == assemble(text)


def _forged(**changes) -> bytes:
    """A file with a right checksum around a header with changes."""
    data = to_bytes(PROGRAM)
    (length,) = struct.unpack_from("<I", data, 8)
    header = json.loads(data[16 : 16 + length]) | changes
    return _sealed(json.dumps(header).encode(), data[16 + length :])


def _sealed(header: bytes, code: bytes = b"") -> bytes:
    body = header + code
    return b"GINT" + struct.pack("<III", 1, len(header), zlib.crc32(body)) + body


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (_sealed(b"[" * 100_000), "the header is no JSON"),
        (_sealed(b"\xff\xfe"), "the header is no JSON"),
        (_sealed(b"{}"), "the header is malformed: it must hold name, axes"),
        (_sealed(b"[1, 2]"), "the header is malformed"),
        (_forged(more=1), "the header is malformed"),
        (_forged(name=3), "malformed at 'name'"),
        (_forged(axes=[["rows"]]), "malformed at 'axes'"),
        (_forged(axes={"rows": "parallel"}), "malformed at 'axes'"),
        (_forged(slots=[["x", "f32", "in", [True]]]), "malformed at 'slots'"),
        (_forged(slots=[["x", "f32", "in", ["0"]]]), "malformed at 'slots'"),
        (_forged(slots=[[["x"], "f32", "in", []]]), "malformed at 'slots'"),
        (_forged(slots=[["x", "f33", "in", []]]), "no data type 'f33'"),
        (_forged(slots=[["x", "f32", "up", []]]), "'up' is not a valid Access"),
        (_forged(sections=[["map", True]]), "malformed at 'sections'"),
        (_forged(sections=[["map", 1.0]]), "malformed at 'sections'"),
        (_forged(sections=[["map", -1], ["map", 17]]), r"sections of \[-1, 17\] instructions"),
        (_forged(sections=[["map", 10**30]]), "instructions, the file holds"),
        (_forged(sections=[["loop", 15]]), "'loop' is not a valid SectionKind"),
        (_forged(opcodes=[]), "Instruction 0: there is no opcode number"),
        (_forged(opcodes=[[0, "sinus"]]), "no opcode 'sinus'"),
    ],
    ids=range(20),
)
def test_hostile_headers_are_refused(data, message):
    with pytest.raises(ValueError, match=message):
        from_bytes(data)


def test_opcodes_are_found_by_name_so_that_a_longer_table_reads_old_files():
    data = to_bytes(PROGRAM)
    (length,) = struct.unpack_from("<I", data, 8)
    header, code = json.loads(data[16 : 16 + length]), bytearray(data[16 + length :])
    for at in range(0, len(code), 24):
        struct.pack_into("<H", code, at, struct.unpack_from("<H", code, at)[0] + 1000)
    header["opcodes"] = [[number + 1000, name] for number, name in header["opcodes"]]
    assert from_bytes(_sealed(json.dumps(header).encode(), bytes(code))) == PROGRAM


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=8))
def test_any_change_is_a_value_error_or_a_program(position, change):
    data = to_bytes(PROGRAM)
    at = position % len(data)
    body = (data[:at] + change + data[at + len(change) :])[16:]
    (length,) = struct.unpack_from("<I", data, 8)
    with suppress(ValueError):
        assert isinstance(from_bytes(_sealed(body[:length], body[length:])), Program)
