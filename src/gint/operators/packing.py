"""What is made once of arrays that stay as they are: a weight in the order a product wants it.

A plan's constants are read-only, so what was made of one is kept as long as the constant lives.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

_kept: dict[tuple, tuple[weakref.ref, Any]] = {}


def packed(array: np.ndarray, what: Callable[..., Any], *choices: Any) -> Any:
    """`what(array, *choices)`, kept where the array is read-only, made anew where it is not."""
    if array.flags.writeable:
        return what(array, *choices)
    key = (id(array), what, *choices)
    found = _kept.get(key)
    if found is not None and found[0]() is array:
        return found[1]
    made = what(array, *choices)
    if isinstance(made, np.ndarray) and made.base is not array and made is not array:
        made.flags.writeable = False
    forget = _kept.pop  # at the end of the process the module's names go first
    _kept[key] = weakref.ref(array, lambda _: forget(key, None)), made
    return made
