"""Kernels that believe what they are given are given nothing else."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from gint.plan import Call, Named, Use
from gint.plan.verifier import PlanError, verify_plan
from gint.runtime.tensors.values import Tensors
from tests.plan.saving import plan

pytestmark = pytest.mark.torch

BAGS = ("aten._embedding_bag.default", "aten._embedding_bag_forward_only.default")


@pytest.mark.parametrize("name", BAGS)
@pytest.mark.parametrize(
    ("indices", "offsets", "reason"),
    [
        (3, [0, 1 << 40, 2], "Offsets grow from 0 to 3"),
        (3, [-1, 2], "Offsets grow from 0 to 3"),
        (3, [0, 4], "Offsets grow from 0 to 3"),
        (3, [[0]], "Bags are lists"),
    ],
)
def test_bags_lie_within_the_positions(name, indices, offsets, reason):
    with pytest.raises(ValueError, match=reason):
        Tensors().operator(name, False)(
            torch.ones(9, 4), torch.arange(indices), torch.tensor(offsets)
        )


@pytest.mark.parametrize("name", BAGS)
def test_bags_of_positions_that_lie_apart(name):
    """The kernel reads as if they lay side by side, eager gives it no others."""
    at, table = torch.arange(12).view(6, 2)[:, 0] % 5, torch.randn(5, 4)
    offsets = torch.tensor(0).expand(1 << 20)
    found = Tensors().operator(name, False)(table, at, offsets[:3])[0]
    torch.testing.assert_close(found[2], table[at].sum(0))
    assert Tensors().operator(name, False)(table, at, offsets)[0].shape == (1 << 20, 4)


@pytest.mark.parametrize("name", ["aten.mm.out", "aten.sort.values", "aten.cat.out"])
def test_what_writes_into_its_arguments_is_refused(name):
    with pytest.raises(PlanError, match="writes into its arguments"):
        Tensors().operator(name, False)


def test_a_plan_writes_into_what_is_its_own():
    def verify(*call):
        verify_plan(replace(plan(), steps=(*plan().steps, Call(6, *call))), ())

    with pytest.raises(PlanError, match="names memory to write into"):
        verify("aten.mm.default", (Use(3), Use(4)), (("out", Use(3)),))
    with pytest.raises(PlanError, match="writes into value 1, which is neither allocated"):
        verify("aten.copy_.default", (Use(1), Use(1)))
    with pytest.raises(PlanError, match="writes into no value"):
        verify("aten.copy_.default", (Named("dtype", "float32"), Use(1)))
    verify("aten.copy_.default", (Use(3), Use(1)))


def test_backward_kernels_are_not_for_plans_from_anywhere():
    steps = (*plan().steps, Call(6, "aten.max_pool2d_with_indices_backward.default", (Use(3),)))
    with pytest.raises(PlanError, match="not among the operators"):
        verify_plan(replace(plan(), steps=steps), ())
