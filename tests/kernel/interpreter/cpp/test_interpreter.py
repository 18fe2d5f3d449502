"""The C++ interpreter against the NumPy interpreter: every opcode and type, odd shapes and strides,
any number of threads, nothing written outside the outputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from gint.backend import registry
from gint.host.executor import load
from gint.host.frontend import Builder
from gint.host.tensors import view_of
from gint.isa import OPCODES, Form, dtype
from gint.isa.dtypes import COMPUTE, Kind
from gint.program import Binding, SlotBinding, VerificationError, assemble
from tests.memory import launch_once

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.skipif(
        not registry.probe("cpp").usable, reason=f"cpp: {registry.probe('cpp').reason}"
    ),
]

POINTWISE = [(op, t) for op in OPCODES if op.form is Form.POINTWISE for t in op.types]
REDUCTIONS = [(op, t) for op in OPCODES if op.form is Form.REDUCE for t in op.types]

#: Where the table says that backends may differ: the allowed distance in units in the last place.
#: NumPy's float32 functions are within 4 of the true value, ours within 4 (docs/accuracy.md).
ULP = 8


def random_values(t: str, shape, rng, special: bool = True) -> np.ndarray:
    """Values of a data type, with the special ones among them. bf16 as bits (uint16)."""
    d = dtype(t)
    count = int(np.prod(shape, dtype=np.int64))
    if d.kind is Kind.BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    if d.kind is Kind.INT:
        info = np.iinfo(d.numpy)
        flat = rng.integers(info.min, info.max, count, dtype=d.numpy, endpoint=True)
        flat[::3] = rng.integers(0 if info.min == 0 else -9, 9, len(flat[::3])).astype(d.numpy)
        ends = np.array([info.min, info.max, 0, 1], dtype=d.numpy)
    else:
        flat = rng.standard_normal(count).astype(np.float64) * rng.choice([1e-3, 1, 20], count)
        ends = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-40, 0.5, 2.5])
    if special and count:
        at = rng.permutation(count)[: max(1, count // 4)]
        flat[at] = np.resize(rng.permutation(ends), len(at))
    if t == "bf16":
        return (flat.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).reshape(shape)
    return flat.astype(d.numpy).reshape(shape)


def assert_same(ours: np.ndarray, wanted: np.ndarray, ulp: int = 0, signs: bool = False) -> None:
    assert ours.dtype == wanted.dtype
    assert ours.shape == wanted.shape
    if wanted.dtype.kind != "f" or wanted.size == 0:
        np.testing.assert_array_equal(ours, wanted)
        return
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(wanted))
    with np.errstate(all="ignore"):
        finite = np.isfinite(wanted) & (ours != wanted)
        distance = np.abs(ours.astype(np.float64) - wanted.astype(np.float64))
        unit = np.spacing(np.abs(wanted)).astype(np.float64)
        assert not np.any(distance[finite] > ulp * unit[finite]), (
            f"{np.max(distance[finite] / unit[finite])} units in the last place"
        )
        infinite = np.isinf(wanted) & (ours != wanted)
        assert not infinite.any() or ulp
    if signs:
        number = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(ours)[number], np.signbit(wanted)[number])


def both(verified, **named):
    return load(verified, "cpp")(**named), load(verified, "python")(**named)


def pointwise_program(op, t, scalars=()):
    b = Builder(f"{op.name}_{t}")
    i = b.parallel("i")
    wanted = op.operand_types(dtype(t))
    values = [b.input(f"x{n}", w, *(() if n in scalars else (i,))) for n, w in enumerate(wanted)]
    value = b.emit(op.name, *values)
    b.output("y", value.type, (i,), value)
    return b.build()


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


def launch(executable, inputs, shape, threads=None):
    """Outputs and error flag of a launch with all axes given by `shape`, guard bytes around every
    output."""
    program = executable.program
    slots, outputs, guarded = [], [], []
    for slot in program.slots:
        if slot.name in inputs:
            view = view_of(inputs[slot.name])
            slots.append(SlotBinding(view.pointer, view.storage_bytes, view.offset, view.strides))
            continue
        extents = tuple(shape[a] for a in slot.axes)
        size = int(np.prod(extents, dtype=np.int64))
        item = slot.dtype.itemsize
        raw = np.full(size * item + 256, 0xA5, np.uint8)
        array = raw[128 : 128 + size * item].view(slot.dtype.numpy).reshape(extents)
        strides = tuple(s // item for s in array.strides)
        pointer = raw.__array_interface__["data"][0] + 128
        slots.append(SlotBinding(pointer, size * item, 0, strides))
        outputs.append(array)
        guarded.append(raw)
    binding = Binding(tuple(shape), (), tuple(slots))
    flag = launch_once(executable.kernel, binding, threads)
    for raw in guarded:
        assert (raw[:128] == 0xA5).all()
        assert (raw[-128:] == 0xA5).all()
    return outputs, flag


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


def strided(array: np.ndarray, kind: str, rng) -> np.ndarray:
    """The same values, other strides."""
    if kind == "reversed":
        return np.ascontiguousarray(array[(slice(None, None, -1),) * array.ndim])[
            (slice(None, None, -1),) * array.ndim
        ]
    if kind == "permuted":
        order = rng.permutation(array.ndim)
        return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))
    if kind == "sliced":
        wide = np.zeros([2 * n + 3 for n in array.shape], array.dtype)
        view = wide[tuple(slice(2, 2 + 2 * n, 2) for n in array.shape)]
        view[...] = array
        return view
    if kind == "broadcast" and array.ndim:
        axis = int(rng.integers(array.ndim))
        line = array[tuple(slice(0, 1) if a == axis else slice(None) for a in range(array.ndim))]
        return np.broadcast_to(np.ascontiguousarray(line), array.shape)
    return array


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


def softmax(b, i, j, x):
    e = b.exp(x - b.amax(x))
    return e / b.sum(e)


def row_program(t="f32"):
    b = Builder("softmax_and_norm")
    i, j = b.parallel("i"), b.reduced("j")
    x, w = b.input("x", t, i, j), b.input("w", t, j)
    b.output("soft", t, (i, j), softmax(b, i, j, x))
    n = b.cast(b.extent(j), "f32")
    mean = b.sum(x) / n
    centred = x - mean
    variance = b.sum(centred * centred) / n
    b.output("norm", t, (i, j), centred * b.rsqrt(variance + 1e-5) * w)
    b.output("mean", t, (i,), mean)
    b.output("best", "i64", (i,), b.argmax(x, b.index(j)))
    return b.build()


@pytest.mark.parametrize("t", ["f32", "f16", "bf16"])
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (5, 1), (1, 5), (3, 7), (33, 64), (2, 1023), (3, 1025), (40, 5000), (1, 100_003),
     (70_000, 3), (4, 0), (0, 4)],
    ids=str,
)  # fmt: skip
def test_row_programs(shape, t):
    rng = np.random.default_rng(6)
    x = random_values(t, shape, rng, special=False)
    w = random_values(t, shape[1:], rng, special=False)
    for layout in (x, np.asfortranarray(x)):
        ours, wanted = both(row_program(t), x=layout, w=w)
        for got, want in zip(ours[:3], wanted[:3], strict=True):
            if t == "bf16":
                got, want = ((v.astype(np.uint32) << 16).view(np.float32) for v in (got, want))
            tolerance = {"f32": 2e-5, "f16": 2e-3, "bf16": 1.6e-2}[t]
            np.testing.assert_allclose(
                got.astype(np.float64), want.astype(np.float64), tolerance, tolerance
            )
        np.testing.assert_array_equal(ours[3], wanted[3])


@pytest.mark.parametrize("shape", [(1, 1 << 21), (3, 400_001), (2000, 700), (1 << 20, 2)], ids=str)
@pytest.mark.parametrize("order", ["C", "F"])
def test_any_number_of_threads_gives_the_same_bits(shape, order):
    x = np.asarray(random_values("f32", shape, np.random.default_rng(7), False), order=order)
    w = random_values("f32", shape[1:], np.random.default_rng(8), False)
    executable = load(row_program(), "cpp")
    first = None
    for threads in (1, 2, 3, 5):
        outputs, flag = launch(executable, {"x": x, "w": w}, shape, threads)
        assert flag == 0
        bits = [o.tobytes() for o in outputs]
        first = first or bits
        assert bits == first


def test_sum_of_ten_million_is_within_a_few_units():
    b = Builder("sum")
    i = b.reduced("i")
    b.output("y", "f32", (), b.sum(b.input("x", "f32", i)))
    x = np.random.default_rng(9).random(10_000_000, np.float32)
    (got,) = load(b.build(), "cpp")(x=x)
    true = x.sum(dtype=np.float64)
    assert abs(float(got) - true) <= 3 * np.spacing(np.float32(true))


def test_in_place():
    """A slot may be written where it is read, however often its old value is used later."""
    program = assemble(IN_PLACE)
    for n in (1, 100, 5000):
        x = np.arange(n, dtype=np.float32)
        z = np.empty_like(x)
        load(program, "cpp")(x=x, z=z)
        np.testing.assert_array_equal(x, np.arange(n) * 2)
        np.testing.assert_array_equal(z, np.arange(n) * 3)


IN_PLACE = """
program in_place
axis i parallel
slot x f32 inout (i)
slot z f32 out (i)
map
  load.f32   r[0] <- s[x]
  add.f32    r[1] <- r[0] + r[0]
  store.f32  s[x] <- r[1]
  load.f32   r[2] <- s[x]
  sub.f32    r[3] <- r[2] - r[0]
  add.f32    r[4] <- r[3] + r[1]
  store.f32  s[z] <- r[4]
