"""What the tests of saved functions compile, in a module that another process can import too."""

import torch
from torch import nn


class Block(nn.Module):
    """A gated block with a norm, seeded."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.norm = nn.RMSNorm(24)
        self.up, self.down = nn.Linear(24, 40), nn.Linear(20, 24)

    def forward(self, x):
        a, b = self.up(self.norm(x)).chunk(2, -1)
        return x + self.down(torch.nn.functional.silu(a) * b)


def apply(module, x):
    return module(x)


def write_and_view(state, x):
    """Writes into one argument, and returns a view of the other."""
    state.mul_(2).add_(x)
    return state.exp(), x.view(-1)


def loss(x, weight):
    return torch.nn.functional.gelu(x @ weight).square().mean()


def rows(x):
    return torch.softmax(x * 2, -1) + x.shape[0]


def data():
    """A module, two matrices, and a weight that wants its gradient."""
    made = torch.Generator().manual_seed(1)
    x, y = torch.randn(7, 24, generator=made), torch.randn(7, 24, generator=made)
    weight = torch.randn(24, 5, generator=made).requires_grad_()
    return Block().eval(), x, y, weight


def check(applied, written, loss_of, rows_of):
    """Compare these, compiled or loaded, with the functions above."""
    module, x, y, weight = data()
    with torch.no_grad():
        torch.testing.assert_close(applied(module, x), apply(module, x))
    state, expected = x.clone(), x.clone()
    for got, wanted in zip(written(state, y), write_and_view(expected, y), strict=True):
        torch.testing.assert_close(got, wanted)
    torch.testing.assert_close(state, expected)
    assert written(x.clone(), y)[1].data_ptr() == y.data_ptr()
    got = [loss_of(x, weight)]
    got += torch.autograd.grad(got[0], weight)
    wanted = loss(x, weight)
    torch.testing.assert_close(got, [wanted, *torch.autograd.grad(wanted, weight)])
    for count in (2, 3, 7):
        part = x[:count].clone()
        torch.testing.assert_close(rows_of(part), rows(part))
