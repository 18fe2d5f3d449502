import pytest

torch = pytest.importorskip("torch")

import gint.conductor

pytestmark = pytest.mark.torch
OPTIONS = {"check": True}


def rotated(x, *, dim, at):
    low, high = x.narrow(dim, 0, at), x.narrow(dim, at, x.shape[dim] - at)
    return torch.cat([-high, low], dim)


def gradients(function, *args):
    """Of all arguments, beside eager's; and the record of the backward graph."""
    torch._dynamo.reset()
    found = []
    for f in (torch.compile(function, backend="gint", options=OPTIONS), function):
        leaves = [a.clone().requires_grad_() for a in args]
        value = f(*leaves)
        found.append(torch.autograd.grad(value, leaves, torch.ones_like(value).cumsum(-1)))
    torch.testing.assert_close(*found)
    return gint.conductor.statistics()[-1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_gradient_of_a_rotary_embedding_is_one_program(dtype):
    cos, sin = torch.randn(5, 6).to(dtype), torch.randn(5, 6).to(dtype)

    def rotary(x):
        x = x.view(2, 5, 3, 6).transpose(1, 2)
        return x * cos + torch.cat([-x[..., 3:], x[..., :3]], -1) * sin

    record = gradients(rotary, torch.randn(2, 5, 18).to(dtype))
    assert record.programs == 1
    assert not record.externs


@pytest.mark.parametrize(("dim", "at"), [(0, 2), (1, 3), (2, 1), (-1, 1), (1, 2), (1, 5)])
def test_halves_along_any_dimension_and_pieces_that_are_none(dim, at):
    gradients(lambda x: rotated(x * 2, dim=dim, at=at).sin() + x, torch.randn(4, 6, 2))


def test_two_gradients_of_one_half_are_added():
    gradients(lambda x: (x[:, :3] * 2).exp() + x[:, :3].sin(), torch.randn(4, 6))
    gradients(lambda x: x[:, :3].exp() * x[:, 3:] + x[:, 3:].sin() * x[:, :3], torch.randn(4, 6))
