"""When only torch's own operators do what is wanted."""

import pytest

torch = pytest.importorskip("torch")
from torch._subclasses import FakeTensorMode
from torch.autograd import forward_ad

from gint.runtime.tensors.surroundings import in_fake_mode, need_operators

pytestmark = pytest.mark.torch
X = torch.ones(2)


def test_numbers_alone_need_none():
    assert not need_operators(X, 3, None)
    with torch.no_grad(), torch.inference_mode():
        assert not need_operators(X)


def test_tangents_do():
    with forward_ad.dual_level():
        assert not need_operators(X, 3)
        assert need_operators(3, forward_ad.make_dual(X, X))


def test_fake_tensors_do_of_real_ones_too():
    assert not in_fake_mode()
    with FakeTensorMode():
        assert in_fake_mode()
        assert need_operators(X)
        with forward_ad.dual_level():
            assert need_operators(X)
    assert not need_operators(X)


def test_a_mode_of_somebody_elses_does_not():
    class Counting(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            return func(*args, **(kwargs or {}))

    with Counting():
        assert not need_operators(X)
