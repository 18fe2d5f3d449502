"""The operators of ATen's that a saved plan may call, by name.

Those that gint leaves whole on purpose, and views. They compute; none of them reads or writes
files, and each checks what it is given, or is checked before (gint.runtime.tensors.unchecked).
Kernels of backward graphs believe the positions that they are given: those of others than our own
belong to plans that whoever loads them trusts (gint.precompile).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

#: Names of overload packets, by the reason they stay whole.
EXTERNS: dict[str, tuple[str, ...]] = {
    "dense products (BLAS, oneDNN)": (
        "mm", "bmm", "addmm", "baddbmm", "addmv", "mv", "dot", "vdot", "addbmm", "addr",
        "linear", "_addmm_activation", "_int_mm",
    ),
    "convolution and pooling (oneDNN)": (
        "convolution", "convolution_backward", "_convolution", "max_pool2d_with_indices",
        "max_pool2d_with_indices_backward", "max_pool3d_with_indices", "avg_pool2d",
        "avg_pool2d_backward", "avg_pool3d", "_adaptive_avg_pool2d",
        "_adaptive_avg_pool2d_backward", "_adaptive_avg_pool3d", "upsample_nearest2d",
        "upsample_bilinear2d", "upsample_bicubic2d", "grid_sampler_2d",
    ),
    "attention": (
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_flash_attention_for_cpu_backward",
        "_scaled_dot_product_flash_attention", "_scaled_dot_product_flash_attention_backward",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_efficient_attention_backward",
        "_scaled_dot_product_cudnn_attention", "_scaled_dot_product_cudnn_attention_backward",
        "_scaled_dot_product_fused_attention_overrideable", "scaled_dot_product_attention",
    ),
    "indexing by tensor": (
        "embedding", "index", "index_select", "gather", "masked_select", "nonzero", "take",
        "_unsafe_index", "_embedding_bag",
        "_embedding_bag_forward_only", "nll_loss_forward", "nll_loss_backward",
        "nll_loss2d_forward", "nll_loss2d_backward", "masked_scatter",
    ),
    "writing where positions say (on the CPU by a kernel of gint's own)": (
        "embedding_dense_backward", "index_put", "_unsafe_index_put", "scatter", "scatter_add",
        "scatter_reduce", "index_add", "index_fill", "index_copy",
    ),
    "writing into a piece": ("slice_scatter", "select_scatter"),
    "joining and padding": (
        "cat", "constant_pad_nd", "stack", "reflection_pad1d", "reflection_pad2d",
        "reflection_pad3d", "replication_pad1d", "replication_pad2d", "replication_pad3d",
        "_pad_circular",
    ),
    "sorting, searching, scanning": (
        "sort", "topk", "argsort", "unique_consecutive", "_unique2", "searchsorted", "bucketize",
        "kthvalue", "median", "mode", "cumsum", "cumprod", "logcumsumexp", "cummax", "cummin",
    ),
    "transforms and linear algebra (pocketfft, LAPACK)": (
        "_fft_c2c", "_fft_r2c", "_fft_c2r", "_linalg_svd", "_linalg_eigh",
        "linalg_qr", "linalg_cholesky_ex", "linalg_solve_triangular", "_linalg_solve_ex",
        "linalg_inv_ex", "linalg_lu_factor_ex",
    ),
    "recurrent cells": ("mkldnn_rnn_layer", "lstm", "gru"),
    "random numbers (the generator's own sequence)": (
        "native_dropout", "bernoulli", "rand", "randn", "rand_like", "randn_like", "randint",
        "randperm", "normal_functional", "uniform", "multinomial", "exponential", "normal",
        "randint_like",
    ),
    "checks": (
        "_assert_async", "_assert_scalar", "_assert_tensor_metadata", "_linalg_check_errors",
        "sym_constrain_range", "sym_constrain_range_for_size",
    ),
    "writing back into an input": ("copy_",),
    "memory without values": (
        "empty", "empty_like", "empty_strided", "empty_permuted", "new_empty", "new_empty_strided",
    ),
    "constants": ("lift_fresh_copy", "_local_scalar_dense"),
}  # fmt: skip
#: What writes into its first argument.
WRITES_FIRST = "aten.copy_."
#: Operators of our own that no program computes: products with quantised matrices, their rows. Of
#: each, `blocks` is given the matrix, and `default` a number that this process alone knows.
OWN = ("quantized_linear", "quantized_embedding")
#: oneDNN's, with what follows them: in frozen graphs alone, which are of one process.
ONEDNN = ("_linear_pointwise", "_convolution_pointwise")

#: What plans call where a graph has no node for it: a copy of what is written into piece by piece.
COPY = "aten.clone"

#: Of complex numbers, which no program computes: calls of these are left to ATen.
COMPLEX = (
    "add", "sub", "mul", "div", "neg", "abs", "angle", "exp", "reciprocal", "complex", "polar",
    "view_as_complex", "_neg_view", "_conj", "_conj_physical", "conj_physical", "resolve_conj",
)  # fmt: skip

#: Overloads that are called with memory to write into: products, by their overload `out`, and what
#: writes where positions say, into a copy of its first argument or into that itself.
PRODUCTS = ("aten.mm.default", "aten.bmm.default", "aten.addmm.default", "aten.baddbmm.default")
SCATTERS = (
    "aten.index_add.default", "aten.index_copy.default", "aten.index_fill.int_Scalar",
    "aten.index_fill.int_Tensor", "aten.index_put.default", "aten._unsafe_index_put.default",
    "aten.embedding_dense_backward.default", "aten.scatter.src", "aten.scatter.value",
    "aten.scatter.reduce", "aten.scatter.value_reduce", "aten.scatter_add.default",
    "aten.scatter_reduce.two",
)  # fmt: skip
#: What puts tensors together of pieces, also into memory that it is given.
COPIES = (
    "aten.cat.default", "aten.stack.default", "aten.constant_pad_nd.default",
    "aten._pad_circular.default",
    *(f"aten.{kind}_pad{n}d.default" for kind in ("reflection", "replication") for n in (1, 2, 3)),
)  # fmt: skip
#: Those of SCATTERS that ATen computes in float32 for halves, faster than widening all would be.
WIDENING = (
    "aten.index_add.default", "aten.scatter_add.default", "aten.scatter.reduce",
    "aten.scatter.value_reduce", "aten.scatter_reduce.two",
)  # fmt: skip

#: Views that ATen takes where somebody may keep them.
VIEWS = (
    "view", "_unsafe_view", "permute", "expand", "slice", "select", "unsqueeze", "squeeze",
    "transpose", "t", "alias", "detach", "diagonal", "as_strided", "unfold", "split",
    "split_with_sizes", "unbind", "view_as_real", "lift_fresh", "movedim", "narrow",
)  # fmt: skip

_SAVED = {f"aten.{name}" for names in EXTERNS.values() for name in names}
_SAVED -= {name for name in _SAVED if name.endswith("_backward")} - {
    "aten.embedding_dense_backward"
}
_SAVED |= {COPY, *(f"aten.{name}" for name in (*VIEWS, *COMPLEX))}
_OWN_SAVED = {f"gint.{name}.blocks" for name in OWN}


def is_saved_operator(name: str) -> bool:
    """Whether every saved plan may call the overload "aten.mm.default"."""
    return name.rpartition(".")[0] in _SAVED or name in _OWN_SAVED


def names_of_operators(given: Any) -> frozenset[str]:
    """What a user names beside those. Raises TypeError for anything but several names."""
    is_several = isinstance(given, Iterable) and not isinstance(given, str)
    names = list(given) if is_several else [given]
    if not is_several or not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"operators is a list of names, ['aten.linalg_inv_ex.default'], not {given!r}."
        )
    return frozenset(names)
