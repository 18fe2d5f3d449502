"""Kernels that believe what they are given are given nothing else."""

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from gint.plan import Call, Named, Use
from gint.plan.verifier import PlanError, verify_plan
from gint.runtime.tensors.values import Tensors
from tests.plan.saving import plan

pytestmark = pytest.mark.torch

ATTENTION = "aten._scaled_dot_product_flash_attention_for_cpu.default"
Q = (2, 3, 5, 8)


def ones(*shape):
    return torch.ones(*shape)


def lstm(hidden=4, **other):
    given = {
        "x": ones(3, 2, 6), "w0": ones(16, 6), "w1": ones(16, 4), "w2": ones(16), "w3": ones(16),
        "h": ones(1, 2, 4), "c": ones(1, 2, 4),
    } | other  # fmt: skip
    return (*given.values(), False, [], 2, hidden, 1, True, False, False, False)


REFUSED = [
    (ATTENTION, (ones(*Q), ones(2, 1, 5, 8), ones(2, 1, 5, 8)), "operands that fit"),
    (ATTENTION, (ones(*Q), ones(1, 3, 5, 8), ones(1, 3, 5, 8)), "operands that fit"),
    (ATTENTION, (ones(*Q), ones(2, 3, 9, 8), ones(2, 3, 1, 8)), "operands that fit"),
    (ATTENTION, (ones(2, 3, 8, 5).mT, ones(*Q), ones(*Q)), "side by side"),
    (ATTENTION, (ones(*Q),), "does not take such arguments"),
    ("aten.mkldnn_rnn_layer.default", lstm(hidden=400), "operands that fit"),
    ("aten.mkldnn_rnn_layer.default", lstm(h=ones(1, 1, 1)), "operands that fit"),
    ("aten.mkldnn_rnn_layer.default", lstm(w3=ones(3)), "operands that fit"),
    ("aten.mkldnn_rnn_layer.default", lstm(w0=ones(16, 6).double()), "one type"),
    ("aten._fft_r2c.default", (ones(4, 4), [5], 0, True), "from 0 to 1"),
    ("aten._fft_c2r.default", (ones(4, 4) + 0j, [7], 0, 6), "from 0 to 1"),
    ("aten._embedding_bag_forward_only.default",
     (ones(9, 4), torch.arange(3), torch.tensor([0, 1 << 40, 2])), "Offsets grow from 0 to 3"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "args", "reason"), REFUSED)
def test_what_a_kernel_would_believe_is_refused(name, args, reason):
    with pytest.raises(ValueError, match=reason):
        Tensors().operator(name, False)(*args)


def test_what_fits_is_what_aten_makes():
    operator = Tensors().operator
    q = torch.randn(*Q)
    wanted = torch.nn.functional.scaled_dot_product_attention(q, q, q)
    torch.testing.assert_close(operator(ATTENTION, False)(q, q, q)[0], wanted)
    assert operator("aten.mkldnn_rnn_layer.default", False)(*lstm())[0].shape == (3, 2, 4)


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
