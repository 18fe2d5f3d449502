"""The C++ interpreter against the NumPy interpreter: every opcode and type, odd shapes and strides,
nothing written outside the outputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gint.host.executor import load
from gint.host.frontend import Builder
from gint.isa import OPCODES, Form, dtype
from gint.isa.dtypes import COMPUTE, Kind
from tests.kernel.interpreter.cpp.beside_numpy import (
    ULP,
    assert_same,
    both,
    launch,
    pointwise_program,
    random_values,
    strided,
)

pytestmark = pytest.mark.cpp

POINTWISE = [(op, t) for op in OPCODES if op.form is Form.POINTWISE for t in op.types]
REDUCTIONS = [(op, t) for op in OPCODES if op.form is Form.REDUCE for t in op.types]


@pytest.mark.parametrize(("op", "t"), POINTWISE, ids=lambda v: getattr(v, "name", v))
def test_pointwise(op, t):
    rng = np.random.default_rng(1)
    wanted = op.operand_types(dtype(t))
    for count in range(len(wanted)):
        for scalars in itertools.combinations(range(len(wanted)), count):
            inputs = {
                f"x{n}": random_values(w.name, () if n in scalars else (1037,), rng)
                for n, w in enumerate(wanted)
            }
            run = load(pointwise_program(op, t, scalars), "cpp")
            reference = load(pointwise_program(op, t, scalars), "python")
            ours, flag = launch(run, inputs, (1037,))
            theirs, wanted_flag = launch(reference, inputs, (1037,))
            assert flag == wanted_flag
            assert_same(ours[0], theirs[0], 0 if op.exact else ULP, signs=op.exact)


CASTS = [(to, source) for to in COMPUTE for source in COMPUTE if to != source]


@pytest.mark.parametrize(("to", "source"), CASTS)
def test_cast(to, source):
    b = Builder("cast")
    i = b.parallel("i")
    b.output("y", to, (i,), b.cast(b.input("x", source, i), to))
    verified = b.build()
    x = random_values(source, (1037,), np.random.default_rng(2))
    if dtype(source).kind is Kind.FLOAT and dtype(to).kind is Kind.INT:
        x = np.nan_to_num(np.clip(x, 0 if to == "u8" else -100, 100), nan=3.0)
    (ours,), (theirs,) = both(verified, x=x)
    assert_same(ours, theirs, signs=True)


@pytest.mark.parametrize("t", ["f16", "bf16"])
def test_storage_types(t):
    """Every 16-bit pattern in, and the roundings of many float32 values out."""
    b = Builder("convert")
    i = b.parallel("i")
    b.output("wide", "f32", (i,), b.input("x", t, i))
    b.output("narrow", t, (i,), b.input("v", "f32", i))
    bits = np.arange(65536, dtype=np.uint16)
    rng = np.random.default_rng(3)
    values = rng.integers(0, 2**32, 65536, dtype=np.uint32).view(np.float32)
    values[:4096] = rng.standard_normal(4096) * 10.0 ** rng.integers(-9, 6, 4096)
    x = bits.view(np.float16) if t == "f16" else bits
    with np.errstate(all="ignore"):
        (wide, narrow), (wide_wanted, narrow_wanted) = both(b.build(), x=x, v=values)
    assert_same(wide, wide_wanted, signs=True)
    number = ~np.isnan(values)
    np.testing.assert_array_equal(narrow.view(np.uint16)[number],
                                  narrow_wanted.view(np.uint16)[number])  # fmt: skip


SHAPES = [(1037,), (0,), (1,), (31, 33), (1, 70), (70, 1), (7, 0), (3, 5, 129), (2, 3, 4, 5, 6, 7),
          (257, 65), (4099, 3), (3, 4099)]  # fmt: skip


KINDS = ["plain", "reversed", "permuted", "sliced", "broadcast"]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("t", ["f32", "f16", "i64", "u8"])
def test_layouts(shape, t):
    """a * b + a over every pair of layouts, the output in each of them too."""
    b = Builder("layouts")
    axes = [b.parallel(f"i{n}") for n in range(len(shape))]
    x, y = b.input("x", t, *axes), b.input("y", t, *axes)
    b.output("z", t, tuple(axes), x * y + x)
    verified = b.build()
    rng = np.random.default_rng(4)
    ours, reference = load(verified, "cpp"), load(verified, "python")
    for kind_x, kind_y, kind_z in itertools.product(KINDS, KINDS, KINDS[:4]):
        values = [random_values(t, shape, rng, special=False) for _ in range(2)]
        x, y = (strided(v, k, rng) for v, k in zip(values, (kind_x, kind_y), strict=True))
        z = strided(np.zeros(shape, dtype(t).numpy), kind_z, rng)
        if kind_z == "reversed":
            z = np.zeros(shape, z.dtype)[(slice(None, None, -1),) * len(shape)]
        ours(x=x, y=y, z=z)
        (wanted,) = reference(x=x, y=y)
        assert_same(z, wanted)


@pytest.mark.parametrize(("op", "t"), REDUCTIONS, ids=lambda v: getattr(v, "name", v))
@pytest.mark.parametrize("reduced", ["r", "pr", "rp", "prp", "rpr"])
def test_reductions(op, t, reduced):
    b = Builder("reduction")
    axes = [b.parallel(f"p{n}") if k == "p" else b.reduced(f"r{n}") for n, k in enumerate(reduced)]
    x = b.input("x", t, *axes)
    operands = [x]
    if op.inputs == 2:
        position = None
        for a in (a for a, k in zip(axes, reduced, strict=True) if k == "r"):
            index = b.index(a)
            position = index if position is None else position * b.extent(a) + index
        operands.append(position)
    value = b.emit(op.name, *operands)
    parallel = tuple(a for a, k in zip(axes, reduced, strict=True) if k == "p")
    b.output("y", value.type, parallel, value)
    verified = b.build()
    rng = np.random.default_rng(5)
    ours, reference = load(verified, "cpp"), load(verified, "python")
    for sizes in itertools.product((1, 5, 70), (130, 3), (0, 1, 37)):
        shape = sizes[: len(reduced)]
        if len(reduced) == 1:
            shape = (sizes[0] * sizes[1] * sizes[2],)
        exact = op.name not in ("sum", "prod") or dtype(t).kind is not Kind.FLOAT
        values = random_values(t, shape, rng, special=exact)
        if op.name == "prod" and not exact:
            values = rng.uniform(0.9999, 1.0001, shape).astype(values.dtype)
        for kind in ("plain", "permuted", "broadcast"):
            x = strided(values, kind, rng)
            (got,), (wanted,) = ours(x=x), reference(x=x)
            if exact:
                assert_same(got, wanted)
            else:
                axes = tuple(n for n, k in enumerate(reduced) if k == "r")
                count = np.prod([x.shape[n] for n in axes])
                scale = np.abs(x.astype(np.float64)).sum(axis=axes)
                # A sum passes through 16 additions in a lane, 6 levels of lanes and one level per
                # doubling of the tiles, half a unit each; every factor of a product adds its half.
                roundings = (16 + 6 + 10) if op.name == "sum" else count + 1
                scale = scale if op.name == "sum" else np.abs(wanted)
                bound = roundings * np.finfo(got.dtype).eps / 2 * scale
                assert np.all(np.abs(got.astype(np.float64) - wanted) <= bound + 1e-300)


def test_division_by_zero_sets_the_flag_and_leaves_zero():
    program = pointwise_program(next(o for o in OPCODES if o.name == "floor_div"), "i32")
    executable = load(program, "cpp")
    x0 = np.array([7, -7, -(2**31)], np.int32)
    for x1, flag in (([2, 2, -1], 0), ([2, 0, -1], 1)):
        outputs, got = launch(executable, {"x0": x0, "x1": np.array(x1, np.int32)}, (3,))
        assert got == flag
        np.testing.assert_array_equal(outputs[0], [3, 0 if flag else -4, -(2**31)])
