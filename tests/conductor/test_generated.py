"""Generated functions agree with eager in values, dtype, shape and strides."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings

from gint.conductor import gint_backend

from .comparing import Call, Traced, same_strides
from .generated import Generated, functions

pytestmark = pytest.mark.torch


def assert_like_eager(found, expected, function: Generated) -> None:
    """Exactly the same but for floats: those agree to rounding, measured by the largest value met
    on the way; with half types in it, to theirs, which eager rounds to more often."""
    tolerance = (0.05 if function.coarse else 1e-4) * function.scale
    for f, e in zip(found, expected, strict=True):
        assert (f.dtype, f.shape) == (e.dtype, e.shape)
        assert same_strides(f, e), (f.stride(), e.stride())
        if e.dtype.is_floating_point:
            assert torch.allclose(f.double(), e.double(), rtol=0.05, atol=tolerance), (f, e)
        else:
            assert torch.equal(f, e), (f, e)


@settings(derandomize=True, max_examples=250)
@given(function=functions())
def test_generated_graphs(function: Generated, interpreters) -> None:
    traced = Traced(Call.of(function, *function.inputs))
    for backend in interpreters:
        graph = traced.compile(backend)
        assert graph.record.fallbacks == ()
        assert_like_eager(traced.run(graph), function(*function.inputs), function)


@settings(derandomize=True, max_examples=15)
@given(function=functions())
def test_generated_functions_through_torch_compile(function: Generated, interpreters) -> None:
    torch._dynamo.reset()
    options = {"backend": interpreters[0], "check": True}
    compiled = torch.compile(lambda *t: function(*t), backend=gint_backend, options=options)
    for _ in range(2):
        assert_like_eager(compiled(*function.inputs), function(*function.inputs), function)
