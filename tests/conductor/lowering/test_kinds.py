"""Which kind each node of a graph is."""

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.nodes import Graph
from gint.conductor.lowering.kinds import read_graph

pytestmark = pytest.mark.torch


def read(function, *shapes, unusable: str | None = None, dtype=torch.float32, **options) -> Graph:
    with FakeTensorMode():
        inputs = [torch.empty(shape, dtype=dtype) for shape in shapes]
        traced = make_fx(function)(*inputs)
    return read_graph(traced.graph, "cpu", unusable, **options)


def kinds(graph: Graph) -> list[str]:
    return [graph.kinds[n].value for n in graph.fx.nodes if n.op == "call_function"]


def reasons(graph: Graph) -> list[str]:
    return [refusal.reason for refusal in graph.refusals.values()]


def test_each_kind() -> None:
    def f(x):
        return torch.lgamma((x * 2).t() @ x)

    graph = read(f, (4, 4))
    assert kinds(graph) == ["compute", "view", "extern", "fallback"]
    assert reasons(graph) == ["no lowering rule for this operator"]
    assert {graph.kinds[n].value for n in graph.fx.nodes} >= {"input", "output"}


def test_items_are_of_the_kind_of_what_they_are_taken_from() -> None:
    views = read(lambda x: x.split(2)[1], (4,))
    assert set(kinds(views)) == {"tuple", "view"}
    values = read(lambda x: torch.ops.aten.var_mean.correction(x, [0])[1], (4,))
    assert set(kinds(values)) == {"tuple", "compute"}
    whole = read(lambda x: x.sort()[0], (4,))
    assert set(kinds(whole)) == {"extern"}


def test_nothing_is_compiled_where_no_program_can_run() -> None:
    graph = read(lambda x: x + 1, (4,), unusable="there is no backend")
    assert reasons(graph) == ["there is no backend"]


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [(torch.complex64, "no data type for torch.complex64"),
     (torch.float64, "the device does not compute in torch.float64")],
)  # fmt: skip
def test_types_that_no_program_takes(dtype, reason) -> None:
    graph = read(lambda x: x * x, (4,), dtype=dtype, types=frozenset({"f32"}))
    assert reasons(graph) == [reason]


def test_a_concatenation_is_lowered_where_a_piece_is_computed() -> None:
    assert kinds(read(lambda x: torch.cat([x, -x]), (4,))) == ["compute", "compute"]
    assert kinds(read(lambda x, y: torch.cat([x, y]), (4,), (4,))) == ["extern"]


def test_a_view_shows_the_memory_of_its_base() -> None:
    graph = read(lambda x: (x.t()[0], x.sort()[0].t()), (4, 4))
    nodes = {n.name: n for n in graph.fx.nodes}
    assert graph.base(nodes["select"]) is next(iter(graph.fx.nodes))
    assert graph.base(nodes["t_1"]) is nodes["getitem"]
