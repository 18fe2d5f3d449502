"""Scans on every backend: down columns, along rows and across tiles, with reductions and on their
own results."""

from __future__ import annotations

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from gint.isa import OPCODES, Form, dtype

RANDOM = np.random.default_rng(0)
SCANS = [(op, t) for op in OPCODES if op.form is Form.SCAN for t in op.types]
SHAPES = {
    "r": [(0,), (1,), (63,), (9000,)],
    "pr": [(48, 40), (3, 5000), (40, 1), (4, 0), (0, 4)],
    "rp": [(40, 48), (300, 700), (1, 40), (300, 3)],
    "prp": [(3, 17, 65), (2, 300, 5)],
    "ppr": [(5, 6, 7)],
}


def _values(type_name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Floats of which no sum rounds and no product overflows, and a NaN in the middle."""
    t = dtype(type_name)
    if t.kind.value != "float":
        return RANDOM.integers(0, 2 if type_name == "bool" else 100, shape).astype(t.numpy)
    x = RANDOM.choice((1.0, -1.0), shape).astype(t.numpy)
    if x.size > 50:
        x.flat[x.size // 2] = np.nan
    return x


def _axes(b: Builder, kinds: str) -> tuple[int, ...]:
    return tuple(
        b.reduced(f"a{n}") if kind == "r" else b.parallel(f"a{n}") for n, kind in enumerate(kinds)
    )


@pytest.mark.parametrize(("op", "t"), SCANS, ids=lambda v: getattr(v, "name", v))
@pytest.mark.parametrize("kinds", SHAPES)
def test_a_scan_alone(backend, op, t, kinds):
    b = Builder(op.name)
    axes = _axes(b, kinds)
    b.output("y", t, axes, b.emit(op.name, b.input("x", t, *axes)))
    verified = b.build()
    ours, reference = load(verified, backend), load(verified, "python")
    for shape in SHAPES[kinds]:
        x = _values(t, shape)
        (found,), (wanted,) = ours(x=x), reference(x=x)
        if op.exact:
            np.testing.assert_array_equal(found, wanted)
        else:  # as many roundings as there are positions, of values up to log(n) + 1
            size = max(shape[kinds.index("r")], 1)
            bound = 8 * np.finfo(dtype(t).numpy).eps * size * (np.log(size) + 1)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)


def _several(b: Builder) -> None:
    """Scans of scans, of what is reduced, reduced, and of what varies over one axis alone."""
    i, j = b.parallel("i"), b.reduced("j")
    x, w = b.input("x", "i32", i, j), b.input("w", "i32", j)
    once = b.cumsum(x)
    b.output("twice", "i32", (i, j), b.cumsum(once) - b.cumsum(w))
    b.output("rest", "i32", (i, j), b.cummax(b.sum(x) - once))
    b.output("largest", "i32", (i,), b.amax(once) + b.sum(b.cummin(x)))
    b.output("count", "i64", (i, j), b.cumsum(b.const(1, "i64")) * b.index(i))
    b.output("per_row", "i32", (i, j), b.cumprod(b.sum(w) & 3))


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (2, 9000), (700, 300), (300, 700)], ids=str)
@pytest.mark.parametrize("is_transposed", [False, True])
def test_scans_among_reductions(backend, shape, is_transposed):
    b = Builder("several")
    _several(b)
    x = RANDOM.integers(-9, 9, shape[::-1] if is_transposed else shape, np.int32)
    x, w = (x.T if is_transposed else x), RANDOM.integers(-9, 9, shape[1], np.int32)
    verified = b.build()
    found, wanted = load(verified, backend)(x=x, w=w), load(verified, "python")(x=x, w=w)
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    once = x.cumsum(1, dtype=np.int32)
    np.testing.assert_array_equal(wanted[0], once.cumsum(1) - w.cumsum())
    np.testing.assert_array_equal(
        wanted[3], np.arange(shape[0])[:, None] * np.arange(1, shape[1] + 1)
    )


def test_half_precision_strides_and_in_place(backend):
    b = Builder("halves")
    i, j = b.reduced("i"), b.parallel("j")
    x = b.inout("x", "f16", i, j)
    b.store("x", b.cumsum(x * 2.0))
    kernel = load(b.build(), backend)
    for view in (np.s_[:, :], np.s_[::-1, ::2], np.s_[3:, ::-1]):
        memory = RANDOM.integers(-2, 3, (70, 300)).astype(np.float16)
        wanted = memory.copy()
        wanted[view] = (2 * memory[view]).cumsum(0, dtype=np.float64)
        kernel(x=memory[view])
        np.testing.assert_array_equal(memory, wanted)


def test_a_scan_along_an_axis_of_length_1_is_its_argument(backend):
    b = Builder("one")
    n, c, j = b.parallel("n"), b.parallel("c"), b.reduced("j")
    x = b.input("x", "f32", n, c, j)
    once = b.cumsum(b.input("w", "f32", c, j))
    b.output("y", "f32", (n, c, j), x * once + b.cummax(b.input("v", "f32", j)))
    x, w = RANDOM.standard_normal((300, 7, 1)), RANDOM.standard_normal((7, 1))
    x, w, v = (a.astype(np.float32) for a in (x, w, RANDOM.standard_normal(1)))
    (found,) = load(b.build(), backend)(x=x, w=w, v=v)
    np.testing.assert_allclose(found, x * w + v, rtol=1e-6, atol=1e-6)


def test_what_is_carried_lies_where_no_other_value_does(backend):
    """So many values before the scan that devices keep some of them in memory."""
    b = Builder("carried")
    n, j = b.parallel("n"), b.reduced("j")
    loaded = [b.input(f"x{k}", "i32", n, j) for k in range(16)]
    products = [x * y for x, y in zip(loaded, [*loaded[1:], loaded[0]], strict=True)]
    total = products[0]
    for product in products[1:]:
        total = b.maximum(product, total) - total
    b.output("y", "i32", (n, j), b.cumsum(total))
    given = {f"x{k}": RANDOM.integers(-9, 9, (3, 100)).astype(np.int32) for k in range(16)}
    verified = b.build()
    (found,), (wanted,) = load(verified, backend)(**given), load(verified, "python")(**given)
    np.testing.assert_array_equal(found, wanted)
