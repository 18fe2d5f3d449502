"""The file of a saved function: read as it was written, or refused with a sentence."""

from __future__ import annotations

import json
import struct
from dataclasses import replace

import pytest

from gint.plan import file
from gint.plan.file import open_bytes, open_saved
from tests.plan import saving
from tests.plan.saving import SCALED, SIGNATURE, header_of, plan, save, sealed


def test_a_plan_comes_back_as_it_was(tmp_path):
    opened = open_saved(save(tmp_path / "a.gint"))
    assert replace(opened.plan, programs=()) == replace(plan(), programs=())
    assert opened.signature == SIGNATURE
    opened.check_constants()
    assert [p.program for p in opened.plan.programs] == [SCALED.program]


def test_weights_beside_the_file(tmp_path):
    path = save(tmp_path / "a.gint", beside=True)
    opened = open_saved(path)
    assert opened.weights_path == tmp_path / "a.safetensors"
    opened.check_constants()
    opened.weights_path.write_bytes(opened.weights_path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"a\.safetensors have \d+ bytes; \d+ were saved"):
        open_saved(path)
    (tmp_path / "a.safetensors").unlink()
    with pytest.raises(ValueError, match=r"weights are missing: they lie in a\.safetensors"):
        open_saved(path)


def test_an_export_that_ended_between_its_two_files(tmp_path, monkeypatch):
    """The weights are those of the new one, the plan is the old one's."""
    path = save(tmp_path / "a.gint", beside=True)
    monkeypatch.setattr(saving, "WEIGHTS", saving.WEIGHTS + 1)
    written = file._write

    def no_room(path, pieces):
        if path.suffix == ".gint":
            raise OSError(28, "No space left on device")
        written(path, pieces)

    with monkeypatch.context() as m:
        m.setattr(file, "_write", no_room)
        with pytest.raises(OSError, match="No space left"):
            save(path, beside=True)
    with pytest.raises(ValueError, match=r"a\.safetensors were written for another plan"):
        open_saved(path)
    save(path, beside=True)
    open_saved(path).check_constants()


def test_the_weights_are_safetensors(tmp_path):
    numpy = pytest.importorskip("safetensors.numpy")
    save(tmp_path / "a.gint", beside=True)
    found = numpy.load_file(tmp_path / "a.safetensors")
    assert found["w"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]


def test_altered_weights_are_noticed_where_they_are_compared(tmp_path):
    path = save(tmp_path / "a.gint")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="'w' is not the one that was saved"):
        open_saved(path).check_constants()


def test_every_bit_flip_is_noticed(tmp_path):
    data = bytearray(save(tmp_path / "a.gint").read_bytes())
    open_bytes(data, ()).check_constants()
    for bit in range(8 * len(data)):
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match=r"[.:]"):  # a sentence
            open_bytes(data, ()).check_constants()
        data[bit // 8] ^= 1 << bit % 8


def version(data: bytes) -> bytes:
    return data[:4] + struct.pack("<I", 7) + data[8:]


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda d: b"", "not a saved plan"),
        (lambda d: b"PK" + d, "not a saved plan"),
        (lambda d: d[:20], "cut short: 20 bytes"),
        (lambda d: d[:-1], "cut short or altered"),
        (lambda d: d + b"\0", "cut short or altered"),
        (lambda d: d[:200] + b"?" + d[201:], "the checksum does not match"),
        (version, "version 7 by a newer gint; this one reads version 1"),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path, damage, reason):
    path = save(tmp_path / "a.gint")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ValueError, match=reason) as found:
        open_saved(path)
    assert str(found.value).startswith(str(path))


def test_deep_lists_are_refused(tmp_path):
    path = save(tmp_path / "a.gint")
    header, rest = header_of(path.read_bytes())
    for _ in range(200):
        header["plan"]["result"] = [header["plan"]["result"]]
    path.write_bytes(sealed(json.dumps(header).encode(), *rest))
    with pytest.raises(ValueError, match="malformed"):
        open_saved(path)


def test_weights_lie_beside_the_file_and_nowhere_else(tmp_path):
    path = save(tmp_path / "a.gint", beside=True)
    header, rest = header_of(path.read_bytes())
    header["weights"]["name"] = "../a.safetensors"
    path.write_bytes(sealed(json.dumps(header).encode(), *rest))
    with pytest.raises(ValueError, match="no file beside it"):
        open_saved(path)
