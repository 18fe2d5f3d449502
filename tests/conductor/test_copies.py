"""Tensors put together of pieces, through the conductor: joined and padded."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import explain, gint_backend

from .comparing import Call, Traced, assert_same

pytestmark = pytest.mark.torch
F = torch.nn.functional
X, Y = torch.randn(2, 3, 5, 7), torch.randn(2, 3, 5, 7)
X[0, 0, 0, :3] = torch.tensor([float("nan"), float("inf"), -0.0])


COPIED = {
    **{f"cat {d}": lambda x, y, d=d: torch.cat([x, y[:, :, :, :7], x], d) for d in range(-4, 4)},
    **{f"stack {d}": lambda x, y, d=d: torch.stack([x, y, x], d) for d in range(-5, 5)},
    "cat with gaps": lambda x, y: torch.cat([x[:, :, ::2], y[:, :, 1:2].expand(2, 3, 4, 7)], 2),
    "cat transposed": lambda x, y: torch.cat([x.transpose(2, 3), y.transpose(2, 3)], 1),
    "cat of one row": lambda x, y: torch.cat([x[:1, :1, :1], y[:1, :1, :1]], 3),
    "cat with nothing": lambda x, y: torch.cat([x, x[:0], y.flatten()[:0], y]),
    "cat computed": lambda x, y: torch.cat([x + 1, y * 2, x, y]) * 2,
    **{
        f"pad {mode} {pad}": lambda x, y, mode=mode, pad=pad: F.pad(x, pad, mode=mode)
        for mode in ("constant", "reflect", "replicate", "circular")
        for pad in ((1, 2, 3, 1), (0, 0, 2, 0), (4, 0, 0, 0), (-1, 3, 0, -2))
    },
    "pad of a line": lambda x, y: F.pad(x[0], (2, 4), mode="reflect") + F.pad(
        y[0], (4, 2), mode="circular"
    ),
    "pad with a number": lambda x, y: F.pad(x, (1, 0, 0, 0, 2, 3), value=3),
}  # fmt: skip


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool], ids=str)
@pytest.mark.parametrize("name", COPIED)
def test_copied(name, dtype, layout, interpreters):
    x, y = ((t * 3).nan_to_num(9).to(dtype) if dtype is torch.int64 else (t * 3).to(dtype)
            for t in (X, Y))  # fmt: skip
    call = Call.of(COPIED[name], x.contiguous(memory_format=layout), y)
    try:
        expected = call.eager()
    except (RuntimeError, NotImplementedError):
        pytest.skip("eager refuses")
    traced = Traced(call)
    for backend in interpreters:
        assert_same(traced.run(traced.compile(backend)), expected)


@pytest.mark.cpp
@pytest.mark.parametrize(
    "shape", [(2, 3, 5, 7), (1, 1, 1, 1), (2, 1, 301, 607), (0, 3, 2, 2)], ids=str
)
def test_copied_by_a_run(shape):
    """As a native step; the last but one shape on several threads, past the caches."""
    x = torch.randn(shape)

    def f(x):
        pad = min(shape[2:]) - 1
        return (
            F.pad(x, (pad, pad, 1, 0), mode="circular"), F.pad(x, (pad,) * 4, mode="reflect"),
            F.pad(x, (1, 2, 3, 4), mode="replicate"), torch.cat([x] * 5, 2),
            torch.stack([x, x], -1),
        )  # fmt: skip

    torch._dynamo.reset()
    (graph,) = explain(f, x).graphs
    assert "run_" in graph.plan
    assert graph.plan.count("\n        # ") + graph.plan.count("\n    # ") >= 5
    for made, expected in zip(torch.compile(f, backend=gint_backend)(x), f(x), strict=True):
        assert torch.equal(made, expected)
        assert made.stride() == expected.stride()


@pytest.mark.cpp
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.int32, torch.float64], ids=str)
def test_lines_of_every_short_length(dtype):
    """Copied some at a time, also across groups of them that are outside, and turned ones."""
    lines = [torch.randint(0, 100, (5, 29, n)).to(dtype) for n in (1, 2, 3, 5, 8, 13, 31, 33, 67)]

    def f(*lines):
        return (
            *(F.pad(x, (1, 2, 2, 3, 1, 0), value=7) for x in lines),
            *(torch.cat([x, x[..., :1], x], 2) for x in lines),
            *(torch.cat([x[:, :15], x.mT[:, :1].expand(5, 3, 29).mT[..., :1].expand_as(x)], 1)
              for x in lines),
            *(torch.cat([x.mT, x.mT.contiguous()], 1) for x in lines),
        )  # fmt: skip

    torch._dynamo.reset()
    for made, expected in zip(
        torch.compile(f, backend=gint_backend)(*lines), f(*lines), strict=True
    ):
        assert torch.equal(made, expected)


def test_a_circular_pad_is_one_operator():
    (graph,) = explain(lambda x: F.pad(x, (1, 2, 0, 3), mode="circular"), X).graphs
    assert graph.externs == {"aten._pad_circular": 1}
    assert graph.programs == 0


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
def test_long_lines_are_padded_without_a_list_of_positions(mode):
    x = torch.randn(1, 1, 300_001)
    torch._dynamo.reset()
    compiled = torch.compile(lambda x: F.pad(x, (3, 5), mode=mode), backend=gint_backend)
    assert torch.equal(compiled(x), F.pad(x, (3, 5), mode=mode))
