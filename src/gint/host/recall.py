"""Calls made before, carried out again without checking anything twice.

What an operation on arrays checks, allocates and launches depends on their layouts and on its other
arguments, not on the elements. So the first call with some layouts goes the long way, which is
watched, and the next ones cost a look-up in native code. The long way touches hundreds of objects,
which a large operation has driven out of the caches by the next (docs/performance.md).

The key of a call: the backend chosen; of arrays of NumPy's own type their element type, layout,
whether they may be written, and which begin at the same address; of other objects the bytes
`recall_key`; the values of numbers, strings, None and tuples of integers. A call with anything else
has no key, and goes the long way each time.

Knows arrays, launches and results. Does not know what operations compute or check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from functools import update_wrapper
from threading import local
from typing import Any, NamedTuple, ParamSpec, TypeVar

import numpy as np

from gint.backend.errors import raise_for
from gint.backend.protocol import Backend
from gint.native.loader import load_native

from . import memory

P = ParamSpec("P")
R = TypeVar("R")


class WatchedLaunch(NamedTuple):
    """Work that was done: `launch(*operands)` does it again with others of the same layouts.

    Operands are arrays and objects with a `recall_key`; the launch returns the error flag, or None.
    `check_overlap`: it does not see for itself that the last operand, its result, shares no memory
    with the others.
    """

    launch: Callable[..., int | None]
    operands: Sequence[Any]
    check_overlap: bool


class _Watch(local):
    seen: list[WatchedLaunch] | None = None


_watch = _Watch()


def note_launch(
    launch: Callable[..., int | None], operands: Sequence[Any], check_overlap: bool = False
) -> None:
    """Whoever launches tells of it here."""
    if _watch.seen is not None:
        _watch.seen.append(WatchedLaunch(launch, operands, check_overlap))


@contextmanager
def watched() -> Iterator[list[WatchedLaunch]]:
    """What this thread launches inside."""
    before, _watch.seen = _watch.seen, []
    try:
        yield _watch.seen
    finally:
        _watch.seen = before


def recalled(
    operation: Callable[P, R], chosen: ContextVar[Backend | None], default: Backend
) -> Callable[P, R]:
    """The operation, which remembers calls on NumPy arrays that came down to one launch.

    It runs on the backend that `chosen` holds, on `default` where that is None. Without the native
    module it is what it was.
    """
    try:
        recall = load_native().Recall(chosen, default, raise_for, _long_way)
    except (ImportError, AttributeError):  # not built, or from other sources
        return operation
    return update_wrapper(recall, operation)


def _long_way(recall: Any, args: tuple, kwargs: dict) -> Any:
    with watched() as launches:
        result = recall.__wrapped__(*args, **kwargs)
    if len(launches) == 1:
        _remember(recall, launches[0], args, kwargs, result)
    return result


def _remember(recall: Any, launch: WatchedLaunch, args: tuple, kwargs: dict, result: Any) -> None:
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
            launch.check_overlap,
        )


def _pattern(result: np.ndarray) -> np.ndarray:
    """An array of the result's shape and type that takes no memory."""
    return np.broadcast_to(np.empty((), result.dtype), result.shape)


def _is_array(value: Any) -> bool:
    return isinstance(value, np.ndarray)


def _place(value: Any) -> int:
    """Where an array begins; of anything else, which object it is."""
    return memory.address(value) if _is_array(value) else id(value)
