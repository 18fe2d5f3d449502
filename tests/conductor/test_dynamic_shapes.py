"""Shapes that change: one compilation serves them, and the backend asks for no guard of its own."""

from __future__ import annotations

import random

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import gint_backend, statistics

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]
F = torch.nn.functional


class Counted:
    """A backend that counts how often Dynamo calls it."""

    def __init__(self, options: dict | None) -> None:
        self.calls, self.options = 0, options

    def __call__(self, module, inputs):
        self.calls += 1
        if self.options is None:
            return module.forward
        return gint_backend(module, inputs, options=self.options)


def run(function, options: dict | None, calls, dynamic: bool | None = True) -> int:
    """Compile once and call with each of the arguments; how often the backend was called."""
    torch._dynamo.reset()
    counted = Counted(options)
    compiled = torch.compile(function, backend=counted, dynamic=dynamic)
    for args in calls:
        torch.testing.assert_close(compiled(*args), function(*args), rtol=1e-4, atol=1e-4)
    return counted.calls


def norm(x, w):
    return F.layer_norm(x * 2, x.shape[-1:], w, w).softmax(-1) + x.mean(-1, keepdim=True)


def shapes(count: int) -> list[tuple[int, int]]:
    """Shapes whose sizes from 2 are never equal and both change every time."""
    rows, columns = range(2, 2 + 2 * count, 2), range(3, 3 + 2 * count, 2)
    return list(zip(rows, random.Random(0).sample(columns, count), strict=True))


def test_dynamic_compiles_once_for_fifty_shapes(options) -> None:
    calls = [(torch.randn(n, m), torch.randn(m)) for n, m in shapes(50)]
    assert run(norm, options, calls) == 1


def test_automatic_dynamic_compiles_twice_for_fifty_shapes(options) -> None:
    calls = [(torch.randn(n, m), torch.randn(m)) for n, m in shapes(50)]
    assert run(norm, options, calls, dynamic=None) == 2


@pytest.mark.parametrize("size", [(0, 5), (5, 0), (1, 5), (5, 1), (1, 1), (0, 0)])
def test_sizes_zero_and_one(size, options) -> None:
    calls = [(torch.randn(n, m), torch.randn(m)) for n, m in ((4, 7), size, (9, 3))]
    assert run(lambda x, w: (x * w).relu() + x.sum(0), options, calls) <= 3
    run(lambda x, w: x.softmax(-1) * w, options, calls)


