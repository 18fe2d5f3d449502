"""Calls made before, carried out again without checking anything twice.

What an operation checks, allocates and launches depends on the layouts of its arrays and on its
other arguments, not on the elements. So the first call with some layouts goes the long way, which
is watched, and the next ones cost a look-up in native code. The long way touches hundreds of
objects, which a large operation has driven out of the caches by the next (docs/performance.md).

Knows arrays, launches and results. Does not know what operations compute or check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import update_wrapper
from threading import local
from typing import Any, ParamSpec, TypeVar

import numpy as np

from gint.backend.errors import raise_for
from gint.host import memory
from gint.native.loader import load_native

from .backend import CHOSEN, DEFAULT

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Launch:
    """Work that was done: `launch(*operands)` does it again with others of the same layouts.

    Operands are arrays and prepared weights; the launch returns the error flag, or None.
    `result_apart`: it does not see for itself that the last operand, its result, shares no memory
    with the others.
    """

    launch: Callable[..., int | None]
    operands: Sequence[Any]
    result_apart: bool


class _Watch(local):
    seen: list[Launch] | None = None


_watch = _Watch()


def note_launch(
    launch: Callable[..., int | None], operands: Sequence[Any], result_apart: bool = False
) -> None:
    """Whoever launches tells of it here."""
    if _watch.seen is not None:
        _watch.seen.append(Launch(launch, operands, result_apart))


@contextmanager
def _watched() -> Iterator[list[Launch]]:
    """What this thread launches inside."""
    before, _watch.seen = _watch.seen, []
    try:
        yield _watch.seen
    finally:
        _watch.seen = before


def recalled(operation: Callable[P, R]) -> Callable[P, R]:
    """The operation, which remembers calls on NumPy arrays that came down to one launch."""
    try:
        recall = load_native().Recall(CHOSEN, DEFAULT, raise_for, _long_way)
    except (ImportError, AttributeError):  # not built, or from other sources
        return operation
    return update_wrapper(recall, operation)


def _long_way(recall: Any, args: tuple, kwargs: dict) -> Any:
    with _watched() as launches:
        result = recall.__wrapped__(*args, **kwargs)
    if len(launches) == 1:
        _remember(recall, launches[0], args, kwargs, result)
    return result


def _remember(recall: Any, launch: Launch, args: tuple, kwargs: dict, result: Any) -> None:
    """Nothing where the launch used anything but the arguments and results: a copy, say."""
    key = recall.key(args, kwargs)
    if key is None:
        return
    arguments = [a for a in (*args, *kwargs.values()) if hasattr(a, "recall_key") or _is_array(a)]
    results = result if isinstance(result, tuple) else (result,)
    new = [r for r in results if not any(r is a for a in arguments)]
    # Of arrays that begin at one address the first counts: the key says which ones do.
    places = {_place(r): -1 - n for n, r in enumerate(new)}
    places |= {_place(arguments[n]): n for n in reversed(range(len(arguments)))}
    operands = [_place(o) for o in launch.operands]
    if places.keys() >= set(operands):
        recall.remember(
            key,
            launch.launch,
            [places[o] for o in operands],
            [memory.shelf(r.shape, r.dtype) or _pattern(r) for r in new],
            [places[_place(r)] for r in results],
            isinstance(result, tuple),
            launch.result_apart,
        )


def _pattern(result: np.ndarray) -> np.ndarray:
    """An array of the result's shape and type that takes no memory."""
    return np.broadcast_to(np.empty((), result.dtype), result.shape)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _place(value: Any) -> int:
    """Where an array begins; of anything else, which object it is."""
    return memory.address(value) if _is_array(value) else id(value)
