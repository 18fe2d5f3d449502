"""What is broken up while tracing gives eager's results, at any size."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from ..comparing import Call, Traced

pytestmark = pytest.mark.torch

SHAPES = [(3, 5), (1, 1), (0, 4), (7,), (2, 3, 5)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("shift", [0, 1, -1, 4, -9, 10**9])
def test_roll(shape, shift, interpreters):
    x = torch.arange(float(torch.Size(shape).numel())).view(shape)
    dims = tuple(range(len(shape)))
    for function in (
        lambda x: torch.roll(x, shift),
        lambda x: torch.roll(x, shift, -1) * 2,
        lambda x: torch.roll(x + 1, (shift,) * len(dims), dims),
        lambda x: torch.roll(x, (shift, 1), (0, 0)),
    ):
        traced = Traced(Call.of(function, x))
        for backend in interpreters:
            assert torch.equal(traced.run(traced.compile(backend)), function(x))


def test_roll_of_sizes_known_at_the_call_is_one_graph():
    from torch._dynamo.utils import counters

    torch._dynamo.reset()
    counters.clear()
    compiled = torch.compile(lambda x: torch.roll(x, 3, 1) * 2, backend="gint", dynamic=True)
    for size in (5, 100, 3, 2, 4):
        x = torch.randn(4, size)
        assert torch.equal(compiled(x), torch.roll(x, 3, 1) * 2)
    assert counters["stats"]["unique_graphs"] == 1
