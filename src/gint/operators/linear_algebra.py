"""Fourier transforms and decompositions, by NumPy's pocketfft and LAPACK."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from .registry import operator

_I32 = np.dtype("i4")


def _single(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """The values in single precision where the operand is."""
    if like.dtype not in (np.float32, np.complex64):
        return values
    return values.astype(np.complex64 if values.dtype.kind == "c" else np.float32)


def _factor(shape: Sequence[int], dims: Sequence[int], normalization: int) -> float:
    """ATen numbers the normalisations: none, by the root of the length, by the length."""
    length = math.prod(shape[d] for d in dims)
    if not length or normalization == 0:
        return 1.0
    return 1 / math.sqrt(length) if normalization == 1 else 1 / length


@operator("_fft_c2c")
def fft_c2c(self: np.ndarray, dim: Sequence[int], normalization: int, forward: bool) -> np.ndarray:
    """Complex to complex."""
    if not dim:
        return self.copy()
    dims = [d % self.ndim for d in dim]
    if forward:
        made = np.fft.fftn(self, axes=dims)
    else:
        made = np.fft.ifftn(self, axes=dims) * math.prod(self.shape[d] for d in dims)
    return _single(made * _factor(self.shape, dims, normalization), self)


@operator("_fft_r2c")
def fft_r2c(self: np.ndarray, dim: Sequence[int], normalization: int, onesided: bool) -> np.ndarray:
    """Real to complex; one-sided along the last of the dimensions."""
    dims = [d % self.ndim for d in dim]
    made = np.fft.rfftn(self, axes=dims) if onesided else np.fft.fftn(self, axes=dims)
    return _single(made * _factor(self.shape, dims, normalization), self)


@operator("_fft_c2r")
def fft_c2r(
    self: np.ndarray, dim: Sequence[int], normalization: int, last_dim_size: int
) -> np.ndarray:
    """One-sided complex to real, of a length along the last of the dimensions."""
    dims = [d % self.ndim for d in dim]
    shape = list(self.shape)
    shape[dims[-1]] = last_dim_size
    made = np.fft.irfftn(self, [shape[d] for d in dims], dims)
    made = made * math.prod(shape[d] for d in dims)
    return _single(made * _factor(shape, dims, normalization), self)


@operator("_linalg_svd")
def svd(
    A: np.ndarray, full_matrices: bool = False, compute_uv: bool = True, *,
    driver: str | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """U, singular values and V conjugated and transposed."""
    if not compute_uv:
        none = np.empty(0, A.dtype)
        return none, np.linalg.svd(A, compute_uv=False), none
    u, s, vh = np.linalg.svd(A, full_matrices)
    return u, s, vh


@operator("_linalg_eigh")
def eigh(A: np.ndarray, UPLO: str = "L", compute_v: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of symmetric matrices, of which one triangle is read."""
    triangle: Literal["L", "U"] = "L" if UPLO.upper() == "L" else "U"
    if not compute_v:
        return np.linalg.eigvalsh(A, triangle), np.empty(0, A.dtype)
    values, vectors = np.linalg.eigh(A, triangle)
    return values, vectors


@operator("linalg_qr")
def qr(A: np.ndarray, mode: str = "reduced") -> tuple[np.ndarray, np.ndarray]:
    """Q and R; with the mode "r" R alone."""
    if mode == "r":
        return np.empty(0, A.dtype), np.asarray(np.linalg.qr(A, "r"))
    q, r = np.linalg.qr(A, "complete" if mode == "complete" else "reduced")
    return q, r


@operator("linalg_cholesky_ex")
def cholesky(
    self: np.ndarray, *, upper: bool = False, check_errors: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """The lower or upper triangle, and 0 where a matrix is positive definite."""
    made, info = _each_matrix(self, lambda a: np.linalg.cholesky(a, upper=upper), check_errors)
    return made, info


@operator("linalg_inv_ex")
def inverse(A: np.ndarray, *, check_errors: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The inverses, and 0 where a matrix has one."""
    return _each_matrix(A, np.linalg.inv, check_errors)


def _each_matrix(
    a: np.ndarray, function: Callable[[np.ndarray], np.ndarray], check_errors: bool
) -> tuple[np.ndarray, np.ndarray]:
    """A function of all matrices; 1 and NaN for one that has no result."""
    try:
        return function(a), np.zeros(a.shape[:-2], _I32)
    except np.linalg.LinAlgError as error:
        if check_errors:
            raise RuntimeError(f"A matrix has no such decomposition: {error}.") from error
    made, info = np.full_like(a, np.nan), np.zeros(a.shape[:-2], _I32)
    for n in np.ndindex(a.shape[:-2]):
        try:
            made[n] = function(a[n])
        except np.linalg.LinAlgError:
            info[n] = 1
    return made, info


@operator("linalg_solve_triangular")
def solve_triangular(
    self: np.ndarray, B: np.ndarray, *, upper: bool, left: bool = True,
    unitriangular: bool = False,
) -> np.ndarray:  # fmt: skip
    """X with self @ X = B, or X @ self = B, of a triangle of the matrices."""
    triangle = np.triu(self) if upper else np.tril(self)
    if unitriangular:
        diagonal = np.arange(self.shape[-1])
        triangle[..., diagonal, diagonal] = 1
    if left:
        return np.linalg.solve(triangle, B)
    return np.linalg.solve(triangle.swapaxes(-1, -2), B.swapaxes(-1, -2)).swapaxes(-1, -2)
