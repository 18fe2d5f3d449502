"""Dense products, by the backend that runs the programs or by the BLAS that NumPy brings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gint.host import memory
from gint.host.frontend import Builder

from .arrays import computed_type, given, is_half, same_type, widened
from .launches import active, compute
from .registry import operator

#: Elements from which a program adds a bias, with threads, and not NumPy.
_MANY = 1 << 15
_F32 = np.dtype("f4")


def product(
    a: np.ndarray, b: np.ndarray, out: np.ndarray | None = None, bias: np.ndarray | None = None
) -> np.ndarray:
    """a @ b + bias (n,) in the type it is computed in; into `out` where that is of it."""
    a, b = widened(a), widened(b)
    if out is None or out.dtype != a.dtype:
        batch = a.shape[:-2] if a.shape[:-2] == b.shape[:-2] else _batch(a, b)
        out = memory.empty((*batch, *a.shape[-2:-1], b.shape[-1]), a.dtype)
    multiply(a, b, out, None if bias is None else widened(bias))
    return out


def multiply(a: np.ndarray, b: np.ndarray, out: np.ndarray, bias: np.ndarray | None = None) -> None:
    """out <- a @ b + bias (n,), all of one type that is computed in."""
    dense = active().dense if out.ndim > 1 and out.dtype == _F32 else None
    if dense is None or not dense.multiply(a, b, bias, out):
        np.matmul(a, b, out=out)
        if bias is not None:
            add_scaled(out, bias)


def _batch(a: np.ndarray, b: np.ndarray) -> tuple[int, ...]:
    return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])


def add_scaled(y: np.ndarray, bias: np.ndarray, beta: float = 1, alpha: float = 1) -> np.ndarray:
    """y <- alpha * y + beta * bias, where y is of the type it is computed in.

    A beta of 0 leaves the bias unread, and NaN in it unseen.
    """
    if alpha != 1:
        y *= np.asarray(alpha).astype(y.dtype)
    if beta == 0:
        return y
    bias = widened(bias)
    if beta != 1:
        bias = bias * np.asarray(beta).astype(y.dtype)
    if y.size < _MANY or y.dtype.kind != "f":
        np.add(y, bias, out=y)
    else:
        compute(_add, np.broadcast_to(bias, y.shape), y)
    return y


def _add(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    bias = b.input("bias", types[0], *lead)
    b.store("y", b.inout("y", types[1], *lead) + bias)


def _matrices(name: str, a: np.ndarray, b: np.ndarray, rank: int) -> None:
    same_type(name, a, b)
    if a.ndim != rank or b.ndim != rank or a.shape[-1] != b.shape[-2]:
        what = "matrices" if rank == 2 else "batches of matrices"
        raise ValueError(f"{name} takes two {what} that fit, not shapes {a.shape} and {b.shape}.")


@operator("mm", "_int_mm")
def mm(self: np.ndarray, mat2: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """self (m, k) @ mat2 (k, n); int8 in int32 for `_int_mm`, whose operands are two of int8."""
    _matrices("mm", self, mat2, 2)
    if self.dtype == np.int8 and (out is None or out.dtype == np.int32):
        return given(out, self.astype(np.int32) @ mat2.astype(np.int32), np.dtype(np.int32))
    return given(out, product(self, mat2, out), self.dtype)


@operator("bmm")
def bmm(self: np.ndarray, mat2: np.ndarray, *, out: np.ndarray | None = None) -> np.ndarray:
    """self (b, m, k) @ mat2 (b, k, n)."""
    _matrices("bmm", self, mat2, 3)
    return given(out, product(self, mat2, out), self.dtype)


@operator("mm.dtype", "bmm.dtype")
def product_in(self: np.ndarray, mat2: np.ndarray, out_dtype: np.dtype) -> np.ndarray:
    """A product whose result has another type."""
    return product(self, mat2).astype(out_dtype, copy=False)


@operator("addmm")
def addmm(
    self: np.ndarray, mat1: np.ndarray, mat2: np.ndarray, *, beta: Any = 1, alpha: Any = 1,
    out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """beta * self + alpha * mat1 (m, k) @ mat2 (k, n)."""
    _matrices("addmm", mat1, mat2, 2)
    return given(out, _product_and(self, mat1, mat2, beta, alpha, out), mat1.dtype)


def _product_and(
    added: np.ndarray, a: np.ndarray, b: np.ndarray, beta: Any, alpha: Any,
    out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    if added.shape == b.shape[1:] and beta == 1 and alpha == 1:
        return product(a, b, out, added)
    return add_scaled(product(a, b, out), added, beta, alpha)


@operator("baddbmm")
def baddbmm(
    self: np.ndarray, batch1: np.ndarray, batch2: np.ndarray, *, beta: Any = 1, alpha: Any = 1,
    out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """beta * self + alpha * batch1 (b, m, k) @ batch2 (b, k, n)."""
    _matrices("baddbmm", batch1, batch2, 3)
    return given(out, add_scaled(product(batch1, batch2, out), self, beta, alpha), batch1.dtype)


@operator("addmm.dtype")
def addmm_in(
    self: np.ndarray, mat1: np.ndarray, mat2: np.ndarray, out_dtype: np.dtype, *, beta: Any = 1,
    alpha: Any = 1,
) -> np.ndarray:  # fmt: skip
    """`addmm` whose result has another type."""
    y = product(mat1, mat2).astype(computed_type(out_dtype), copy=False)
    return add_scaled(y, self, beta, alpha).astype(out_dtype, copy=False)


@operator("baddbmm.dtype")
def baddbmm_in(
    self: np.ndarray, batch1: np.ndarray, batch2: np.ndarray, out_dtype: np.dtype, *,
    beta: Any = 1, alpha: Any = 1,
) -> np.ndarray:  # fmt: skip
    """`baddbmm` whose result has another type."""
    return addmm_in(self, batch1, batch2, out_dtype, beta=beta, alpha=alpha)


@operator("addbmm")
def addbmm(
    self: np.ndarray, batch1: np.ndarray, batch2: np.ndarray, *, beta: Any = 1, alpha: Any = 1
) -> np.ndarray:
    """beta * self + alpha * the sum of batch1 (b, m, k) @ batch2 (b, k, n) over the batch."""
    _matrices("addbmm", batch1, batch2, 3)
    b, m, k = batch1.shape
    side_by_side = batch1.transpose(1, 0, 2).reshape(m, b * k)
    y = product(side_by_side, batch2.reshape(b * k, batch2.shape[2]))
    return add_scaled(y, self, beta, alpha).astype(batch1.dtype, copy=False)


def _matrix_and_vector(name: str, mat: np.ndarray, vec: np.ndarray) -> None:
    same_type(name, mat, vec)
    if mat.ndim != 2 or vec.shape != mat.shape[1:]:
        raise ValueError(
            f"{name} takes a matrix and a vector that fit, not shapes {mat.shape} and {vec.shape}."
        )


@operator("mv")
def mv(self: np.ndarray, vec: np.ndarray) -> np.ndarray:
    """self (m, k) @ vec (k,)."""
    _matrix_and_vector("mv", self, vec)
    return product(self, vec[:, None])[:, 0].astype(self.dtype, copy=False)


@operator("addmv")
def addmv(
    self: np.ndarray, mat: np.ndarray, vec: np.ndarray, *, beta: Any = 1, alpha: Any = 1
) -> np.ndarray:
    """beta * self + alpha * mat (m, k) @ vec (k,)."""
    _matrix_and_vector("addmv", mat, vec)
    y = product(mat, vec[:, None])[:, 0]
    return add_scaled(y, self, beta, alpha).astype(mat.dtype, copy=False)


@operator("addr")
def addr(
    self: np.ndarray, vec1: np.ndarray, vec2: np.ndarray, *, beta: Any = 1, alpha: Any = 1
) -> np.ndarray:
    """beta * self + alpha * the outer product of vec1 (m,) and vec2 (n,)."""
    same_type("addr", vec1, vec2)
    dtype = np.result_type(self.dtype, vec1.dtype) if not is_half(vec1.dtype) else self.dtype
    if dtype == np.bool_:
        outer = np.logical_and(np.logical_and.outer(vec1, vec2), bool(alpha))
        return np.logical_or(outer, np.logical_and(self, bool(beta)))
    first, second = widened(vec1), widened(vec2)
    y = (np.asarray(alpha).astype(first.dtype) * first)[:, None] * second
    return add_scaled(y.astype(computed_type(dtype)), self, beta).astype(dtype, copy=False)


@operator("dot")
def dot(self: np.ndarray, tensor: np.ndarray) -> np.ndarray:
    """The sum of self (n,) * tensor (n,)."""
    same_type("dot", self, tensor)
    if self.ndim != 1 or self.shape != tensor.shape:
        raise ValueError(f"dot takes two vectors, not shapes {self.shape} and {tensor.shape}.")
    return np.asarray(np.dot(widened(self), widened(tensor))).astype(self.dtype)


@operator("vdot")
def vdot(self: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The sum of self (n,), conjugated, * other (n,)."""
    return dot(np.conj(self) if self.dtype.kind == "c" else self, other)