# Each with sizes, symbols and bounds used another way.
FUNCTIONS = {
    "size as a value": lambda x: x * x.shape[0] + x.shape[1],
    "size divided": lambda x: x / x.shape[1],
    "arange": lambda x: x + torch.arange(x.shape[1]),
    "mask": lambda x: torch.where(torch.arange(x.shape[0])[:, None] > 2, x, -x),
    "causal mask": lambda x: x[:, :1] * torch.ones(x.shape[0], x.shape[0]).tril(),
    "mean over all": lambda x: x.mean(),
    "mean and variance over a dimension": lambda x: torch.var_mean(x, 0),
    "argmax": lambda x: x.argmax(1) + x.argmax(),
    "reshape": lambda x: (x + 1).reshape(x.shape[1], x.shape[0]) * 2,
    "flatten": lambda x: (x + 1).flatten() - x.reshape(-1),
    "transpose": lambda x: (x.t() * 3).contiguous() + x.t(),
    "slice by a size": lambda x: x[: x.shape[0] // 2] * 2 + 1,
    "slice from a size": lambda x: x[x.shape[0] // 2 :, 1:] + 1,
    "computed, then sliced": lambda x: (x * 2)[1:, : x.shape[1] - 1] + 1,
    "split in two": lambda x: x[:, : x.shape[1] // 2].sigmoid().sum(1) + x[:, -1],
    "expand": lambda x: x[:, None].expand(-1, 3, -1) * 2,
    "new sizes": lambda x: x.new_full((x.shape[1], 2), 3.0) + x.new_zeros(x.shape[1], 1),
    "sum of squares over sizes": lambda x: (x * x).sum() / x.numel(),
    "cat": lambda x: torch.cat([x * 2, x], 0).relu(),
    "matmul": lambda x: (x @ x.t()).softmax(-1) @ x,
    "size twice": lambda x: x * (x.shape[0] * 2 - x.shape[1]),
    "float of a size": lambda x: x * float(x.shape[1]) ** -0.5,
    "maximum of sizes": lambda x: x + max(x.shape[0], 7),
    "softmax and back": lambda x: x.softmax(0).log_softmax(1),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_guard_beyond_dynamo_s_own(name: str, options) -> None:
    calls = [(torch.randn(n, m),) for n, m in shapes(8)]
    function = FUNCTIONS[name]
    assert run(function, options, calls) == run(function, None, calls)


@pytest.mark.parametrize("name", ["size as a value", "arange", "reshape", "causal mask"])
def test_no_fallback_because_of_symbols(name: str, options) -> None:
    before = len(statistics())
    run(FUNCTIONS[name], options, [(torch.randn(4, 6),), (torch.randn(7, 3),)])
    assert [r.fallbacks for r in statistics()[before:]] == [()]


def test_numbers_as_arguments(options) -> None:
    calls = [(torch.randn(5), n, s) for n, s in ((3, 0.5), (4, 0.25), (17, -2.0), (100, 1e-3))]
    same = [run(lambda x, n, s: x * n + torch.arange(5) * s, o, calls) for o in (options, None)]
    assert same[0] == same[1]


def test_marked_dimensions(options) -> None:
    counted = Counted(options)
    compiled = torch.compile(norm, backend=counted)
    for n in (3, 8, 21, 50):
        x, w = torch.randn(n, 16), torch.randn(16)
        torch._dynamo.mark_dynamic(x, 0)
        torch.testing.assert_close(compiled(x, w), norm(x, w), rtol=1e-4, atol=1e-4)
    assert counted.calls == 1


def test_strides_that_change(options) -> None:
    def f(x):
        return x * 2 + x.sum(0)

    base = torch.randn(40, 60)
    calls = [(base[:n, :m],) for n, m in ((5, 7), (8, 9), (39, 2), (11, 60))]
    run(f, options, calls)
    run(f, options, [(base.t()[:n],) for n in (5, 9, 60)])


def test_training_with_dynamic_shapes(options) -> None:
    def loss(x, w):
        return (F.layer_norm(x, (6,), w) * x).softmax(-1).square().sum()

    compiled = torch.compile(loss, backend=gint_backend, options=options, dynamic=True)
    for n in (3, 8, 5):
        x, grads = torch.randn(n, 6), []
        for f in (compiled, loss):
            w = torch.ones(6, requires_grad=True)
            f(x, w).backward()
            grads.append(w.grad)
        torch.testing.assert_close(*grads, rtol=1e-4, atol=1e-4)


def test_a_recompile_finds_the_loaded_program_again(options) -> None:

    def f(x):
        return (x * 3).tanh()

    run(f, options, [(torch.randn(4, 5),)], dynamic=False)
    from gint.host.launches import load_kernel

    loaded = load_kernel.statistics().loads
    run(f, options, [(torch.randn(6, 8),)], dynamic=False)
    assert load_kernel.statistics().loads == loaded


def test_a_scalar_of_minus_zero_is_not_zero():
    def angle(x, scale):
        return torch.atan2(x * scale, x)

    compiled = torch.compile(angle, backend="gint", dynamic=True)
    x = torch.ones(3)
    for scale in (1.5, 2.5, 0.0, -0.0, 0.0):
        assert torch.equal(compiled(x, scale).signbit(), angle(x, scale).signbit())


def _count(x):
    n = (x > 0).sum().item()
    torch._check(n >= 0)
    torch._check(n <= x.shape[0])
    return n


def _split(x):
    n, m = (x > 0).sum().item(), (x <= 0).sum().item()
    torch._check(n + m == x.shape[0])
    a, b = x.split([n, m])
    return a * 2, b + 1


def _write(x):
    x = x.clone()
    x[: (x > 0).sum().item()].mul_(2)
    return x + 1


_FROM_DATA = {
    "slice": lambda x: x[: (x > 0).sum().item()] * 2,
    "slice, checked": lambda x: x[: _count(x)] * 2,
    "rest": lambda x: x[_count(x) :] * 2 + _count(x),
    "slice from the end": lambda x: (x[-(x > 0).sum().item() :] * 2).sum(),
    "of what is computed": lambda x: ((x * 3)[: (x > 0).sum().item()].sin(), (x + 1)[_count(x) :]),
    "slice of a slice": lambda x: x[1:][: (x > 2).sum().item()].sin()[:1] + x[0],
    "select": lambda x: (x[(x > 5).sum().item()] * 2, x.select(0, (x > 5).sum().item()) + 1),
    "narrow": lambda x: x.narrow(0, 0, _count(x)) * 2,
    "arange": lambda x: torch.arange(_count(x)) * 2 + torch.zeros(_count(x)),
    "product": lambda x: x[: _count(x)] @ x[: _count(x)] + 1,
    "strided": lambda x: x.as_strided((2,), (1,), _count(x[:-1])) * 2,
    "expanded": lambda x: x[: _count(x)].unsqueeze(0).expand(3, _count(x)).t() + 1,
    "masked": lambda x: (x[x > 0] * 2, x[x > 0][1:] + 1),
    "number": lambda x: x * x.sum().item() + (x > 0).sum().item(),
    "split": _split,
    "written": _write,
}


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("name", _FROM_DATA)
@torch._dynamo.config.patch(capture_scalar_outputs=True, capture_dynamic_output_shape_ops=True)
def test_sizes_from_data_are_part_of_the_graph(name, dynamic) -> None:
    f = torch.compile(
        _FROM_DATA[name], backend="gint", fullgraph=True, dynamic=dynamic, options={"check": True}
    )
    for values in ([1.0, -2, 3, 4], [-1.0, 2, -3, -4], [1.0, 2, 3, -4, -5]):
        x = torch.tensor(values)
        torch.testing.assert_close(f(x), _FROM_DATA[name](x))
    assert statistics()[-1].programs


@torch._dynamo.config.patch(capture_scalar_outputs=True)
def test_gradients_through_a_slice_whose_size_is_data() -> None:
    function = lambda x: (x[: (x > 0).sum().item()] * 2).sin().sum()  # noqa: E731
    x, y = (torch.tensor([1.0, -2, 3, 4], requires_grad=True) for _ in range(2))
    torch.compile(function, backend="gint", fullgraph=True, options={"check": True})(x).backward()
    function(y).backward()
    torch.testing.assert_close(x.grad, y.grad)
