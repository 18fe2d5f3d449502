"""What is broken up while tracing gives eager's results, at any size."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ..comparing import HALVES, Call, Traced

pytestmark = pytest.mark.torch

SHAPES = [(3, 5), (1, 1), (0, 4), (7,), (2, 3, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("shift", [0, 1, -1, 4, -9, 10**9])
def test_roll(shape, shift, interpreters):
    x = torch.arange(float(torch.Size(shape).numel())).view(shape)
    dims = tuple(range(len(shape)))
    for function in (
        lambda x: torch.roll(x, shift),
        lambda x: torch.roll(x, shift, -1) * 2,
        lambda x: torch.roll(x + 1, (shift,) * len(dims), dims),
        lambda x: torch.roll(x, (shift, 1), (0, 0)),
    ):
        traced = Traced(Call.of(function, x))
        for backend in interpreters:
            assert torch.equal(traced.run(traced.compile(backend)), function(x))


def test_roll_of_sizes_known_at_the_call_is_one_graph():
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(lambda x: torch.roll(x, 3, 1) * 2, backend="gint", dynamic=True)
    for size in (5, 100, 3, 2, 4):
        x = torch.randn(4, size)
        assert torch.equal(compiled(x), torch.roll(x, 3, 1) * 2)
    assert counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("weight", [0, 0.25, -0.25, 0.5, 1, 1.5, -2.0])
def test_lerp_by_a_number_ends_where_eager_does(weight, dtype, interpreters):
    torch.manual_seed(0)
    start, end = torch.randn(2, 7, 9).to(dtype)
    end[0, :3], start[0, 2:4] = torch.tensor([1e30, torch.inf, torch.nan]), -torch.inf
    call = Call.of(lambda a, b: torch.lerp(a, b, weight), start, end)
    traced = Traced(call)
    for backend in interpreters:
        graph = traced.compile(backend)
        assert graph.record.programs == 1
        torch.testing.assert_close(
            traced.run(graph), torch.lerp(start, end, weight), equal_nan=True
        )


@pytest.mark.parametrize("value", [1, 1.0, True, 2, -0.5])
@pytest.mark.parametrize("name", ["addcmul", "addcdiv"])
def test_products_and_quotients_added(name, value, interpreters):
    torch.manual_seed(0)
    x, a, b = torch.randn(3, 5, 7)
    a[0, 0], b[0, 1], x[0, 2] = torch.inf, 0.0, -0.0
    function = getattr(torch, name)
    traced = Traced(Call.of(lambda x, a, b: function(x, a, b, value=value), x, a, b))
    for backend in interpreters:
        got = traced.run(traced.compile(backend))
        torch.testing.assert_close(got, function(x, a, b, value=value), equal_nan=True)


def test_products_of_integers_added(interpreters):
    x, a, b = torch.arange(60).view(3, 4, 5)
    traced = Traced(Call.of(lambda x, a, b: torch.addcmul(x, a, b), x, a, b))
    for backend in interpreters:
        assert torch.equal(traced.run(traced.compile(backend)), x + a * b)
    with pytest.raises(RuntimeError, match=r"[Ii]nteger division"):
        torch.compile(torch.addcdiv, backend="gint")(x, a, b)


@pytest.mark.parametrize("value", [0.5, -1.7, 2.9, 3])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int8], ids=str)
def test_of_integers_a_products_factor_is_its_whole_part(dtype, value, interpreters):
    x, a, b = torch.arange(60, dtype=dtype).view(3, 4, 5)
    lists = lambda x, a, b: torch._foreach_addcmul([x], [a], [b], value)[0]  # noqa: E731
    for function in (lists, lambda x, a, b: torch.addcmul(x, a, b, value=value)):
        traced = Traced(Call.of(function, x, a, b))
        for backend in interpreters:
            graph = traced.compile(backend)
            assert graph.record.programs == 1
            torch.testing.assert_close(traced.run(graph), function(x, a, b), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: torch.addcmul(x, x, x, value=-1.5), "without overflow"),
        (lambda x: torch.addcmul(x, x, x, value=torch.inf), "without overflow"),
        (lambda x: torch.addcmul(x > 1, x > 1, x > 1), "'Bool'"),
        (lambda x: torch.lerp(x, x, 0.25), "'Byte'"),
    ],
)
def test_what_eager_has_not_for_integers_is_said_by_eager(function, words):
    x = torch.arange(5, dtype=torch.uint8)
    for call in (function, torch.compile(function, backend="gint")):
        with pytest.raises(RuntimeError, match=words):
            call(x)


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32, torch.float64, torch.int64], ids=str)
@pytest.mark.parametrize(
    "numbers",
    [
        {},
        *({"nan": n} for n in (2.5, -0.0, torch.nan, torch.inf)),
        {"posinf": 7.0},
        {"neginf": 8.0},
        {"nan": 1.0, "posinf": -2.0, "neginf": 3.0},
    ],
    ids=str,
)
def test_nan_to_num(numbers, dtype, interpreters):
    values = [torch.nan, torch.inf, -torch.inf, -0.0, 1.5] if dtype.is_floating_point else [3, -4]
    x = torch.tensor(values * 30, dtype=dtype)
    traced = Traced(Call.of(lambda x: torch.nan_to_num(x, **numbers), x))
    for backend in interpreters:
        got, expected = traced.run(traced.compile(backend)), torch.nan_to_num(x, **numbers)
        torch.testing.assert_close(got, expected, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("sizes", [(300,), (5, 4), (257, 300), (0, 3)], ids=str)
@pytest.mark.parametrize("dtype", [None, torch.int64, torch.bool, torch.bfloat16], ids=str)
def test_eye(sizes, dtype, interpreters):
    traced = Traced(Call.of(lambda x: torch.eye(*sizes, dtype=dtype), torch.ones(1)))
    for backend in interpreters:
        got, expected = traced.run(traced.compile(backend)), torch.eye(*sizes, dtype=dtype)
        torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_a_loss_of_integers_has_their_type():
    x, y, grad = torch.arange(24).view(3, 2, 4) % 7

    def function(*a):
        return torch.ops.aten.smooth_l1_loss_backward.default(*a, 0, 1.0)

    compiled = torch.compile(function, backend="gint")
    torch.testing.assert_close(compiled(grad, x, y), function(grad, x, y), rtol=0, atol=0)


def test_softshrink_is_not_decomposed_before_the_table_is_asked():
    from gint.conductor import explain

    (graph,) = explain(lambda x: torch.nn.functional.softshrink(x), torch.randn(3, 5)).graphs
    assert "sign" not in str(graph.nodes)
