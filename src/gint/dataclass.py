"""Frozen dataclasses that are made soon.

`dataclass` compiles six functions for every class, each from a text of its own; a process that
loads a saved function makes forty classes before it does anything else. Here one text holds what
depends on the fields, and the rest is shared: a quarter of the time. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, FrozenInstanceError, dataclass, fields
from functools import partial
from inspect import get_annotations
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
def frozen(cls: type[T], /) -> type[T]: ...
@overload
def frozen(*, slots: bool = False, eq: bool = True) -> Callable[[type[T]], type[T]]: ...


@dataclass_transform(frozen_default=True)
def frozen(cls: Any = None, /, *, slots: bool = False, eq: bool = True) -> Any:
    """`dataclass(frozen=True)`, with its `slots` and `eq`."""
    if cls is None:
        return partial(frozen, slots=slots, eq=eq)
    own = set(cls.__dict__)
    if cls.__doc__ is None:  # dataclass would ask for a signature
        cls.__doc__ = f"{cls.__name__}({', '.join(get_annotations(cls))})"
    made: Any = dataclass(init=False, repr=False, eq=False, slots=slots)(cls)
    functions = _compiled(fields(made), hasattr(made, "__post_init__"), eq)
    for name, function in functions.items():
        function.__qualname__ = f"{made.__qualname__}.{name}"
    shared = _SHARED | _SLOTS if slots else _SHARED
    for name, function in (functions | shared).items():
        if name not in own:
            setattr(made, name, function)
    return made


def _compiled(listed: tuple[Field, ...], has_post_init: bool, eq: bool) -> dict[str, Any]:
    """The functions that depend on the fields."""
    given = [f for f in listed if f.init]
    made_anew = [f.name for f in given if f.default_factory is not MISSING]
    has_default = {f.name for f in given if f.default is not MISSING}.union(made_anew)
    taken = [f"{f.name}=default_{f.name}" if f.name in has_default else f.name for f in given]
    lines = [f"def __init__({', '.join(['self', *taken])}):"]
    lines += [f" {n} = make_{n}() if {n} is default_{n} else {n}" for n in made_anew]
    lines += [f" set_field(self, {f.name!r}, {f.name})" for f in given]
    lines += [" self.__post_init__()" if has_post_init else " return None"]
    if eq:
        ours, theirs = (
            f"({''.join([f'{who}.{f.name}, ' for f in listed if f.compare])})"
            for who in ("self", "other")
        )
        lines += [
            "def __eq__(self, other):",
            f" return {ours} == {theirs} if other.__class__ is self.__class__ else NotImplemented",
            "def __hash__(self):",
            f" return hash({ours})",
        ]
    seen: dict[str, Any] = {"set_field": object.__setattr__}
    seen |= {f"default_{f.name}": f.default for f in given}  # MISSING where it is made anew
    seen |= {f"make_{f.name}": f.default_factory for f in given}
    made: dict[str, Any] = {}
    exec("\n".join(lines), seen, made)
    return made


def _shown(self: Any) -> str:
    values = ", ".join([f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.repr])
    return f"{type(self).__qualname__}({values})"


def _refuse_setting(self: Any, name: str, value: Any) -> None:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_deleting(self: Any, name: str) -> None:
    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _state(self: Any) -> list[Any]:
    return [getattr(self, f.name) for f in fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    for f, value in zip(fields(self), state, strict=True):
        object.__setattr__(self, f.name, value)


_SHARED = {"__repr__": _shown, "__setattr__": _refuse_setting, "__delattr__": _refuse_deleting}
#: How copies and pickles of what has slots are made.
_SLOTS = {"__getstate__": _state, "__setstate__": _set_state}
