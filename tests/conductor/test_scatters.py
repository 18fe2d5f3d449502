"""Writing where positions say, through the conductor: on every backend, in the memory of what is
changed where nobody reads it afterwards, and gradients of what reads at positions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import explain
from gint.plan.operators import SCATTERS

from .comparing import Call, Traced, assert_same

pytestmark = pytest.mark.torch
aten = torch.ops.aten
F = torch.nn.functional
X, Y = torch.randn(6, 5, 4), torch.randn(9, 5, 4)
I = torch.tensor([0, -1, 2, 2, 5, 1, 2, 0, 3])  # noqa: E741
P = torch.tensor([[0], [3], [1]]).expand(3, 5)[:, :, None].expand(3, 5, 4)

SCATTERED = {
    "index_add": lambda x, y, i, p: (x * 2).index_add(0, i % 6, y + 1) * 3,
    "index_add, dim 1": lambda x, y, i, p: x.index_add(1, i[:5] % 5, y[:6] * 2),
    "index_copy": lambda x, y, i, p: x.index_copy(0, i[4:7], y[:3]),
    "index_fill": lambda x, y, i, p: x.index_fill(1, i[:2], 3) + x,
    "assigned": lambda x, y, i, p: aten.index_put(x.clone(), [i[4:7]], y[:3]),
    "accumulated": lambda x, y, i, p: x.index_put((i,), y, accumulate=True),
    "two": lambda x, y, i, p: x.index_put((i, i.clamp(0, 4)), y[:, 0], accumulate=True),
    "apart": lambda x, y, i, p: aten.index_put(x, [i, None, i.clamp(0, 3)], y[:, :, 0], True),
    "scatter_add": lambda x, y, i, p: x.scatter_add(0, p, y) * 2,
    "scatter": lambda x, y, i, p: x.scatter(0, p, y),
    "scatter a number": lambda x, y, i, p: x.scatter(0, p, 1) + x.scatter(0, p, 2, reduce="add"),
    "amax": lambda x, y, i, p: x.scatter_reduce(0, p, y, "amax", include_self=False),
    "mean": lambda x, y, i, p: x.scatter_reduce(0, p, y, "mean"),
    "computed positions": lambda x, y, i, p: x.index_add(0, y[:, 0, 0].abs().long() % 6, y),
    "nothing": lambda x, y, i, p: x.index_add(0, i[:0], y[:0]),
    "mask": lambda x, y, i, p: aten.index_put(x, [x[:, 0, 0] > 0], y[:1]),
}  # fmt: skip


def check(call, backends):
    """What writes is one call each, everything else programs; results as eager's."""
    expected = call.eager()
    exact = call.converted(torch.float64).eager() if expected.is_floating_point() else None
    traced = Traced(call)
    for backend in backends:
        graph = traced.compile(backend)
        assert graph.record.fallbacks == ()
        assert set(graph.record.externs) <= {name.rpartition(".")[0] for name in SCATTERS}
        assert_same(traced.run(graph), expected, exact=exact)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64], ids=str)
@pytest.mark.parametrize("name", SCATTERED)
def test_scattered(name, dtype, interpreters):
    x, y = (X * 3).to(dtype), (Y * 3).to(dtype)
    check(Call.of(SCATTERED[name], x, y, I, P), interpreters)


@pytest.mark.parametrize("dynamic", [False, True])
def test_gradients(dynamic, fresh_dynamo):
    def function(x, table, i):
        rows = F.embedding(i, table, padding_idx=1)
        picked = x.index_select(0, i[0]) * x[i[0], :3].sum() * x.gather(1, i[:, :3]).sum()
        return rows.sin().sum() + picked.sum()

    compiled = torch.compile(function, backend="gint", dynamic=dynamic)
    for count in (5, 6):
        results = []
        for f in (function, compiled):
            torch.manual_seed(count)
            x = torch.randn(count, 4, requires_grad=True)
            table = torch.randn(50, 8, requires_grad=True)
            f(x, table, torch.randint(0, 4, (3, count))).backward()
            results.append((x.grad, table.grad))
        torch.testing.assert_close(*results)


@pytest.mark.parametrize(
    "mask", [X > 0, X[:, :, 0] > 0, X[:, 0, 0] > 0], ids=lambda m: str(m.dim())
)
def test_a_mask_and_a_number_are_a_choice(mask, interpreters):
    call = Call.of(lambda x, m: aten.index_put(x + 1, [m], x.new_zeros(())), X, mask)
    traced = Traced(call)
    for backend in interpreters:
        graph = traced.compile(backend)
        assert graph.record.externs == {}
        assert_same(traced.run(graph), call.eager())


def test_a_cache_is_written_where_it_lies(fresh_dynamo):
    """No copy of it is made, and none is written back."""
    cache, kept = torch.zeros(8, 4), torch.zeros(8, 4)
    at, row = torch.tensor([3, 5]), torch.randn(2, 4)

    def update(cache, at, row):
        cache.index_copy_(0, at, row * 2)
        return cache.sum(0)

    compiled = torch.compile(update, backend="gint")
    address = cache.data_ptr()
    torch.testing.assert_close(compiled(cache, at, row), update(kept, at, row))
    assert torch.equal(cache, kept)
    assert cache.data_ptr() == address
    (graph,) = explain(update, cache, at, row).graphs
    assert graph.externs == {"aten.index_copy": 1}
    assert "copy_(" not in graph.plan.replace("index_copy_", "")


def test_what_is_made_here_is_changed_where_it_lies(fresh_dynamo):
    """The sums are added to the memory of the zeros, which is the only one."""

    def function(x, i):
        return torch.zeros(300, 5).index_add(0, i, x * 2)

    x, i = torch.randn(9, 5), torch.tensor([0, 299, 3, 3, 3, 1, 0, 7, 8])
    (graph,) = explain(function, x, i).graphs
    assert graph.plan.count("empty_strided(") == 1
    torch.testing.assert_close(torch.compile(function, backend="gint")(x, i), function(x, i))


@pytest.mark.parametrize("bad", [-7, 6])
def test_a_position_outside_is_eagers_error(bad, interpreters):
    index = torch.tensor([0, bad])
    for function in (
        lambda x, i: (x + 1).index_add(0, i, x[:2]),
        lambda x, i: x.index_put((i,), x[:2], accumulate=True) * 2,
        lambda x, i: x.scatter_add(0, i[:, None, None].expand(2, 5, 4), x),
    ):
        call = Call.of(function, X, index)
        with pytest.raises((IndexError, RuntimeError)) as eager:
            call.eager()
        traced = Traced(call)
        for backend in interpreters:
            with pytest.raises(eager.type) as ours:
                traced.run(traced.compile(backend))
            assert str(ours.value) == str(eager.value)
