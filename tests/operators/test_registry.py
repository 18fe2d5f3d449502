"""The table has ATen's names, and its functions take the arguments of ATen's schemas."""

from __future__ import annotations

import inspect

import pytest

torch = pytest.importorskip("torch")

import gint.conductor.weights.operators  # noqa: F401, it registers those of gint's own
from gint.conductor.graph.externs import EXTERNS
from gint.operators import OPERATORS, REFUSED

pytestmark = pytest.mark.torch

#: Parameters of schemas that Python cannot name.
KEYWORDS = {"from"}


def schema_of(name: str):
    """The schema of an overload, "aten.addmm.default"."""
    namespace, packet, overload = name.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), packet), overload)._schema


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


def test_what_stays_whole_is_in_the_table_or_refused():
    ours = {name.split(".")[1] for name in OPERATORS if name.startswith("aten.")}
    stays = {name for names in EXTERNS.values() for name in names}
    assert stays - ours == set(REFUSED)
    assert not ours & set(REFUSED)


def _is_called(name: str, overload: str) -> bool:
    """Whether a traced graph may call an overload: one of tensors that writes into nothing."""
    schema = str(getattr(getattr(torch.ops.aten, name), overload)._schema)
    lists = ("int[] self", "float[] self", "bool[] self", "str[] self", "Tensor[] self", "t[]")
    return not any(part in schema for part in ("!)", "Dimname", "str self", *lists))


def test_every_overload_that_graphs_call_is_in_the_table():
    names = {name.split(".")[1] for name in OPERATORS} - {"copy_"}
    stays = {name for names in EXTERNS.values() for name in names} & names
    wanted = {
        f"aten.{n}.{o}" for n in stays for o in getattr(torch.ops.aten, n).overloads()
        if _is_called(n, o)
    }  # fmt: skip
    assert wanted <= set(OPERATORS)
