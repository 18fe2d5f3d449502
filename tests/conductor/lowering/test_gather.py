"""Indexing by tensor: positions that are loaded and computed, in any order of dimensions, and
outside."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ..comparing import Call, Traced, check

pytestmark = pytest.mark.torch
F = torch.nn.functional
X = torch.arange(4 * 5 * 6 * 7.0).view(4, 5, 6, 7)
I = torch.tensor([[0, -1, 2], [3, 1, -4]])  # noqa: E741
J = torch.tensor([1, -3, 2])
DTYPES = (torch.float32, torch.bfloat16, torch.int64, torch.bool)

INDEXED = {
    "first": lambda x, i, j: x[i],
    "last": lambda x, i, j: x[..., i],
    "middle": lambda x, i, j: x[:, i],
    "neighbours": lambda x, i, j: x[:, i, j],
    "apart": lambda x, i, j: x[i, :, j],
    "apart, behind another": lambda x, i, j: x[:, i, :, j],
    "three": lambda x, i, j: x[i, j, i],
    "new dimensions": lambda x, i, j: x[None, i, None, :, j[:1]],
    "one": lambda x, i, j: x[i[0], j[:1]],
    "int32": lambda x, i, j: x[i.int()],
    "of a view": lambda x, i, j: x.transpose(0, 2)[1:, ::2].flip(1)[i, j.clamp(0)],
    "of what is broadcast": lambda x, i, j: x[:1].expand(4, 5, 6, 7)[i, j],
    "of what is computed": lambda x, i, j: (x + x)[i, j],
    "computed": lambda x, i, j: x[(i * 3) % 4, j.argmax() + j * 0],
    "then computed": lambda x, i, j: torch.where(x[:, i] > 3, x[:, i], x[:, i] + x[:1, i]),
    "twice": lambda x, i, j: x[i][:, :, j],
    "reduced": lambda x, i, j: x[i].sum((0, -1)),
    "of what is reduced": lambda x, i, j: x.float().softmax(-1)[..., j],
    "at the largest": lambda x, i, j: x.float().gather(1, x.float().argmax(1, keepdim=True)),
    "nothing": lambda x, i, j: x[i[:0]],
    "select": lambda x, i, j: x.index_select(2, j.abs()) + x.index_select(2, j[0]),
    "take along": lambda x, i, j: torch.take_along_dim(x, x.argmin(-1, keepdim=True), -1)
    if x.dtype is not torch.bool else x[i],
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", INDEXED)
def test_indexed_by_tensors(name, dtype, interpreters):
    call = Call.of(INDEXED[name], X.to(dtype), I, J)
    exact = name != "of what is reduced"
    check(call, interpreters, units=0.0 if exact else 4.0)


@pytest.mark.parametrize("bad", [-5, 4, 2**40])
def test_an_index_outside_is_eagers_error(bad, interpreters):
    for function in (
        lambda x, i: x[i] * 2,
        lambda x, i: x.index_select(0, i),
        lambda x, i: F.embedding(i, x[:, 0, 0]),
        lambda x, i: x[:, 0, 0].gather(0, i[:, None]),
    ):
        call = Call.of(function, X, torch.tensor([0, 1, bad, 2]))
        with pytest.raises((IndexError, RuntimeError)) as eager:
            call.eager()
        traced = Traced(call)
        for backend in interpreters:
            graph = traced.compile(backend)
            assert graph.record.externs == {}
            with pytest.raises(eager.type, match=r"out of (range|bounds)"):
                traced.run(graph)


def test_many_indices_and_tensors_of_one_element_stay_whole():
    i, one = torch.tensor([0, 1]), torch.tensor(3.0)
    for call in (
        Call.of(lambda x, i: x[i, i, i, i], X, i),
        Call.of(lambda x, i: x.gather(0, i), one, i[:1]),
    ):
        graph = Traced(call).compile("cpp")
        assert sum(graph.record.externs.values()) == 1
        assert not graph.record.fallbacks


@pytest.mark.parametrize("function", [
    lambda x, i: F.embedding(i, x).sin(),
    lambda x, i: x[i % 5] * x[:1],
    lambda x, i: x.gather(1, i % 3),
], ids=range(3))  # fmt: skip
def test_gradients_and_changing_sizes(function):
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="gint", dynamic=True)
    for rows, count in ((9, 5), (8, 6), (12, 2)):
        x = torch.randn(rows, 3, requires_grad=True)
        i = torch.randint(0, 5, (count, 3))
        i = i if function(x, i).dim() == 2 else i[:, 0]
        results = []
        for f in (function, compiled):
            x.grad = None
            f(x, i).sum().backward()
            results.append((f(x, i).detach(), x.grad))
        torch.testing.assert_close(*results)


def test_producers_and_consumers_share_its_program():
    table, places, tokens = torch.randn(50, 16), torch.randn(9, 16), torch.randint(0, 50, (4, 9))
    call = Call.of(
        lambda t, p, i: F.layer_norm(F.embedding(i, t) + p, (16,)), table, places, tokens
    )
    graph = Traced(call).compile("cpp")
    assert graph.record.programs == 1
    assert graph.record.externs == {}
