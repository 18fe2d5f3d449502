"""Runs in the native module: steps in one call, what is refused, what is given back."""

from __future__ import annotations

import gc
import signal
import threading
import time
import weakref

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from gint.backend.errors import raise_for
from gint.host.executor import Executable
from gint.host.frontend import Builder
from gint.host.selection import products_for, select
from gint.program import VerificationError
from gint.quantized import QuantizedWeights, format_of, quantize
from gint.runtime.tensors.torch_shim import has_onednn, native_with_torch

native = native_with_torch()
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(native is None, reason="no native module, or a torch without its C shim"),
]


def steps(inputs: int, fixed: list, made: int = 0):
    return native.RunSteps(inputs, fixed, made, raise_for)


def test_products_and_views_are_torchs_own():
    x, w, c, out = torch.randn(3, 4), torch.randn(5, 4), torch.randn(5), torch.empty(3, 5)
    s = steps(3, [out], 1)
    s.view(4, 1, (4, 5), (1, 4), 0)
    s.product(False, 3, 2, 0, 4, 1.0, 2.0)
    s.release([4])
    assert s.finish([])(x, w, c) is None
    torch.testing.assert_close(out, torch.addmm(c, x, w.t(), alpha=2), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64])
def test_what_is_added_to_all_rows_is_copied_into_them(dtype):
    x, w, c = (torch.randn(*size).mul(9).to(dtype) for size in ((3, 4), (4, 5), (5,)))
    out = torch.empty(3, 5, dtype=dtype)
    s = steps(3, [out])
    s.product(False, 3, 2, 0, 1, 1.0, 1.0, 3, 5 * dtype.itemsize)
    s.finish([])(x, w, c)
    assert torch.equal(out, torch.addmm(c, x, w))


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("lead", [(), (1, 1), (2, 3), (0,)])
def test_products_with_quantised_weights(lead, biased):
    shape, form = (19, 64), format_of("q8_0")
    blocks = quantize(torch.randn(shape).numpy(), form)
    products = products_for(select("cpp"))
    weights = products.prepare(QuantizedWeights(blocks, shape, form))
    product = products.bind(weights, True)
    x, bias = torch.randn(*lead, 64), torch.randn(19)
    s = steps(2, [], 1)
    s.row_product(2, 0, 1 if biased else None, product, weights, (*lead, 19))
    run = s.finish([2])
    held = weakref.ref(weights)
    rows = x.reshape(-1, 64)
    wanted = torch.empty(len(rows), 19)
    products.multiply(rows.numpy(), weights, wanted.numpy())
    wanted = wanted.reshape(*lead, 19) + (bias if biased else 0)
    del weights, product
    assert torch.equal(run(x, bias), wanted)
    assert held() is not None  # the run keeps what it multiplies with
    with pytest.raises(TypeError, match="native product and packed weights"):
        steps(2, [], 1).row_product(2, 0, None, 1, 1, (1, 19))


@pytest.fixture
def restore_threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def product_of(form: str, outputs: int, products, exact: bool = False):
    blocks = quantize(torch.randn(outputs, 256).numpy(), format_of(form))
    weights = products.prepare(QuantizedWeights(blocks, (outputs, 256), format_of(form)))
    return products.bind(weights, not exact), weights


@pytest.mark.parametrize("value", [1.0, float("inf")])  # which has no form in 8 bits
@pytest.mark.parametrize("rows", [1, 3])
def test_products_of_one_x_are_what_they_are_alone(rows, value, restore_threads):
    products = products_for(select("cpp"))
    kinds = [("q4_0", 300), ("q4_0", 1), ("q4_0", 47), ("q4_k", 33), ("q4_k", 16), ("q8_0", 5)]
    made = [product_of(form, outputs, products) for form, outputs in kinds]
    made.append(product_of("q8_0", 64, products, exact=True))
    x, bias = torch.randn(rows, 256), torch.randn(1)
    x[0, 7] = value
    for threads in (1, 2):
        torch.set_num_threads(threads)
        s = steps(2, [], len(made))
        for n, (product, weights) in enumerate(made):
            added = 1 if n == 1 else None
            s.row_product(2 + n, 0, added, product, weights, (rows, weights.shape[0]))
        found = s.finish([*range(2, 2 + len(made))])(x, bias)
        for n, (result, (product, weights)) in enumerate(zip(found, made, strict=True)):
            wanted = torch.empty(rows, weights.shape[0])
            product(x.numpy(), weights, wanted.numpy())
            wanted += bias if n == 1 else 0
            assert torch.equal(result.nan_to_num(), wanted.nan_to_num()), n


