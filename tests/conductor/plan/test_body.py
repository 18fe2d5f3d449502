"""Bodies of plans: native calls on frames, and what must not be seen of the frame's memory."""

from __future__ import annotations

import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import gint.conductor
from gint.runtime.tensors import frames, products
from gint.runtime.tensors.torch_shim import native_with_torch

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        native_with_torch() is None, reason="no native module, or a torch without its C shim"
    ),
]


def compiled_of(function):
    torch._dynamo.reset()
    return torch.compile(function, backend="gint", options={"check": True}, fullgraph=True)


def plan() -> str:
    return gint.conductor.statistics()[-1].plan


def chain(x, w):
    for _ in range(3):
        x = torch.relu(x @ w.t() + 1).view(-1, w.shape[0]) + x.mean()
    return x


def calls_in(text: str) -> list[str]:
    """What a plan's function does, comments and memory apart."""
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines if "(" in line and not line.startswith(("#", "def", "frame"))]


def test_products_views_and_programs_are_one_call():
    x, w = torch.randn(3, 5), torch.randn(5, 5)
    compiled = compiled_of(chain)
    torch.testing.assert_close(compiled(x, w), chain(x, w))
    lines = calls_in(plan())
    assert sum(line.startswith("run_0(") for line in lines) == 1
    assert not any("mm" in line or "launch" in line or "reinterpret" in line for line in lines)


def test_a_cache_that_grows_stays_within_one_call():
    def step(x, keys, values):
        for _ in range(2):
            heads = torch.relu(x.view(1, 4, 1, 16))
            keys, values = (torch.cat([old, heads[:, :2]], -2) for old in (keys, values))
            seen = torch.nn.functional.scaled_dot_product_attention(
                heads, keys, values, enable_gqa=True
            )
            x = seen.transpose(1, 2).reshape(1, 64) + 1
        return x, keys, values

    torch._dynamo.reset()
    compiled = torch.compile(step, backend="gint", options={"check": True}, dynamic=True)
    for length in (5, 9, 30):
        x, keys, values = (torch.randn(*s) for s in ((1, 64), *[(1, 2, length, 16)] * 2))
        for found, wanted in zip(compiled(x, keys, values), step(x, keys, values), strict=True):
            torch.testing.assert_close(found, wanted)
            assert found.stride() == wanted.stride()
    lines = calls_in(plan())
    assert [line.partition(" = ")[2].startswith("run_0(") for line in lines].count(True) == 1
    assert not any(n in line for n in ("cat", "attention", "reinterpret") for line in lines)


def test_results_are_not_the_frames():
    compiled = compiled_of(chain)
    w = torch.randn(5, 5)
    inputs = [torch.randn(3, 5) for _ in range(4)]
    held = [compiled(x, w) for x in inputs]
    for x, result in zip(inputs, held, strict=True):
        torch.testing.assert_close(result, chain(x, w))


def test_a_returned_view_shows_memory_of_its_own():
    def f(x, w):
        y = x @ w
        return y.t(), (x @ w).relu().sum(0)

    compiled = compiled_of(f)
    x, w = torch.randn(3, 5), torch.randn(5, 5)
    first, wanted = compiled(x, w), f(x, w)
    compiled(x + 1, w)
    torch.testing.assert_close(first, wanted)


def test_a_view_whose_schema_hides_it_shows_memory_of_its_own():
    """AOTAutograd regenerates the flattened view of what was written by `_unsafe_view`s."""

    def f(x):
        y = x.flatten()
        y.relu_()
        return y, x.sigmoid() * 2

    x = torch.randn(5).as_strided((2, 1, 5), (0, 5, 1)).requires_grad_()
    compiled, wanted = compiled_of(f), f(x)
    first = compiled(x)
    compiled(torch.ones(5).as_strided((2, 1, 5), (0, 5, 1)).requires_grad_())
    torch.testing.assert_close(first, wanted)


def test_an_operator_outside_of_native_calls_reads_the_frame():
    def f(x, w):
        y = torch.relu(x @ w)
        return torch.sort(y, 0)[0] @ w, y.sum() * torch.linalg.qr(y @ w)[1]

    compiled = compiled_of(f)
    x, w = torch.randn(6, 4), torch.randn(4, 4)
    for _ in range(2):
        torch.testing.assert_close(compiled(x, w), f(x, w))