@operator("linear")
def linear(
    input: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None, *,
    out: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    """input (..., k) @ weight (n, k) transposed, or (k,), + bias (n,)."""
    same_type("linear", input, weight, *(() if bias is None else (bias,)))
    if weight.ndim == 1:
        y = product(input, weight[:, None])[..., 0]
    else:
        rows = math.prod(input.shape[:-1])
        y = product(input.reshape(rows, input.shape[-1]), weight.T, bias=bias)
        return given(out, y.reshape(*input.shape[:-1], weight.shape[0]), input.dtype)
    return given(out, y if bias is None else add_scaled(y, bias), input.dtype)


@operator("_addmm_activation")
def addmm_activation(
    self: np.ndarray, mat1: np.ndarray, mat2: np.ndarray, *, beta: Any = 1, alpha: Any = 1,
    use_gelu: bool = False,
) -> np.ndarray:  # fmt: skip
    """ReLU of `addmm`, or GELU by its formula with tanh."""
    y = _product_and(self, mat1, mat2, beta, alpha)
    if use_gelu:
        compute(_gelu, y.astype(computed_type(mat1.dtype), copy=False), y)
    else:
        np.maximum(y, 0, out=y)
    return y.astype(mat1.dtype, copy=False)


def _gelu(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    x = b.input("x", types[0], *lead)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * (x * x * x))
    b.output("y", types[1], lead, 0.5 * x * (1 + b.tanh(inner)))
