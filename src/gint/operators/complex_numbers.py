"""Arithmetic on complex numbers, which no program computes, by NumPy.

On others it raises TypeError: that is for programs, which have torch's types of results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .registry import operator


def _result(values: np.ndarray, *operands: Any) -> np.ndarray:
    """In double precision only where an array among the operands is."""
    arrays = [a for a in operands if isinstance(a, np.ndarray)]
    if any(a.dtype in (np.float64, np.complex128) for a in arrays):
        return np.asarray(values)
    return np.asarray(values).astype(np.complex64 if values.dtype.kind == "c" else np.float32)


def _need_complex(name: str, *operands: Any) -> None:
    if not any(np.iscomplexobj(a) for a in operands):
        types = ", ".join(str(getattr(a, "dtype", type(a).__name__)) for a in operands)
        raise TypeError(f"{name} is for complex numbers here, not for {types}.")


@operator("add.Tensor", "add.Scalar")
def add(self: Any, other: Any, alpha: Any = 1) -> np.ndarray:
    """self + alpha * other."""
    _need_complex("add", self, other)
    return _result(np.add(self, other if alpha == 1 else np.multiply(other, alpha)), self, other)


@operator("sub.Tensor", "sub.Scalar")
def subtract(self: Any, other: Any, alpha: Any = 1) -> np.ndarray:
    """self - alpha * other."""
    _need_complex("sub", self, other)
    scaled = other if alpha == 1 else np.multiply(other, alpha)
    return _result(np.subtract(self, scaled), self, other)


@operator("mul.Tensor", "mul.Scalar")
def multiply(self: Any, other: Any) -> np.ndarray:
    """self * other."""
    _need_complex("mul", self, other)
    return _result(np.multiply(self, other), self, other)


@operator("div.Tensor", "div.Scalar")
def divide(self: Any, other: Any) -> np.ndarray:
    """self / other."""
    _need_complex("div", self, other)
    with np.errstate(all="ignore"):
        return _result(np.true_divide(self, other), self, other)


@operator("complex")
def complex_of(real: np.ndarray, imag: np.ndarray) -> np.ndarray:
    """Of a real and an imaginary part."""
    return _result(real + 1j * imag, real, imag)


@operator("polar")
def polar(abs: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Of a length and an angle."""
    return _result(abs * np.cos(angle) + 1j * (abs * np.sin(angle)), abs, angle)


@operator("_neg_view")
def negative_view(self: np.ndarray) -> np.ndarray:
    """-self, of imaginary parts too, which are floats."""
    return np.negative(self)


@operator("view_as_complex")
def view_as_complex(self: np.ndarray) -> np.ndarray:
    """Pairs (..., 2) as complex numbers. Raises ValueError for what is no pairs."""
    if not self.ndim or self.shape[-1] != 2 or self.dtype not in (np.float32, np.float64):
        raise ValueError(f"Complex numbers are pairs of floats, not {self.dtype} {self.shape}.")
    wide = np.complex64 if self.dtype == np.float32 else np.complex128
    return np.ascontiguousarray(self).view(wide)[..., 0]


def _enter(name: str, function: Callable[[np.ndarray], np.ndarray], meaning: str) -> None:
    def call(self: np.ndarray) -> np.ndarray:
        _need_complex(name, self)
        return _result(function(self), self)

    call.__doc__ = meaning
    operator(name)(call)


_enter("neg", np.negative, "-self.")
_enter("_conj", np.conj, "The conjugate.")
_enter("_conj_physical", np.conj, "The conjugate.")
_enter("conj_physical", np.conj, "The conjugate.")
_enter("resolve_conj", np.array, "A copy: arrays hold their values.")
_enter("abs", np.abs, "The length, a float.")
_enter("angle", np.angle, "The angle in radians, a float.")
_enter("exp", np.exp, "e to the power of self.")
_enter("reciprocal", np.reciprocal, "1 / self.")
