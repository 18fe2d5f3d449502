"""Generated functions agree with eager in values, dtype, shape and strides."""

from __future__ import annotations

from random import Random

import pytest

torch = pytest.importorskip("torch")

from . import calls as calls_module
from .comparing import Call, Traced, same_strides
from .generated import Generated, Step, random_function
from .generated_calls import Campaign, random_campaign
from .generated_inputs import Input, Inputs

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


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("part", range(5))
def test_generated_graphs(part: int, interpreters) -> None:
    for n in range(40 * part, 40 * part + 40):
        function = random_function(Random(f"function {n}"))
        traced, expected = Traced(Call.of(function, *function.inputs)), function(*function.inputs)
        try:
            for backend in interpreters:
                graph = traced.compile(backend)
                assert graph.record.fallbacks == ()
                assert_like_eager(traced.run(graph), expected, function)
        except AssertionError as error:
            raise AssertionError(f"{n} on {backend}: {error}\n{function}") from error


@pytest.mark.filterwarnings("ignore")
def test_generated_calls() -> None:
    """A slice of the campaign `tests.fuzz.graphs`."""
    for n in range(10):
        campaign = random_campaign(Random(f"graph 1 {n}"))
        assert not (why := campaign.why_unlike_eager()), f"{why}\n{campaign.source()}"


def test_a_campaign_prints_as_a_test_that_says_the_same(monkeypatch) -> None:
    inputs = Inputs((Input(0, (3, 5), torch.float32, "plain", 1),))
    steps = (Step("x * x.shape[0]", (0,)), Step("x.add_(y)", (0, 1), makes=False))
    function = Generated(inputs, steps, (1,), 1.0, False)
    given = ((inputs, ""), (inputs.resized({3: 4}), "no_grad"))
    campaign = Campaign(function, given, None)
    assert campaign.why_unlike_eager() == ""
    exec(campaign.source(), {})

    def wrongly_compiled(function, backend, calls, dynamic):
        found = [calls_module.see(function, call) for call, _ in calls]
        if backend == "gint":
            found[1].tensors["argument 0"][3, 0] += 1
        return found

    monkeypatch.setattr(calls_module, "_compiled", wrongly_compiled)
    assert campaign.why_unlike_eager().startswith("call 1: argument 0")
    with pytest.raises(AssertionError, match="call 1: argument 0"):
        exec(campaign.source(), {})
