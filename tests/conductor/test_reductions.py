"""Reductions and rows, compiled: any dimensions, ties and NaN, odd lengths, beside eager."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

from .comparing import DTYPES, Call, check

pytestmark = pytest.mark.torch
F = torch.nn.functional

REDUCTIONS = {
    "sum": torch.sum, "mean": torch.mean, "amax": torch.amax, "amin": torch.amin, "any": torch.any,
    "all": torch.all, "var": torch.var, "std": torch.std, "logsumexp": torch.logsumexp,
    "var_0": lambda x, d, keepdim: torch.var(x, d, correction=0, keepdim=keepdim),
    "var_mean_2": lambda x, d, keepdim: torch.var_mean(x, d, correction=2, keepdim=keepdim),
    "norm": lambda x, d, keepdim: torch.linalg.vector_norm(x, 2, d, keepdim=keepdim),
    "norm_3": lambda x, d, keepdim: torch.linalg.vector_norm(x, 3, d, keepdim=keepdim),
}  # fmt: skip
SUBSETS = [list(s) for n in (1, 2, 3) for s in itertools.combinations(range(3), n)]


@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions_over_any_dimensions(name: str, interpreters: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, 5, 7)
    for dims, keepdim in itertools.product([*SUBSETS, [-1, 0]], (False, True)):
        for shown in (x, x.permute(1, 2, 0)):
            check(Call.of(REDUCTIONS[name], shown, dims, keepdim=keepdim), interpreters, scale=4.0)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_argmax_of_ties_and_nan(name: str, interpreters: tuple[str, ...]) -> None:
    function = getattr(torch, name)
    x = torch.tensor([[1.0, 3.0, 3.0, 0.0], [float("nan"), 1.0, float("nan"), 0.0]] * 3)
    for args in ((), (0,), (1,), (None, False), (1, True)):
        check(Call.of(function, x, *args), interpreters)
        check(Call.of(function, x[:1].expand(4, 4).bool().int(), *args), interpreters)


@pytest.mark.parametrize(
    "shape", [(0, 3), (3, 0), (0,), (1,), (1, 1), (1031,), (2, 1031), (1031, 2)]
)
def test_reductions_of_odd_lengths(shape, interpreters: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    for dtype in (torch.float32, torch.bfloat16, torch.int64, torch.int8, torch.bool):
        y = (x * 3).to(dtype)
        for name in ("sum", "prod", "any", "all"):
            check(Call.of(getattr(torch, name), y), interpreters, scale=64.0)
            check(Call.of(getattr(torch, name), y, -1), interpreters, scale=64.0)
        if x.numel():
            check(Call.of(torch.amax, y, 0), interpreters)
            check(Call.of(torch.argmax, y.int(), 0), interpreters)


@pytest.mark.parametrize("shape", [(5, 0), (0, 5), (1,), (3, 1), (4, 257), (2, 3, 4)])
@pytest.mark.parametrize("dtype", DTYPES[:4], ids=str)
def test_rows(shape, dtype, interpreters: tuple[str, ...]) -> None:
    """Softmax and the norms, along any dimension, with infinities in some rows."""
    torch.manual_seed(0)
    x = torch.randn(shape).to(dtype)
    if x.numel() > 4:
        x.view(-1)[1] = float("-inf")
    w, size = torch.randn(shape[-1:]).to(dtype), shape[-1:]
    for d in range(x.dim()):
        check(Call.of(torch.softmax, x, d), interpreters, scale=0.1)
        check(Call.of(torch.log_softmax, x, d), interpreters, scale=8.0)
    x = x.clamp(-3, 3)
    check(Call.of(F.layer_norm, x, size, w, w, 1e-5), interpreters, scale=4.0)
    check(Call.of(F.rms_norm, x, size, w, 1e-5), interpreters, scale=4.0)
    if x.numel():  # the statistics of nothing are not initialised in eager
        check(Call.of(torch.native_layer_norm, x, size, None, None, 1e-5), interpreters, scale=4.0)
