"""Steps of a native run where a cache's keys and values come: attention of few rows, joining."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.backend.errors import raise_for
from gint.runtime.tensors.torch_shim import native_with_torch

native = native_with_torch()
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(native is None, reason="no native module, or a torch without its C shim"),
]


def steps(inputs: int):
    return native.RunSteps(inputs, [], 1, raise_for)


@pytest.mark.parametrize("masked", [False, True])
def test_attention(masked: bool):
    q, k, v = (torch.randn(1, 2, 5, 8) for _ in range(3))
    mask = torch.randn(1, 1, 5, 5) if masked else None
    s = steps(4)
    s.attention(4, 0, 1, 2, 3 if masked else None, not masked, 0.3)
    result = s.finish([4])(q, k, v, mask if masked else q)
    wanted = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=not masked, scale=0.3
    )
    torch.testing.assert_close(result, wanted)


def rows_of_heads(batch, heads, rows, size, *, moved: bool):
    """As a model has them: heads first, or moved there by a view."""
    if moved:
        return torch.randn(batch, rows, heads, size).transpose(1, 2)
    return torch.randn(batch, heads, rows, size)


@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("mask", [None, (1, 1), (2, 6)])
@pytest.mark.parametrize("rows", [1, 3, 5])
@pytest.mark.parametrize(("keys", "size"), [(1, 8), (16, 64), (37, 24), (131, 5)])
def test_attention_of_few_rows_and_grouped_heads(keys, size, rows, mask, moved):
    q = rows_of_heads(2, 6, rows, size, moved=moved)
    k, v = (rows_of_heads(2, 2, keys, size, moved=moved) for _ in range(2))
    added = None if mask is None else torch.randn(*mask, rows, keys)
    if added is not None:
        added[..., 0] = -torch.inf  # all there is where there is one key
    s = steps(4)
    s.attention(4, 0, 1, 2, None if mask is None else 3, False, 0.3)
    found = s.finish([4])(q, k, v, q if added is None else added)
    wanted = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        q, k, v, attn_mask=added, scale=0.3
    )[0]
    torch.testing.assert_close(found, wanted)
    assert found.stride() == wanted.stride()


def test_attention_of_a_row_keeps_what_is_no_number():
    q, k, v = (torch.randn(1, 2, n, 16) for n in (1, 19, 19))
    s = steps(3)
    s.attention(3, 0, 1, 2, None, False, None)
    run = s.finish([3])
    k[0, 0, 7, 3], v[0, 1, 2, 5] = torch.nan, torch.inf
    found = run(q, k, v)
    assert found[0, 0].isnan().all()
    assert found[0, 1, 0, 5] == torch.inf
    assert found[0, 1, 0, :5].isfinite().all()


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize(("first", "stop"), [(0, 19), (7, 19), (0, 1), (18, 19), (5, 6), (9, 9)])
def test_keys_that_a_mask_leaves_out_at_both_ends_are_not_read(first, stop, heads):
    q, k, v = (torch.randn(2, h, n, 16) for h, n in ((4, 2), (2, 19), (2, 19)))
    mask = torch.full((2, heads, 2, 19), -torch.inf)
    mask[..., first:stop] = torch.randn(2, heads, 2, stop - first)
    mask[:, -1, 0, first : first + 1] = -torch.inf  # of some heads alone
    s = steps(4)
    s.attention(4, 0, 1, 2, 3, False, None)
    run = s.finish([4])
    wanted = torch.nn.functional.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, enable_gqa=True
    )
    wanted = wanted.nan_to_num()  # of a row that sees nothing: 0, as torch's kernel has it
    torch.testing.assert_close(run(q, k, v, mask), wanted)
    if first < stop:
        k[:, :, :first] = v[:, :, :first] = torch.nan
        k[:, :, stop:] = v[:, :, stop:] = torch.nan
        torch.testing.assert_close(run(q, k, v, mask), wanted)


def test_a_row_has_the_same_bits_for_any_number_of_threads():
    q, k, v = torch.randn(3, 8, 1, 64), torch.randn(3, 2, 999, 64), torch.randn(3, 2, 999, 64)
    s = steps(3)
    s.attention(3, 0, 1, 2, None, False, None)
    run, before, found = s.finish([3]), torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(run(q, k, v))
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.bool, torch.complex64])
@pytest.mark.parametrize("dimension", [0, 1, 2])
def test_tensors_are_joined(dimension, dtype):
    sizes = [[2, 3, 5] for _ in range(3)]
    for size, length in zip(sizes, (4, 0, 1), strict=True):
        size[dimension] = length
    parts = [torch.randint(0, 9, size).to(dtype) for size in sizes]
    for given in (parts, [p.transpose(0, 2).contiguous().transpose(0, 2) for p in parts]):
        s = steps(3)
        s.join(3, [0, 1, 2], dimension)
        found = s.finish([3])(*given)
        assert torch.equal(found, torch.cat(parts, dimension))
        assert found.is_contiguous()


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 3, 2), (2, 4, 1, 1), (2, 3, 2, 3, 4)])
@pytest.mark.parametrize("dimension", [0, 1, 3])
def test_images_are_joined_in_the_order_that_torch_takes(shape, dimension):
    last = torch.channels_last if len(shape) == 4 else torch.channels_last_3d
    x = torch.randn(shape)
    others = (x.contiguous(memory_format=last), x, x[:1].expand(shape), x[..., :0].clone())
    for y in (*others, torch.randn(*shape[:-1], 2 * shape[-1])[..., ::2].contiguous()):
        if any(a != b for d, (a, b) in enumerate(zip(x.shape, y.shape, strict=True))
               if d != dimension):  # fmt: skip
            continue
        for given in ([x, y], [y, x], [y, others[0]], [others[0], others[0][:, :, :1]]):
            try:
                wanted = torch.cat(given, dimension)
            except RuntimeError:
                continue
            s = steps(2)
            s.join(2, [0, 1], dimension)
            found = s.finish([2])(*given)
            assert torch.equal(found, wanted)
            assert found.stride() == wanted.stride()


@pytest.mark.parametrize(
    "other", [torch.ones(2, 4), torch.ones(2, 3).double(), torch.ones(3), torch.ones(1, 2, 3)]
)
def test_tensors_that_do_not_fit_are_not_joined(other):
    s = steps(2)
    s.join(2, [0, 1], 0)
    run = s.finish([2])
    with pytest.raises(RuntimeError, match="failed in a plan"):
        run(torch.ones(2, 3), other)
    assert run(torch.ones(2, 3), torch.ones(1, 3)).shape == (3, 3)
