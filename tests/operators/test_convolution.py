"""Convolutions of generated shapes and layouts: values and memory format are ATen's."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS

pytestmark = pytest.mark.torch
convolve = OPERATORS["aten.convolution.default"]


@pytest.mark.parametrize("seed", range(24))
def test_values_and_memory_format_are_atens(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    rank, groups = int(rng.integers(1, 4)), int(rng.choice([1, 1, 2, 4]))
    per_group, each = (int(n) for n in rng.choice([1, 2, 3, 8], 2))
    kernel, stride, dilation = ([int(n) for n in rng.integers(1, 4, rank)] for _ in range(3))
    padding = [int(n) for n in rng.integers(0, 3, rank)]
    least = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    sizes = [n + int(rng.integers(0, 12)) for n in least]
    x = torch.randn(int(rng.integers(1, 3)), groups * per_group, *sizes)
    weight, bias = torch.randn(groups * each, per_group, *kernel), torch.randn(groups * each)
    if rank == 2 and seed % 2:
        x = x.contiguous(memory_format=torch.channels_last)
    numbers = (stride, padding, dilation, False, [0] * rank, groups)
    wanted = torch.ops.aten.convolution.default(x, weight, bias, *numbers)
    found = convolve(x.numpy(), weight.numpy(), bias.numpy(), *numbers)
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)
    if min(wanted.shape) > 1:
        assert tuple(s // 4 for s in found.strides) == wanted.stride()


def test_slabs_join_without_a_seam():
    x, weight = torch.randn(1, 16, 70, 70), torch.randn(8, 16, 3, 3)
    numbers = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)
    wanted = torch.ops.aten.convolution.default(x, weight, None, *numbers).numpy()
    for layout in (torch.contiguous_format, torch.channels_last):
        found = convolve(x.contiguous(memory_format=layout).numpy(), weight.numpy(), None, *numbers)
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_what_does_not_fit_is_said():
    x, weight = np.ones((1, 4, 4, 4), np.float32), np.ones((2, 3, 3, 3), np.float32)
    with pytest.raises(ValueError, match="cannot have an input"):
        convolve(x, weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    with pytest.raises(ValueError, match="does not fit"):
        convolve(x[:, :3, :2], weight, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