"""


def test_output_over_an_input_it_equals():
    b = Builder("over")
    i, j = b.parallel("i"), b.reduced("j")
    b.output("y", "f32", (i, j), softmax(b, i, j, b.input("x", "f32", i, j)))
    verified = b.build()
    x = random_values("f32", (65, 300), np.random.default_rng(10), False)
    (wanted,) = load(verified, "cpp")(x=x)
    in_place = x.copy()
    load(verified, "cpp")(x=in_place, y=in_place)
    np.testing.assert_array_equal(in_place, wanted)


def test_division_by_zero_sets_the_flag_and_leaves_zero():
    program = pointwise_program(next(o for o in OPCODES if o.name == "floor_div"), "i32")
    executable = load(program, "cpp")
    x0 = np.array([7, -7, -(2**31)], np.int32)
    for x1, flag in (([2, 2, -1], 0), ([2, 0, -1], 1)):
        outputs, got = launch(executable, {"x0": x0, "x1": np.array(x1, np.int32)}, (3,))
        assert got == flag
        np.testing.assert_array_equal(outputs[0], [3, 0 if flag else -4, -(2**31)])


def copy_kernel():
    b = Builder("copy")
    i, j = b.parallel("i"), b.parallel("j")
    b.output("y", "f32", (i, j), b.input("x", "f32", i, j))
    return load(b.build(), "cpp").kernel


def test_prepared_launch():
    kernel = copy_kernel()
    x = np.arange(70 * 40, dtype=np.float32).reshape(70, 40)
    y = np.zeros_like(x)
    slots = ((x.nbytes, 0, (40, 1)), (y.nbytes, 0, (40, 1)))
    ready = kernel.prepare((70, 40), (), slots)
    at = [a.__array_interface__["data"][0] for a in (x, y)]
    assert ready(*at) == 0
    np.testing.assert_array_equal(x, y)
    assert ready(at[0], at[0]) == 0  # the very same elements
    with pytest.raises(VerificationError, match="other than element by element"):
        ready(at[0], at[0] + 4)
    with pytest.raises(VerificationError, match="not a multiple"):
        ready(at[0], at[1] + 1)
    with pytest.raises(VerificationError, match="no memory"):
        ready(0, at[1])
    with pytest.raises(VerificationError, match="would touch"):
        kernel.prepare((70, 41), (), slots)


@pytest.mark.parametrize(
    "change",
    [
        {"extents": (70, 41)}, {"extents": (-1, 40)}, {"extents": (2**62, 2**62)},
        {"offset": 1}, {"offset": -1}, {"offset": 2**63}, {"strides": (41, 1)},
        {"strides": (-40, 1)}, {"strides": (2**62, 1)}, {"size": 70 * 40 * 4 - 1},
        {"size": -1}, {"pointer": 0}, {"pointer": -8}, {"pointer": 2**64},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("which", [0, 1])
def test_bindings_that_must_not_run(change, which):
    kernel = copy_kernel()
    x, y = np.ones((70, 40), np.float32), np.zeros((70, 40), np.float32)
    slots = []
    for n, array in enumerate((x, y)):
        facts = {"pointer": view_of(array).pointer, "size": array.nbytes, "offset": 0,
                 "strides": (40, 1)}  # fmt: skip
        if n == which:
            facts |= {k: v for k, v in change.items() if k != "extents"}
        slots.append(SlotBinding(*facts.values()))
    with pytest.raises(VerificationError):
        launch_once(kernel, Binding(change.get("extents", (70, 40)), (), tuple(slots)))
    assert not y.any()


def test_outputs_may_not_overlap():
    kernel = copy_kernel()
    x = np.ones((70, 40), np.float32)
    p, n = view_of(x).pointer, x.nbytes
    with pytest.raises(VerificationError, match="two positions share"):
        launch_once(kernel, Binding((4, 4), (), (SlotBinding(p, n, 0, (40, 1)),
                                                SlotBinding(p, n, 400, (1, 1)))))  # fmt: skip
    with pytest.raises(VerificationError, match="overlaps slot"):
        launch_once(kernel, Binding((4, 4), (), (SlotBinding(p, n, 0, (40, 1)),
                                                SlotBinding(p, n, 0, (1, 4)))))  # fmt: skip
    # Interleaved columns share no element.
    launch_once(kernel, Binding((4, 4), (), (SlotBinding(p, n, 0, (40, 1)),
                                            SlotBinding(p, n, 8, (40, 1)))))  # fmt: skip
