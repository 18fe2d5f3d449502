"""Replaying captured calls: what is copied, what is handed out, when the plan runs instead.

CUDA graphs are stood in for by objects that run the call again into the memory of its results, as
a replay does.
"""

import contextlib
import warnings

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import gint_backend
from gint.conductor.options import Options
from gint.conductor.plan.replay import Replay, capture_on_cuda

pytestmark = pytest.mark.torch


class Again:
    def __init__(self, call, inputs, results) -> None:
        self.call, self.inputs, self.results = call, inputs, results

    def replay(self) -> None:
        for mine, new in zip(self.results, self.call(list(self.inputs)), strict=True):
            if isinstance(mine, torch.Tensor) and mine is not new:
                mine.copy_(new)


class Recorder:
    """Captures calls, and counts how often the plan itself and the captured graphs ran."""

    def __init__(self, plan, written=(), stream=lambda: 0) -> None:
        self.plan, self.calls, self.captures = plan, 0, 0
        self.replay = Replay(self.run, self.capture, stream, frozenset(written))

    def run(self, args):
        self.calls += 1
        return self.plan(args)

    def capture(self, call, inputs):
        self.captures += 1
        results = self.plan(list(inputs))
        return Again(self.plan, inputs, results), results

    def __call__(self, *args):
        return self.replay(list(args))


def test_the_second_call_captures_and_later_ones_replay():
    f = Recorder(lambda args: (args[0] * args[1],))
    w = torch.randn(4)
    for _ in range(5):
        x = torch.randn(4)
        (y,) = f(x, w)
        assert torch.equal(y, x * w)
        del y
    assert (f.calls, f.captures) == (1, 1)
    assert f.replay.moving == [0]


def test_results_that_are_held_are_not_overwritten():
    f = Recorder(lambda args: (args[0] + 1,))
    inputs = [torch.randn(4) for _ in range(12)]
    held = [f(x)[0] for x in inputs]
    for x, y in zip(inputs, held, strict=True):
        assert torch.equal(y, x + 1)
    assert f.captures == 4  # and the plan ran for the rest
    assert f.calls == 1 + 12 - 5


def test_a_view_of_a_result_holds_it_too():
    f = Recorder(lambda args: (args[0] + 1,))
    f(torch.zeros(4))
    row = f(torch.zeros(4))[0][2:]
    f(torch.ones(4))
    assert row.tolist() == [1, 1]


def test_memory_given_back_is_used_again():
    f = Recorder(lambda args: (args[0] + 1,))
    f(torch.zeros(4))
    seen = {f(torch.zeros(4))[0].data_ptr() for _ in range(6)}
    assert len(seen) == 1


def test_an_input_that_starts_to_move_is_copied_from_then_on():
    f = Recorder(lambda args: (args[0] * 2,))
    x = torch.ones(4)
    for _ in range(3):
        f(x)
    assert f.replay.moving == []
    other = torch.full((4,), 5.0)
    assert f(other)[0].tolist() == [10] * 4
    assert f.replay.moving == [0]
    assert x.tolist() == [1] * 4
    assert f.captures == 2


def test_an_input_that_is_written_is_captured_where_it_is():
    def plan(args):
        args[0].add_(1)
        return (args[0] * 2,)

    f = Recorder(plan, written=[0])
    cache = torch.zeros(4)
    for n in range(3):
        cache.fill_(n)  # the stand-in runs the plan when it captures, which CUDA does not
        f(cache)
    assert f.replay.why_not is None
    with pytest.warns(RuntimeWarning, match="same address"):
        f(torch.zeros(4))
    assert f(torch.zeros(4))[0].tolist() == [2] * 4


def test_a_result_that_is_an_input_is_the_callers_own():
    f = Recorder(lambda args: (args[0] * 2, args[0]))
    for _ in range(3):
        x = torch.randn(4)
        assert f(x)[1] is x


def test_a_result_that_is_a_view_of_a_moving_input_is_not_captured():
    f = Recorder(lambda args: (args[0] * 2, args[0][1:]))
    f(torch.zeros(4))
    with pytest.warns(RuntimeWarning, match="view of an input"):
        f(torch.zeros(4))
    assert f(torch.ones(4))[1].tolist() == [1, 1, 1]


def test_each_stream_has_its_own():
    stream = [0]
    f = Recorder(lambda args: (args[0] * 2,), stream=lambda: stream[0])
    for n in (0, 0, 1, 0, 1):
        stream[0] = n
        f(torch.zeros(4))
    assert f.captures == 2


def test_in_a_capture_of_the_caller_s_the_plan_runs():
    f = Recorder(lambda args: (args[0] * 2,))
    f(torch.ones(4))
    f(torch.ones(4))
    f.replay.is_captured = lambda: True
    f(torch.ones(4))
    assert (f.calls, f.captures) == (2, 1)


def test_a_plan_that_cannot_be_captured_runs_as_it_is():
    f = Recorder(lambda args: (args[0] * 2,))

    def fails(call, inputs):
        raise RuntimeError("operation not permitted when stream is capturing")

    f.replay.capture = fails
    f(torch.ones(4))
    with pytest.warns(RuntimeWarning, match="not permitted"):
        f(torch.ones(4))
    assert f(torch.ones(4))[0].tolist() == [2] * 4


def test_captured_graphs_share_no_memory(monkeypatch):
    """Results of one must not lie where another has room for intermediate values."""
    asked = []

    class Graph:
        def __init__(self, graph, **how):
            asked.append(how)

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return False

    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"a stream on {device}")
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: None)
    for name in ("device", "stream"):
        monkeypatch.setattr(torch.cuda, name, lambda where: contextlib.nullcontext())
    _, results = capture_on_cuda(lambda args: (args[0] * 2,), [torch.ones(4)])
    assert results[0].tolist() == [2] * 4
    assert asked == [{"stream": "a stream on cpu", "capture_error_mode": "thread_local"}]


def test_the_option_is_passed_over_on_the_cpu_with_one_warning():
    torch._dynamo.reset()
    compiled = torch.compile(
        lambda x: x * 2 + 1, backend=gint_backend, options={"cuda_graphs": True, "check": True}
    )
    with pytest.warns(RuntimeWarning, match="its tensors are on cpu"):
        compiled(torch.ones(4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert compiled(torch.ones(4)).tolist() == [3] * 4


def test_the_option_is_true_or_false():
    with pytest.raises(ValueError, match="'cuda_graphs' is True or False"):
        Options.of({"cuda_graphs": 1})