def test_results_may_lie_in_the_calls_own_memory():
    products = products_for(select("cpp"))
    (p, w), (q, v) = (product_of("q8_0", outputs, products) for outputs in (256, 8))
    x, wanted = torch.randn(2, 256), torch.empty(2, 8)
    between = torch.empty(2, 256)
    p(x.numpy(), w, between.numpy())
    q(between.numpy(), v, wanted.numpy())
    s = steps(1, [], 3)
    s.row_product(1, 0, None, p, w, (2, 256), 0)
    s.row_product(2, 0, None, p, w, (2, 256), 2048)
    s.row_product(3, 2, None, q, v, (2, 8))
    assert torch.equal(s.finish([3])(x), wanted)
    s = steps(1, [], 2)
    s.row_product(1, 0, None, p, w, (2, 256), 0)
    with pytest.raises(TypeError, match="torch is given a value without tensor"):
        s.view(2, 1, (4,), (1,), 0)
    with pytest.raises(ValueError, match="lines of 64 bytes"):
        steps(1, [], 1).row_product(1, 0, None, p, w, (2, 256), 4)


def test_batches():
    a, b, c = torch.randn(2, 3, 4), torch.randn(2, 4, 5), torch.randn(2, 3, 5)
    out = torch.empty(2, 3, 5)
    s = steps(3, [out])
    s.product(True, 3, None, 0, 1, 1.0, 1.0)
    s.finish([])(a, b, c)
    torch.testing.assert_close(out, a @ b)
    s = steps(3, [out])
    s.product(True, 3, 2, 0, 1, 0.5, 1.0)
    s.finish([])(a, b, c)
    torch.testing.assert_close(out, torch.baddbmm(c, a, b, beta=0.5))


