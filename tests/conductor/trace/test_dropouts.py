"""Dropouts that drop nothing are what they are given, also for what is written into them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch import nn

import gint
from gint.conductor import export
from gint.conductor.trace.dropouts import pass_through_dropouts

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]


def net() -> nn.Module:
    return nn.Sequential(nn.Dropout(0.5), nn.ReLU(inplace=True), nn.Linear(5, 3), nn.Dropout(0.1))


def test_what_follows_writes_into_the_argument(tmp_path) -> None:
    model, path = net().eval(), tmp_path / "net.gint"
    export(model, (torch.ones(2, 5),), path=path, with_torch=True)
    compiled = torch.compile(model, backend="gint", fullgraph=True)
    seen = []
    for function in (model, compiled, gint.load(path)):
        x = torch.linspace(-1, 1, 10).view(2, 5)
        with torch.no_grad():
            seen.append((function(x), x))
    for found in seen[1:]:
        torch.testing.assert_close(found, seen[0])
    assert seen[0][1].min() == 0


@pytest.mark.parametrize(
    ("p", "training", "is_left"), [(0.5, True, True), (0.5, False, False), (0, True, False)]
)
def test_which_are_left(p, training, is_left) -> None:
    def function(x):
        y = nn.functional.dropout(x, p, training=training)
        return torch.dropout(input=y, p=p, train=training) * 2

    graph = torch.fx.symbolic_trace(function).graph
    pass_through_dropouts(graph)
    assert len(graph.find_nodes(op="call_function", target=torch.dropout)) == is_left
    assert len(graph.find_nodes(op="call_function", target=nn.functional.dropout)) == is_left
