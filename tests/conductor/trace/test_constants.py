"""Which inputs are a module's tensors, and that a change of one is seen."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.trace.constants import Unchanged, constants_of

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = torch.nn.BatchNorm1d(4)
        self.layers = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(2))
        self.layers[1].weight = self.layers[0].weight
        self.extra = torch.nn.ParameterList([torch.nn.Parameter(torch.ones(4))])

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return self.norm(x) + self.extra[0]


def traced(function, *args):
    """What `constants_of` finds in the graph of a function, and what a call is given."""
    found, given = {}, []

    def backend(gm, inputs):
        found.update({n.name: c for n, c in constants_of(gm.graph).items()})
        return lambda *args: given.append(args) or gm.forward(*args)

    with torch.no_grad():
        torch.compile(function, backend=backend)(*args)
    return list(found.values()), given[0]


def test_parameters_and_buffers_by_their_names():
    model = Block().eval()
    constants, args = traced(model, torch.randn(3, 4))
    names = {c.name: c.is_parameter for c in constants}
    assert names == {
        "layers.0.weight": True, "layers.0.bias": True, "layers.1.bias": True,
        "norm.weight": True, "norm.bias": True, "extra.0": True,
        "norm.running_mean": False, "norm.running_var": False,
    }  # fmt: skip
    assert all(args[c.position] is c.tensor for c in constants)
    assert (
        next(c for c in constants if c.name == "layers.0.weight").tensor is model.layers[1].weight
    )


def test_a_model_that_a_function_uses():
    model = Block().eval()
    constants, _ = traced(lambda x: model(x) * 2, torch.randn(3, 4))
    assert "layers.0.weight" in {c.name for c in constants}


def test_inputs_are_no_constants():
    assert traced(lambda x, y: x + y, torch.ones(3), torch.ones(3))[0] == []


def unchanged():
    model = Block().eval()
    constants, args = traced(model, torch.randn(3, 4))
    return model, Unchanged(constants, "to be doubled"), list(args)


def test_nothing_has_changed():
    model, constants, args = unchanged()
    constants.check(args)
    model.layers[0].weight.data.add_(0)  # counted nowhere, as is said
    constants.check(args)
    Unchanged([], "").check([])


def test_a_write_is_seen():
    model, constants, args = unchanged()
    with torch.no_grad():
        model.layers[1].bias.add_(1)
    words = r"'layers\.1\.bias' was written to after its value was taken to be doubled"
    with pytest.raises(RuntimeError, match=words):
        constants.check(args)


def test_other_memory_is_seen():
    model, constants, args = unchanged()
    model.norm.weight.data = torch.zeros(4)
    with pytest.raises(RuntimeError, match=r"'norm\.weight' was replaced after"):
        constants.check(args)


def test_another_tensor_is_seen():
    _, constants, args = unchanged()
    position = next(c.position for c in constants._constants if c.name == "extra.0")
    args[position] = torch.nn.Parameter(torch.ones(4))
    with pytest.raises(RuntimeError, match=r"'extra\.0' was replaced after"):
        constants.check(args)


def test_tensors_of_inference_mode():
    with torch.inference_mode():
        model = Block().eval()
    constants, given = traced(model, torch.randn(3, 4))
    args = list(given)
    check = Unchanged(constants, "to be doubled").check
    check(args)
    args[constants[0].position] = torch.ones(1)
    with pytest.raises(RuntimeError, match="was replaced"):
        check(args)
