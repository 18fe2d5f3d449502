"""How exported functions are called, as trees of inputs."""

from __future__ import annotations

from collections import namedtuple

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.tree import TreeError, signature_of
from gint.plan import Use
from gint.plan.signature import Signature

pytestmark = pytest.mark.torch
X = torch.ones(2)
Pair = namedtuple("Pair", "a b")


class Model(torch.nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.forward = function


def signature(function, *args, **kwargs) -> Signature:
    return signature_of(torch.export.export(Model(function), args, kwargs, strict=False))


def test_arguments_and_results():
    found = signature(lambda x, parts, *, scale: {"y": x * scale, "z": [parts[0], (x,)]}, X, [X, 2],
                      scale=X)  # fmt: skip
    assert found == Signature(
        (Use(0), [Use(1), 2]), ("x", "parts"), {"scale": Use(2)},
        {"y": Use(0), "z": [Use(1), (Use(2),)]},
    )  # fmt: skip
    assert not found.is_flat


def test_arguments_that_are_the_inputs():
    assert signature(lambda x, y: x + y, X, X).is_flat


def test_named_tuples_are_tuples():
    found = signature(lambda p: Pair(p.a + 1, p.b), Pair(X, X))
    assert found.args == ((Use(0), Use(1)),)
    assert found.result == (Use(0), Use(1))
    assert signature(lambda x: torch.sort(x), X).result == (Use(0), Use(1))


def test_none_is_part_of_the_function():
    assert signature(lambda x, mask: x + 1, X, None).args == (Use(0), None)


def test_what_no_file_can_hold_is_said():
    exported = torch.export.export(Model(lambda d: d[1] + 1), ({1: X},), strict=False)
    with pytest.raises(TreeError, match="A dict is part of the arguments, which no file can hold"):
        signature_of(exported)
