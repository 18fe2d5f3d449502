"""Sizes under other names: everywhere, and the plan still does what it did."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gint
from gint.plan import Check, Operation, Symbol
from gint.plan.contents import symbols_in
from gint.plan.naming import renamed
from tests.plan.saving import expected, plan, save


def test_every_size_has_the_other_name(tmp_path):
    first, *steps = plan().steps
    check = Check(Operation("le", (Symbol("n"), 9)), "n is at most 9, not nn.")
    made = renamed(replace(plan(), steps=(first, check, *steps)), {"n": "batch"})
    assert symbols_in((made.inputs, made.steps, made.result)) == {"batch"}
    assert made.steps[1].message == "batch is at most 9, not nn."
    loaded = gint.load(save(tmp_path / "a.gint", made))
    x = np.ones((3, 4), np.float32)
    np.testing.assert_allclose(loaded(x)["y"], expected(x)["y"], rtol=1e-6)
    with pytest.raises(ValueError, match=r"x has the shape \(batch, 4\), not \(3, 5\)"):
        loaded(np.ones((3, 5), np.float32))


def test_no_names_change_nothing():
    assert renamed(made := plan(), {}) is made
