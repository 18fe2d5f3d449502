import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F

import gint.conductor

pytestmark = pytest.mark.torch
OPTIONS = {"check": True}


def compare(function, x, *args, **tolerance):
    """The gradient of x, beside eager's; and the record of the backward graph."""
    torch._dynamo.reset()
    grads = []
    for f in (torch.compile(function, backend="gint", options=OPTIONS), function):
        leaf = x.clone().requires_grad_()
        value = f(leaf, *args)
        value.backward(torch.linspace(-1, 2, value.numel()).view(value.shape).to(value.dtype))
        grads.append(leaf.grad)
    torch.testing.assert_close(*grads, equal_nan=True, **tolerance)
    return gint.conductor.statistics()[-1]


def classes(*shape, of=7):
    found = torch.arange(torch.Size(shape).numel()).mul(5).remainder(of).view(shape)
    return (
        found.index_fill(0, torch.tensor([0]), -100) if found.dim() > 0 and shape[0] > 1 else found
    )


@pytest.mark.parametrize(("reduction", "weighed"), [("mean", True), ("sum", False), ("none", True)])
@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (7,), (3, 7, 4, 5), (2, 7, 1, 1)])
def test_the_gradient_of_cross_entropy_is_one_program_without_a_sum(shape, weighed, reduction):
    weight = torch.linspace(-1, 1, 7) if weighed else None
    target = classes(*shape[:1], *shape[2:]) if len(shape) > 1 else torch.tensor(3)

    def loss(x, target):
        return F.cross_entropy(x, target, weight, reduction=reduction)

    torch.manual_seed(0)
    record = compare(loss, torch.randn(shape), target)
    assert record.programs == 1
    assert not record.externs
    assert "sum" not in record.listings[0]


@pytest.mark.parametrize(
    ("dtype", "smoothing", "ignored"),
    [(torch.float32, 0.1, 3), (torch.float64, 0.0, 0), (torch.bfloat16, 0.1, -100)],
)
def test_classes_that_are_ignored_smoothed_and_halves(dtype, smoothing, ignored):
    def loss(x, target):
        return F.cross_entropy(x, target, ignore_index=ignored, label_smoothing=smoothing)

    torch.manual_seed(0)
    tolerance = {"rtol": 2e-2, "atol": 2e-3} if dtype is torch.bfloat16 else {}
    compare(loss, torch.randn(5, 7).to(dtype), classes(5).clamp(min=ignored), **tolerance)


def test_a_loss_alone_and_one_whose_rows_are_all_ignored():
    compare(lambda x, t: F.nll_loss(x, t), torch.randn(5, 7), classes(5))
    compare(lambda x, t: F.nll_loss(x * 2, t), torch.randn(7), torch.tensor(6))
    compare(F.cross_entropy, torch.randn(6, 7, 3), classes(6, 3))  # two dimensions behind a view
    compare(F.cross_entropy, torch.randn(3, 7), torch.full((3,), -100))
    compare(lambda x, t: F.cross_entropy(x, t, reduction="sum"), torch.zeros(0, 7), classes(0))


def test_infinities_and_nan_are_eagers():
    inf, nan = float("inf"), float("nan")
    x = torch.tensor([[inf, 0.0, 1.0], [-inf, 0.0, 1.0], [nan, 0.0, 1.0], [-inf, -inf, -inf]])
    compare(F.cross_entropy, x, torch.tensor([0, 1, 2, 0]))


def test_sizes_that_differ_from_call_to_call():
    torch._dynamo.reset()
    compiled = torch.compile(F.cross_entropy, backend="gint", dynamic=True, options=OPTIONS)
    for rows, count in ((4, 9), (11, 5), (3, 130)):
        x = torch.randn(rows, count, requires_grad=True)
        target = classes(rows, of=count)
        (found,) = torch.autograd.grad(compiled(x, target), x)
        (expected,) = torch.autograd.grad(F.cross_entropy(x, target), x)
        torch.testing.assert_close(found, expected)


def test_a_target_that_is_no_class_is_eagers_error():
    torch._dynamo.reset()
    compiled = torch.compile(F.cross_entropy, backend="gint", options=OPTIONS)
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(torch.randn(2, 3, requires_grad=True), torch.tensor([1, 3]))
