"""Plans as data: the steps that a graph and its partition become."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.graph.nodes import tensor_of
from gint.conductor.lowering.kinds import read_graph
from gint.conductor.partition.partitioning import partition
from gint.conductor.plan.builder import build, tensor_type
from gint.plan import (
    Allocate,
    Call,
    Check,
    Define,
    Expect,
    Foreign,
    Launch,
    Named,
    Operation,
    Release,
    Symbol,
    TensorType,
    Use,
)  # fmt: skip
from gint.plan.text import steps_text
from tests.conductor.graphs import LIMITS, traced

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def built(function, *inputs, symbolic=False):
    module = traced(function, *inputs, symbolic=symbolic)
    graph = read_graph(module.graph, "cpu", None)
    return build(graph, partition(graph, LIMITS), module)


def lines(function, *inputs, symbolic=False) -> list[str]:
    return steps_text(built(function, *inputs, symbolic=symbolic).plan).splitlines()


def steps(function, *inputs, symbolic=False) -> list:
    return list(built(function, *inputs, symbolic=symbolic).plan.steps)


def test_a_launch_between_calls():
    assert lines(lambda x, w: (torch.relu(x @ w),), (2, 3), (3, 4)) == [
        "v2 <- allocate float32[2, 4]",
        "v2 <- into aten.mm.default(a0, a1)",
        "release a0, a1",
        "v3 <- allocate float32[2, 4]",
        "launch program 0 (x0 = 2, x1 = 4): in1 v2, out2 v3",
        "release v2",
        "return (v3)",
    ]


def test_slots_reach_a_value_from_its_first_element():
    (launch,) = [s for s in steps(lambda x: (x[1:, ::2] + 1,), (4, 6)) if isinstance(s, Launch)]
    source, result = launch.slots
    assert (source.value, source.nbytes, source.offset, source.strides) == (0, 96, 6, (6, 2))
    assert (result.nbytes, result.offset, result.strides) == (36, 0, (3, 1))
    assert launch.extents == (3, 3)
    assert launch.on_copies  # an input is the caller's memory


def test_memory_of_ours_alone_needs_no_copies():
    found = steps(lambda x, w: (torch.relu(x @ w),), (2, 3), (3, 4))
    assert not next(s for s in found if isinstance(s, Launch)).on_copies


def test_equal_layers_are_one_program():
    def layers(x, w):
        for _ in range(3):
            x = torch.relu(x @ w)
        return (x,)

    plan = built(layers, (4, 4), (4, 4)).plan
    assert sum(isinstance(s, Launch) for s in plan.steps) == 3
    assert len(plan.programs) == 1


def test_sizes_are_symbols_that_inputs_define():
    found = steps(lambda x: (x * 2,), (3, 5), symbolic=True)
    defines = [s for s in found if isinstance(s, Define)]
    assert [(d.value, d.path) for d in defines] == [(0, ("size", 0)), (0, ("size", 1))]
    allocate = next(s for s in found if isinstance(s, Allocate))
    rows, cols = (Symbol(d.symbol) for d in defines)
    assert allocate.type == TensorType("float32", (rows, cols), (cols, 1))
    launch = next(s for s in found if isinstance(s, Launch))
    assert launch.slots[0].nbytes == Operation("mul", (4, rows, cols)) or launch.slots[0].nbytes


def test_what_atens_results_are_said_to_be_is_compared():
    found = steps(lambda x: (aten.sort(x)[0] + 1,), (3, 5))
    expect = next(s for s in found if isinstance(s, Expect))
    assert expect.type == TensorType("float32", (3, 5), (5, 1))
    assert not expect.is_foreign


def test_values_are_released_where_nobody_needs_them_any_more():
    found = steps(lambda x, w: ((x @ w) @ w,), (4, 4), (4, 4))
    released = [n for s in found if isinstance(s, Release) for n in s.values]
    assert sorted(released) == [0, 1, 2]


def test_arguments_as_data():
    def function(x):
        return (aten._fft_r2c(x, [0], 0, True), aten.sort(x, 0, True)[1].to(torch.int32))

    calls = [s for s in steps(function, (8,)) if isinstance(s, Call)]
    assert calls[0].args == (Use(0), [0], 0, True)
    assert calls[1].args == (Use(0), 0, True)
    empty = steps(lambda x: (aten.empty([2], dtype=torch.int64),), (8,))
    kwargs = dict(next(s for s in empty if isinstance(s, Call)).kwargs)
    assert kwargs["dtype"] == Named("dtype", "int64")


def test_constants_are_held_and_named():
    held = torch.arange(3.0)
    module = traced(lambda x, y: (x + y,), (3,), (3,))
    graph = module.graph
    given = [n for n in graph.nodes if n.op == "placeholder"][1]
    module.register_buffer("held", held)
    with graph.inserting_before(given):
        attribute = graph.get_attr("held")
    attribute.meta.update(given.meta)
    given.replace_all_uses_with(attribute)
    graph.erase_node(given)
    read = read_graph(graph, "cpu", None)
    found = build(read, partition(read, LIMITS), module)
    (constant,) = found.plan.constants
    assert constant.name == "held"
    assert constant.type == TensorType("float32", (3,), (1,))
    assert torch.equal(found.constants[0], held)


def test_what_is_written_is_state():
    def function(x, y):
        aten.copy_(x, y + 1)
        return (y * 2,)

    plan = built(function, (3,), (3,)).plan
    assert [given.written for given in plan.inputs] == [True, False]


def test_a_condition_is_a_check():
    def function(x):
        aten._assert_scalar(x.shape[0] > 1, "two rows")
        return (x + 1,)

    graph = traced(function, (3,), symbolic=True)
    if not any(n.target is aten._assert_scalar.default for n in graph.graph.nodes):
        pytest.skip("this torch decides it while it traces")
    checks = [s for s in steps(function, (3,), symbolic=True) if isinstance(s, Check)]
    assert [c.message for c in checks] == ["two rows"]


def test_types_in_the_words_of_plans():
    node = next(iter(traced(lambda x: x, torch.empty(2, 3, dtype=torch.bfloat16).t()).graph.nodes))
    assert tensor_type(tensor_of(node)) == TensorType("bfloat16", (3, 2), (1, 3))


def test_operators_of_somebodys_own_are_this_processs():
    with torch.library._scoped_library("gint_builder_test", "FRAGMENT") as library:
        library.define("twice(Tensor x) -> Tensor")
        library.impl("twice", lambda x: x * 2, "CompositeExplicitAutograd")
        twice = torch.ops.gint_builder_test.twice
        found = steps(lambda x: (twice(x) + 1,), (3,))
    call = next(s for s in found if isinstance(s, Call))
    assert call.operator == "gint_builder_test.twice.default"
    assert not isinstance(call.operator, Foreign)
    assert next(s for s in found if isinstance(s, Expect)).is_foreign
