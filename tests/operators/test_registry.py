"""The table has ATen's names, and its functions take the arguments of ATen's schemas."""

from __future__ import annotations

import inspect

import pytest

torch = pytest.importorskip("torch")

from gint.operators import OPERATORS

pytestmark = pytest.mark.torch

#: Parameters of schemas that Python cannot name.
KEYWORDS = {"from"}


def schema_of(name: str):
    """ATen's schema of an overload, "aten.addmm.default"."""
    _, packet, overload = name.split(".")
    return getattr(getattr(torch.ops.aten, packet), overload)._schema


@pytest.mark.parametrize("name", OPERATORS)
def test_arguments_are_those_of_the_schema(name):
    arguments = [a for a in schema_of(name).arguments if a.name not in KEYWORDS]
    by_place = [object() for a in arguments if not a.kwarg_only]
    named = {a.name: object() for a in arguments}
    signature = inspect.signature(OPERATORS[name])
    signature.bind(*by_place, **{a.name: None for a in arguments if a.kwarg_only})
    signature.bind(**named)
    needed = [a.name for a in arguments if not a.has_default_value()]
    signature.bind(**dict.fromkeys(needed))


@pytest.mark.parametrize("name", OPERATORS)
def test_defaults_are_those_of_the_schema(name):
    parameters = inspect.signature(OPERATORS[name]).parameters
    for argument in schema_of(name).arguments:
        parameter = parameters.get(argument.name)
        if parameter is None or not argument.has_default_value():
            continue
        if argument.name == "memory_format" and argument.default_value is not None:
            assert parameter.default == "torch.contiguous_format"  # 0 is its number
            continue
        wanted = argument.default_value
        if argument.name == "dtype" and wanted is not None:  # 4 is torch.int64's number
            assert wanted == 4
            assert parameter.default == "i8"
        elif isinstance(wanted, (list, tuple)):
            assert parameter.default in (tuple(wanted), *set(wanted))
        elif parameter.default is not inspect.Parameter.empty:
            assert parameter.default == wanted
