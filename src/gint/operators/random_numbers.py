"""Random numbers: of the same distributions as torch's, and not the same numbers.

They come from a generator of NumPy's: one that is an argument, or else the one that `use_generator`
names, or else one that the system has seeded. torch.manual_seed has no say here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

import numpy as np

from .arrays import empty_like, widened
from .registry import OPERATORS, operator

_F32, _I64 = np.dtype("f4"), np.dtype("i8")
_CHOSEN: ContextVar[np.random.Generator | None] = ContextVar("generator", default=None)


@contextmanager
def use_generator(generator: np.random.Generator) -> Iterator[None]:
    """The operators called inside draw from a generator: numpy.random.default_rng(seed)."""
    token = _CHOSEN.set(generator)
    try:
        yield
    finally:
        _CHOSEN.reset(token)


@cache
def _seeded_by_the_system() -> np.random.Generator:
    return np.random.default_rng()


def _source(generator: np.random.Generator | None) -> np.random.Generator:
    if generator is not None and not isinstance(generator, np.random.Generator):
        raise TypeError(
            f"A generator is numpy's, numpy.random.default_rng(seed), not {generator!r}."
        )
    return generator or _CHOSEN.get() or _seeded_by_the_system()


def _uniform(
    generator: np.random.Generator | None, shape: Sequence[int], dtype: np.dtype
) -> np.ndarray:
    """Numbers from 0 up to and without 1, in a type that they stay below 1 in."""
    wide = np.float64 if dtype.itemsize == 8 else np.float32
    made = _source(generator).random(tuple(shape), dtype=wide)
    if dtype.itemsize == 2:  # fewer bits, so that none is rounded up to 1
        bits = 11 if dtype == np.float16 else 8
        made = np.floor(made * 2.0**bits) / 2.0**bits
    return made.astype(dtype, copy=False)


def _normal(
    generator: np.random.Generator | None, shape: Sequence[int], dtype: np.dtype
) -> np.ndarray:
    wide = np.float64 if dtype.itemsize == 8 else np.float32
    return _source(generator).standard_normal(tuple(shape), dtype=wide).astype(dtype, copy=False)


def _integers(
    generator: np.random.Generator | None, low: int, high: int, shape: Sequence[int],
    dtype: np.dtype,
) -> np.ndarray:  # fmt: skip
    if high <= low:
        raise ValueError(f"randint draws from {low} up to below {high}: there is nothing.")
    return _source(generator).integers(low, high, tuple(shape)).astype(dtype)


def _like(self: np.ndarray, values: np.ndarray, format: str | None) -> np.ndarray:
    made = empty_like(self, values.dtype, format)
    made[...] = values
    return made


@operator("rand", "rand.generator")
def rand(
    size: Sequence[int], *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """Numbers from 0 up to and without 1, each as likely."""
    return _uniform(generator, size, dtype or _F32)


@operator("randn", "randn.generator")
def randn(
    size: Sequence[int], *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """Numbers of the normal distribution of mean 0 and deviation 1."""
    return _normal(generator, size, dtype or _F32)


@operator("rand_like", "rand_like.generator")
def rand_like(
    self: np.ndarray, *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None, memory_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """`rand` in an array like another."""
    return _like(self, _uniform(generator, self.shape, dtype or self.dtype), memory_format)


@operator("randn_like", "randn_like.generator")
def randn_like(
    self: np.ndarray, *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None, memory_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """`randn` in an array like another."""
    return _like(self, _normal(generator, self.shape, dtype or self.dtype), memory_format)


@operator("randint", "randint.generator")
def randint(
    high: int, size: Sequence[int], *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = _I64, layout: None = None, device: None = None,
    pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """Integers from 0 up to and without `high`, each as likely."""
    return _integers(generator, 0, high, size, dtype or _I64)


@operator("randint.low", "randint.low_generator")
def randint_from(
    low: int, high: int, size: Sequence[int], *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = _I64, layout: None = None, device: None = None,
    pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """Integers from `low` up to and without `high`, each as likely."""
    return _integers(generator, low, high, size, dtype or _I64)


@operator("randint_like", "randint_like.Tensor", "randint_like.generator",
          "randint_like.Tensor_generator")  # fmt: skip
def randint_like(
    self: np.ndarray, high: Any, *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None, memory_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """`randint` in an array like another."""
    values = _integers(generator, 0, int(high), self.shape, dtype or self.dtype)
    return _like(self, values, memory_format)


@operator("randint_like.low_dtype", "randint_like.low_generator_dtype")
def randint_like_from(
    self: np.ndarray, low: int, high: int, *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None, memory_format: str | None = None,
) -> np.ndarray:  # fmt: skip
    """`randint` from `low` in an array like another."""
    values = _integers(generator, low, high, self.shape, dtype or self.dtype)
    return _like(self, values, memory_format)


@operator("randperm", "randperm.generator")
def randperm(
    n: int, *, generator: np.random.Generator | None = None, dtype: np.dtype | None = _I64,
    layout: None = None, device: None = None, pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """The integers below n in an order, each as likely."""
    return _source(generator).permutation(n).astype(dtype or _I64)


@operator("bernoulli", "bernoulli.Tensor")
def bernoulli(
    self: np.ndarray, p: np.ndarray | None = None, *, generator: np.random.Generator | None = None
) -> np.ndarray:
    """1 with the probability that `p`, or the array itself, holds at the place, and else 0."""
    likely = np.broadcast_to(widened(self if p is None else p), self.shape)
    drawn = _source(generator).random(self.shape) < likely
    return _like(self, drawn.astype(self.dtype), None)


@operator("bernoulli.p")
def bernoulli_of(
    self: np.ndarray, p: float, *, generator: np.random.Generator | None = None
) -> np.ndarray:
    """1 with a probability, and else 0, in an array like another."""
    return bernoulli(self, np.asarray(p), generator=generator)


@operator("native_dropout")
def native_dropout(
    input: np.ndarray, p: float, train: bool | None
) -> tuple[np.ndarray, np.ndarray]:
    """The array with elements set to 0 by the probability `p`, the rest scaled; what is kept."""
    if train is False or p == 0:
        return input.copy(), np.ones(input.shape, np.bool_)
    kept = _source(None).random(input.shape) >= p
    scaled = widened(input) * (1 / (1 - p) if p < 1 else 0.0)
    return np.where(kept, scaled, 0).astype(input.dtype), kept


@operator("normal_functional")
def normal_functional(
    self: np.ndarray, mean: float = 0.0, std: float = 1.0, *,
    generator: np.random.Generator | None = None,
) -> np.ndarray:  # fmt: skip
    """Normal numbers in an array like another."""
    return _like(self, normal(mean, std, self.shape, generator=generator, dtype=self.dtype), None)


@operator("normal.float_float")
def normal(
    mean: Any, std: Any, size: Sequence[int], *, generator: np.random.Generator | None = None,
    dtype: np.dtype | None = None, layout: None = None, device: None = None,
    pin_memory: None = None,
) -> np.ndarray:  # fmt: skip
    """Normal numbers of a mean and a deviation, which may be arrays that broadcast."""
    dtype = dtype or _F32
    return np.asarray(_normal(generator, size, np.dtype("f8")) * std + mean).astype(dtype)


@operator("normal.Tensor_float", "normal.Tensor_Tensor")
def normal_around(
    mean: np.ndarray, std: Any = 1.0, *, generator: np.random.Generator | None = None
) -> np.ndarray:
    """Normal numbers around each mean."""
    shape = np.broadcast_shapes(mean.shape, np.shape(std))
    return normal(widened(mean), std, shape, generator=generator, dtype=mean.dtype)


@operator("normal.float_Tensor")
def normal_within(
    mean: float, std: np.ndarray, *, generator: np.random.Generator | None = None
) -> np.ndarray:
    """Normal numbers of each deviation."""
    return normal(mean, widened(std), std.shape, generator=generator, dtype=std.dtype)


def _uniform_between(self: np.ndarray, low: float, high: float, generator: Any) -> np.ndarray:
    drawn = _uniform(generator, self.shape, np.dtype("f8")) * (high - low) + low
    return _like(self, drawn.astype(self.dtype), None)


@operator("uniform")
def uniform(
    self: np.ndarray, *bounds: float, generator: np.random.Generator | None = None, **named: float
) -> np.ndarray:
    """Numbers from `from` up to `to`, each as likely, in an array like another."""
    low, high = (*bounds, 0.0, 1.0)[:2] if not bounds else (*bounds, 1.0)[:2]
    return _uniform_between(self, named.get("from", low), named.get("to", high), generator)


@operator("exponential")
def exponential(
    self: np.ndarray, lambd: float = 1.0, *, generator: np.random.Generator | None = None
) -> np.ndarray:
    """Numbers of the exponential distribution of a rate, in an array like another."""
    drawn = _source(generator).exponential(1 / lambd, self.shape)
    return _like(self, drawn.astype(self.dtype), None)


@operator("multinomial")
def multinomial(
    self: np.ndarray, num_samples: int, replacement: bool = False, *,
    generator: np.random.Generator | None = None,
) -> np.ndarray:  # fmt: skip
    """Positions in each row of weights (..., count), as likely as their weight."""
    weights = widened(self).astype(np.float64)
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise RuntimeError("multinomial takes weights that are finite and at least 0.")
    if not (weights.sum(-1) > 0).all():
        raise RuntimeError("multinomial takes rows of weights that are not all 0.")
    draw = _source(generator)
    if replacement:
        ends = np.cumsum(weights, -1)
        at = draw.random((*weights.shape[:-1], num_samples)) * ends[..., -1:]
        rows = zip(ends.reshape(-1, ends.shape[-1]), at.reshape(-1, num_samples), strict=True)
        found = [np.searchsorted(end, x, side="right") for end, x in rows]
        return np.asarray(found, _I64).reshape(at.shape)
    if num_samples > np.count_nonzero(weights, -1).min(initial=weights.shape[-1]):
        raise RuntimeError(f"multinomial cannot draw {num_samples} different positions.")
    # The largest of exponential races: Efraimidis and Spirakis 2006.
    with np.errstate(divide="ignore"):
        keys = draw.exponential(size=weights.shape) / weights
    return np.argsort(keys, -1)[..., :num_samples].astype(_I64)


#: Operators whose values are drawn: all that this module enters.
RANDOM = frozenset(n for n, f in OPERATORS.items() if f.__module__ == __name__)
