"""Views of written inputs lie where the input does, whatever their sizes depend on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]


def piece(x):
    y = x.chunk(2, 1)[0]
    y.clamp_(-1, 5)
    return y


def columns(x):
    y = x[:, : x.shape[1] // 2]
    y.mul_(2)
    return y


def flat(x):
    x.mul_(2)
    return x.view(x.shape[0] * x.shape[1])


def later(x):
    x.mul_(2)
    return x[x.shape[0] // 2 :]


def new(x):
    """No view of the input, though its values are copied there."""
    y = x.clone()
    y.mul_(2)
    x.copy_(y)
    return y[:, : x.shape[1] // 2]


def given(is_made: bool) -> tuple:
    memory = torch.arange(30.0)
    leaf = memory.requires_grad_() if is_made else memory
    base = leaf * 1 if is_made else memory
    return base, base[3:18].view(3, 5)


def place(y, base) -> tuple:
    same = y.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()
    return same, y.storage_offset(), y.stride(), y.requires_grad


@pytest.mark.parametrize("function", [piece, columns, flat, later, new], ids=lambda f: f.__name__)
def test_inference(function):
    compiled = torch.compile(function, backend="gint", dynamic=True, options={"check": True})
    for around in (torch.no_grad, torch.inference_mode, torch.enable_grad):
        with around():
            (base, x), (wanted_base, wanted_x) = given(False), given(False)
            found, wanted = compiled(x), function(wanted_x)
        assert place(found, base) == place(wanted, wanted_base)
        assert torch.equal(found, wanted)
        assert torch.equal(base, wanted_base)


# torch itself refuses to write into what chunk returns, where gradients are wanted.
@pytest.mark.parametrize("function", [columns, flat, later, new], ids=lambda f: f.__name__)
@pytest.mark.parametrize("is_made", [False, True], ids=["plain", "with a gradient"])
def test_training(function, is_made):
    def loss(x, scale):
        y = function(x)
        return y, (y * scale).sum()

    compiled = torch.compile(loss, backend="gint", dynamic=True, options={"check": True})
    seen = []
    for f in (compiled, loss):
        (base, x), scale = given(is_made), torch.tensor(2.0, requires_grad=True)
        y, total = f(x, scale)
        total.backward()
        seen.append((place(y, base), y.tolist(), base.tolist(), float(scale.grad)))
    assert seen[0] == seen[1]
