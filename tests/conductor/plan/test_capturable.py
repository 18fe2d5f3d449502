"""Which plans a CUDA graph could replay, on fake tensors of a GPU."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.lowering.kinds import read_graph
from gint.conductor.partition.partitioning import partition
from gint.conductor.plan.capturable import why_not_captured, written_inputs
from gint.plan import Input, Plan
from tests.conductor.graphs import LIMITS, partitioned

pytestmark = pytest.mark.torch


def reason(function, *devices, dtype=torch.float32) -> str | None:
    with FakeTensorMode():
        tensors = [torch.empty(4, device=device, dtype=dtype) for device in devices]
        graph = read_graph(make_fx(function)(*tensors).graph, "cuda", None)
    return why_not_captured(graph, partition(graph, LIMITS))


def test_a_plan_on_one_gpu_is_captured():
    assert reason(lambda x: (x * 2,), "cuda:0") is None


@pytest.mark.parametrize(
    ("function", "devices", "dtype", "words"),
    [
        (lambda x: (x + 1, x.cpu()), ["cuda:0"], torch.float32, "is on the CPU"),
        (lambda x, y: (x + 1, y + 1), ["cuda:0", "cuda:1"], torch.float32, "cuda:0, cuda:1"),
        (lambda x, y: (x // y,), ["cuda:0"] * 2, torch.int64, "an integer division by zero"),
    ],
)
def test_why_others_are_not(function, devices, dtype, words):
    assert words in reason(function, *devices, dtype=dtype)


def test_on_the_cpu_there_is_nothing_to_capture():
    assert why_not_captured(*partitioned(lambda x: (x + 1,), (4,))) == "its tensors are on cpu"


def test_inputs_that_are_written():
    inputs = (Input("x", None, True), Input("y", None), Input("z", None, True))
    assert written_inputs(Plan(inputs, (), (), (), ())) == {0, 2}
