"""Batch norms by running statistics are a factor and an addition, as eager has them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.trace.norms import WRITTEN
from tests.conductor.comparing import Call, Traced, check

pytestmark = pytest.mark.torch
aten = torch.ops.aten
_SHAPES = [(3, 5), (2, 7, 11), (2, 3, 5, 4), (2, 3, 2, 5, 4), (0, 3, 4, 4)]


def statistics(channels: int, dtype=torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(channels, dtype=dtype), torch.rand(channels, dtype=dtype) + 0.1


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_inference_is_eagers(shape, dtype, interpreters):
    torch.manual_seed(0)
    x, (mean, variance) = torch.randn(shape).to(dtype), statistics(shape[1], dtype)
    weight, bias = statistics(shape[1], dtype)
    for affine in ((weight, bias), (weight, None), (None, bias), (None, None)):
        args = (x, *affine, mean, variance, False, 0.1, 1e-5)
        call = Call.of(lambda *a: aten.native_batch_norm.default(*a)[0], *args)
        check(call, interpreters, scale=float((mean / variance.sqrt()).abs().max()) * 3)


def test_memory_format_and_what_is_saved_are_eagers(interpreters):
    x = torch.randn(2, 3, 5, 4).to(memory_format=torch.channels_last)
    mean, variance = statistics(3)
    for target in WRITTEN:
        taken = [a.name for a in target._schema.arguments]
        training = (False,) if "training" in taken else ()
        args = (x, mean, None, mean, variance, *training, 0.1, 1e-3)
        check(Call.of(target, *args), interpreters, scale=8.0)


def test_far_means_err_as_eagers_do(interpreters):
    mean, variance = torch.full((3,), 1000.0), torch.full((3,), 0.01)
    args = (torch.randn(2, 3, 5, 4) + 1000, None, None, mean, variance, False, 0.1, 1e-5)
    check(Call.of(lambda *a: aten.native_batch_norm.default(*a)[0], *args), interpreters, scale=1e4)


def test_training_is_torchs(interpreters):
    def train(x, mean, variance):
        return aten.native_batch_norm.default(x, None, None, None, None, True, 0.1, 1e-5)

    check(Call.of(train, torch.randn(4, 3, 5, 4), *statistics(3)), interpreters, scale=8.0)


def test_running_statistics_keep_their_type(interpreters):
    x = torch.randn(2, 3, 5, 4).bfloat16()
    mean, variance = (t.bfloat16() for t in statistics(3))
    function = aten._native_batch_norm_legit_functional.default
    args = (x, None, None, mean, variance, True, 0.1, 1e-3)
    traced = Traced(Call.of(function, *args))
    *_, new_mean, new_variance = traced.run(traced.compile(interpreters[0]))
    assert new_mean.dtype == new_variance.dtype == torch.bfloat16
    *_, eager_mean, eager_variance = function(*args)
    torch.testing.assert_close((new_mean, new_variance), (eager_mean, eager_variance))
