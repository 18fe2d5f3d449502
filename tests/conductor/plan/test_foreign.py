"""Values that no guard has seen are read as what they are."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.autograd import forward_ad
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks

from gint.conductor import register_backend, statistics

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("error:gint leaves")]
register_backend()


@torch.library.custom_op("gint_test::negated", mutates_args=())
def negated(t: torch.Tensor) -> torch.Tensor:
    return torch._neg_view(t.clone())


@torch.library.custom_op("gint_test::conjugated", mutates_args=())
def conjugated(t: torch.Tensor) -> torch.Tensor:
    return t.clone().conj()


@torch.library.custom_op("gint_test::widened", mutates_args=())
def widened(t: torch.Tensor) -> torch.Tensor:
    return t.double()


for op in (negated, conjugated, widened):
    op.register_fake(torch.empty_like)


def compiled(function):
    torch._dynamo.reset()
    return torch.compile(function, backend="gint", options={"check": True})


def gradient(function, x, tangent, call=lambda f: f):
    """The gradient of the function for a tangent, and the same compiled."""
    found = []
    for f in (function, compiled(function)):
        leaf = x.detach().clone().requires_grad_()
        found += torch.autograd.grad(call(f)(leaf), leaf, tangent)
    return found


NEGATIVE = torch.tensor([1 + 1j, 2 - 3j]).conj().imag


@pytest.mark.parametrize(
    "tangent",
    [NEGATIVE, torch._neg_view(torch.ones(2)), torch._efficientzerotensor(2),
     torch.ones(1).expand(2), torch.arange(5.0)[1::2]],
    ids=["imaginary part", "negative", "zeros not made yet", "expanded", "strided"],
)  # fmt: skip
def test_gradients_that_backward_is_called_with(tangent) -> None:
    expected, found = gradient(lambda x: x * x.sin(), torch.tensor([1.5, -2.0]), tangent)
    torch.testing.assert_close(found, expected)


def test_only_backward_graphs_ask_for_bits() -> None:
    """Of each gradient that they are called with; what guards see costs nothing."""
    compiled_before = len(statistics())
    f = compiled(lambda x: (x * x.sin()).cos())
    f(torch.ones(3))
    f(torch.ones(3, requires_grad=True)).sum().backward()
    asked = [record.plan.count("is_neg") for record in statistics()[compiled_before:]]
    assert asked == [0, 0, 1]


def test_a_scalar_s_gradient_that_is_an_imaginary_part() -> None:
    x = torch.tensor(1.5, requires_grad=True)
    compiled(lambda x: x * x)(x).backward(torch.tensor(1 + 1j).conj().imag)
    assert x.grad == -3


def test_a_conjugate_gradient() -> None:
    tangent = torch.tensor([1 + 1j, 2 - 3j]).conj()
    double = lambda z: torch.view_as_complex(torch.view_as_real(z) * 2)  # noqa: E731
    expected, found = gradient(double, torch.tensor([1 + 2j, 3j]), tangent)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    "hooks",
    [lambda: save_on_cpu(), lambda: saved_tensors_hooks(lambda t: t, torch._neg_view),
     lambda: saved_tensors_hooks(lambda t: t.clone(), lambda t: t.t().contiguous().t())],
    ids=["save_on_cpu", "a negative bit", "other strides"],
)  # fmt: skip
@pytest.mark.parametrize("compiled_before", [False, True])
def test_what_hooks_give_back_for_saved_tensors(hooks, compiled_before) -> None:
    def call(f):
        def hooked(x):
            if compiled_before:
                f(x)
            with hooks():
                return f(x)

        return hooked

    x = torch.arange(6.0).view(2, 3).t()
    expected, found = gradient(lambda x: (x * 2).sin() * x, x, torch.ones(3, 2), call)
    torch.testing.assert_close(found, expected)


def test_hooks_that_give_back_something_else() -> None:
    x = torch.arange(4.0, requires_grad=True)
    with saved_tensors_hooks(lambda t: t.half(), lambda t: t):
        y = compiled(lambda x: x * x.sin())(x)
    with pytest.raises(RuntimeError, match="float16 came where"):
        y.sum().backward()


def test_custom_operators_may_return_tensors_with_bits() -> None:
    x, z = torch.arange(3.0), torch.ones(2) * (1 + 1j)
    assert compiled(lambda x: negated(x) * 2 + 1)(x).tolist() == [1, -1, -3]
    assert compiled(lambda z: torch.view_as_real(conjugated(z)) * 2)(z).tolist() == [[2, -2]] * 2


def test_a_custom_operator_that_returns_what_its_fake_kernel_does_not() -> None:
    with pytest.raises(RuntimeError, match="float64 came where"):
        compiled(lambda x: widened(x) * 2)(torch.ones(3))


def test_a_zero_tensor_is_zeros() -> None:
    f = compiled(lambda x: x + 1)
    f(torch.ones(3))
    assert f(torch._efficientzerotensor(3)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("size", [2, 3])
def test_a_backward_graph_carries_tangents_along(size) -> None:
    """Also with a size that is symbolic."""
    function = lambda x: (x * x * x).sin() * x.shape[0]  # noqa: E731
    f, found = compiled(function), []
    f(torch.ones(5, requires_grad=True))
    for call in (function, f):
        x = torch.arange(1.0, size + 1, requires_grad=True)
        y = call(x)
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(torch.ones(size), torch.full((size,), 3.0))
            (grad,) = torch.autograd.grad(y, x, dual, retain_graph=True)
            found += forward_ad.unpack_dual(grad)
            found += torch.autograd.grad(y, x, torch.ones(size), retain_graph=True)
        found += torch.autograd.grad(y, x, torch.ones(size))
    torch.testing.assert_close(found[4:], found[:4])
