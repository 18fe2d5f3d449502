"""Gathers never read outside of their table, whatever the positions: it lies between pages that
nobody may touch, at the start and at the end of what may be read."""

from __future__ import annotations

import numpy as np
import pytest

from gint.backend import registry
from gint.host.executor import load
from gint.host.frontend import Builder, bytecode
from gint.isa import dtype
from tests import fences

pytestmark = pytest.mark.skipif(not fences.AVAILABLE, reason="needs mprotect")

LENGTHS = {"k": 11, "m": 4, "l": 3}
BAD = (-1, None, 2**31, 2**62, -(2**63), 2**63 - 1)  # None: the length itself


def _program(t: str, axes: tuple[str, ...], positions: dict[str, tuple[str, ...]]):
    """y[i, j] = table[axes], positions along its indexed axes being slots over these axes."""

    @bytecode
    def gathers(b: Builder) -> None:
        numbers = {"i": b.parallel("i"), "j": b.parallel("j")}
        numbers |= {name: b.indexed(name) for name in positions}
        table = b.table("table", t, *(numbers[name] for name in axes))
        inputs = [
            b.input(f"at_{name}", "i64", *(numbers[a] for a in over))
            for name, over in positions.items()
        ]
        b.output("y", t, (numbers["i"], numbers["j"]), b.gather(table, *inputs))

    return gathers


#: Axes of the table, and over which ones the positions along the indexed ones vary.
FORMS = {
    "elements": (("i", "k"), {"k": ("i", "j")}),
    "two": (("i", "k", "m"), {"k": ("i", "j"), "m": ("j",)}),
    "three": (("k", "m", "l"), {"k": ("i", "j"), "m": ("j",), "l": ("i",)}),
    "rows": (("k", "j"), {"k": ("i",)}),
}


def _wanted(table, axes, shape, positions):
    """The elements, 0 where a position is outside; and whether none is."""
    here = dict(zip("ij", np.ogrid[: shape[0], : shape[1]], strict=True))
    inside, at = np.ones(shape, bool), []
    for axis in axes:
        if axis in here:
            at.append(here[axis])
            continue
        is_inside = (positions[axis] >= 0) & (positions[axis] < LENGTHS[axis])
        inside &= is_inside
        at.append(np.where(is_inside, positions[axis], 0))
    return np.where(inside, table[tuple(at)], np.zeros((), table.dtype)), inside.all()


@pytest.mark.parametrize("type_name", ["f32", "i8"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("shape", [(3, 5), (2, 5000)], ids=str)
def test_positions_outside_read_nothing(backend, form, shape, type_name):
    if registry.backend(backend).memory is not None:
        pytest.skip("memory of its own")
    (axes, over), random = FORMS[form], np.random.default_rng(0)
    lengths = LENGTHS | {"i": shape[0], "j": shape[1]}
    kernel = load(_program(type_name, axes, over), backend)
    table = random.integers(0, 2, [lengths[a] for a in axes]).astype(dtype(type_name).numpy)
    for at_end in (False, True):
        inside = fences.fenced(table, at_end)
        for name in over:
            for bad in (0, *BAD):
                given = {
                    n: random.integers(0, LENGTHS[n], [lengths[a] for a in names])
                    for n, names in over.items()
                }
                given[name].flat[random.integers(given[name].size)] = (
                    LENGTHS[name] if bad is None else bad
                )
                _check(kernel, inside, axes, over, shape, given)


def _check(kernel, table, axes, over, shape, given):
    wide = {
        n: np.broadcast_to(given[n][:, None] if names == ("i",) else given[n], shape)
        for n, names in over.items()
    }
    wanted, all_inside = _wanted(table, axes, shape, wide)
    y = np.empty(shape, table.dtype)
    arguments = {f"at_{n}": value for n, value in given.items()}
    if all_inside:
        kernel(table=table, y=y, **arguments)
    else:
        with pytest.raises(IndexError):
            kernel(table=table, y=y, **arguments)
    np.testing.assert_array_equal(y, wanted)
