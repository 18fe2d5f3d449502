"""Kinds of nodes, why nodes are refused, and the memory a value lies in."""

from __future__ import annotations

import operator

import pytest

torch = pytest.importorskip("torch")

from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from gint.conductor.graph.nodes import Graph, NodeKind, defined_symbols, moves
from gint.conductor.lowering.kinds import read_graph

pytestmark = pytest.mark.torch
aten = torch.ops.aten
INPUT, SCALAR, VIEW, COMPUTE, EXTERN, FALLBACK, TUPLE, OUTPUT = NodeKind
PAIR = (torch.empty(2, 3), torch.empty(2, 3))


class Nodes:
    """A graph written node by node; `values` are what the nodes stand for (on "meta", any)."""

    def __init__(self) -> None:
        self.graph = fx.Graph()

    def input(self, value):
        node = self.graph.placeholder(f"x{len(self.graph.nodes)}")
        node.meta["val"] = value
        return node

    def call(self, target, *args, value):
        node = self.graph.call_function(target, args)
        node.meta["val"] = value
        return node

    def item(self, several, n):
        return self.call(operator.getitem, several, n, value=several.meta["val"][n])

    def read(self, *outputs, device="cpu", unusable=None, **types) -> Graph:
        self.graph.output(outputs)
        return read_graph(self.graph, device, unusable, **types)


def kind_of(target, *args, value=PAIR[0], inputs=(PAIR[0],), **how):
    """The kind of one node, and its refusal's reason."""
    nodes = Nodes()
    given = [nodes.input(v) for v in inputs]
    node = nodes.call(target, *given, *args, value=value)
    graph = nodes.read(node, **how)
    refusal = graph.refusals.get(node)
    return graph.kinds[node], refusal and refusal.reason


@pytest.mark.parametrize(
    ("target", "args", "value", "kind"),
    [
        (aten.exp.default, (), PAIR[0], COMPUTE),
        (aten.view.default, ([6],), torch.empty(6), VIEW),
        (aten.split.Tensor, (1,), (torch.empty(1, 3),) * 2, TUPLE),
        (aten.native_layer_norm.default, ([3], None, None, 1e-5), (*PAIR, PAIR[0]), TUPLE),
        (aten.mm.default, (PAIR[0],), PAIR[0], EXTERN),
        (aten.sym_size.int, (0,), 2, SCALAR),
        (aten._local_scalar_dense.default, (), 1.5, EXTERN),  # a number, but from memory
        (aten._to_copy.default, (), torch.empty(2, 3, device="meta"), EXTERN),  # to elsewhere
        (aten._to_copy.default, (), torch.empty(2, 3, dtype=torch.float16), COMPUTE),
        (torch.sort, (), PAIR, FALLBACK),
    ],
)
def test_kinds(target, args, value, kind):
    assert kind_of(target, *args, value=value)[0] is kind


def test_kinds_of_inputs_items_and_the_output():
    nodes = Nodes()
    x, number, nothing = (nodes.input(v) for v in (PAIR[0], 3, None))
    halves = nodes.call(aten.split.Tensor, x, 1, value=PAIR)
    half = nodes.item(halves, 1)
    norm = nodes.call(aten.native_layer_norm.default, x, [3], None, None, 1e-5, value=(*PAIR, x))
    mean = nodes.item(norm, 0)
    ordered = nodes.call(aten.sort.default, x, value=PAIR)
    largest = nodes.item(ordered, 0)
    graph = nodes.read(half, mean, largest)
    kinds = [graph.kinds[n] for n in (x, number, nothing, half, mean, ordered, largest)]
    assert kinds == [INPUT, SCALAR, INPUT, VIEW, COMPUTE, EXTERN, EXTERN]
    assert graph.kinds[next(reversed(graph.fx.nodes))] is OUTPUT
    assert graph.refusals == {}


HALF = torch.empty(2, 3, dtype=torch.float16)


@pytest.mark.parametrize(
    ("target", "value", "how", "reason"),
    [
        (
            aten.exp.default,
            torch.empty(2, 3, dtype=torch.complex64),
            {},
            "no data type for",
        ),
        (
            aten.exp.default,
            PAIR[0].double(),
            {"types": frozenset({"f32"})},
            "compute in torch.f",
        ),
        (
            aten.exp.default,
            torch.empty(2, 3, device="meta"),
            {},
            "a tensor on meta, where",
        ),
        (aten.exp.default, PAIR[0].to_sparse(), {}, "a tensor of layout torch.sparse_coo"),
        (aten.exp.default, torch.empty((1,) * 13), {}, "a tensor of 13 dimensions"),
        (aten.exp.default, PAIR[0], {"unusable": "no backend"}, "no backend"),
        (aten.erfinv.default, PAIR[0], {}, "no lowering rule for this operator"),
        (torch.sort, PAIR, {}, "no lowering rule for this operator"),
    ],
)
def test_reasons(target, value, how, reason):
    kind, found = kind_of(target, value=value, **how)
    assert kind is FALLBACK
    assert reason in found


def test_an_input_is_looked_at_too():
    negative = torch.empty(3, dtype=torch.complex64).conj().imag
    kind, reason = kind_of(aten.exp.default, inputs=(negative,))
    assert (kind, reason) == (FALLBACK, "a tensor whose values are the negatives of its memory")


