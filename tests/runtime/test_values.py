"""What plans run on offers the whole protocol, arrays and tensors alike."""

import inspect

import pytest

from gint.runtime.arrays import Arrays
from gint.runtime.values import Values

METHODS = {name: f for name, f in inspect.getmembers(Values, inspect.isfunction) if name[0] != "_"}


def kinds():
    yield Arrays
    torch = pytest.importorskip("torch")  # noqa: F841
    from gint.runtime.tensors.values import Tensors

    yield Tensors


@pytest.mark.torch
@pytest.mark.parametrize("name", METHODS)
def test_both_take_the_same_arguments(name):
    for kind in kinds():
        found, wanted = inspect.signature(getattr(kind, name)), inspect.signature(METHODS[name])
        assert list(found.parameters) == list(wanted.parameters), kind
        assert isinstance(kind.noun, str)
