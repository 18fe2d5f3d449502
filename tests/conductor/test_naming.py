"""Free sizes keep the names that the user gave them, where those are clear."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import gint
from gint.conductor import export
from gint.conductor.naming import names_of
from gint.plan import Define, Input, Plan, Symbol, TensorType, Use
from gint.plan.signature import Signature

pytestmark = pytest.mark.torch
BATCH, Z = torch.export.Dim("batch", max=64), torch.export.Dim("z")


def function(x, ys, *, k):
    return {"a": torch.relu(x) + ys[0], "b": k["q"] * 2, "n": x.shape[0] * 2}


@pytest.mark.parametrize(
    "shapes",
    [
        {"x": {0: BATCH}, "ys": [{0: BATCH}], "k": {"q": {0: Z}}},
        ((BATCH, torch.export.Dim.STATIC), [{0: BATCH}], {"q": {0: Z}}),
    ],
)
def test_messages_and_text_have_the_names(tmp_path, shapes):
    args, kwargs = (torch.ones(4, 16), [torch.ones(4, 16)]), {"k": {"q": torch.ones(5)}}
    path = tmp_path / "a.gint"
    export(function, args, kwargs, dynamic_shapes=shapes, path=path)
    loaded = gint.load(path)
    x, k = torch.ones(3, 16), {"q": torch.ones(7)}
    assert loaded(x, [x], k=k)["n"] == 6
    text = str(loaded)
    assert "x: float32[batch, 16]" in text
    assert "k: {q: float32[z]}" in text
    with pytest.raises(ValueError, match=r"x has the shape \(batch, 16\), not \(3, 17\), where b"):
        loaded(torch.ones(3, 17), [x], k=k)
    with pytest.raises(ValueError, match="batch is at most 64"):
        loaded(x := torch.ones(65, 16), [x], k=k)


def double(x):
    return x * 2


@pytest.mark.parametrize(
    ("first", "second", "shown"),
    [
        (HALF := torch.export.Dim("half"), 2 * HALF, r"half, 2\*half"),
        (torch.export.Dim.DYNAMIC, torch.export.Dim.DYNAMIC, r"s\d+, s\d+"),
    ],
)
def test_what_is_computed_from_a_name_or_has_none(tmp_path, first, second, shown):
    path = tmp_path / "a.gint"
    shapes = ({0: first, 1: second},)
    export(double, (torch.ones(3, 6, 2),), dynamic_shapes=shapes, path=path)
    with pytest.raises(ValueError, match=rf"x has the shape \({shown}, 2\), not \(3, 6, 5\)"):
        gint.load(path)(torch.ones(3, 6, 5))


def test_a_name_that_is_not_one_symbols_alone_is_not_used():
    a, b = (torch.export.Dim(name) for name in ("a", "b"))
    rows = TensorType("float32", (Symbol("s0"), Symbol("s1")), (Symbol("s1"), 1))
    steps = tuple([Define(s, 0, ("size", d)) for d, s in enumerate(("s0", "s1"))])
    plan = Plan((Input("x", rows), Input("y", rows)), (), (), steps, (Use(0), Use(1)))
    signature = Signature((Use(0), Use(1)), ("x", "y"), {}, Use(0))
    for shapes, names in (
        (({0: a}, {1: b}), {"s0": "a", "s1": "b"}),
        (({0: a, 1: a}, None), {}),
        (({0: a}, {0: b, 1: torch.export.Dim("c")}), {"s1": "c"}),
        (({0: torch.export.Dim("s1")}, None), {}),
        (None, {}),
    ):
        assert names_of(plan, signature, shapes) == names
