"""What waits for what, against reachability in a plain graph."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from gint.conductor.graph.nodes import Graph, NodeKind
from gint.conductor.graph.sizes import key
from gint.conductor.lowering.emitted import Emitted, Recording, SlotSource
from gint.conductor.partition.order import Order, Unit, mutates, sort

pytestmark = pytest.mark.torch
aten = torch.ops.aten
VALUE = torch.empty(4)


def program(reads, makes, extents=(), params=()) -> Emitted:
    """A program as the order sees it: the memory it touches, the sizes it is laid out by."""
    slots = tuple(SlotSource(node, node, (1,), 0) for node in (*reads, *makes))
    outputs = tuple(makes)
    recording = Recording(None, tuple(extents), tuple(params), slots, outputs)
    return Emitted(recording, slots, outputs, outputs)


class Units:
    """An order that is being made, unit by unit, of values nobody computes."""

    def __init__(self) -> None:
        self.fx = fx.Graph()
        self.graph = Graph(self.fx, "cpu")
        self.order = Order(self.graph)

    def node(self, target, *args, kind, value=VALUE):
        node = self.fx.call_function(target, args)
        node.meta["val"], self.graph.kinds[node] = value, kind
        return node

    def input(self, value=VALUE):
        node = self.fx.placeholder(f"x{len(self.fx.nodes)}")
        node.meta["val"], self.graph.kinds[node] = value, NodeKind.INPUT
        return node

    def left_whole(self, *reads, target=aten.mm.default, epoch=0, value=VALUE) -> Unit:
        node = self.node(target, *reads, kind=NodeKind.EXTERN, value=value)
        unit = Unit([node], epoch)
        self.order.add(unit)
        return unit

    def launch(self, *reads, epoch=0, value=VALUE, **layout) -> Unit:
        node = self.computed(value)
        unit = Unit([node], epoch, program(reads, [node], **layout))
        self.order.add(unit)
        return unit

    def computed(self, value=VALUE):
        return self.node(aten.exp.default, kind=NodeKind.COMPUTE, value=value)

    def joined(self, unit: Unit, *reads) -> tuple[fx.Node, Emitted]:
        """A further value for a launch, and what the launch would be then."""
        node = self.computed()
        before = [slot.node for slot in unit.program.slots if slot.node not in unit.nodes]
        return node, program((*before, *reads), (*unit.nodes, node))


def reachable(needs: dict[Unit, set[Unit]], start: Unit) -> set[Unit]:
    """All that must have run before `start`, and itself."""
    found, waiting = set(), [start]
    while waiting:
        unit = waiting.pop()
        if unit not in found:
            found.add(unit)
            waiting += needs[unit]
    return found


def assert_agrees(units: Units, needs: dict[Unit, set[Unit]]) -> None:
    for unit in units.order.units:
        above = reachable(needs, unit)
        assert units.order.needs(unit) == needs[unit] - {unit}
        for other in units.order.units:
            assert unit.waits_for(other) == (other in above)


@given(st.data())
def test_waiting_is_reachability_however_units_grow(data):
    """Units are added and joined at random; one joins where that makes no circle."""
    units = Units()
    values = [units.input(), units.input()]
    made_by: dict[fx.Node, Unit] = {}
    needs: dict[Unit, set[Unit]] = {}
    draw = data.draw
    for _ in range(draw(st.integers(8, 16))):
        reads = draw(st.lists(st.sampled_from(values), min_size=1, max_size=3))
        wanted = {made_by[n] for n in reads if n in made_by}
        launches = [u for u in units.order.units if u.is_launch]
        if launches and draw(st.booleans()):
            unit = draw(st.sampled_from(launches))
            node, emitted = units.joined(unit, *reads)
            makes_a_circle = any(unit in reachable(needs, u) for u in wanted - {unit})
            assert units.order.may_run(unit, emitted) == (not makes_a_circle)
            if makes_a_circle:
                continue
            units.order.join(unit, [*unit.nodes, node], emitted)
        else:
            make = draw(st.sampled_from((units.launch, units.left_whole)))
            unit = make(*reads)
            node = unit.nodes[0]
        needs.setdefault(unit, set()).update(wanted - {unit})
        made_by[node] = unit
        values.append(node)
        assert_agrees(units, needs)
    touched = draw(st.sampled_from(values))
    assert units.order.touching([touched]) == {
        u for u in units.order.units if u.is_launch and touched in {s.node for s in u.program.slots}
    }


def test_a_launch_waits_for_the_sizes_it_is_laid_out_by():
    """Only what defines a symbol is waited for; the symbols of inputs are there."""
    mode = FakeTensorMode(shape_env=ShapeEnv())
    x = mode.from_tensor(torch.empty(5), static_shapes=False)
    units = Units()
    count = units.left_whole(target=aten.sym_size.int, value=x.shape[0])
    n = key(x.shape[0])
    by_extent = units.launch(extents=(n,))
    by_parameter = units.launch(params=(2 * n,))
    by_result = units.launch(value=x)
    other = units.launch(extents=(7,))
    assert units.order.needs(by_extent) == {count}
    assert units.order.needs(by_parameter) == {count}
    assert units.order.needs(by_result) == {count}
    assert units.order.needs(other) == set()
    assert units.order.needs(units.left_whole(units.input(x))) == {count}


def test_what_has_effects_or_draws_keeps_its_place():
    """Random numbers come from one sequence; what is not ATen's may do anything."""
    units = Units()
    x = units.input()
    first = units.left_whole(x, target=aten.bernoulli.default)
    product = units.left_whole(x)
    second = units.left_whole(x, target=aten.rand_like.default)
    item = units.left_whole(x, target=operator.getitem)
    foreign = units.left_whole(x, target=print)
    assert units.order.needs(second) == {first}
    assert units.order.needs(foreign) == {second}
    assert units.order.needs(product) == units.order.needs(item) == set()


