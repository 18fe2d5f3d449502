"""The kernels: results of the promised size, and expressions that mean what the functions do."""

from __future__ import annotations

import pytest

from benchmarks.kernel_list import (
    CONSTANTS,
    KERNELS,
    SIZES,
    Kernel,
    compulsory_bytes,
    own_code,
    writing_into,
)

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.checkout, pytest.mark.torch]


def test_there_are_twelve_with_names_of_their_own() -> None:
    assert len({kernel.name for kernel in KERNELS}) == 12


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda k: k.name)
def test_sizes(kernel: Kernel) -> None:
    for rows, cols in (SIZES["small"], SIZES["medium"]):
        inputs = kernel.inputs(rows, cols)
        result = kernel.function(*inputs)
        assert max(t.numel() for t in (*inputs, result)) == rows * cols
        assert all(t.dtype == torch.float32 for t in (*inputs, result))


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k.numexpr], ids=lambda k: k.name)
def test_numexpr_says_the_same(kernel: Kernel) -> None:
    numexpr = pytest.importorskip("numexpr")
    numpy = pytest.importorskip("numpy")
    inputs = kernel.inputs(32, 32)
    names = {n: t.numpy() for n, t in zip("abc", inputs, strict=False)}
    names |= {n: numpy.float32(v) for n, v in CONSTANTS.items()}
    got = numexpr.evaluate(kernel.numexpr, local_dict=names)
    expected = kernel.function(*inputs).numpy()
    numpy.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-3)


def test_writing_into_overwrites() -> None:
    x, out = torch.randn(4, 5), torch.empty(5, 4)
    assert writing_into(lambda x: x.t().contiguous())(out, x) is None
    assert torch.equal(out, x.t())


def test_own_code_is_another_code_object_of_the_same_function() -> None:
    def double(x: int, times: int = 2) -> int:
        return x * times

    copy = own_code(double)
    assert copy.__code__ is not double.__code__
    assert copy(3) == 6


def test_compulsory_bytes_count_each_tensor_once() -> None:
    assert compulsory_bytes((torch.empty(3, 4), torch.empty(4)), torch.empty(3, 4)) == 4 * 28
