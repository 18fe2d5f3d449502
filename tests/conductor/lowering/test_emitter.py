"""Emission at index maps: what becomes strides, what becomes instructions, and what blocks."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.lowering import emitter
from gint.conductor.lowering.emitter import BlockedError, UnfitError, emit
from gint.conductor.lowering.rules import NotLowerableError
from gint.isa.limits import MAX_AXES
from tests.conductor.graphs import emitted, listing, read, returned

pytestmark = pytest.mark.torch


def places(made) -> list[tuple]:
    """Of every slot its node, offset and strides."""
    return [(s.node.name, s.offset, s.strides) for s in made.slots]


def test_a_value_is_pulled_from_what_is_stored_to_what_is_loaded():
    assert listing(lambda x, y: torch.exp(x) * y, (3,), (3,)) == [
        "map",
        "load.f32 r[0] <- s[in1]",
        "exp.f32 r[1] <- exp(r[0])",
        "load.f32 r[2] <- s[in2]",
        "mul.f32 r[3] <- r[1] * r[2]",
        "store.f32 s[out3] <- r[3]",
    ]


def test_views_of_memory_are_numbers_of_a_slot():
    made = emitted(lambda x: x.t()[1:, 2] + x[0, 0], (4, 5))
    assert places(made) == [("x_1", 11, (1,)), ("x_1", 0, ()), ("add", 0, (1,))]


def test_views_of_what_is_computed_are_the_same_values():
    made = emitted(lambda x: torch.exp(x).t() + 1, (4, 5))
    assert places(made) == [
        ("x_1", 0, (5, 1)),
        ("add", 0, (1, 5)),
    ]  # in the order of their dims
    assert made.recording.extents == (5, 4)


def test_one_load_of_one_place():
    made = emitted(lambda x: x * x + x[:], (4,))
    assert [name for name, *_ in places(made)] == ["x_1", "add"]


def test_a_reshape_splits_an_axis():
    made = emitted(lambda x, y: torch.exp(x).view(4, 3) + y, (12,), (4, 3))
    assert made.recording.extents == (4, 3)
    assert places(made)[0] == ("x_1", 0, (3, 1))
    joined = emitted(lambda x, y: torch.exp(x).view(12) + y, (4, 3), (12,))
    assert sorted(joined.recording.extents) == [3, 4]


def test_a_view_that_is_no_affine_map_blocks():
    pieces = lambda x: torch.as_strided(torch.exp(x), (3, 2), (1, 1)) + 1  # noqa: E731
    with pytest.raises(BlockedError) as found:
        emitted(pieces, (4,))
    assert found.value.node.name == "exp"
    of_memory = emitted(lambda x: torch.as_strided(x, (3, 2), (1, 1)) + 1, (4,))
    assert places(of_memory)[0] == ("x_1", 0, (1, 1))


def test_values_of_other_shapes_do_not_fit():
    with pytest.raises(UnfitError, match=r"a value of shape \(7,\) does not fit axes \[4\]"):
        emitted(lambda x, y: (x + 1, y + 1), (4,), (7,))


def test_a_program_has_so_many_slots():
    many = [(4,)] * 5
    emitted(lambda *xs: sum(xs), *many, slots=6)
    with pytest.raises(UnfitError, match="6 tensors; the backend takes 5"):
        emitted(lambda *xs: sum(xs), *many, slots=5)


def test_a_program_has_so_many_axes(monkeypatch):
    monkeypatch.setattr(emitter, "MAX_AXES", 2)
    with pytest.raises(UnfitError, match="3 axes; a program has 2"):
        emitted(lambda x: x + 1, (2, 3, 4))
    assert MAX_AXES > 2


def test_a_deep_chain_is_cut(monkeypatch):
    def chain(x):
        for _ in range(9):
            x = torch.sin(x)
        return x

    emitted(chain, (3,))
    monkeypatch.setattr(emitter, "_MAX_DEPTH", 6)
    with pytest.raises(BlockedError):
        emitted(chain, (3,))


def test_what_another_program_stores_is_loaded():
    graph = read(lambda x: torch.exp(x) + 1, (3,))
    (total,) = returned(graph)
    exp = next(n for n in graph.fx.nodes if n.name == "exp")
    made = emit(graph, {exp, total}, [total], [total], 64)
    assert [s.node.name for s in made.slots] == ["exp", "add"]
    both = emit(graph, {exp, total}, [exp, total], [total], 64)  # (exp is wanted inside alone)
    assert [s.node.name for s in both.slots] == ["x_1", "add"]
    assert both.outputs == (total,)


def test_sizes_are_parameters_and_numbers_constants():
    made = emitted(lambda x: x * x.shape[0] + 0.5, (6, 4), symbolic=True)
    size = made.recording.extents[0]
    assert made.recording.params == (size,)
    lines = listing(lambda x: x * x.shape[0] + 0.5, (6, 4), symbolic=True)
    assert "param.i64 r[1] <- p[p1]" in lines
    assert any(line.endswith("<- 0.5") for line in lines)


def test_equal_values_are_emitted_once():
    lines = listing(lambda x: torch.exp(x) + torch.exp(x), (3,))
    assert sum(line.startswith("exp") for line in lines) == 1


def test_a_tensor_on_another_device_is_left_to_eager():
    graph = read(lambda x: x + 1, (3,))
    graph.device = "cuda"
    (node,) = returned(graph)
    with pytest.raises(NotLowerableError, match=r"a tensor of torch.float32 on cpu"):
        emit(graph, {node}, [node], [node], 64)


def test_a_rule_that_fails_says_of_which_node(monkeypatch):
    from gint.conductor.lowering.rules import _RULES

    def broken(context):
        raise ZeroDivisionError("in the rule")

    monkeypatch.setitem(_RULES, torch.ops.aten.exp.default, broken)
    with pytest.raises(ZeroDivisionError) as found:
        emitted(lambda x: torch.exp(x) + 1, (3,))
    assert found.value.node.name == "exp"
