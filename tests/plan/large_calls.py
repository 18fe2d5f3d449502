"""Calls of operators on tensors of some megabytes, as text over a small vocabulary.

What an operator takes while it works shows in memory where its operands are large beside what
every call takes. Several calls of one operator are those whose ways of working differ.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

#: Operators and their arguments. `x` is (500, 512) and of the type that is asked for.
_TEXT = """
mm: x, x.t()[:, :400]
mm: x[:2], x.t()
mm: x, x.t()[:, :1]
mm: x.t(), x[:, :3]
bmm: cube, cube.mT
bmm: cube[:, :1], cube.mT
addmm: row, x, square
addmm: x, x, square
addmm: row, x[:1], square
_addmm_activation: row, x, square
baddbmm: cube[:, :1, :1], cube, cube.mT
addmv: column[:, 0], x, row
addmv: column[:1, 0], x, row
mv: x, row
mv: x.t(), column[:, 0]
dot: flat, flat
vdot: flat, flat
addbmm: cube[0, :1, :1], cube, cube.mT
addr: x, column[:, 0], row
addr: row, column[:, 0], row
linear: x, square, row
linear: x[:1], square
linear: cube, cube[0]
_int_mm: bytes_, bytes_.t()
convolution: image, filters, channel, ones, ones, ones, False, zeros, 1
convolution: image, filters, None, [2, 2], zeros, ones, False, zeros, 1
convolution: image, filters, None, ones, [2, 2], [2, 2], False, zeros, 1
convolution: image, filters[:, :1], None, ones, ones, ones, False, zeros, 16
convolution: image, filters[:, :4], None, ones, ones, ones, False, zeros, 4
convolution: image, filters, channel, ones, ones, ones, True, zeros, 1
convolution: image, filters, channel, [2, 2], ones, ones, True, ones, 1
convolution: image, large_filters, channel, ones, [3, 3], ones, False, zeros, 1
convolution: image, large_filters, channel, ones, zeros, ones, True, zeros, 1
convolution: image.double(), large_filters.double(), None, ones, zeros, ones, True, zeros, 1
convolution: image.double(), filters[:, :4].double(), None, ones, ones, ones, False, zeros, 4
convolution: lasts, filters, channel, ones, ones, ones, False, zeros, 1
convolution: lasts, filters[:, :1], channel, ones, ones, ones, False, zeros, 16
convolution: sound, taps, None, [1], [2], [1], False, [0], 1
convolution: sound, taps, None, [2], [2], [1], True, [0], 1
convolution: solid, solid_filters, None, ones3, ones3, ones3, False, zeros3, 1
convolution: solid, solid_filters, None, ones3, ones3, ones3, True, zeros3, 1
convolution: wide, wide_filters, None, ones, ones, ones, False, zeros, 1
_convolution: image, filters, channel, ones, ones, ones, False, zeros, 1, False, False, True, True
max_pool2d_with_indices: image, [2, 2]
avg_pool2d: image, [2, 2]
max_pool2d_with_indices: image, [3, 3], [1, 1], [1, 1]
avg_pool2d: image, [3, 3], [1, 1], [1, 1]
max_pool2d_with_indices: lasts, [3, 3], [1, 1], [1, 1]
avg_pool2d: lasts, [3, 3], [1, 1], [1, 1]
max_pool3d_with_indices: solid, [2, 2, 2]
avg_pool3d: solid, [2, 2, 2]
max_pool3d_with_indices: solid, [3, 3, 3], [1, 1, 1], [1, 1, 1]
avg_pool3d: solid, [3, 3, 3], [1, 1, 1], [1, 1, 1]
_adaptive_avg_pool2d: image, [2, 4]
_adaptive_avg_pool2d: image, [96, 150]
_adaptive_avg_pool2d: lasts, [7, 7]
_adaptive_avg_pool3d: solid, [4, 2, 4]
_adaptive_avg_pool3d: solid, [20, 40, 50]
upsample_nearest2d: image, [96, 128]
upsample_nearest2d: image, [9, 9]
upsample_bilinear2d: image, [96, 128], False
upsample_bilinear2d: lasts, [96, 128], False
upsample_bilinear2d: image, [9, 9], True
upsample_bicubic2d: image, [96, 128], False
upsample_bicubic2d: image, [9, 9], True
grid_sampler_2d: image, grid, 0, 0, False
grid_sampler_2d: image, grid, 1, 1, True
grid_sampler_2d: image, grid, 2, 2, True
_scaled_dot_product_flash_attention_for_cpu: heads, heads, heads
_scaled_dot_product_flash_attention_for_cpu: heads, heads, heads, 0.0, True
_scaled_dot_product_flash_attention_for_cpu: heads[:, :, :1], heads, heads
_scaled_dot_product_flash_attention_for_cpu: heads, heads, heads, attn_mask=scores
scaled_dot_product_attention: heads, heads, heads
scaled_dot_product_attention: heads, heads, heads, None, 0.0, True
scaled_dot_product_attention: heads[:, :, :1], heads, heads
scaled_dot_product_attention: heads, heads, heads, scores
scaled_dot_product_attention: heads, heads, heads, scores > 0
scaled_dot_product_attention: heads, heads[:, :2], heads[:, :2], enable_gqa=True
scaled_dot_product_attention: cube, cube, cube
embedding: x, rows
embedding: x, row_grid
index: x, [rows]
index: x, [None, rows]
index: x, [rows, rows]
index: x, [mask]
index: x, [row_grid]
index: x, [rows[:, None], rows]
_unsafe_index: x, [rows]
_unsafe_index: x, [None, rows]
_unsafe_index: x, [rows[:, None], rows]
index_select: x, 0, rows
index_select: x, 1, rows
gather: x, -1, places
gather: x, 0, places
take: x, places
take: x, row_grid
masked_select: x, mask
masked_select: row, mask
nonzero: x
nonzero: mask
nonzero: image
_embedding_bag: x, flat_rows, bags
_embedding_bag: x, flat_rows, bags, False, 2
_embedding_bag: x, flat_rows, bags, False, 1
_embedding_bag_forward_only: x, flat_rows, bags
_embedding_bag_forward_only: x, flat_rows, bags, False, 2
nll_loss_forward: x, classes, None, 1, -100
nll_loss_forward: x, classes, None, 0, -100
nll_loss2d_forward: image, image_classes, None, 1, -100
nll_loss2d_forward: image, image_classes, None, 0, -100
masked_scatter: x, mask, y
embedding_dense_backward: x, rows, 500, -1, False
index_put: x, [rows], y
index_put: x, [rows], y, True
index_put: x, [rows[:, None], rows], x[:, :1]
index_put: x, [mask], x[0, 0]
_unsafe_index_put: x, [rows], y
_unsafe_index_put: x, [rows], y, True
scatter: x, -1, places, y
scatter: x, 0, places, y
scatter: x, -1, places, 2
scatter: x, -1, places, y, reduce='add'
scatter_add: x, -1, places, y
scatter_add: x, 0, places, y
scatter_reduce: x, -1, places, y, 'amax'
scatter_reduce: x, 0, places, y, 'prod'
scatter_reduce: x, 0, places, y, 'mean'
scatter_reduce: x, -1, places, y, 'mean', include_self=False
scatter_reduce: x, -1, places, y, 'sum'
index_add: x, 0, rows, y
index_copy: x, 0, rows, y
index_add: x, 1, column_places, y
index_copy: x, 1, column_places, y
index_fill: x, 0, rows, 2
index_fill: x, 1, rows, 2
slice_scatter: x, y[1:], 0, 1
select_scatter: x, row, 0, 1
cat: [x, y], -1
cat: [x, y], 0
cat: [x.t(), y.t()], 0
cat: [x, z]
stack: [x, y], -1
stack: [x, y], 0
constant_pad_nd: x, [1, 2]
constant_pad_nd: x, [0, 0, 250, 250]
constant_pad_nd: image, [1, 1, 1, 1]
reflection_pad1d: x, [100, 200]
replication_pad1d: x, [100, 200]
reflection_pad2d: image, [10, 20, 10, 20]
replication_pad2d: image, [10, 20, 10, 20]
_pad_circular: image, [10, 20, 10, 20]
reflection_pad3d: solid, [1, 2, 1, 2, 3, 3]
replication_pad3d: solid, [1, 2, 1, 2, 3, 3]
sort: x
argsort: x
sort: x, 0
argsort: x, 0
sort: flat
argsort: flat
topk: x, 5
topk: x, 450
topk: x, 5, 0
topk: flat, 30000
unique_consecutive: flat
unique_consecutive: flat, True, True
unique_consecutive: x, False, False, 0
_unique2: flat
_unique2: flat, True, True, True
searchsorted: sorted_row, x
searchsorted: sorted_rows, x
bucketize: x, sorted_row
kthvalue: x, 3
kthvalue: x, 3, 0
median: x
median: x, 0
median: x, 1
mode: x
mode: x, 0
cumsum: x, 0
cumsum: x, 1
cumsum: x, 1, dtype=torch.float64
cumprod: x, 0
logcumsumexp: x, 0
cummax: x, 0
cummin: x, 0
cumprod: x, 1
logcumsumexp: x, 1
cummax: x, 1
cummin: x, 1
_fft_c2c: complex_, [1], 0, True
_fft_c2c: complex_, [0], 0, True
_fft_c2c: complex_, [0, 1], 0, False
_fft_r2c: x, [1], 0, True
_fft_r2c: x, [0], 0, True
_fft_r2c: x, [0, 1], 0, False
_fft_r2c: x, [0, 1], 0, True
_fft_c2r: complex_, [1], 0, 1022
_fft_c2r: complex_, [0, 1], 0, 1022
_fft_c2r: complex_, [1], 0, 1500
_linalg_svd: square[:400, :400], True
_linalg_svd: square[:400], True
_linalg_svd: small_matrices
_linalg_svd: square[:400], False, False
_linalg_eigh: definite
linalg_cholesky_ex: definite
linalg_inv_ex: definite
linalg_lu_factor_ex: definite
_linalg_eigh: small_definite
linalg_cholesky_ex: small_definite
linalg_inv_ex: small_definite
linalg_lu_factor_ex: small_definite
linalg_qr: square[:400]
linalg_qr: square[:, :400]
linalg_qr: square[:, :400], 'complete'
linalg_qr: small_matrices
linalg_solve_triangular: definite.tril(), square, upper=False
linalg_solve_triangular: small_definite.tril(), small_definite, upper=False
_linalg_solve_ex: definite, square
_linalg_solve_ex: small_definite, small_definite
mkldnn_rnn_layer: steps, gates, state_gates, bias, bias, state, state, *layer
lstm: steps, [state, state], [gates, state_gates], False, 1, 0.0, False, False, False
gru: steps, state, [gates[:768], state_gates[:768]], False, 1, 0.0, False, False, False
native_dropout: x, 0.5, True
native_dropout: x, 0.5, False
bernoulli: fraction
bernoulli: x, 0.5
rand: [500, 512]
randn: [500, 512]
empty: [500, 512]
rand_like: x
randn_like: x
normal_functional: x
uniform: x
exponential: x
empty_like: x
lift_fresh_copy: x
randint: 9, [500, 512]
randint: 9, [500, 512], dtype=torch.uint8
randint_like: x, 9
randperm: 250000
multinomial: fraction, 2
multinomial: fraction, 400, True
multinomial: fraction, 400
normal: 0.0, 1.0, [500, 512]
normal: x, 1.0
normal: x, fraction
normal: column, fraction[:1]
copy_: x, y
copy_: x, x.t().contiguous().t()
copy_: x, y.double()
empty_strided: [500, 512], [512, 1]
empty_permuted: [500, 512], [1, 0]
new_empty: x, [500, 512]
new_empty_strided: x, [500, 512], [512, 1]
_local_scalar_dense: x[0, 0]
clone: x
clone: x.t()
clone: image, memory_format=torch.channels_last
_to_copy: x, dtype=torch.float64
_to_copy: x, dtype=torch.float32
contiguous: x.t()
add: complex_, complex_
sub: complex_, complex_
mul: complex_, complex_
div: complex_, complex_
add: complex_, 2
sub: complex_, 2
mul: complex_, 2
div: complex_, 2
add: complex_[:1], complex_[:, :1]
sub: complex_[:1], complex_[:, :1]
mul: complex_[:1], complex_[:, :1]
div: complex_[:1], complex_[:, :1]
add: complex_, x
sub: complex_, x
mul: complex_, x
div: complex_, x
neg: complex_
abs: complex_
angle: complex_
exp: complex_
reciprocal: complex_
_neg_view: complex_
_conj: complex_
_conj_physical: complex_
conj_physical: complex_
resolve_conj: complex_
view_as_real: complex_
quantized_linear: x, bias[:512], blocks, 'q8_0', True
quantized_linear: x, None, blocks, 'q8_0', False
quantized_linear: x[:1], None, blocks, 'q8_0', True
quantized_embedding: rows, blocks, 'q8_0', torch.float32
complex: x, y
polar: x, y
complex: x[:1], y[:, :1]
polar: x[:1], y[:, :1]
view_as_complex: pairs
"""
#: By packet.
CALLS: dict[str, list[str]] = {}
for _line in _TEXT.strip().splitlines():
    CALLS.setdefault(_line.partition(": ")[0], []).append(_line.partition(": ")[2])
#: What is called as it is, not for each type.
_OF_ONE_TYPE = ("[", "9", "250000", "0.0", "bytes_")


@cache
def tensors(dtype: torch.dtype) -> dict[str, Any]:
    """The vocabulary."""
    generator = torch.Generator().manual_seed(0)

    def made(*shape: int) -> torch.Tensor:
        t = torch.randn(shape, generator=generator) * 3
        return t > 0 if dtype is torch.bool else t.to(dtype)

    def places(*shape: int, below: int) -> torch.Tensor:
        return torch.randint(below, shape, generator=generator)

    x, square = made(500, 512), made(512, 512)
    found = {
        "torch": torch, "ones": [1, 1], "zeros": [0, 0], "ones3": [1, 1, 1], "zeros3": [0, 0, 0],
        "x": x, "y": made(500, 512), "z": made(3, 512), "square": square, "flat": x.reshape(-1),
        "row": x[0].clone(), "column": x[:, :1].clone(), "cube": made(8, 200, 200),
        "image": made(4, 16, 48, 96), "filters": made(16, 16, 3, 3), "channel": made(16),
        "large_filters": made(16, 16, 7, 7), "sound": made(4, 16, 8192), "taps": made(16, 16, 5),
        "solid": made(1, 16, 16, 32, 32), "solid_filters": made(16, 16, 3, 3, 3),
        "wide": made(1, 256, 12, 12), "wide_filters": made(256, 256, 3, 3),
        "heads": made(1, 4, 512, 64), "scores": made(512, 512),
        "mask": x > 0, "fraction": x.double().abs().fmod(1).add(0.001).to(dtype),
        "grid": made(4, 48, 96, 2), "rows": places(500, below=500),
        "column_places": places(512, below=500), "row_grid": places(40, 50, below=500),
        "flat_rows": places(2500, below=500), "bags": torch.arange(0, 2500, 5),
        "places": places(500, 512, below=500), "classes": places(500, below=500),
        "image_classes": places(4, 48, 96, below=16),
        "sorted_row": x[0].clone().sort()[0], "sorted_rows": x.sort()[0],
        "bytes_": places(512, 512, below=99).to(torch.int8),
        "steps": made(100, 16, 256), "gates": made(1024, 256), "state_gates": made(1024, 256),
        "bias": made(1024), "state": made(1, 16, 256),
        "layer": (False, [], 2, 256, 1, True, True, False, False),
        "blocks": places(512, 512 // 32 * 34, below=50).to(torch.uint8),
        "small_matrices": made(1000, 16, 16), "pairs": made(500, 512, 2),
    }  # fmt: skip
    found["lasts"] = found["image"].contiguous(memory_format=torch.channels_last)
    if dtype in (torch.float32, torch.float64):
        found["complex_"] = torch.complex(x, found["y"])
        found["definite"] = square @ square.T + 1000 * torch.eye(512, dtype=dtype)
        small = found["small_matrices"]
        found["small_definite"] = small @ small.mT + 10 * torch.eye(16, dtype=dtype)
    return found


def arguments(call: str, dtype: torch.dtype) -> tuple[tuple, dict[str, Any]]:
    """The arguments of a call for a type. Raises KeyError or NameError for those it lacks."""
    return eval(f"(lambda *args, **kwargs: (args, kwargs))({call})", tensors(dtype))


def types_of(call: str, number: int) -> tuple[torch.dtype, ...]:
    """The types to make the call for, which is the operator's `number`th: all for the first."""
    if number or call.startswith(_OF_ONE_TYPE):
        return (torch.float32,)
    return (torch.float32, torch.bfloat16, torch.float64, torch.bool)


#: Operators that are not called, and why not.
NOT_CALLED: dict[str, str] = {
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention", "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_cudnn_attention",
            "_scaled_dot_product_fused_attention_overrideable",
        ),
        "not on the CPU",
    ),
    **dict.fromkeys(
        (
            "_assert_async", "_assert_scalar", "_assert_tensor_metadata", "_linalg_check_errors",
            "sym_constrain_range", "sym_constrain_range_for_size",
        ),
        "it makes nothing",
    ),
}  # fmt: skip
