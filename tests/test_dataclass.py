"""`frozen` makes what `dataclass(frozen=True)` makes."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace
from typing import Any

import pytest

from gint.dataclass import frozen

MAKERS: list[Any] = [frozen, dataclass(frozen=True)]


def point(make: Any) -> Any:
    class Point:
        """A place."""

        x: int
        y: tuple[int, ...] = (1, 2)
        note: str = field(default="", compare=False)
        tags: list[str] = field(default_factory=list)
        double: int = field(init=False, repr=False)

        def __post_init__(self) -> None:
            if self.x < 0:
                raise ValueError("left of it all")
            object.__setattr__(self, "double", 2 * self.x)

    return make(Point)


@frozen(slots=True)
class Slotted:
    """What lies in slots."""

    default_b: int
    b: Any = None


@frozen(slots=True)
class Bare:
    pass


@frozen
class Own:
    x: int

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7

    def __repr__(self) -> str:
        return "own"


def test_it_is_made_compared_and_shown_as_a_dataclass_is():
    ours, theirs = map(point, MAKERS)
    assert repr(ours(3, note="n")) == repr(theirs(3, note="n"))
    assert ours(3).tags == []
    assert ours(3).tags is not ours(3).tags
    assert ours(3) == ours(x=3, note="other") != ours(4)
    assert ours(3) != theirs(3)
    assert ours.__match_args__ == theirs.__match_args__
    assert [f.name for f in fields(ours)] == ["x", "y", "note", "tags", "double"]
    assert replace(ours(3), y=()) == ours(3, ())
    assert replace(ours(3), x=5).double == 10


def test_what_it_is_given_is_checked():
    ours = point(frozen)
    with pytest.raises(TypeError, match="missing 1 required"):
        ours()
    with pytest.raises(TypeError, match="unexpected keyword argument 'z'"):
        ours(1, z=2)
    with pytest.raises(ValueError, match="left of it all"):
        ours(-1)


@pytest.mark.parametrize("made", [point(frozen)(1), Slotted(1), Own(1)])
def test_nothing_of_it_is_set_or_deleted(made):
    name = fields(made)[0].name
    with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(made, name, 2)
    with pytest.raises(FrozenInstanceError, match="cannot delete"):
        delattr(made, name)
    assert getattr(made, name) == 1


def test_slots_are_copied_and_pickled():
    made = Slotted(1, b=[2])
    assert not hasattr(made, "__dict__")
    assert made == copy.copy(made) == copy.deepcopy(made) == pickle.loads(pickle.dumps(made))
    assert Slotted(1) == Slotted(1, None)
    assert Bare() == Bare()
    assert hash(Slotted(1, 2)) == hash((1, 2))


def test_functions_of_its_own_stay():
    assert Own(1) == Own(2)
    assert hash(Own(1)) == 7
    assert repr(Own(1)) == "own"


def test_without_eq_it_is_compared_by_identity():
    class Node:
        x: int

    made = frozen(eq=False)(Node)
    node = made(1)
    assert node == node != made(1)
    assert hash(node) == object.__hash__(node)


def test_a_class_without_a_docstring_shows_its_fields():
    assert Bare.__doc__ == "Bare()"
    assert Own.__doc__ == "Own(x)"