def test_views_are_looked_through():
    units = Units()
    made = units.launch()
    view = units.node(aten.view.default, made.nodes[0], [4], kind=NodeKind.VIEW)
    assert units.order.needs(units.left_whole(view)) == {made}


def test_an_epoch_waits_for_the_one_before():
    units = Units()
    first, second = units.launch(epoch=0), units.launch(epoch=0)
    copy, later = units.left_whole(epoch=1), units.launch(epoch=3)
    before = units.order.before()
    assert before == {first: set(), second: set(), copy: {first, second}, later: {copy}}


# Sorting


@st.composite
def dags(draw):
    """Units with what each needs, and the position of each node."""
    graph = fx.Graph()
    count = draw(st.integers(0, 9))
    order = draw(st.permutations(range(count)))
    nodes = [graph.placeholder(f"x{n}") for n in range(count)]
    units = [Unit([node], 0, number=n) for n, node in enumerate(nodes)]
    before = {}
    for n, unit in enumerate(units):
        needed = draw(st.sets(st.sampled_from(units[:n]), max_size=3)) if n else set()
        unit.epoch = max([draw(st.integers(0, 2)), *(u.epoch for u in needed)])
        before[unit] = needed
    return before, dict(zip(nodes, order, strict=True))


@given(dags())
def test_sorting_takes_the_first_of_what_is_ready(dag):
    before, position = dag
    found = sort(before, position)
    assert len(found) == len(before)
    done: set[Unit] = set()
    for unit in found:
        ready = [u for u in before if u not in done and before[u] <= done]
        assert unit is min(ready, key=lambda u: (u.epoch, position[u.nodes[-1]]))
        done.add(unit)


def test_a_circle_is_an_error():
    graph = fx.Graph()
    a, b = (Unit([graph.placeholder(name)], 0) for name in "ab")
    with pytest.raises(AssertionError, match="cycle"):
        sort({a: {b}, b: {a}}, {a.nodes[0]: 0, b.nodes[0]: 1})


def test_mutates_is_what_the_schema_says():
    units = Units()
    x = units.input()
    assert mutates(units.node(aten.copy_.default, x, x, kind=NodeKind.EXTERN))
    assert not mutates(units.node(aten.mm.default, x, x, kind=NodeKind.EXTERN))
    assert not mutates(units.node(print, x, kind=NodeKind.FALLBACK))
    assert not mutates(x)
