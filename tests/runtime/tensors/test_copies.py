"""Joins and pads as pieces: what the pieces say, done by hand, is what ATen makes."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

from gint.plan import Call, Plan, TensorType, Use
from gint.runtime.tensors.copies import INTO, copied_in

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def type_of(t):
    return TensorType(str(t.dtype).removeprefix("torch."), tuple(t.shape), t.stride())


def pieces_of(operator, sources, *args, joined=False):
    """What a plan's call of an operator copies, and its result by ATen."""
    uses = tuple(Use(n) for n in range(len(sources)))
    name, overload = operator.name().removeprefix("aten::"), operator._overloadname
    given = (uses, *args) if joined else (*uses, *args)
    step = Call(len(sources), f"aten.{name.split('.')[0]}.{overload}", given, into=True)
    wanted = operator(list(sources) if joined else sources[0], *args)
    types = dict(enumerate(map(type_of, [*sources, wanted])))
    plan = Plan((), (), (), (step,), ())
    return copied_in(plan, types).get(id(step)), wanted


def filled(copied, sources, wanted):
    """The result, element by element."""
    at_all = torch.empty(wanted.untyped_storage().nbytes() // wanted.itemsize, dtype=wanted.dtype)
    fill = torch.frombuffer(
        bytearray(copied.fill.to_bytes(copied.element_bytes, "little")), dtype=wanted.dtype
    )
    for number, out, into, axes in copied.pieces:
        source = sources[copied.sources[number]]
        memory = source.as_strided((source.untyped_storage().nbytes() // source.itemsize,), (1,), 0)
        for point in itertools.product(*(range(extent) for extent, *_ in axes)):
            places = [
                (o, i, at[n] if at else n) for n, (_, o, i, at) in zip(point, axes, strict=True)
            ]
            to = out + sum(n * o for n, (o, _, _) in zip(point, places, strict=True))
            if any(at is None for *_, at in places):
                at_all[to] = fill[0]
            else:
                at_all[to] = memory[into + sum(at * i for _, i, at in places)]
    return at_all.as_strided(wanted.shape, wanted.stride())


X = torch.randn(2, 3, 5)
JOINED = [
    (aten.cat.default, (X, X[:, :0], X[:, 1:] * 2), (1,)),
    (aten.cat.default, (X.transpose(0, 2), X.transpose(0, 2)), (-1,)),
    (aten.cat.default, (torch.empty(0), X), ()),
    (aten.stack.default, (X, X + 1), ()),
    (aten.stack.default, (X, X.transpose(1, 2).contiguous().transpose(1, 2)), (-1,)),
]
PADDED = [
    (aten.constant_pad_nd.default, (X,), ([1, 2], 3.5)),
    (aten.constant_pad_nd.default, (X,), ([-1, 2, 0, 0, 1, -1],)),
    (aten.constant_pad_nd.default, (X.to(torch.int16),), ([0, 1, 2, 0], -7)),
    (aten.reflection_pad1d.default, (X,), ([2, 4],)),
    (aten.replication_pad2d.default, (X,), ([2, 0, 7, 1],)),
    (aten._pad_circular.default, (X,), ([5, 1],)),
]


@pytest.mark.parametrize("case", range(len(JOINED)))
def test_joined(case):
    operator, sources, args = JOINED[case]
    copied, wanted = pieces_of(operator, sources, *args, joined=True)
    torch.testing.assert_close(filled(copied, sources, wanted), wanted, rtol=0, atol=0)


@pytest.mark.parametrize("case", range(len(PADDED)))
def test_padded(case):
    operator, sources, args = PADDED[case]
    copied, wanted = pieces_of(operator, sources, *args)
    torch.testing.assert_close(filled(copied, sources, wanted), wanted, rtol=0, atol=0)


def test_long_pads_are_left_to_aten():
    long = torch.empty(0).expand(1 << 19, 0)
    assert pieces_of(aten.constant_pad_nd.default, (long,), [0, 0, 1, 0])[0] is None


def test_what_aten_cannot_write_into_memory():
    wanted = aten._pad_circular(X, [5, 1])
    found = torch.empty_like(wanted)
    INTO["aten._pad_circular.default"](X, [5, 1], out=found)
    assert torch.equal(found, wanted)
