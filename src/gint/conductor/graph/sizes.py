"""Sizes, concrete or symbolic, compared without installing a guard.

A *key* stands for a size: an int, or the sympy expression of a SymInt. Keys compare by identity of
expression; asking a SymInt itself would make Dynamo specialise on the answer and recompile.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import torch

Key = Any  # int or sympy.Expr

#: Stands in for sizes nobody knows, where only an estimate is wanted.
_UNKNOWN = 8192


def key(size: int | torch.SymInt) -> Key:
    if isinstance(size, int):
        return size
    expr = size.node.expr
    if expr.is_Symbol:
        return expr
    return int(expr) if expr.is_Integer else _only_value(expr, size.node.shape_env)


def _only_value(expr: Any, env: Any) -> Key:
    """What an expression is within the ranges of its symbols, where they leave one value: torch
    takes 1 - max(0, 1 - n) for the 1 that it is, and broadcasts it, and nothing simplifies it."""
    from torch.utils._sympy.functions import Max, Min  # not before somebody has such sizes

    if not expr.has(Max, Min):
        return expr
    span = env.bound_sympy(expr)
    return int(span.lower) if span.is_singleton() and span.lower.is_Integer else expr


def keys(sizes: Iterable[int | torch.SymInt]) -> tuple[Key, ...]:
    return tuple([s if type(s) is int else key(s) for s in sizes])


def hint(size: int | torch.SymInt) -> int:
    """An estimate of a size; never a guard."""
    if isinstance(size, int):
        return size
    value = size.node.hint
    return int(value) if value is not None else _UNKNOWN


def numel_hint(sizes: Iterable[int | torch.SymInt]) -> int:
    count = 1
    for size in sizes:
        count *= hint(size)
    return count


def symbols(k: Key | tuple) -> frozenset[str]:
    """The names of the symbols in a key, or in nested tuples of keys."""
    if isinstance(k, tuple):
        return frozenset().union(*[symbols(x) for x in k if type(x) is not int])
    return frozenset() if isinstance(k, int) else _names(k)


@lru_cache(maxsize=4096)
def _names(expr: Any) -> frozenset[str]:
    return frozenset([s.name for s in expr.free_symbols])


def is_float(name: str) -> bool:
    """Whether the symbol of this name stands for a float, as torch names them (zf0, zuf1)."""
    return name.startswith("z")


def symbols_in(value: Any) -> frozenset[str]:
    """The names of the symbols a node's value depends on: a symbolic number, or a tensor by its
    size and strides."""
    if isinstance(value, torch.Tensor):
        return symbols((keys(value.shape), keys(value.stride())))
    if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool)):
        return _names(value.node.expr)
    return frozenset()
