"""torch's tensors as plans see them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.plan import Named
from gint.runtime.tensors.values import Tensors

pytestmark = pytest.mark.torch
VALUES = Tensors()


def test_what_is_a_value():
    assert VALUES.is_value(torch.ones(2))
    assert not VALUES.is_value(torch.ones(2, device="meta"))
    assert not VALUES.is_value(torch.eye(2).to_sparse())
    assert not VALUES.is_value([1.0])


@pytest.mark.parametrize(
    ("x", "shown"),
    [
        (torch.ones(2, device="meta"), "one on meta"),
        (torch.eye(2).to_sparse(), "one on cpu with the layout torch.sparse_coo"),
        ([1], "a list"),
    ],
    ids=["meta", "sparse", "list"],
)
def test_what_is_none_is_called(x, shown):
    assert VALUES.shown(x) == shown


def test_layouts():
    x = torch.arange(12.0).reshape(3, 4)[1:, ::2]
    assert (VALUES.size(x), VALUES.strides(x), VALUES.offset(x)) == ((2, 2), (4, 2), 4)
    first, last = VALUES.reach(x)
    assert (first, last - first) == (x.data_ptr(), 28)
    y = VALUES.relaid(x, (1, 2))
    assert y.stride() == (1, 2)
    assert torch.equal(x, y)
    seen = VALUES.viewer(((3,), (2,)), 1)(torch.arange(8.0)[1:])
    assert seen.tolist() == [2, 4, 6]


LAYOUTS = [((2, 3), (3, 1)), ((2, 3), (1, 2)), ((1024, 1024), (1, 1024)), ((0, 3), (3, 1))]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_memory_has_the_layout_asked_for(layout):
    made = VALUES.allocator(torch.float32, layout)()
    assert (tuple(made.shape), made.stride()) == layout


def test_values_that_are_bits_of_a_tensor_are_not_plain():
    x = torch.randn(2, dtype=torch.complex64)
    assert VALUES.is_plain(x)
    assert not VALUES.is_plain(x.conj())
    assert not VALUES.is_plain(x.conj().imag)
    assert torch.equal(VALUES.relaid(x.conj(), (1,)), x.conj())
    assert not VALUES.is_plain(torch._efficientzerotensor(2))


def test_constants_are_not_copied():
    buffer = bytearray(torch.arange(4.0).numpy().tobytes())
    held = VALUES.constant(buffer, 4, 3, torch.float32, ((3,), (1,)), True)
    held[0] = 9
    assert torch.frombuffer(buffer, dtype=torch.float32)[1] == 9
    assert VALUES.constant(b"", 0, 0, torch.float32, ((0, 2), (2, 1)), False).shape == (0, 2)


def test_operators_and_names():
    assert VALUES.named(Named("dtype", "int8")) is torch.int8
    assert VALUES.named(Named("memory_format", "channels_last")) is torch.channels_last
    out = torch.empty(2, 2)
    VALUES.operator("aten.mm.default", True)(torch.eye(2), torch.eye(2), out=out)
    assert torch.equal(out, torch.eye(2))
    assert VALUES.operator("gint.quantized_linear.blocks", False)
    with pytest.raises(LookupError):
        VALUES.operator("aten.nothing.default", False)
