"""Every opcode and type on the NumPy interpreter means what eager torch computes on the CPU.

Values are every pair of the type's special values, and random ones. Results are equal bit for bit
(NaN is one value; which of two equal zeros a maximum gives is not compared), but for the functions
in `strategies.INEXACT`: torch's (Sleef) are within 1 unit in the last place, NumPy's (its own SIMD
loops) within 4.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from gint.host.executor import run
from gint.host.frontend import Builder
from gint.host.tensors import TYPE_NAMES
from gint.isa import OPCODES, Form, Opcode, dtype
from gint.isa.dtypes import COMPUTE, INT
from tests.generation import INEXACT
from tests.kernel.interpreter.test_differential import assert_close

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

ULPS = 4 + 1

#: Opcode -> eager torch, where the name or the call differs.
EAGER = {
    "sub": torch.sub,
    "fma": None,  # torch has none: see test_fma_rounds_once
    "floor_div": lambda a, b: torch.div(a, b, rounding_mode="floor"),
    "trunc_div": lambda a, b: torch.div(a, b, rounding_mode="trunc"),
    "nan_to_zero": lambda a: torch.where(a.isnan(), 0, a),
    "round_f16": lambda a: a.half().float(),
    "round_bf16": lambda a: a.bfloat16().float(),
    "bitwise_not": torch.bitwise_not,
    "shift_left": torch.bitwise_left_shift,
    "shift_right": torch.bitwise_right_shift,
}
_SPECIAL_FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, 2.5, -2.5, 2.0, 3.0, -3.0, 1e-3, 7.25, 88.0, -104.0, 1e10,
    -1e10, 1e-40, 3e38, -3e38, np.inf, -np.inf, np.nan,
)  # fmt: skip


def special(type_name: str) -> list:
    if type_name == "bool":
        return [False, True]
    if type_name in INT:
        low, high = dtype(type_name).int_range
        near = {0, 1, 2, 3, 5, 7, 8, 31, 63, 100, low, low + 1, high, high - 1}
        return sorted(v for v in near | {-v for v in near} if low <= v <= high)
    return list(_SPECIAL_FLOATS)


def operands(op: Opcode, type_name: str) -> list[np.ndarray]:
    """One array per operand: all combinations of special values, then random ones."""
    random = np.random.default_rng(7)
    types = [t.name for t in op.operand_types(dtype(type_name))]
    rows = list(product(*(special(t) for t in types)))
    columns = list(zip(*rows, strict=True))
    arrays = []
    for t, column in zip(types, columns, strict=True):
        if t == "bool":
            more = random.integers(0, 2, 200)
        elif t in INT:
            low, high = dtype(t).int_range
            more = random.integers(low, high, 200, dtype=dtype(t).numpy, endpoint=True)
        else:
            more = random.normal(0, 4, 200)
        arrays.append(
            np.concatenate([np.array(column, dtype(t).numpy), more.astype(dtype(t).numpy)])
        )
    return arrays


def ours(op: Opcode, type_name: str, arrays: list[np.ndarray]) -> np.ndarray:
    b = Builder("one")
    n = b.parallel("n")
    types = op.operand_types(dtype(type_name))
    values = [b.input(f"x{k}", t, n) for k, t in enumerate(types)]
    value = b.emit(op.name, *values)
    b.output("y", value.type, (n,), value)
    named = {f"x{k}": array for k, array in enumerate(arrays)}
    return run(b.build(), "python", **named)[0]


_POINTWISE = [op for op in OPCODES if op.form is Form.POINTWISE and EAGER.get(op.name, 1)]
_CASES = [(op, t) for op in _POINTWISE for t in op.types]


@pytest.mark.parametrize(("op", "type_name"), _CASES, ids=lambda v: getattr(v, "name", v))
def test_pointwise(op, type_name):
    arrays = [a[_eager_is_right(op, type_name, arrays)] for arrays in [operands(op, type_name)]
              for a in arrays]  # fmt: skip
    eager = EAGER.get(op.name) or getattr(torch, op.name)
    wanted = eager(*map(torch.from_numpy, arrays)).numpy()
    found = ours(op, type_name, arrays)
    if op.name in ("maximum", "minimum") and found.dtype.kind == "f":
        found, wanted = found + 0.0, wanted + 0.0
    ulps = ULPS if op.name in INEXACT and type_name not in INT else 0
    if op.name == "sqrt":
        ulps = 1  # Ours is rounded once, as IEEE 754 has it; torch takes MKL's, which is not.
    assert found.dtype == wanted.dtype
    assert_close(op.result_type(dtype(type_name)), found, wanted, ulps, op.name)


def _eager_is_right(op: Opcode, type_name: str, arrays: list[np.ndarray]) -> np.ndarray:
    """Where eager has a meaning to compare with."""
    keep = np.ones(arrays[0].shape, bool)
    if op.sets_error and type_name in INT:
        # Division by zero raises (test_division_by_zero), INT_MIN / -1 kills the process.
        low = dtype(type_name).int_range[0]
        keep = (arrays[1] != 0) & ~((arrays[0] == low) & (arrays[1] == -1 if low else False))
    elif op.name in ("fmod", "remainder"):
        # Sleef's fmod gives NaN where the quotient is above some 2**126.
        with np.errstate(all="ignore"):
            large = np.abs(arrays[0] / arrays[1]) > 1e37
        keep = ~(large & np.isfinite(arrays[0]) & (arrays[1] != 0)) | (type_name == "f64")
    return keep


@pytest.mark.parametrize("source", COMPUTE)
@pytest.mark.parametrize("target", COMPUTE)
def test_casts(source, target):
    array = np.array(special(source), dtype(source).numpy)
    if source in ("f32", "f64"):
        array = np.concatenate([array, np.float64(2) ** np.arange(5, 70), [300.7, -300.7]])
        array = np.concatenate([array, -array]).astype(dtype(source).numpy)
    b = Builder("cast")
    n = b.parallel("n")
    b.output("y", target, (n,), b.cast(b.input("x", source, n), target))
    (found,) = run(b.build(), "python", x=array)
    wanted = torch.from_numpy(array).to(torch_type(target)).numpy()
    assert_close(dtype(target), found, wanted, 0, f"{source} to {target}")


def torch_type(name: str):
    return getattr(torch, next(theirs for theirs, ours in TYPE_NAMES.items() if ours == name))


@pytest.mark.parametrize("name", ["f16", "bf16"])
def test_storage_types_widen_and_round_as_torch_does(name):
    halves = torch.arange(2**16).to(torch.int32).to(torch.uint16).view(torch_type(name))
    b = Builder("widen")
    n = b.parallel("n")
    b.output("y", "f32", (n,), b.input("x", name, n))
    (wide,) = run(b.build(), "python", x=halves)
    assert_close(dtype("f32"), wide.numpy(), halves.float().numpy(), 0, name)

    # Every half, its neighbours in f32, and the middle between it and the next.
    bits = wide.view(torch.int32)
    middle = {"f16": 2**12, "bf16": 2**15}[name]
    floats = torch.cat([(bits + d).view(torch.float32) for d in (-1, 0, 1, middle - 1, middle)])
    b = Builder("narrow")
    n = b.parallel("n")
    b.output("y", name, (n,), b.input("x", "f32", n))
    (found,) = run(b.build(), "python", x=floats)
    wanted = floats.to(torch_type(name))
    assert_close(
        dtype(name), found.view(torch.uint16).numpy().view(dtype(name).numpy),
        wanted.view(torch.uint16).numpy().view(dtype(name).numpy), 0, name,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["floor_div", "trunc_div", "remainder", "fmod"])
@pytest.mark.parametrize("type_name", INT)
def test_division_by_zero_is_eagers_error(name, type_name):
    op = next(op for op in OPCODES if op.name == name)
    arrays = [
        np.array([6, 7, 8], dtype(type_name).numpy),
        np.array([3, 0, 2], dtype(type_name).numpy),
    ]
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        (EAGER.get(name) or getattr(torch, name))(*map(torch.from_numpy, arrays))
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        ours(op, type_name, arrays)


@pytest.mark.parametrize("type_name", [t for t in INT if t != "u8"])
def test_the_smallest_integer_divided_by_minus_one_wraps(type_name):
    low = dtype(type_name).int_range[0]
    arrays = [np.array([low], dtype(type_name).numpy), np.array([-1], dtype(type_name).numpy)]
    by_name = {op.name: op for op in OPCODES}
    for name, wanted in (("floor_div", low), ("trunc_div", low), ("remainder", 0), ("fmod", 0)):
        assert ours(by_name[name], type_name, arrays) == wanted


def test_fma_rounds_once():
    """Against exact rational arithmetic; the operands make two roundings differ from one."""
    random = np.random.default_rng(3)
    op = next(op for op in OPCODES if op.name == "fma")
    for name, t, bits in (("f32", np.float32, 24), ("f64", np.float64, 53)):
        a, b = (1 + random.integers(0, 2**10, (2, 500)) * 2.0 ** (1 - bits)).astype(t)
        c = (-a * b * (1 + random.integers(-2, 3, 500) * 2.0**-bits)).astype(t)
        found = ours(op, name, [a, b, c])
        exact = [Fraction(float(x)) * Fraction(float(y)) + Fraction(float(z))
                 for x, y, z in zip(a, b, c, strict=True)]  # fmt: skip
        # Both cancellation (exact) and a bit far below the last place (double rounding).
        np.testing.assert_array_equal(found, np.array([float(e) for e in exact]).astype(t))
    one = np.float32(1)
    # 1 + 2**-24 + 2**-60: halfway, and a little more. Rounding to double first loses the little.
    tiny = [np.array([2.0**-30], np.float32), np.array([2.0**-30], np.float32)]
    assert ours(op, "f32", [*tiny, np.array([one], np.float32)]) == 1
    a = np.array([1 + 2.0**-12], np.float32)
    c = np.array([2.0**-60], np.float32)
    assert ours(op, "f32", [a, a, c]) == np.nextafter(
        np.float32((1 + 2.0**-12) ** 2), np.float32(2)
    )
    specials = [
        np.array(v, np.float32)
        for v in zip(*product((0.0, -0.0, np.inf, np.nan, 2.0), repeat=3), strict=True)
    ]
    with np.errstate(invalid="ignore"):
        plain = specials[0] * specials[1] + specials[2]
    assert_close(dtype("f32"), ours(op, "f32", specials), plain, 0, "fma")


# Reductions

_REDUCTIONS = [(op, t) for op in OPCODES if op.form is Form.REDUCE for t in op.types]
_EAGER_REDUCTION = {
    "sum": lambda x: x.sum((0, 2), dtype=x.dtype),
    "prod": lambda x: x.transpose(1, 2).reshape(-1, x.shape[1]).prod(0, dtype=x.dtype),
    "amax": lambda x: x.amax((0, 2)),
    "amin": lambda x: x.amin((0, 2)),
    "argmax": lambda x: _flat(x).argmax(1),
    "argmin": lambda x: _flat(x).argmin(1),
}


def _flat(x):
    return x.permute(1, 0, 2).reshape(x.shape[1], -1)


def reduced(name: str, type_name: str, x: np.ndarray) -> np.ndarray:
    """The reduction over the first and the last of three axes."""
    b = Builder("reduction")
    i, j, k = b.reduced("i"), b.parallel("j"), b.reduced("k")
    value = b.input("x", type_name, i, j, k)
    if name.startswith("arg"):
        value = b.emit(name, value, b.index(i) * b.extent(k) + b.index(k))
    else:
        value = b.emit(name, value)
    b.output("y", value.type, (j,), value)
    return run(b.build(), "python", x=x)[0]


@pytest.mark.parametrize(("op", "type_name"), _REDUCTIONS, ids=lambda v: getattr(v, "name", v))
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 4), (7, 4, 65)])
def test_reductions(op, type_name, shape):
    """Floats: n terms of size at most m, in torch by an order unknown: n * m * eps; our own sums
    of f32 go through f64. Values are small so that products neither overflow nor vanish."""
    random = np.random.default_rng(11)
    t = dtype(type_name)
    if t.kind.value == "float":
        x = random.choice([0.5, -1.0, 1.0, 2.0, 1.25], shape).astype(t.numpy)
        if op.name != "prod":
            x += random.normal(0, 1, shape).astype(t.numpy)
    else:
        x = random.choice(np.array(special(type_name), t.numpy), shape)
    found = reduced(op.name, type_name, x)
    if op.name.startswith("arg") and type_name == "bool":
        x = x.astype(np.uint8)  # eager has none for bool
    wanted = _EAGER_REDUCTION[op.name](torch.from_numpy(x)).numpy()
    assert found.dtype == wanted.dtype
    if t.kind.value == "float" and op.name in ("sum", "prod"):
        count = shape[0] * shape[2]
        size = np.abs(x).max() * count if op.name == "sum" else np.abs(wanted)
        assert np.all(np.abs(found - wanted) <= count * size * np.finfo(t.numpy).eps)
    else:
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("type_name", ["f32", "f64"])
@pytest.mark.parametrize("name", list(_EAGER_REDUCTION))
def test_reductions_of_special_values(name, type_name):
    special_pairs = product((np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0), repeat=3)
    x = np.array(list(special_pairs), dtype(type_name).numpy).reshape(1, -1, 3)
    wanted = _EAGER_REDUCTION[name](torch.from_numpy(x)).numpy()
    found = reduced(name, type_name, x)
    if found.dtype.kind == "f":
        found, wanted = found + 0.0, wanted + 0.0
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize(("name", "neutral"), [("sum", 0), ("prod", 1)])
@pytest.mark.parametrize("type_name", ["i8", "i64", "f32", "f64"])
def test_reductions_of_nothing(name, neutral, type_name):
    found = reduced(name, type_name, np.empty((0, 3, 4), dtype(type_name).numpy))
    np.testing.assert_array_equal(found, np.full(3, neutral))


def test_what_does_not_vary_is_counted_once_per_point():
    b = Builder("count")
    _, j, _ = b.reduced("i"), b.parallel("j"), b.reduced("k")
    x = b.input("x", "i32", j)
    b.output("y", "i32", (j,), b.sum(x))
    b.output("n", "i64", (j,), b.sum(b.const(1, "i64")))
    y, n = run(b.build(), "python", x=np.array([1, 5], np.int32), extents={"i": 3, "k": 4})
    assert y.tolist() == [12, 60]
    assert n.tolist() == [12, 12]


# Scans

_SCANS = [(op, t) for op in OPCODES if op.form is Form.SCAN for t in op.types]
_EAGER_SCAN = {
    "cumsum": lambda x: x.cumsum(1, dtype=x.dtype),
    "cumprod": lambda x: x.cumprod(1, dtype=x.dtype),
    "cummax": lambda x: x.cummax(1).values,
    "cummin": lambda x: x.cummin(1).values,
    "logcumsumexp": lambda x: x.logcumsumexp(1),
}


@pytest.mark.parametrize(("op", "type_name"), _SCANS, ids=lambda v: getattr(v, "name", v))
@pytest.mark.parametrize("shape", [(2, 1, 1), (3, 60, 2), (0, 4, 2), (2, 0, 3)], ids=str)
def test_scans_are_eagers(op, type_name, shape):
    """In f64 both go the same way; f32 goes through f64 here and in torch, and is rounded once."""
    b, t = Builder("scan"), dtype(type_name)
    axes = b.parallel("i"), b.reduced("j"), b.parallel("k")
    b.output("y", type_name, axes, b.emit(op.name, b.input("x", type_name, *axes)))
    choice = np.random.default_rng(3).choice
    if t.kind.value == "float":
        values = (1.0, -1.5, 0.75, 2.0, -0.0, 0.0, 3.25, -0.125)
        rare = (np.nan, np.inf, -np.inf)
        x = np.where(
            choice((False,) * 30 + (True,), shape), choice(rare, shape), choice(values, shape)
        )
        x = x.astype(t.numpy)
    else:
        x = choice(np.array(special(type_name), t.numpy), shape)
    (found,) = run(b.build(), "python", x=x)
    wanted = _EAGER_SCAN[op.name](torch.from_numpy(x)).numpy()
    assert found.dtype == wanted.dtype
    if op.exact:
        np.testing.assert_array_equal(found, wanted)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(wanted))
    else:
        np.testing.assert_allclose(found, wanted, rtol=0, atol=60 * 8 * np.finfo(t.numpy).eps)
