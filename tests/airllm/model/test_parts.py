"""Rows of stored matrices as products take them: formats asked for, pieces, parts."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("hypothesis")

from hypothesis import given
from hypothesis import strategies as st

from airllm.checkpoint import CheckpointError
from airllm.model.matrices import Matrix
from airllm.model.parts import Piece, as_part, format_for, pieces
from airllm.tensor_ops.arrays import Operand
from gint.quantized import KEEP, QuantizedWeights, WeightFormats, format_of, quantize
from tests.airllm.model.files import tensor_of

VALUES = np.random.default_rng(0).standard_normal((7, 64), np.float32)


@pytest.fixture
def tensor(tmp_path):
    return tensor_of(VALUES, tmp_path / "w.bin")


def test_the_format_is_chosen_by_the_key(tensor):
    matrix = Matrix("3.qkv", (tensor,))
    chosen = WeightFormats.of({"output": "q4_0", "*.qkv": "q8_0", "3.*": "q4_1"})
    assert format_for(chosen, matrix) is format_of("q8_0")
    assert format_for(WeightFormats.of(KEEP), matrix) is None


def test_formats_that_do_not_suit_a_matrix(tensor, tmp_path):
    with pytest.raises(ValueError, match=r"w\.bin: tensor 'w' has rows of 64 values; q4_k takes"):
        format_for(WeightFormats.of("q4_k"), Matrix("output", (tensor,)))
    blocks = tensor_of(VALUES, tmp_path / "blocks.bin", "q8_0")
    with pytest.raises(ValueError, match="'blocks' holds blocks, q8_0, already"):
        format_for(WeightFormats.of("q4_0"), Matrix("0.qkv", (tensor, blocks)))


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(1, 30)), min_size=1, max_size=4),
    st.none() | st.integers(0, 400),
)
def test_pieces_are_every_row_once_and_in_order(tensors, most):
    """Of (rows, bytes of a row): `most` bytes a piece, or a single row that is longer."""
    stored = tuple(SimpleNamespace(shape=(r, 1), row_bytes=b) for r, b in tensors)
    found = pieces(Matrix("output", stored), most)
    rows = [(p.tensor, row) for p in found for row in range(p.first, p.stop)]
    assert rows == [(t, row) for t in stored for row in range(t.shape[0])]
    assert [p.at for p in found] == [sum(p.stop - p.first for p in found[:n])
                                     for n in range(len(found))]  # fmt: skip
    if most is None:
        assert len(found) == len(stored)
    else:
        assert all(p.nbytes <= most or p.stop == p.first + 1 for p in found)


def test_a_pieces_rows_in_every_form(tensor, tmp_path):
    np.testing.assert_array_equal(Piece(tensor, 0, 2, 5).read(), VALUES[2:5])
    blocks = Piece(tensor, 0, 2, 5).read_as(format_of("q4_0"))
    np.testing.assert_array_equal(blocks, quantize(VALUES[2:5], format_of("q4_0")))
    halves = tensor_of(VALUES, tmp_path / "half.bin", "f16")
    blocks = Piece(halves, 0, 0, 7).read_as(format_of("q8_0"))
    rounded = VALUES.astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(blocks, quantize(rounded, format_of("q8_0")))


def test_rows_that_are_not_there(tensor):
    with pytest.raises(CheckpointError, match=r"w\.bin ends within tensor 'w', 256 bytes too"):
        Piece(tensor, 0, 5, 8).read()
    short = SimpleNamespace(file="w.bin", name="w", read=lambda first, stop: VALUES[first:stop])
    with pytest.raises(CheckpointError, match="tensor 'w' ends after row 7; rows up to 9 are"):
        Piece(short, 0, 5, 9).read()


def test_parts_are_what_products_take():
    floats = as_part(VALUES, "f32", 64)
    assert isinstance(floats, Operand)
    assert (floats.array is VALUES, floats.type) == (True, "f32")
    data = quantize(VALUES, format_of("q8_0"))
    blocks = as_part(data, "q8_0", 64)
    assert isinstance(blocks, QuantizedWeights)
    assert (blocks.shape, blocks.format.name) == ((7, 64), "q8_0")
    assert blocks.data is data
