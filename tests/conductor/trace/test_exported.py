"""torch.export's programs as graphs of operators: what they hold, write and rely on."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.trace.exported import register_constant, trace_exported

pytestmark = pytest.mark.torch
N = torch.export.Dim("n", max=64)


class Counter(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(3, 3)
        self.register_buffer("count", torch.zeros(3))

    def forward(self, x):
        self.count.add_(1)
        return self.inner(x) + self.count


class Called(torch.nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *args):
        return self.function(*args)


def traced(model, *args, **how):
    return trace_exported(torch.export.export(model, args, strict=False, **how))


def targets(module) -> list[str]:
    return [str(n.target) for n in module.graph.nodes if n.op == "call_function"]


def test_parameters_and_buffers_are_attributes():
    model = Counter()
    module = traced(model, torch.ones(2, 3)).module
    nodes = list(module.graph.nodes)
    assert [n.name for n in nodes if n.op == "placeholder"] == ["x"]
    held = {n.target for n in nodes if n.op == "get_attr"}
    assert held == {"inner.weight", "inner.bias", "count"}
    assert torch.equal(module.inner.weight, model.inner.weight)


def test_what_a_plan_says_of_a_tensor_anyway_is_not_asserted():
    def function(x):
        return x.to(torch.float64).to(torch.float32) * 2

    program = torch.export.export(Called(function), (torch.ones(2, 3),), strict=False)
    assert "aten._assert_tensor_metadata.default" in targets(program.graph_module)
    assert not any("assert" in name for name in targets(trace_exported(program).module))


def test_what_is_written_is_copied_back_last():
    module = traced(Counter(), torch.ones(2, 3)).module
    last = [n for n in module.graph.nodes if n.op == "call_function"][-1]
    assert last.target is torch.ops.aten.copy_.default
    assert last.args[0].target == "count"
    (output,) = [n for n in module.graph.nodes if n.op == "output"]
    assert len(output.args[0]) == 1


def test_what_must_hold_of_sizes():
    bounds = traced(torch.nn.ReLU(), torch.ones(5, 3), dynamic_shapes={"input": {0: N}}).bounds
    assert len(bounds) == 1
    assert bounds[0].message.endswith("is at most 64.")


def test_without_tensors_there_is_nothing_to_run():
    class Nothing(torch.nn.Module):
        def forward(self, n):
            return n

    with pytest.raises(ValueError, match="It takes and holds no tensor"):
        traced(Nothing(), 3)


def test_a_change_of_the_program_comes_first():
    seen = []
    exported = torch.export.export(torch.nn.ReLU(), (torch.ones(3),), strict=False)
    trace_exported(exported, seen.append)
    (program,) = seen
    assert isinstance(program, torch.export.ExportedProgram)
    assert program is not exported


def test_constants_at_paths():
    module = torch.nn.Module()
    value = torch.ones(2, requires_grad=True)
    register_constant(module, "a.b.c", value)
    register_constant(module, "a.d", value)
    assert set(dict(module.named_buffers())) == {"a.b.c", "a.d"}
    assert not module.a.b.c.requires_grad
