"""The operators that saved plans may call."""

import pytest

from gint.plan.operators import (
    COPIES,
    EXTERNS,
    ONEDNN,
    PRODUCTS,
    SCATTERS,
    VIEWS,
    WIDENING,
    is_saved_operator,
    names_of_operators,
)


@pytest.mark.parametrize(
    ("name", "is_saved"),
    [
        ("aten.mm.default", True),
        ("aten.mm.out", True),
        ("aten.clone.default", True),
        ("aten.view.dtype", True),
        ("gint.quantized_linear.blocks", True),
        ("gint.quantized_linear.default", False),
        ("mkldnn._linear_pointwise.default", False),
        ("aten.from_file.default", False),
        ("mm.default", False),
        ("aten.mm", False),
        ("", False),
    ],
)
def test_what_every_saved_plan_may_call(name, is_saved):
    assert is_saved_operator(name) is is_saved


def test_what_is_given_memory_is_saved():
    assert all(map(is_saved_operator, (*PRODUCTS, *SCATTERS, *COPIES)))
    assert set(WIDENING) <= set(SCATTERS)


def test_a_reason_stands_once_for_each():
    names = [name for of in EXTERNS.values() for name in of]
    assert sorted(names) == sorted(set(names))
    assert not set(names) & set(VIEWS)


@pytest.mark.torch
def test_torch_has_them():
    torch = pytest.importorskip("torch")
    for name in (*(n for of in EXTERNS.values() for n in of), *VIEWS):
        assert hasattr(torch.ops.aten, name), name
    for full in (*PRODUCTS, *SCATTERS, *COPIES):
        _, name, overload = full.split(".")
        assert overload in getattr(torch.ops.aten, name).overloads(), full
    assert all(hasattr(torch.ops.mkldnn, name) for name in ONEDNN)


def test_names_that_a_user_gives():
    assert names_of_operators(["aten.a.default", "aten.b.default"]) == {
        "aten.a.default", "aten.b.default",
    }  # fmt: skip
    assert names_of_operators(()) == frozenset()
    for wrong in ("aten.a.default", 3, [len]):
        with pytest.raises(TypeError, match="operators is a list of names"):
            names_of_operators(wrong)
