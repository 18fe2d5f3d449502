"""Mistakes that were made once: each a test of at most 15 lines."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.conductor import register_backend
from gint.conductor.graph.indexing import Index, combine, separate
from gint.host.memory import POOL
from tests.conductor.calls import Call, Given, assert_like_eager, numbers

pytestmark = pytest.mark.torch
register_backend()
LARGE = torch.zeros(600, 600)


def compiled(function, **options):
    torch._dynamo.reset()
    return torch.compile(function, backend="gint", options={"check": True, **options})


def agrees(function, *args, **kwargs) -> None:
    torch.manual_seed(0)
    expected = function(*args)
    torch.manual_seed(0)
    torch.testing.assert_close(compiled(function, **kwargs)(*args), expected)


def test_a_value_that_reads_a_later_random_draw_makes_no_cycle() -> None:
    def f(x):
        a = x.sigmoid()
        drawn = torch.bernoulli(a)
        return drawn, a + torch.rand_like(x)

    agrees(f, torch.randn(8, 8))


@pytest.mark.parametrize("shapes", [((2, 1), (1, 3)), ((4, 1), (1, 6))])
def test_the_flip_of_a_flattened_value_stays_in_range(shapes) -> None:
    agrees(lambda a, b: torch.flip((a + b).view(-1), [0]), *map(torch.randn, shapes))


def test_separate_is_the_inverse_of_combine_for_falling_indices() -> None:
    falling = [Index(1, ((0, -1),)), Index(2, ((1, -1),))]
    assert separate(combine(falling, (2, 3)), (2, 3), (2, 3)) == falling
    assert separate(Index(5, ((0, -1),)), (2, 3), (5,)) is None


def test_reshapes_of_nothing() -> None:
    agrees(lambda a: (a + 1).view(3, 0, 2).sum(0), torch.randn(0, 6))


def test_memory_is_read_from_where_it_begins_and_with_its_sign() -> None:
    z = torch.randn(10, dtype=torch.complex64)
    agrees(lambda x: torch.view_as_real(x) * 2, z[3:])
    agrees(lambda x: x + 1, z.conj().imag)


def test_a_storage_somebody_holds_is_not_used_again() -> None:
    f = compiled(lambda x: x + 1)
    held = f(LARGE).untyped_storage()
    f(LARGE + 5)
    assert torch.empty(0).set_(held)[7] == 1


def test_a_storage_whose_memory_was_replaced_is_not_used_again() -> None:
    f = compiled(lambda x: x + 1)
    f(LARGE).untyped_storage().resize_(0)
    assert f(LARGE).sum() == LARGE.numel()
    shared = f(LARGE).share_memory_().data_ptr()
    assert f(LARGE).data_ptr() != shared


@pytest.mark.parametrize("resets", [False, True])
def test_shapes_that_change_keep_little_memory(resets) -> None:
    torch._dynamo.reset()
    f = torch.compile(lambda x: x * 2, backend="gint", dynamic=not resets)
    for rows in range(520, 600, 10 if resets else 1):
        f(torch.zeros(rows, 600))
        if resets:
            torch._dynamo.reset()
            assert POOL.statistics().kept == POOL.statistics().used
    assert POOL.statistics().kept - POOL.statistics().used < 8 << 20


def test_sizes_that_depend_on_data() -> None:
    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        agrees(lambda x: (x[x > 0] * 2 + 1).sigmoid(), torch.randn(40))
        agrees(lambda x: torch.unique(x * 2) + 1, torch.tensor([1, 1, 2, 3]))


def test_memory_that_overlaps_without_torch_knowing() -> None:
    def f(x, out):
        out.copy_(x * 2 + 1)

    a, b = np.arange(10.0), np.arange(10.0)
    f(torch.from_numpy(a[:-1]), torch.from_numpy(a[1:]))
    compiled(f)(torch.from_numpy(b[:-1]), torch.from_numpy(b[1:]))
    assert (a == b).all()


def test_a_storage_that_was_let_go_of_is_an_error() -> None:
    function = compiled(lambda x: x * 2 + 1)
    x = torch.ones(10)
    function(x)
    x.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="needs 40 bytes of its storage, which has 0"):
        function(x)
    x.untyped_storage().resize_(40)
    x.fill_(3)
    assert function(x).tolist() == [7.0] * 10


def test_writing_a_slice_copies_no_memory_of_others() -> None:
    """`slice_scatter` copies the storage that its argument lies in, and its place there."""

    def f(x):
        y = x / 3
        y[1:] = x[:-1]
        return x + 2, y.as_strided((2,), (1,), 3), y

    x = torch.arange(10.0).view(2, 5)
    agrees(f, x)
    torch._dynamo.reset()
    assert compiled(f)(x)[2].untyped_storage().nbytes() == 40


def test_misaligned_memory() -> None:
    x = torch.frombuffer(bytearray(41), dtype=torch.float32, offset=1)
    agrees(lambda x: x + 1, x)


def test_gradients_inside_a_function_without_gradients() -> None:
    agrees(torch.func.grad(lambda a: (a.sin() ** 2).sum()), torch.randn(3))


def test_gradients_that_need_an_input_as_it_was_before_it_was_written() -> None:
    def f(x):
        y = x.roll(1, 0)
        x.mul_(y)
        return y

    found = []
    for function in (compiled(f), f):
        leaf = torch.arange(1.0, 5.0).requires_grad_()
        x = leaf * 1
        y = function(x)
        found.append(torch.autograd.grad(y.sum() + x.sum(), leaf)[0])
    torch.testing.assert_close(*found)


def test_tracing_does_not_run_an_optimizer_s_step() -> None:
    ends = []
    for compile in (compiled, lambda step: step):
        p = torch.nn.Parameter(torch.ones(3))
        optimizer = torch.optim.SGD([p], lr=0.1, momentum=0.9)
        step = compile(optimizer.step)
        for scale in (1, 2, 3):
            p.grad = torch.full((3,), float(scale))
            step()
        ends.append(p.detach())
    torch.testing.assert_close(*ends)


def test_what_cannot_be_compiled_is_left_to_eager(monkeypatch) -> None:
    from gint.conductor.plan.writer import PlanWriter

    monkeypatch.setattr(PlanWriter, "write", lambda *_: 1 / 0)
    torch._dynamo.reset()
    f = torch.compile(lambda x: x + 1, backend="gint")
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        assert f(torch.ones(3)).sum() == 6


def _called_at(function, backend, offsets, length=32):
    """What a compiled function gives for windows of a storage, and the storages afterwards."""
    torch._dynamo.reset()
    f = torch.compile(function, backend=backend)
    bases = [torch.arange(64.0) for _ in offsets]
    return [f(b[o : o + length]) for b, o in zip(bases, offsets, strict=True)], bases


def _write_strided(x):
    x.as_strided((3,), (1,), 9).mul_(-1)
    return x + 1


_STRIDED = {
    "read": lambda x: x.as_strided((3,), (1,), 4) * 2,
    "of a view": lambda x: torch.as_strided(x[2:], (3, 2), (1, 4), 5).t() + 1,
    "of a strided one": lambda x: x.as_strided((9,), (1,), 4).as_strided((3,), (2,), 7)[1:] * 2,
    "beside what is computed": lambda x: (
        (x * 2).as_strided((3,), (1,), 4) + x.as_strided((3,), (1,), 2)
    ),
    "relative": lambda x: x[1:].as_strided((3,), (2,)) * 2,
    "returned": lambda x: (x.as_strided((3,), (1,), 4), x + 1),
    "into products": lambda x: x.as_strided((3, 3), (3, 1), 1) @ x.as_strided((3, 3), (3, 1), 2),
    "reduced": lambda x: x.as_strided((3, 4), (8, 2), 6).sum(0),
    "written": _write_strided,
    "written, computed": lambda x: x.mul_(2).as_strided((3,), (1,), 4) + 1,
}  # fmt: skip


@pytest.mark.parametrize("name", _STRIDED)
@pytest.mark.filterwarnings("error:gint leaves")
def test_as_strided_counts_from_where_the_storage_begins(name) -> None:
    offsets = (3, 8, 0)
    expected = _called_at(_STRIDED[name], "aot_eager", offsets)
    torch.testing.assert_close(_called_at(_STRIDED[name], "gint", offsets), expected)


def test_as_strided_stays_in_the_storage() -> None:
    f = compiled(lambda x: x.as_strided((30,), (1,)) * 2)
    assert f(torch.arange(64.0)[3:10])[0] == 6
    with pytest.raises(RuntimeError, match="out of bounds"):
        f(torch.arange(7.0))


def test_inputs_that_share_a_storage_of_another_size() -> None:
    def f(x, y):
        y.add_(x)
        return [y.relu()]

    def given(size: int) -> Given:
        base = numbers(499, size, torch.float32)
        x = base.as_strided((5,), (0,), 0).requires_grad_()
        return Given([base], [x, base.as_strided((2, 1, 5), (5, 5, 1), size - 18)])

    assert_like_eager(f, *[Call(partial(given, n), tolerance=1.0) for n in (18, 18, 20)])


def test_a_write_outside_of_the_tensor_is_told() -> None:
    f = compiled(lambda x: x.as_strided((3,), (2,), 4).add_(1).sum())
    base, expected = torch.zeros(20), torch.zeros(20)
    for window in (slice(0, 9), slice(4, 13), slice(2, 11)):
        f(base[window])
        expected[4:10:2] += 1
        assert torch.equal(base, expected)
    for window in (slice(5, 14), slice(11, 20), slice(1, 18, 2)):
        with pytest.raises(RuntimeError, match="outside of the tensor it is a view of"):
            f(base[window])
    assert torch.equal(base, expected)


def test_a_scalar_of_float64_is_written() -> None:
    """torch's own tracing loses such a write, and computes with the value before it."""

    def function(total, x):
        total.add_(x.sum())
        torch.mul(total, 2, out=total)
        return x * total

    torch._dynamo.reset()
    compiled = torch.compile(function, backend="gint")
    for requires_grad in (False, True):
        seen = []
        for run in (function, compiled):
            total, x = torch.ones((), dtype=torch.float64), torch.ones(3)
            x.requires_grad_(requires_grad)
            seen.append((run(total.clone(), x.detach()), total))
            with torch.no_grad():
                seen[-1] += (run(total, x), total)
        torch.testing.assert_close(*seen)
        assert seen[1][1] == 8


def test_threads_share_a_graph_that_is_left_to_eager(monkeypatch) -> None:
    from concurrent.futures import ThreadPoolExecutor

    from gint.conductor.plan.writer import PlanWriter

    monkeypatch.setattr(PlanWriter, "write", lambda *_: 1 / 0)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: (x @ x).softmax(-1).sin(), backend="gint")
    x = torch.randn(60, 60)
    with pytest.warns(RuntimeWarning, match="ZeroDivisionError"):
        expected = compiled(x)
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: compiled(x), range(200)):
            assert torch.equal(found, expected)


def test_a_scalar_where_the_fake_kernel_says_a_row() -> None:
    """As with aot_eager, the result has the shape that was traced, torch.Size([1])."""
    x, target = torch.randn(10), torch.randint(0, 10, (10,))

    def function(x):
        return torch.nn.functional.multilabel_margin_loss(x, target, reduction="none").sin()

    torch._dynamo.reset()
    found = torch.compile(function, backend="gint")(x)
    torch.testing.assert_close(found, function(x)[None])
