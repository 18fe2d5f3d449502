"""Scatters beside eager: every operator, type and number of threads, strides of any kind, positions
that meet, and positions that are outside. Nothing is written but the result."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from gint.plan.operators import SCATTERS as NAMES
from gint.runtime.tensors.entry_points import overload, writing_into
from gint.runtime.tensors.scatters import SCATTERS
from gint.runtime.tensors.torch_shim import native_with_torch

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(native_with_torch() is None, reason="no native module, or no torch shim"),
]
aten = torch.ops.aten
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
DTYPES = (
    *FLOATS, torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip
LARGE = (torch.float32, torch.float16)
GUARD = 64


def values(shape, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randint(-4, 5, shape, generator=generator)
    return x > 0 if dtype is torch.bool else (x.abs() if dtype is torch.uint8 else x).to(dtype)


def positions(shape, size, seed=1, wraps=False, dtype=torch.int64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-size if wraps else 0, size, shape, generator=generator).to(dtype)


def written(name, expected, *args, **kwargs):
    """Our result, in the layout of what is expected, written between guard bytes."""
    span = 1 + sum((n - 1) * s for n, s in zip(expected.shape, expected.stride(), strict=True))
    memory = torch.full((span * (expected.numel() > 0) + 2 * GUARD,), 1).to(expected.dtype)
    made = memory.as_strided(expected.shape, expected.stride(), GUARD)
    writing_into(name)(*args, **kwargs, out=made)
    assert bool((memory[:GUARD] == 1).all())
    assert bool((memory[len(memory) - GUARD :] == 1).all())
    return made


def check(name, *args, **kwargs):
    """The same bits with one thread and several, and eager's result: exactly where small whole
    numbers are computed with."""
    expected = overload(name)(*args, **kwargs)
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            found.append(written(name, expected, *args, **kwargs))
    finally:
        torch.set_num_threads(threads)
    for made in found:
        torch.testing.assert_close(made, expected, rtol=0, atol=0, equal_nan=True)


def test_the_plans_names_are_those_with_a_function():
    assert set(NAMES) == set(SCATTERS)


#: A small shape in every type, and one for several threads.
SIZES = [*((dtype, (3, 4, 5)) for dtype in DTYPES), *((dtype, (2, 500, 60)) for dtype in LARGE)]


@pytest.mark.parametrize(("dtype", "shape"), SIZES, ids=str)
def test_slices(dtype, shape):
    x = values(shape, dtype)
    for dim in range(len(shape)):
        size = shape[dim]
        for count in (0, 1, 2 * size) if x.numel() < 1000 else (2 * size,):
            taken = [count if d == dim else n for d, n in enumerate(shape)]
            index, source = positions((count,), size), values(taken, dtype, 3)
            check("aten.index_add.default", x, dim, index, source)
            check("aten.index_fill.int_Scalar", x, dim - len(shape), index - size, 1)
            apart = torch.randperm(size)[:count]
            part = source.narrow(dim, 0, len(apart))
            check("aten.index_copy.default", x, dim, apart.int().long(), part)
    if dtype is not torch.bool:
        check("aten.index_add.default", x, 0, positions((shape[0],), shape[0]), x, alpha=2)


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize(("dtype", "shape"), SIZES, ids=str)
def test_along_a_dimension(dtype, shape, dim):
    x = values(shape, dtype)
    taken = tuple(max(n - 1, 1) for n in shape)
    index, source = positions(taken, shape[dim]), values(shape, dtype, 5)
    check("aten.scatter_add.default", x, dim, index, source)
    apart = torch.argsort(torch.rand(shape), dim)
    check("aten.scatter.src", x, dim, apart, source)
    check("aten.scatter.value", x, dim, index, 1)
    for reduce in ("sum", "prod", "amax", "amin", "mean") if x.numel() < 1000 else ("amax",):
        if dtype is torch.bool and reduce == "mean":
            continue
        few = index[:2] if reduce == "prod" else index  # small numbers
        for include_self in (True, False):
            check("aten.scatter_reduce.two", x, dim, few, source, reduce, include_self=include_self)
    if dtype is not torch.bool:
        check("aten.scatter.reduce", x, dim, index[:2], source, reduce="multiply")
        check("aten.scatter.value_reduce", x, dim, index, 2, reduce="add")


INDICES = {
    "one": lambda n: [positions((9,), n[0], wraps=True)],
    "a matrix": lambda n: [positions((3, 5), n[0], wraps=True)],
    "second": lambda n: [None, positions((9,), n[1], wraps=True)],
    "all": lambda n: [positions((50,), s, seed=s, wraps=True) for s in n],
    "neighbours": lambda n: [None, positions((4, 1), n[1]), positions((3,), n[2], 2)],
    "apart": lambda n: [positions((4, 1), n[0]), None, positions((3,), n[2], 2, wraps=True)],
    "int32": lambda n: [positions((9,), n[0], dtype=torch.int32)],
    "a number": lambda n: [torch.tensor(1)],
    "none of them": lambda n: [positions((0,), n[0])],
}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", INDICES)
def test_several_tensors_of_positions(name, dtype):
    for shape in ((6, 5, 7), *([(60, 33, 65)] if dtype in LARGE else [])):
        x, indices = values(shape, dtype), INDICES[name](shape)
        source = values(x[tuple(slice(None) if i is None else i for i in indices)].shape, dtype, 7)
        for taken in (source, source[..., :1], values((), dtype)):
            check("aten.index_put.default", x, indices, taken, True)
        check("aten._unsafe_index_put.default", x, indices, values((), dtype), False)


def test_of_points_that_meet_the_last_counts():
    x = torch.zeros(4, 3)
    index = torch.tensor([1, 2, 1, 1])
    source = torch.arange(12.0).view(4, 3)
    wanted = torch.tensor([[0, 0, 0], [9, 10, 11], [3, 4, 5], [0, 0, 0.0]])
    for name, args in (
        ("aten.index_put.default", ([index], source)),
        ("aten.index_copy.default", (0, index, source)),
        ("aten.scatter.src", (0, index[:, None].expand(4, 3), source)),
    ):
        made = torch.empty(4, 3)
        writing_into(name)(x, *args, out=made)
        assert torch.equal(made, wanted)


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_the_gradient_of_an_embedding(dtype):
    for rows, width, shape in ((50, 40, (4, 9)), (3, 1, (7,)), (1000, 512, (4, 32)), (5, 0, (2,))):
        indices, padding = positions(shape, rows), 1
        grad = values((*shape, width), dtype)
        for integers in (indices, indices.int()):
            check("aten.embedding_dense_backward.default", grad, integers, rows, padding, False)
        check("aten.embedding_dense_backward.default", grad, indices, rows, -1, True)
        check("aten.embedding_dense_backward.default", grad, indices + 2, rows, -1, False)


@given(
    st.sampled_from(["permuted", "sliced", "broadcast"]), st.sampled_from(DTYPES),
    st.integers(0, 2), st.tuples(*[st.integers(1, 9)] * 3), st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=40)
def test_any_strides(kind, dtype, dim, shape, seed):
    change = {
        "permuted": lambda t: t.permute(2, 0, 1).contiguous().permute(1, 2, 0),
        "sliced": lambda t: torch.stack([t, t], -1)[..., 0],
        "broadcast": lambda t: t[:, :1].expand(t.shape),
    }[kind]
    x, source = change(values(shape, dtype, seed)), change(values(shape, dtype, seed + 1))
    index = change(positions(shape, shape[dim], seed))
    check("aten.scatter_add.default", x, dim, index, source)
    vector = index.select((dim + 1) % 3, 0).select(dim - (dim > (dim + 1) % 3) - 1, 0)
    vector = vector[:1].expand(shape[dim])
    check("aten.index_add.default", x, dim, vector, source)
    check("aten.index_put.default", x, [index[:, 0, 0] % shape[0]], source[:1], True)


def test_numbers_and_nothing():
    number, one = torch.tensor(3.0), torch.tensor([0])
    check("aten.index_add.default", number, 0, one, torch.tensor(2.0))
    check("aten.index_copy.default", number, 0, one, torch.tensor(2.0))
    check("aten.index_fill.int_Scalar", number, 0, one, 5)
    check("aten.index_fill.int_Tensor", torch.zeros(3), 0, one, number)
    check("aten.scatter_add.default", number, 0, one[0], torch.tensor(2.0))
    check("aten.scatter.value", torch.zeros(2), 0, torch.tensor(1), 2.5)
    empty = torch.zeros(0, 3)
    check("aten.index_add.default", empty, 0, one[:0], empty)
    check("aten.scatter_add.default", torch.zeros(4, 3), 0, torch.zeros(0, 3).long(), empty)
    check("aten.index_add.default", torch.zeros(4, 0), 0, torch.tensor([3]), torch.zeros(1, 0))


def test_not_a_number_and_infinities():
    x = torch.tensor([0.0, float("nan"), float("inf"), -0.0, 1.0])
    index, source = torch.tensor([0, 1, 2, 4, 4]), torch.tensor([float("nan"), 1, 3, 2, 0.5])
    for reduce in ("sum", "prod", "amax", "amin", "mean"):
        for include_self in (True, False):
            args = (x, 0, index, source, reduce)
            check("aten.scatter_reduce.two", *args, include_self=include_self)


@pytest.mark.parametrize("bad", [-5, 4, 2**40, -(2**62)])
def test_a_position_outside_is_eagers_error(bad):
    x, index = torch.randn(4, 6), torch.tensor([0, 3, bad, 1])
    cases = [
        ("aten.index_add.default", (x, 0, index, x)),
        ("aten.index_copy.default", (x, 0, index, x)),
        ("aten.index_fill.int_Scalar", (x, 0, index, 1)),
        ("aten.index_put.default", (x, [index], x, True)),
        ("aten.index_put.default", (x, [index, index.clamp(0, 3)], x[0, 0], True)),
        ("aten.scatter_add.default", (x, 0, index[:, None].expand(4, 6), x)),
        ("aten.scatter.value", (x, 0, index[:, None], 1)),
        ("aten.scatter_reduce.two", (x, 1, index[None] + 2 * (index > 3), x, "amax")),
    ]
    for name, args in cases:
        with pytest.raises((IndexError, RuntimeError)) as eager:
            overload(name)(*args)
        memory = torch.full((24 + 2 * GUARD,), 7.0)
        with pytest.raises(eager.type) as ours:
            writing_into(name)(*args, out=memory[GUARD:-GUARD].view(4, 6))
        assert str(ours.value) == str(eager.value)
        assert bool((memory[:GUARD] == 7).all())
        assert bool((memory[-GUARD:] == 7).all())


def test_what_no_kernel_does_is_left_to_aten():
    x, mask = torch.randn(4, 3), torch.tensor([True, False, True, False])
    check("aten.index_put.default", x, [mask], torch.randn(2, 3))
    check("aten.index_add.default", x.cfloat(), 0, torch.tensor([1]), torch.ones(1, 3).cfloat())


def test_into_the_memory_of_what_is_changed():
    x = torch.randn(5, 4)
    expected = x.index_add(0, torch.tensor([1, 1]), x[:2].clone())
    writing_into("aten.index_add.default")(x, 0, torch.tensor([1, 1]), x[:2].clone(), out=x)
    assert torch.equal(x, expected)
