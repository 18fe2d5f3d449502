"""Attention reads the heads that were repeated for it, where nobody else reads those."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from torch.fx.experimental.proxy_tensor import make_fx

from gint.conductor.graph.heads import share_heads

pytestmark = pytest.mark.torch
ATTENTION = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default


def expanded(x, times: int = 3):
    batch, heads, rows, size = x.shape
    spread = x[:, :, None, :, :].expand(batch, heads, times, rows, size)
    return spread.reshape(batch, heads * times, rows, size)


def interleaved(x, times: int = 3):
    return x.repeat_interleave(times, dim=1)


def repeated(x, times: int = 3):
    return x.repeat(1, times, 1, 1)  # other heads: each query meets another


def attend(q, k, v):
    return torch.nn.functional.scaled_dot_product_attention(q, k, v)


def operators(function, *args) -> list[str]:
    """What is left of a function's graph, which still computes the same."""
    module = make_fx(function)(*args)
    share_heads(module.graph)
    module.graph.lint()
    module.recompile()
    for found, wanted in zip(module(*args), function(*args), strict=True):
        torch.testing.assert_close(found, wanted)
    return [n.target for n in module.graph.nodes if n.op == "call_function"]


def operands(rows: int = 7):
    return torch.randn(2, 6, rows, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8)


@pytest.mark.parametrize("repeat", [expanded, interleaved])
@pytest.mark.parametrize("rows", [1, 7])
def test_repeated_heads_are_shared(repeat, rows):
    found = operators(lambda q, k, v: (attend(q, repeat(k), repeat(v)),), *operands(rows))
    assert found[0] is ATTENTION


def test_one_key():
    q, k, v = torch.randn(2, 6, 1, 8), torch.randn(2, 2, 1, 8), torch.randn(2, 2, 1, 8)
    found = operators(lambda *a: (attend(a[0], expanded(a[1]), expanded(a[2])),), q, k, v)
    assert found[0] is ATTENTION


@pytest.mark.parametrize(
    "function",
    [
        lambda q, k, v: (attend(q, repeated(k), repeated(v)),),
        lambda q, k, v: (attend(q, expanded(k), repeated(v)),),
        lambda q, k, v: (attend(q, k := expanded(k), expanded(v)), k),
        lambda q, k, v: (attend(q, expanded(k)[:, :, 1:], expanded(v)[:, :, 1:]),),
        lambda q, k, v: (attend(q, expanded(k[:, :1], 6), expanded(v)),),
    ],
    ids=["in turns", "one in turns", "returned", "sliced", "of other numbers"],
)
def test_other_heads_are_not(function):
    assert operators(function, *operands())[0] is not ATTENTION


def test_a_masked_call_copies_no_cache():
    from gint.conductor import explain

    q, k, v = operands(1)
    with torch.no_grad():
        (graph,) = explain(
            lambda *a: torch.nn.functional.scaled_dot_product_attention(
                a[0], expanded(a[1]), expanded(a[2]), attn_mask=a[3]
            ),
            q, k, v, torch.randn(1, 1, 1, 7),
        ).graphs  # fmt: skip
    assert graph.programs == 0