def test_threads_have_frames_of_their_own():
    compiled, wrong = compiled_of(chain), []
    w = torch.randn(5, 5) / 5
    compiled(torch.randn(3, 5), w)

    def work(seed: int) -> None:
        x = torch.randn(3, 5, generator=torch.Generator().manual_seed(seed))
        wanted = chain(x, w)
        wrong.extend(seed for _ in range(200) if not torch.allclose(compiled(x, w), wanted))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_an_error_halfway_gives_the_frame_back():
    def f(x, n, w):
        y = torch.relu(x @ w)
        return (y @ w) * (100 // n).sum()

    compiled = compiled_of(f)
    x, w, n = torch.randn(3, 4), torch.randn(4, 4), torch.arange(1, 4)
    compiled(x, n, w)
    before = {size: len(blocks) for size, blocks in frames._free.items()}
    for _ in range(3):
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            compiled(x, n - 1, w)
    assert {size: len(blocks) for size, blocks in frames._free.items()} == before
    torch.testing.assert_close(compiled(x, n, w), f(x, n, w))


def test_memory_that_a_launch_refuses_within_a_call_is_copied():
    def f(x, y, w):
        z = torch.relu(x @ w)
        y.add_(z + x)
        return y @ w

    compiled = compiled_of(f)
    w = torch.randn(4, 4)
    for offset in (0, 1, 3):  # bytes: misaligned memory
        memory = np.zeros(200, np.uint8)
        x, other = (
            torch.from_numpy(memory[start : start + 48].view(np.float32).reshape(3, 4))
            for start in (offset, 100 + offset)
        )
        x.copy_(torch.randn(3, 4))
        y = other.clone()
        wanted = f(x, y, w)
        torch.testing.assert_close(compiled(x, other, w), wanted)
        torch.testing.assert_close(other, y)


def test_first_called_in_inference_mode_and_trained_after():
    def f(x, w):
        return torch.relu(x @ w).view(-1) * 2

    compiled = compiled_of(f)
    x, w = torch.randn(3, 4), torch.randn(4, 4)
    with torch.inference_mode():
        torch.testing.assert_close(compiled(x, w), f(x, w))
    torch.testing.assert_close(compiled(x, w), f(x, w))
    w.requires_grad_(True)
    compiled(x, w).sum().backward()
    found, w.grad = w.grad, None
    f(x, w).sum().backward()
    torch.testing.assert_close(found, w.grad)


@pytest.mark.parametrize("within", [False, True])
def test_a_negative_bit_is_torchs_business(within: bool):
    def f(z, w):
        x = z.conj().imag if within else z
        return torch.relu(torch.ones(3, 4) @ w) + x @ w

    z, w = torch.randn(3, 4, dtype=torch.complex64), torch.randn(4, 4)
    given = z if within else z.conj().imag
    assert given.is_neg() is not within
    with torch.no_grad():
        torch.testing.assert_close(compiled_of(f)(given, w), f(given, w))


def test_what_counts_from_the_storage_reads_no_frame():
    def f(x, y):
        left, right = torch.sin(x), torch.cos(x)
        left = torch.as_strided_scatter(left, torch.relu(y), (5,), (1,), 2)
        right = torch.as_strided_scatter(right, torch.relu(-y), (5,), (2,), 0)
        return left * 2, right * 3

    x, y = torch.randn(38), torch.randn(5)
    torch.testing.assert_close(compiled_of(f)(x, y), f(x, y))


def test_large_values_are_the_pools(monkeypatch):
    monkeypatch.setattr(products, "is_faster", lambda: False)

    def f(x, w):
        return torch.relu(x @ w) @ w

    x, w = torch.randn(1024, 512), torch.randn(512, 512) / 20
    torch.testing.assert_close(compiled_of(f)(x, w), f(x, w), rtol=1e-4, atol=1e-4)
    assert "frames_" not in plan()
    assert plan().count("shelf_") >= 2


def test_symbolic_sizes_do_without():
    torch._dynamo.reset()
    compiled = torch.compile(chain, backend="gint", dynamic=True, options={"check": True})
    w = torch.randn(5, 5)
    for rows in (3, 7):
        x = torch.randn(rows, 5)
        torch.testing.assert_close(compiled(x, w), chain(x, w))
    assert "run_" not in plan()
