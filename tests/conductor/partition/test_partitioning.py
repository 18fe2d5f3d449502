"""Which values are stored, and which share a program."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.graph.nodes import NodeKind
from gint.conductor.partition import partitioning
from gint.conductor.partition.partitioning import partition
from tests.conductor.graphs import LIMITS, partitioned, read, returned

pytestmark = pytest.mark.torch


def stored(function, *inputs) -> list[list[str]]:
    """Of every launch the names of what it stores; of what is left whole its name."""
    _, found = partitioned(function, *inputs)
    return [
        [n.name for n in unit.program.outputs] if unit.is_launch else [f"call {unit.nodes[0].name}"]
        for unit in found.units
    ]


def test_what_is_returned_is_stored_and_nothing_else():
    assert stored(lambda x: torch.exp(x) + 1, (3,)) == [["add"]]
    assert stored(lambda x: (torch.exp(x), torch.sin(x) + 1), (3,)) == [["exp", "add"]]


def test_what_an_operator_left_whole_reads_is_stored():
    found = stored(lambda x, w: torch.relu(x + 1) @ w, (3, 4), (4, 5))
    assert found == [["relu"], ["call mm"]]
    after = stored(lambda x, w: torch.relu(x @ w) * 2, (3, 4), (4, 5))
    assert after == [["call mm"], ["mul"]]


def test_views_are_stored_as_what_they_show():
    assert stored(lambda x, w: torch.exp(x).t() @ w, (4, 3), (4, 5)) == [["exp"], ["call mm"]]


def test_values_that_read_the_same_share_a_program():
    assert stored(lambda x: (torch.exp(x), torch.sin(x)), (3,)) == [["exp", "sin"]]
    assert stored(lambda x, y: (torch.exp(x), torch.sin(y)), (3,), (3,)) == [["exp"], ["sin"]]
    assert stored(lambda x: (torch.exp(x), torch.sin(x[:2])), (3,)) == [["exp"], ["sin"]]


def test_a_value_does_not_join_a_program_that_must_run_before_what_it_needs():
    found = stored(lambda x, w: (x + 1, (x + 1) @ w + x[:, :1]), (4, 4), (4, 4))
    assert found[0] == ["add", "add_1"] or found[0] == ["add"]
    assert found[1] == ["call mm"]
    assert found[2] == ["add_2"]


def test_reductions_over_other_axes_are_programs_of_their_own():
    assert len(stored(lambda x: x.sum(0).sum() + x.sum(1).sum(), (5, 6))) > 1
    assert len(stored(lambda x: torch.softmax(x, -1), (4, 6))) == 1


def test_a_program_takes_so_many_members(monkeypatch):
    def many(x):
        return [x * n for n in range(2, 8)]

    assert len(stored(many, (3,))) == 1
    monkeypatch.setattr(partitioning, "_MAX_MEMBERS", 2)
    assert [len(members) for members in stored(many, (3,))] == [2, 2, 2]


def test_limits_of_the_backend():
    graph = read(lambda *xs: torch.stack(xs).sum(0) if len(xs) > 9 else sum(xs), *[(3,)] * 6)
    found = partition(graph, LIMITS._replace(max_tensors=4))
    assert all(len(unit.program.slots) <= 4 for unit in found.units if unit.is_launch)
    assert len(found.units) > 1


def test_a_type_that_the_device_lacks_is_left_to_eager():
    graph = read(lambda x: x.double().exp().float(), (3,))
    found = partition(graph, LIMITS._replace(types=frozenset({"f32"})))
    assert not any(unit.is_launch for unit in found.units)
    reasons = [refusal.reason for refusal in graph.refusals.values()]
    assert any("computed in f64, which the device lacks" in reason for reason in reasons)


def test_a_rule_that_fails_is_raised_or_recorded(monkeypatch):
    from gint.conductor.lowering.rules import _RULES

    def broken(context):
        raise ZeroDivisionError("in the rule")

    monkeypatch.setitem(_RULES, torch.ops.aten.sin.default, broken)
    with pytest.raises(ZeroDivisionError):
        partition(read(lambda x: torch.sin(x) + 1, (3,)), LIMITS)
    graph = read(lambda x: torch.sin(x) + 1, (3,))
    found = partition(graph, LIMITS._replace(check=False))
    (refusal,) = graph.refusals.values()
    assert refusal.reason == "the lowering failed: ZeroDivisionError: in the rule"
    assert [unit.is_launch for unit in found.units] == [False, True]


def test_what_is_used_after_a_mutation_is_stored_before():
    def function(x, y):
        z = x + 1
        torch.ops.aten.copy_(x, y)
        return z * 2

    graph = read(function, (3,), (3,))
    found = partition(graph, LIMITS)
    stored_first = [n.name for n in found.units[0].program.outputs]
    assert stored_first == ["add"]
    assert graph.kinds[returned(graph)[0]] is NodeKind.COMPUTE