def test_devices_are_told_apart():
    there = torch.empty(2, 3, device="meta")
    kind, reason = kind_of(aten.add.Tensor, inputs=(there, PAIR[0]), value=there, device="meta")
    assert (kind, reason) == (FALLBACK, "a tensor on cpu, where programs run on meta")
    with FakeTensorMode():
        first, second = (torch.empty(2, 3, device=f"cuda:{n}") for n in (0, 1))
    kind, reason = kind_of(aten.add.Tensor, inputs=(first, second), value=first, device="cuda")
    assert (kind, reason) == (FALLBACK, "tensors on cuda:0 and cuda:1")


def test_moves_only_between_devices():
    nodes = Nodes()
    x = nodes.input(PAIR[0])
    there = nodes.call(aten._to_copy.default, x, value=PAIR[0].to("meta"))
    here = nodes.call(aten._to_copy.default, x, value=HALF)
    assert moves(there)
    assert not moves(here)
    assert not moves(nodes.call(aten.exp.default, x, value=PAIR[0].to("meta")))


# Refusing afterwards


def test_a_refused_node_keeps_its_reason():
    nodes = Nodes()
    node = nodes.call(aten.exp.default, nodes.input(PAIR[0]), value=PAIR[0])
    graph = nodes.read(node)
    graph.refuse(node, "it does not fit")
    assert graph.kinds[node] is FALLBACK
    assert tuple(graph.refusals[node]) == (node.name, "aten.exp.default", "it does not fit")


def test_an_item_takes_its_operator_along_and_the_other_items():
    nodes = Nodes()
    norm = nodes.call(
        aten.native_layer_norm.default, nodes.input(PAIR[0]), [3], None, None, 1e-5, value=PAIR
    )
    mean, other = nodes.item(norm, 0), nodes.item(norm, 1)
    graph = nodes.read(mean, other)
    graph.refuse(mean, "no")
    assert [graph.kinds[n] for n in (norm, mean, other)] == [FALLBACK, EXTERN, EXTERN]
    assert list(graph.refusals) == [norm]


def test_refusing_what_may_be_left_whole_is_no_fallback():
    """A concatenation is computed where it can be; ATen does it well, too."""
    nodes = Nodes()
    x = nodes.input(PAIR[0])
    joined = nodes.call(aten.cat.default, [x, x], value=torch.empty(4, 3))
    graph = nodes.read(joined)
    graph.refuse(joined, "too many")
    assert graph.kinds[joined] is EXTERN
    assert graph.refusals == {}


# Memory


def test_base_is_what_views_of_views_show():
    nodes = Nodes()
    x = nodes.input(PAIR[0])
    halves = nodes.call(aten.split.Tensor, x, 1, value=PAIR)
    row = nodes.call(aten.view.default, nodes.item(halves, 0), [3], value=torch.empty(3))
    computed = nodes.call(aten.exp.default, row, value=torch.empty(3))
    turned = nodes.call(aten.unsqueeze.default, computed, 0, value=torch.empty(1, 3))
    graph = nodes.read(turned)
    assert graph.base(row) is graph.memory(row) is x
    assert graph.base(turned) is graph.memory(turned) is computed
    assert graph.base(x) is x


def test_memory_goes_through_views_that_are_left_to_eager():
    """`base` does not: eager makes the tensor that a program reads."""
    nodes = Nodes()
    x = nodes.input(PAIR[0])
    several = nodes.call(aten.unsafe_chunk.default, x, 2, value=PAIR)  # no view
    real = nodes.call(aten.view_as_complex.default, x, value=torch.empty(3, dtype=torch.complex64))
    back = nodes.call(aten.view_as_real.default, real, value=torch.empty(3, 2))
    product = nodes.call(aten.mm.default, x, x, value=PAIR[0])
    graph = nodes.read(back, nodes.item(several, 0), product)
    assert graph.kinds[real] is FALLBACK
    assert graph.base(back) is real
    assert graph.memory(back) is x
    assert graph.memory(several) is several
    assert graph.memory(product) is product


def test_what_copy_returns_is_what_it_was_written_to():
    nodes = Nodes()
    x, y = nodes.input(PAIR[0]), nodes.input(PAIR[1])
    copied = nodes.call(aten.copy_.default, x, y, value=PAIR[0])
    graph = nodes.read(copied)
    assert graph.memory(copied) is x


# Symbols


def test_a_number_from_memory_defines_its_symbol():
    env = ShapeEnv()
    mode = FakeTensorMode(shape_env=env)
    x = mode.from_tensor(torch.empty(5), static_shapes=False)
    nodes = Nodes()
    size = x.shape[0]
    node = nodes.call(aten.sym_size.int, nodes.input(x), 0, value=size)
    assert defined_symbols(node) == {str(size): ()}
    more = nodes.call(operator.add, node, 1, value=size + 1)
    assert defined_symbols(more) == {}
    assert defined_symbols(nodes.input(3)) == {}


def test_a_result_of_unknown_size_says_where_the_size_is_found():
    traced = make_fx(torch.nonzero, tracing_mode="symbolic")(torch.ones(4))
    node = next(n for n in traced.graph.nodes if n.target is aten.nonzero.default)
    ((symbol, path),) = defined_symbols(node).items()
    assert symbol == str(node.meta["val"].shape[0])
    assert "".join(map(str, path)) == ".size()[0]"
