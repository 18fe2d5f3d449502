"""Where tangents or fake tensors go around a call, torch runs the graph itself."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.autograd import forward_ad

from gint.conductor import register_backend, statistics

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("error:gint leaves")]
register_backend()


def compiled(function):
    torch._dynamo.reset()
    return torch.compile(function, backend="gint")


def _writing(x):
    y = x.sin()
    x.add_(1)
    return y * 2


@pytest.mark.parametrize("called_before", [False, True])
@pytest.mark.parametrize("function", [lambda x: x.sin() * 2, _writing], ids=["plain", "writing"])
@pytest.mark.parametrize("grad", [False, True])
def test_dual_tensors_keep_their_tangents(function, called_before, grad) -> None:
    f = compiled(function)
    if called_before:
        f(torch.ones(2))
    found = []
    with forward_ad.dual_level():
        for call in (function, f):
            x = torch.ones(2, requires_grad=grad)
            dual = forward_ad.make_dual(x.clone(), torch.tensor([1.0, 2.0]))
            found += forward_ad.unpack_dual(call(dual))
    torch.testing.assert_close(found[2:], found[:2])
    assert f(torch.ones(2)).tolist() == pytest.approx([1.682942] * 2)


def test_a_module_keeps_the_tangent_of_its_parameter() -> None:
    linear = torch.nn.Linear(2, 2)
    f = compiled(lambda x, w: torch.nn.functional.linear(x, w).relu())
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(linear.weight, torch.ones(2, 2))
        expected = torch.nn.functional.linear(torch.ones(1, 2), dual).relu()
        found = f(torch.ones(1, 2), dual)
        unpack = forward_ad.unpack_dual
        torch.testing.assert_close(unpack(found).tangent, unpack(expected).tangent)


@pytest.mark.parametrize("called_before", [False, True])
def test_fake_tensors_give_fake_results(called_before) -> None:
    f = compiled(lambda x: x.sin() @ x)
    if called_before:
        f(torch.ones(2, 2))
    with FakeTensorMode() as mode:
        assert isinstance(f(torch.ones(2, 2)), FakeTensor)
        assert isinstance(f(mode.from_tensor(torch.ones(2, 2))), FakeTensor)
        x = torch.ones(2, 2, requires_grad=True)
        f(x).sum().backward()
        assert isinstance(x.grad, FakeTensor)
    assert "fake tensors" in statistics()[-1].fallbacks[0].reason
    assert f(torch.ones(2, 2)).sum() == pytest.approx(6.7317, abs=1e-3)


@pytest.mark.parametrize("called_before", [False, True])
@pytest.mark.parametrize("grad", [False, True])
def test_real_tensors_in_a_fake_mode_give_fake_results(called_before, grad) -> None:
    f = compiled(lambda x: (x.sin() @ x).mul_(2))
    x = torch.ones(2, 2, requires_grad=grad)
    if called_before:
        f(x)
    with FakeTensorMode(allow_non_fake_inputs=True):
        found = f(x)
        assert isinstance(found, FakeTensor)
        if grad:
            assert isinstance(torch.autograd.grad(found.sum(), x)[0], FakeTensor)
    assert f(x).sum().item() == pytest.approx(13.4635, abs=1e-3)
    if grad:
        y = f(x).sum()
        with FakeTensorMode(allow_non_fake_inputs=True):
            assert isinstance(torch.autograd.grad(y, x, retain_graph=True)[0], FakeTensor)
        assert not isinstance(torch.autograd.grad(y, x)[0], FakeTensor)


@pytest.mark.parametrize("called_before", [False, True])
def test_a_fake_mode_has_real_inputs_written_as_eager_does(called_before) -> None:
    f, x = compiled(lambda x: x.add_(1)), torch.ones(2)
    if called_before:
        f(torch.ones(2))
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert f(x) is x
    assert f(x).tolist() == [3, 3]
