"""What operators are given, as keys: equal keys, equal arguments."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from torch import fx


def argument_key(value: Any, of_node: Callable[[fx.Node], Hashable]) -> Hashable:
    """An argument as a key, in which `of_node` stands for nodes. 1, 1.0 and True are three, and so
    are 0.0 and -0.0."""
    kind = type(value)
    if kind is fx.Node:
        return of_node(value)
    if kind is int or value is None:
        return value
    if isinstance(value, (tuple, list)):
        return tuple([argument_key(v, of_node) for v in value])
    if isinstance(value, dict):
        return tuple(sorted((name, argument_key(v, of_node)) for name, v in value.items()))
    return kind, repr(value)
