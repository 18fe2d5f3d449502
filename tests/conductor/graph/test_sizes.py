"""Sizes are compared, printed and estimated without asking a symbol for its value: no guards."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv

from gint.conductor.graph.sizes import hint, key, keys, numel_hint, symbols, symbols_in

pytestmark = pytest.mark.torch


class Symbolic:
    """A matrix of 5 rows and 7 columns whose sizes are symbols, and a size nobody knows."""

    def __init__(self) -> None:
        self.env = ShapeEnv()
        mode = FakeTensorMode(shape_env=self.env)
        self.matrix = mode.from_tensor(torch.empty(5, 7), static_shapes=False)
        self.rows, self.columns = self.matrix.shape
        self.unknown = self.env.create_unbacked_symint()

    def known(self) -> tuple:
        """All that has been found out about the symbols."""
        env = self.env
        return list(env.guards), dict(env.replacements), dict(env.deferred_runtime_asserts)


@pytest.fixture
def symbolic():
    """What is asked of sizes in the test installs no guard."""
    made = Symbolic()
    before = made.known()
    yield made
    assert made.known() == before


def test_keys_of_equal_expressions_are_equal(symbolic):
    rows, columns = symbolic.rows, symbolic.columns
    assert key(rows) == key(rows)
    assert key(rows) != key(columns)
    assert key(rows) != 5
    assert key(rows * columns) == key(columns * rows)
    assert key(2 * rows + rows) == key(3 * rows)
    assert keys((3, rows)) == (3, key(rows))
    assert hash(keys((3, rows))) == hash(keys((3, rows)))


def test_an_expression_that_is_a_number_is_an_int(symbolic):
    found = key(symbolic.rows - symbolic.rows + 4)
    assert (found, type(found)) == (4, int)
    assert type(key(4)) is int


def test_an_expression_that_has_one_value_within_the_ranges_is_that(symbolic):
    rows = symbolic.rows
    assert key(1 - torch.sym_max(0, 1 - rows)) == 1
    assert key(1 - torch.sym_max(0, 9 - rows)) != 1


def test_hints_are_those_of_the_traced_input(symbolic):
    assert hint(9) == 9
    assert hint(symbolic.rows * symbolic.columns + 1) == 36
    assert numel_hint((2, symbolic.rows, symbolic.columns)) == 70
    assert numel_hint(()) == 1


def test_a_size_that_is_only_known_at_run_time_counts_as_large(symbolic):
    assert hint(symbolic.unknown) > 1000
    assert numel_hint((0, symbolic.unknown)) == 0


def test_symbols_of_keys_and_of_values(symbolic):
    rows, columns = symbolic.rows, symbolic.columns
    r, c = str(rows), str(columns)
    assert symbols(3) == frozenset()
    assert symbols(((3, key(rows)), (), (key(rows * columns),))) == {r, c}
    assert symbols_in(rows + 1) == {r}
    assert symbols_in(symbolic.matrix) == {r, c}
    assert symbols_in(symbolic.matrix[0]) == {c}
    # The strides alone tell of the columns.
    assert symbols_in(symbolic.matrix[:, 0]) == {r, c}
    assert symbols_in(torch.sym_float(rows)) == {r}
    assert symbols_in((rows,)) == symbols_in(None) == frozenset()
