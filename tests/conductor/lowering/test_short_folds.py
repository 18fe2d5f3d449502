"""Folds of few values, which are made one after the other: eager's values at sizes around the
limit, and in company."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from gint.program import AxisKind
from tests.conductor.graphs import emitted

from ..comparing import Call, Traced, assert_like_eager, check

pytestmark = pytest.mark.torch

FOLDS = {
    "sum": lambda x, d: x.sum(d),
    "sum of squares": lambda x, d: (x * x).sum(d, keepdim=True),
    "prod": lambda x, d: x.prod(d),
    "amax": lambda x, d: x.amax(d),
    "amin": lambda x, d: (-x).amin(d) if x.dtype is not torch.bool else x.amin(d),
    "argmax": lambda x, d: x.argmax(d),
    "argmin": lambda x, d: x.argmin(d, keepdim=True),
    "max": lambda x, d: tuple(x.max(d)),
    "any and all": lambda x, d: (x.any(d), x.all(d)),
}
FLOAT_FOLDS = {
    "mean": lambda x, d: x.mean(d),
    "nansum": lambda x, d: x.nansum(d),
    "var": lambda x, d: torch.var_mean(x, d),
    "norms": lambda x, d: tuple(
        torch.linalg.vector_norm(x, n, d) for n in (0, 1, 2, 3, math.inf, -math.inf)
    ),
    "softmax": lambda x, d: x.softmax(d),
    "log_softmax": lambda x, d: (x * 2).log_softmax(d),
    "layer norm": lambda x, d: torch.layer_norm(x, x.shape[-1:]),
    "rms norm": lambda x, d: torch.rms_norm(x, x.shape[-1:], eps=1e-3),
}
SHAPES = [((37, 3), 1), ((4, 11), 0), ((5, 2, 7), 1), ((3,), 0), ((6, 5), 1), ((0, 3), 1)]


def _values(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Few different ones, so that extremes are not alone."""
    torch.manual_seed(0)
    values = torch.tensor([1.0, -0.5, 0.25, 2.0, 0.0, -1.0])
    return values[torch.randint(6, shape)].to(dtype)


@pytest.mark.parametrize(("shape", "dim"), SHAPES, ids=str)
@pytest.mark.parametrize("name", [*FOLDS, *FLOAT_FOLDS])
def test_folds(name, shape, dim, interpreters):
    # The logarithm of a sum near 1 is as exact as the sum is.
    scale = {"scale": 1.0} if name == "log_softmax" else {}
    call = Call.of({**FOLDS, **FLOAT_FOLDS}[name], _values(shape, torch.float32), dim)
    check(call, interpreters, **scale)


@pytest.mark.parametrize("name", [*FOLDS, *FLOAT_FOLDS])
def test_halves(name, interpreters):
    x = _values((37, 3), torch.bfloat16)
    check(Call.of({**FOLDS, **FLOAT_FOLDS}[name], x, 1), interpreters)


@pytest.mark.parametrize("name", FOLDS)
def test_integers(name, interpreters):
    check(Call.of(FOLDS[name], _values((4, 11), torch.int64), 0), interpreters)


@pytest.mark.parametrize("name", ["sum", "prod", "amax", "amin", "any and all"])
def test_bools(name, interpreters):
    check(Call.of(FOLDS[name], _values((5, 2, 7), torch.bool), 1), interpreters)


@pytest.mark.parametrize("name", ["amax", "argmax", "argmin", "max", "nansum", "softmax"])
def test_nan_and_infinities(name, interpreters):
    nan, inf = math.nan, math.inf
    x = torch.tensor([
        [nan, 1, 2], [1, nan, nan], [inf, -inf, inf], [-inf, -inf, -inf], [2, 2, nan], [3, 3, 1],
    ])  # fmt: skip
    check(Call.of({**FOLDS, **FLOAT_FOLDS}[name], x, 1), interpreters)


TOGETHER = {
    "a fold of a fold": lambda x, y: torch.minimum(y[:, 0], ((x - x[0]) ** 2).sum(-1)).amax(0),
    "of all pairs": lambda x, y: ((x[:, None] - x[None]) ** 2).sum(-1).sqrt() + y.sum(1),
    "of what was stored": lambda x, y: (x * 2, (x * 2).sum(-1), y.amax(-1) + x.prod(-1)),
    "at computed positions": lambda x, y: (x * x).sum(-1)[y.argmax(1) % 9] + 1,
    "of a gather": lambda x, y: (x[y.argmax(1) % 9] - x).abs().amax(-1),
    "of a scan": lambda x, y: x.cumsum(-1).sum(-1) + x.cumsum(0).amax(-1),
    "of matrices": lambda x, y: (x[:, :, None] * x[:, None]).sum(1).prod(-1),
    "normalised": lambda x, y: x / x.norm(dim=-1, keepdim=True) + x.softmax(-1).flip(-1),
    "of a reshape": lambda x, y: (x + 1).view(3, 3, 3).sum(1).view(9).mean(),
    "beside a long one": lambda x, y: y.sum(-1) * x.sum(-1) + (y * x.mean(-1, keepdim=True)).sum(1),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_folds_with_what_is_around_them(name, interpreters):
    torch.manual_seed(1)
    # What scans subtract is rounded on devices as they go.
    check(Call.of(TOGETHER[name], torch.randn(9, 3), torch.randn(9, 20)), interpreters, scale=1.0)


def test_few_values_are_folded_within_the_program_that_reads_them():
    """The distance of points from one, the nearer, and which is farthest: no program in between."""
    call = Call.of(TOGETHER["a fold of a fold"], torch.randn(9, 3), torch.randn(9, 20))
    assert Traced(call).compile("cpp").record.programs == 1


def test_values_that_have_no_slots_are_folded_along_an_axis():
    """Two tensors a program: four values and a result would be five."""
    x = torch.randn(7, 4)
    options = {"backend": "cpp", "check": True, "max_tensors": 2}
    (record,) = assert_like_eager(lambda x: x.exp().sum(-1), options, x)
    assert (record.programs, record.fallbacks) == (1, ())


@pytest.mark.parametrize(
    ("function", "shape", "reduced"),
    [
        (lambda x: x.sum(-1), (5, 3), {5: False, 3: True}),  # in memory: a loop over all of it
        (lambda x: x.sum(-1), (5, 2), {5: False}),
        (lambda x: (x * x).sum(-1), (5, 3), {5: False}),
        (lambda x: x.argmax(-1), (5, 3), {5: False}),
        (lambda x: x.softmax(-1), (5, 3), {5: False, 3: False}),
        (lambda x: x.softmax(0), (3, 5), {5: False, 3: True}),  # whole lines at once
        (lambda x: x.softmax(-1), (5, 6), {5: False, 6: True}),
    ],
)  # fmt: skip
def test_which_folds_are_loops(function, shape, reduced):
    made = emitted(function, shape)
    axes = made.recording.verified.program.axes
    kinds = (axis.kind is AxisKind.REDUCED for axis in axes)
    assert dict(zip(made.recording.extents, kinds, strict=True)) == reduced


def test_many_short_dimensions_one_after_the_other(interpreters):
    """Each of them doubles what is made, up to a limit."""
    x = torch.rand([2] * 8)

    def folded(x):
        while x.dim():
            x = (x * 1.5 - 0.5).sum(0)
        return x

    check(Call.of(folded, x), interpreters, units=8.0)
