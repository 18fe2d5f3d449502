"""Tensors brought into a layout, launched on copies, or refused."""

from __future__ import annotations

import ctypes

import pytest

torch = pytest.importorskip("torch")

from gint.runtime.tensors.layouts import (
    launch_on_copies,
    memory_of,
    reinterpret,
    resolved,
    restride,
    settled,
    write_strided,
)

pytestmark = pytest.mark.torch


def test_bits_are_resolved():
    x = torch.randn(3, dtype=torch.complex64)
    for lazy in (x.conj(), x.conj().imag):
        found = resolved(lazy)
        assert not found.is_conj()
        assert not found.is_neg()
        assert torch.equal(found, lazy)


def test_the_bytes_of_a_tensor():
    x = torch.arange(12, dtype=torch.int16)
    assert bytes(memory_of(x[3:5])) == bytes([3, 0, 4, 0])
    assert len(memory_of(x.reshape(3, 4)[:, 1])) == 2 * 9  # from the first to the last
    assert len(memory_of(x[:0])) == 0


def test_other_strides():
    x = torch.arange(6.0).reshape(2, 3)
    assert restride(x, (2, 3), (1, 2)).stride() == (1, 2)
    assert torch.equal(restride(x, (2, 3), (1, 2)), x)
    assert restride(torch.tensor(2.0), (1,), (1,)).tolist() == [2.0]
    assert settled(x, (2, 3), (3, 1), torch.float32) is x
    assert settled(x, (2, 3), (1, 2), torch.float32).stride() == (1, 2)
    for size, dtype in (((3, 2), torch.float32), ((2, 3), torch.float64)):
        with pytest.raises(RuntimeError, match=r"shape \(2, 3\) and torch.float32 came where"):
            settled(x, size, (3, 1), dtype)


def test_reinterpreted_memory_counts_from_the_tensor():
    x = torch.arange(9.0)[2:]
    assert reinterpret(x, (2, 2), (1, 2), 1).tolist() == [[3, 5], [4, 6]]


def test_a_launch_on_copies_writes_back():
    memory = torch.arange(6.0)
    x, y = memory[:4], memory[2:]

    def launch(a: int, b: int, threads: int) -> int:
        assert a not in (x.data_ptr(), y.data_ptr())
        source = (ctypes.c_float * 4).from_address(a)
        target = (ctypes.c_float * 4).from_address(b)
        for n in range(4):
            target[n] = 2 * source[n]
        return threads

    assert launch_on_copies(launch, (x, y), (1,), threads=7) == 7
    assert memory.tolist() == [0, 1, 0, 2, 4, 6]


def test_memory_that_was_let_go_of():
    x = torch.ones(4)
    x.untyped_storage().resize_(4)
    with pytest.raises(RuntimeError, match="needs 16 bytes of its storage, which has 4"):
        launch_on_copies(lambda a: 0, (x,), ())


def test_writes_through_as_strided():
    x = torch.zeros(6)[1:]
    y = write_strided(x, torch.ones(2), (2,), (2,), 2)
    assert y.tolist() == [0, 1, 0, 1, 0]
    assert x.tolist() == [0] * 5
    for size, stride, offset in (((2,), (5,), 1), ((1,), (1,), 0), ((1,), (1,), 6)):
        with pytest.raises(RuntimeError, match="reaches memory outside of the tensor"):
            write_strided(x, torch.ones(size), size, stride, offset)
    with_gaps = torch.zeros(3, 4)[:, :2]
    with pytest.raises(RuntimeError, match="reaches memory outside"):
        write_strided(with_gaps, torch.ones(4), (4,), (1,), 0)
