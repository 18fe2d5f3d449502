"""torch tensors and other DLPack producers: taken without a copy, given back as what they were."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops as ops

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def on_backend(backend):
    with ops.use_backend(backend):
        yield


TYPES = [torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_torch_in_torch_out(dtype):
    x, w = torch.randn(3, 8).to(dtype), torch.randn(8).to(dtype)
    for found, expected in [
        (ops.rms_norm(x, w), torch.nn.functional.rms_norm(x.float(), (8,), w.float(), 1e-6)),
        (ops.silu(x.T), torch.nn.functional.silu(x.T.float())),
        (ops.matmul_f32(x, x.T), x.float() @ x.T.float()),
        (ops.apply_rope(x, x, 0, 8)[0][0], x[0].float()),
        (ops.multi_head_attention(x[:1], x[:1], x[:1], 2, 2), x[:1].float()),
    ]:
        assert found.dtype == dtype
        assert type(found) is torch.Tensor
        torch.testing.assert_close(found, expected.to(dtype), rtol=2e-2, atol=1e-5)


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_results_are_written_to_torch_tensors_in_place(dtype):
    x = torch.randn(4, 6).to(dtype)
    expected, out = ops.silu(x), torch.zeros(4, 12).to(dtype)[:, ::2]
    assert ops.silu(x, out=out) is out
    assert torch.equal(out, expected)


def test_the_memory_is_the_tensors_own(monkeypatch):
    from airllm.tensor_ops import arrays

    x = torch.randn(5, 7)
    assert arrays.take("x", x).array.__array_interface__["data"][0] == x.data_ptr()
    x = x.bfloat16()
    assert arrays.take("x", x).array.__array_interface__["data"][0] == x.data_ptr()


def test_a_torch_mask_and_torch_positions():
    x = torch.randn(3, 4)
    keep = torch.ones(3, 3, dtype=torch.bool).tril()
    found = ops.multi_head_attention(x, x, x, 1, 1, keep)
    assert torch.equal(found, ops.multi_head_attention(x, x, x, 1, 1, "causal"))
    added = torch.zeros(3, 3).masked_fill(~keep, -torch.inf)
    for mask in (added, added.half(), added.bfloat16()):
        assert torch.equal(found, ops.multi_head_attention(x, x, x, 1, 1, mask))
    assert torch.equal(
        ops.apply_rope(x, x, torch.arange(3), 4)[0], ops.apply_rope(x, x, torch.tensor(0), 4)[0]
    )


def test_what_is_refused_names_the_way_out():
    x = torch.randn(3, 4, requires_grad=True)
    with pytest.raises(TypeError, match=r"x requires grad, .*: pass x.detach\(\)"):
        ops.silu(x)
    with pytest.raises(TypeError, match=r"weight requires grad"):
        ops.rms_norm(x.detach(), x[0])
    with pytest.raises(TypeError, match=r"x holds torch.float64"):
        ops.silu(torch.ones(2, dtype=torch.float64))
    with pytest.raises(TypeError, match=r"x is a tensor of layout .*sparse.*to_dense"):
        ops.silu(torch.ones(2, 2).to_sparse())
    with pytest.raises(TypeError, match=r"x lives on meta, .*x.cpu\(\)"):
        ops.silu(torch.ones(2, device="meta"))


class Producer:
    """An array library with DLPack and the array API's namespace, and nothing else."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __array_namespace__(self):
        class Namespace:
            @staticmethod
            def from_dlpack(array):
                return Producer(np.from_dlpack(array))

        return Namespace


def test_any_producer_comes_back_as_what_it_was():
    x = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)
    found = ops.softmax(Producer(x))
    assert type(found) is Producer
    keep = Producer(np.ones((3, 3), np.bool_))
    assert type(ops.multi_head_attention(Producer(x), x, x, 1, 1, keep)) is Producer
    np.testing.assert_array_equal(found.array, ops.softmax(x))
    with pytest.raises(TypeError, match="x holds float64"):
        ops.softmax(Producer(x.astype(np.float64)))


def test_tensors_that_numpy_cannot_show_are_refused_by_name():
    negated = torch.randn(3, dtype=torch.complex64).conj().imag
    with pytest.raises(ValueError, match="out is a view that negates lazily"):
        ops.silu(torch.ones(3), out=negated)
    blocks = torch.zeros(72, dtype=torch.bfloat16)
    with pytest.raises(TypeError, match=r"weight_data holds torch\.bfloat16"):
        ops.matmul_quantized(np.ones((3, 32), "f4"), blocks, (4, 32), "q40")
    with pytest.raises(TypeError, match="x is a nested tensor"):
        ops.silu(torch.nested.nested_tensor([torch.ones(2)], layout=torch.jagged))
