"""`gint.conductor.explain`: graphs, launches and layouts met, of one function alone."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import explain, gint_backend, records, statistics
from gint.conductor.explaining import explain_call

pytestmark = pytest.mark.torch


def test_sizes_met_are_the_layouts_that_are_shown() -> None:
    def f(x):
        return x * 2

    x = torch.randn(6, 3)
    torch._dynamo.mark_dynamic(x, 0)
    explanation = explain_call(f, (x,), {}, {"backend": "python"})
    (launch,) = explanation.graphs[0].launches
    assert [layout[0] for layout in launch.layouts] == [(6, 3)]
    assert "program 0, x0 = 6, x1 = 3\n" in explanation.schedule()
    assert "outer" in explanation.device() or "inner" in explanation.device()


def test_only_explain_pays_for_how_a_graph_was_compiled() -> None:
    records.clear()
    x = torch.randn(3)
    torch.compile(lambda x: x * 2 + 1, backend=gint_backend, options={"backend": "python"})(x)
    (record,) = statistics()
    assert (record.nodes, record.units, record.values) == ("", "", ())
    assert len(record.launches) == record.programs == 1


def test_explain_leaves_other_compiled_functions_as_they_are() -> None:
    torch._dynamo.reset()
    records.clear()
    options = {"backend": "python"}

    def f(x):
        return x * 2

    compiled, x = torch.compile(f, backend=gint_backend, options=options), torch.randn(3)
    compiled(x)
    before = len(statistics())
    assert len(explain_call(f, (x,), {}, options).graphs) == 1
    assert len(explain_call(f, (x,), {}, options).graphs) == 1
    compiled(x)
    assert len(statistics()) == before + 2


def test_explain_takes_keywords_and_shows_every_graph() -> None:
    def f(x, *, scale):
        y = x * scale
        torch._dynamo.graph_break()
        return y + 1

    said = str(explain(f, torch.randn(3), scale=2.0))
    assert "graph 0" in said
    assert "graph 1" in said