def test_what_is_made_and_wanted_comes_back_as_tensors():
    x, w, b = torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3), torch.randn(4)
    s = steps(3, [], 2)
    s.convolution(3, 0, 1, 2, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    s.expect(3, (1, 4, 6, 6), (144, 1, 24, 4))
    s.view(4, 3, (4, 36), (1, 4), 0)
    made, view = s.finish([3, 4])(x, w, b)
    wanted = torch.conv2d(x, w, b)
    torch.testing.assert_close(made, wanted)
    assert made.stride() == (144, 1, 24, 4)
    torch.testing.assert_close(view, wanted.reshape(4, 36))


@pytest.mark.parametrize(
    ("size", "like"),
    [
        ((1, 4, 6, 7), torch.empty(0)),
        ((4, 6, 6), torch.empty(0)),
        ((1, 4, 6, 6), torch.empty(0, dtype=torch.int32)),
    ],
)
def test_what_is_made_is_compared_where_there_is_what_it_is_like(size, like):
    s = steps(2, [], 1)
    s.convolution(2, 0, 1, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    with pytest.raises(TypeError, match="like a tensor"):
        s.expect(2, size, torch.empty(size).stride(), 3)
    s.expect(2, size, torch.empty(size).stride(), like)
    with pytest.raises(ValueError, match="An operator made other sizes or elements"):
        s.finish([2])(torch.randn(1, 3, 8, 8), torch.randn(4, 3, 3, 3))


def test_results_are_the_callers_alone():
    x = torch.randn(1, 3, 8, 8)
    s = steps(2, [], 2)
    s.convolution(2, 0, 1, None, [1, 1], [0, 0], [1, 1], False, [0, 0], 1)
    s.view(3, 0, (3, 64), (64, 1), 0)
    count = torch._C._storage_Use_Count(x.untyped_storage()._cdata)
    results = s.finish([2, 3])(x, torch.randn(4, 3, 3, 3))
    gone = [weakref.ref(t) for t in results]
    del results
    assert [there() for there in gone] == [None, None]
    assert torch._C._storage_Use_Count(x.untyped_storage()._cdata) == count


def test_sizes_of_a_call_come_after_its_tensors():
    x = torch.randn(2, 6)
    s = native.RunSteps(1, [], 1, raise_for, 3)
    s.view(1, 0, ((0,), 2), ((1,), 1), (2,))
    run = s.finish([1])
    assert torch.equal(run(x, 3, 4, 1), x.as_strided((3, 2), (4, 1), 1))
    assert torch.equal(run(x, 1, 1, 0), x[:1, :2])
    with pytest.raises(TypeError, match="1 tensors or arrays and 3 sizes"):
        run(x, 3, 4)
    with pytest.raises(TypeError):
        run(x, 3, 4, 1.5)
    with pytest.raises(IndexError, match="size that the run does not have"):
        native.RunSteps(1, [], 1, raise_for, 3).view(1, 0, ((3,),), (1,), 0)
    with pytest.raises(ValueError, match="a stride for each"):
        steps(1, [], 1).view(1, 0, (2, 2), (1,), 0)


onednn = pytest.mark.skipif(not has_onednn(), reason="a torch without oneDNN in its C shim")


def packed(weight, *how):
    operator = "_reorder_convolution_weight" if weight.dim() == 4 else "_reorder_linear_weight"
    return getattr(torch.ops.mkldnn, operator)(weight, *how)


@onednn
@pytest.mark.parametrize("is_packed", [False, True])
def test_products_by_onednn_and_what_follows(is_packed: bool):
    x, w, b, other = (torch.randn(*size) for size in ((5, 8), (7, 8), (7,), (5, 7)))
    s = steps(4, [], 3)
    weight = packed(w) if is_packed else 1
    s.linear(4, 0, weight, 2, None, "", ("none", [], ""))
    s.linear(5, 0, weight, None, None, "", ("hardtanh", [-0.5, 0.25], None))
    s.linear(6, 0, weight, 2, 3, "add", ("", [], None))
    plain, clipped, added = s.finish([4, 5, 6])(x, w, b, other)
    torch.testing.assert_close(plain, x @ w.t() + b)
    torch.testing.assert_close(clipped, (x @ w.t()).clamp(-0.5, 0.25))
    torch.testing.assert_close(added, x @ w.t() + b + other)


@onednn
@pytest.mark.parametrize("is_packed", [False, True])
def test_convolutions_by_onednn_and_what_follows(is_packed: bool):
    x, w, b = torch.randn(2, 3, 9, 9), torch.randn(4, 3, 3, 3), torch.randn(4)
    x = x.contiguous(memory_format=torch.channels_last)
    wanted = torch.conv2d(x, w, b, 2, 1)
    s = steps(4, [], 2)
    weight = packed(w, [1, 1], [2, 2], [1, 1], 1) if is_packed else 1
    where = ([1, 1], [2, 2], [1, 1], 1)
    s.pointwise_convolution(4, 0, weight, 2, None, "", ("leaky_relu", [0.5], ""), *where)
    s.pointwise_convolution(5, 0, weight, 2, 3, "add", ("relu", [], None), *where)
    leaky, added = s.finish([4, 5])(x, w, b, wanted)
    torch.testing.assert_close(leaky, torch.nn.functional.leaky_relu(wanted, 0.5))
    torch.testing.assert_close(added, (2 * wanted).relu())


@onednn
def test_packed_weights_live_as_long_as_the_run_and_are_tensors():
    weight = packed(torch.eye(4))
    gone = weakref.ref(weight)
    s = steps(1, [], 1)
    with pytest.raises(TypeError, match="number or a tensor"):
        s.linear(1, 0, "w", None, None, "", ("none", [], ""))
    s.linear(1, 0, weight, None, None, "", ("none", [], ""))
    call = s.finish([1])
    del weight, s
    x = torch.randn(3, 4)
    torch.testing.assert_close(call(x), x)
    del call
    gc.collect()
    assert gone() is None


def test_an_operators_own_words_are_raised_and_what_was_made_is_freed():
    x, out = torch.randn(3, 4), torch.empty(3, 4)
    s = steps(2, [out], 1)
    s.view(3, 0, (4, 3), (1, 4), 0)
    s.product(False, 2, None, 0, 1, 1.0, 1.0)
    call = s.finish([3])
    count = torch._C._storage_Use_Count(x.untyped_storage()._cdata)
    for _ in range(3):
        with pytest.raises(RuntimeError, match="cannot be multiplied"):
            call(x, torch.randn(5, 6))
    assert torch._C._storage_Use_Count(x.untyped_storage()._cdata) == count


def test_wrong_arguments_are_told():
    call = steps(2, []).finish([])
    with pytest.raises(TypeError, match="takes 2 tensors or arrays and 0 sizes, not 1"):
        call(torch.ones(1))
    with pytest.raises(TypeError, match="takes tensors and arrays, not int"):
        call(torch.ones(1), 3)
    with pytest.raises(RuntimeError, match="without memory"):
        call(torch.ones(1), torch.ones(2).to_sparse())


def test_steps_use_what_is_there_and_make_what_is_not():
    s = steps(1, [torch.empty(2)], 1)
    with pytest.raises(IndexError, match="not made"):
        s.view(2, 2, (1,), (1,), 0)
    with pytest.raises(IndexError, match="does not have"):
        s.view(2, 5, (1,), (1,), 0)
    with pytest.raises(IndexError, match="there already"):
        s.view(1, 0, (1,), (1,), 0)
    with pytest.raises(IndexError, match="released"):
        s.release([0])
    s.view(2, 0, (1,), (1,), 0)
    s.release([2])
    with pytest.raises(IndexError, match="gone"):
        s.finish([2])
    s.finish([])
    with pytest.raises(ValueError, match="finished"):
        s.release([2])


def test_what_is_fixed_lives_as_long_as_the_run():
    fixed = torch.zeros(2, 2)
    gone = weakref.ref(fixed)
    s = steps(1, [fixed])
    s.product(False, 1, None, 0, 0, 1.0, 1.0)
    call = s.finish([])
    del fixed, s
    call(torch.eye(2))
    assert torch.equal(gone(), torch.eye(2))
    del call
    gc.collect()
    assert gone() is None


def test_threads_run_one_run_at_a_time_each_on_its_own_memory():
    s = steps(2, [])
    s.product(False, 1, None, 0, 0, 1.0, 1.0)
    call = s.finish([])
    wrong = []

    def work(seed: int) -> None:
        x = torch.randn(16, 16, generator=torch.Generator().manual_seed(seed))
        out = torch.empty(16, 16)
        for _ in range(300):
            call(x, out)
            if not torch.allclose(out, x @ x):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_what_torch_is_given_has_a_tensor():
    s = steps(1, [np.ones(3, np.float32)], 1)
    with pytest.raises(TypeError, match="without tensor"):
        s.view(2, 1, (3,), (1,), 0)
    s.view(2, 0, (3,), (1,), 0)
    call = s.finish([2])
    with pytest.raises(TypeError, match="Argument 0 of this run is a tensor, not"):
        call(np.ones(3, np.float32))
    assert call(torch.ones(3)).tolist() == [1, 1, 1]


def test_a_launch_that_must_not_run_says_why():
    b = Builder("step")
    x = b.parallel("x")
    b.output("y", "f32", (x,), b.input("a", "f32", x) + 1.0)
    kernel = Executable(b.build(), select("cpp")).kernel
    bound = kernel.prepare((5,), (), ((20, 0, (1,)), (20, 0, (1,))))
    s = steps(2, [])
    s.launch(bound, [0, 1], None)
    call = s.finish([])
    memory = torch.zeros(10)
    with pytest.raises(VerificationError):
        call(memory[:5], memory[1:6])  # written while it is read
    call(memory[:5], memory[5:])
    assert memory.tolist() == [0] * 5 + [1] * 5


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="the system has no such timer")
def test_signals_are_handled_between_steps():
    """Products of some milliseconds, for two seconds; a handler that raises ends them."""
    x, out, last = torch.ones(512, 512), torch.empty(512, 512), torch.zeros(512, 512)
    begin = time.perf_counter()
    torch.mm(x, x, out=out)
    count = int(2 / (time.perf_counter() - begin)) + 20
    s = steps(1, [out, last])
    for _ in range(count):
        s.product(False, 1, None, 0, 0, 1.0, 1.0)
    s.product(False, 2, None, 0, 0, 1.0, 1.0)
    call = s.finish([])
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            call(x)
        assert not last.any()
    finally:
        signal.signal(signal.SIGALRM, before)
