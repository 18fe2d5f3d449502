"""Gradients, the modes around them, and optimizers, as in eager."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

from gint.conductor import gint_backend

from .comparing import assert_like_eager, compiled

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]
F = torch.nn.functional


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(8, 16), nn.LayerNorm(16), nn.Linear(16, 4)

    def forward(self, x):
        return self.outer(F.gelu(self.norm(self.inner(x)))).log_softmax(-1)


class Words(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.norm = nn.Embedding(11, 6), nn.RMSNorm(6)

    def forward(self, x):
        return F.silu(self.norm(self.table(x))).softmax(-1)


class Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, 5, 1))

    def forward(self, x):
        y = (x * self.weight).tanh() + self.weight.exp()
        return (y.var(-1) * y.amax(-1) / (1 + y.mean(-1).sigmoid())).sqrt().nan_to_num()


@pytest.mark.parametrize(
    ("model", "inputs"),
    [
        (Mlp, lambda: torch.randn(6, 8)),
        (Words, lambda: torch.randint(0, 11, (3, 7))),
        (Mixed, lambda: torch.rand(2, 5, 9)),
    ],
)
def test_gradients_are_eager_s(model, inputs, options) -> None:
    torch.manual_seed(0)
    theirs = model()
    mine = model()
    mine.load_state_dict(theirs.state_dict())
    x = inputs()
    weights = torch.randn(theirs(x).shape)
    (theirs(x) * weights).sum().backward()
    (compiled(mine, options)(x) * weights).sum().backward()
    for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)


def test_gradients_of_inputs_and_losses(options) -> None:
    def loss(x, target):
        return F.cross_entropy(x, target) + F.mse_loss(x.sigmoid(), x) + F.smooth_l1_loss(x, x * 2)

    x, target = torch.randn(6, 5), torch.randint(0, 5, (6,))
    mine, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    compiled(loss, options)(mine, target).backward()
    loss(theirs, target).backward()
    torch.testing.assert_close(mine.grad, theirs.grad)


def test_dropout_draws_what_aot_eager_draws(options) -> None:
    def f(x):
        return F.dropout(x * 2, 0.5) + F.dropout(x, 0.25)

    x = torch.ones(64)
    grads = []
    for backend, more in ((gint_backend, {"options": options}), ("aot_eager", {})):
        torch._dynamo.reset()
        torch.manual_seed(5)
        leaf = x.clone().requires_grad_()
        f_compiled = torch.compile(f, backend=backend, **more)
        y = f_compiled(leaf)
        y.sum().backward()
        grads.append((y.detach(), leaf.grad))
    torch.testing.assert_close(grads[0], grads[1])


def test_three_steps_of_an_optimizer(options) -> None:
    losses = []
    for run in (lambda m: m, lambda m: compiled(m, options)):
        torch.manual_seed(1)
        model, x = Mlp(), torch.randn(6, 8)
        step, optimizer = run(model), torch.optim.AdamW(model.parameters(), lr=0.1)
        losses.append([])
        for _ in range(3):
            loss = -step(x)[:, 0].mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses[-1].append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_grad_modes(mode, options) -> None:
    with mode():
        assert_like_eager(lambda x: (x * 2).softmax(-1), options, torch.randn(3, 5))


def test_autocast(options) -> None:
    torch.manual_seed(0)
    model, x = Mlp(), torch.randn(6, 8)
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        found, expected = compiled(model, options)(x), model(x)
    assert found.dtype == expected.dtype
    torch.testing.assert_close(found, expected, rtol=2e-2, atol=2e-2)


def test_a_view_saved_beside_another_that_is_written(options) -> None:
    """Views of one tensor count the writes of all; what is kept for the gradient is a copy."""

    def function(a, b):
        a.mul_(2)
        return b.sin() * b, a * 3

    compiled = torch.compile(function, backend="gint", options=options)
    grads = []
    for run in (function, compiled):
        leaf = torch.linspace(-1, 1, 10).requires_grad_()
        made = leaf * 1
        results = run(made[:5], made[5:])
        grads.append(torch.autograd.grad([r.sum() for r in results], leaf)[0])
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("dynamic", [None, True])
def test_a_graph_may_be_differentiated_twice(dynamic, options) -> None:
    """Also where sizes are symbols, of which torch would say that it must not be."""

    def function(x):
        return torch.nn.functional.gelu(x @ x.mT).softmax(-1)

    compiled = torch.compile(function, backend="gint", dynamic=dynamic, options=options)
    x = torch.linspace(-1, 1, 12).view(3, 4).requires_grad_()
    y, weights = compiled(x), torch.arange(9.0).view(3, 3)
    (first,) = torch.autograd.grad(y, x, weights, retain_graph=True)
    (again,) = torch.autograd.grad(y, x, -2 * weights)
    (expected,) = torch.autograd.grad(function(x), x, weights)
    torch.testing.assert_close((first, again), (expected, -2 * expected))
