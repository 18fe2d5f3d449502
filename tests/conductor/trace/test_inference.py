"""The shorter road for plain inference: taken when it may be, with eager's results either way."""

import pytest

torch = pytest.importorskip("torch")
from gint.conductor import backend, gint_backend

pytestmark = pytest.mark.torch

X = torch.arange(64.0).reshape(8, 8) / 7 - 4


@pytest.fixture
def roads(monkeypatch):
    """For each compiled graph, whether it took the shorter road."""
    taken = []

    def spy(gm, trace=backend.trace_inference):
        traced = trace(gm)
        taken.append(traced is not None)
        return traced

    monkeypatch.setattr(backend, "trace_inference", spy)
    torch._dynamo.reset()
    return taken


def same_inputs(x):
    return x, x + 1, x.t(), x.view(-1)


def constants(x):
    return x + torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8]), torch.arange(5), torch.eye(4)


def sizes(x):
    return x.shape[0] * 2, x.sum(), x + x.shape[1]


def joined(x):
    a, b = x.chunk(2, 1)
    return torch.cat([b * 2, a + 1], 1), torch.stack([a, b]).sum(0)


def empty(x):
    return x[:0].sum(), x[:0] * 2, x[:, :1] * x


def without_autocast(x):
    with torch.autocast("cpu", enabled=False):
        return (x @ x).float() * 2


def writes_a_slice(x):
    y = x * 2
    y[:, 0] = 1
    y += x
    return y, y.t()


def pools_to_one_position(x):
    last = x.reshape(1, -1, 2, 2).contiguous(memory_format=torch.channels_last)
    return (torch.nn.functional.adaptive_avg_pool2d(last, 1),)


PLAIN = [same_inputs, constants, sizes, joined, empty, without_autocast, writes_a_slice,
         pools_to_one_position]  # fmt: skip


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
@pytest.mark.parametrize("function", PLAIN, ids=lambda f: f.__name__)
def test_plain_graphs_are_traced_once(function, mode, dynamic, roads):
    with mode():
        expected = function(X.clone())
        found = torch.compile(function, backend=gint_backend, dynamic=dynamic)(X.clone())
    assert roads == [True]
    torch.testing.assert_close(found, expected)
    for a, b in zip(found, expected, strict=True):
        if isinstance(b, torch.Tensor):
            assert (a.stride(), a.is_inference()) == (b.stride(), b.is_inference())


def mutates_its_input(x):
    x.mul_(2)
    return x.sum()


def writes_a_slice_of_its_input(x):
    y = x.t()
    y[:, 0] = 1
    return y * 2


@pytest.mark.parametrize(
    "function", [mutates_its_input, writes_a_slice_of_its_input], ids=lambda f: f.__name__
)
def test_mutation_is_left_to_aot_autograd(function, roads):
    a, b = X.clone(), X.clone()
    with torch.no_grad():
        expected, found = function(a), torch.compile(function, backend=gint_backend)(b)
    assert roads == [False]
    torch.testing.assert_close((found, b), (expected, a))


def test_gradients_are_left_to_aot_autograd(roads):
    x = X.clone().requires_grad_()
    torch.compile(lambda x: x.exp().sum(), backend=gint_backend)(x).backward()
    assert roads == [False]
    torch.testing.assert_close(x.grad, X.exp())


def test_an_outer_autocast_is_left_to_aot_autograd(roads):
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        expected = X @ X + 1
        found = torch.compile(lambda x: x @ x + 1, backend=gint_backend)(X)
    assert roads == [False]
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected)


def test_one_input_twice(roads):
    with torch.no_grad():
        found = torch.compile(lambda x, y: (x + y, x * y), backend=gint_backend)(X, X)
    assert roads == [True]
    torch.testing.assert_close(found, (X + X, X * X))


def test_autocast_within_the_graph_becomes_casts(roads):
    def function(x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y = x @ x
        return y + 1

    with torch.no_grad():
        expected, found = function(X), torch.compile(function, backend=gint_backend)(X)
    assert roads == [True]
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected)


def test_gradients_switched_on_within_the_graph(roads):
    weight = torch.ones(8, requires_grad=True)

    def function(x):
        with torch.enable_grad():
            return x * weight

    with torch.no_grad():
        found = torch.compile(function, backend=gint_backend)(X)
    assert roads == [False]
    assert found.requires_grad
