"""Constants in safetensors' form, beside safetensors itself."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest

from gint.plan.weights import Stored, Weights, weights_header

TENSORS = (Stored("a", "float64", (2, 3), 48), Stored("b.c", "int16", (), 2))
DATA = np.arange(6, dtype=np.float64).tobytes() + b"\x05\x01"


def made(stamp: str = "") -> bytes:
    return weights_header(TENSORS, stamp) + DATA


def header(entries, data: bytes = DATA) -> bytes:
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text + data


def test_safetensors_reads_them():
    found = pytest.importorskip("safetensors.numpy").load(made("a plan"))
    np.testing.assert_array_equal(found["a"], np.arange(6.0).reshape(2, 3))
    assert found["b.c"] == 0x105


def test_they_are_found_where_they_lie():
    data = b"in front" + made("of plan 1") + b"behind"
    weights = Weights(data, 8, len(data) - 6)
    assert weights.stamp == "of plan 1"
    assert data[weights.find(TENSORS[0]) :][:48] == DATA[:48]
    assert data[weights.find(TENSORS[1]) :][:2] == DATA[48:]
    assert Weights(made(), 0, len(made())).stamp is None


def test_the_tensors_begin_at_a_multiple_of_64():
    for stamp in ("", "x", "a longer one"):
        assert len(weights_header(TENSORS, stamp)) % 64 == 0


@pytest.mark.parametrize(
    ("tensor", "reason"),
    [
        (Stored("d", "int16", (), 2), "lack the tensor 'd'"),
        (Stored("a", "float32", (2, 3), 48), "'a' is of F64, the plan wants float32"),
        (Stored("a", "float64", (3, 2), 48), r"the shape \[2, 3\], the plan wants \[3, 2\]"),
        (Stored("a", "float64", (2, 3), 40), "'a' has 48 bytes, the plan wants 40"),
    ],
)
def test_another_tensor_is_refused(tensor, reason):
    with pytest.raises(ValueError, match=reason):
        Weights(made(), 0, len(made())).find(tensor)


def entry(offsets, dtype="F64", shape=(2, 3)):
    return {"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


@pytest.mark.parametrize(
    ("offsets", "reason"),
    [
        ([0], "do not hold all"),
        ([0, 51], "do not hold all"),
        ([48, 0], "do not hold all"),
        ([-8, 40], "do not hold all"),
        ([0, 48.0], "do not hold all"),
        ([False, 48], "do not hold all"),
        ([2, 50], "does not begin at a multiple of its elements"),
    ],
)
def test_offsets_are_checked(offsets, reason):
    data = header(json.dumps(entry(offsets)).encode().ljust(88))  # 96 bytes with the length
    with pytest.raises(ValueError, match=reason):
        Weights(data, 0, len(data)).find(TENSORS[0])


@pytest.mark.parametrize("data", [
    b"", b"1234567", struct.pack("<Q", 1 << 40), struct.pack("<Q", 9) + b"{}", header(b"{"),
    header([]), header(b"\xff"),
])  # fmt: skip
def test_what_is_no_header_is_refused(data):
    with pytest.raises(ValueError, match=r"header|cut short"):
        Weights(data, 0, len(data))
