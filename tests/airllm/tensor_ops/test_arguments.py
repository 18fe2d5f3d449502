"""What operations refuse, in which words, and that nothing has been written then."""

from __future__ import annotations

import numpy as np
import pytest

from airllm import tensor_ops as ops


def f32(*shape):
    return np.ones(shape, np.float32)


HIGH = "high_freq_factor"
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    HIGH: 4.0,
    "original_max_position_embeddings": 8192,
}
WRONG = [
    (lambda: ops.rms_norm(f32(2, 3), f32(4)), r"weight has the shape \(4,\) and needs \(3,\)"),
    (lambda: ops.rms_norm(f32(2, 3), f32(1, 3)), r"weight has the shape \(1, 3\) and needs"),
    (lambda: ops.rms_norm(f32(), f32()), r"x has the shape \(\), 0 dimensions, and needs at least"),
    (lambda: ops.layer_norm(f32(2, 3), bias=f32(2)), r"bias has the shape \(2,\) and needs \(3,\)"),
    (lambda: ops.softmax(f32()), "x has the shape"),
    (lambda: ops.softmax(f32(2, 3), 2), r"axis 2 does not exist: x has the shape \(2, 3\)"),
    (lambda: ops.gelu(f32(2), "erf"), "approximate must be 'tanh' or 'none', not 'erf'"),
    (lambda: ops.silu(f32(2, 3), out=f32(3, 2)), r"out has the shape \(3, 2\) and needs \(2, 3\)"),
    (
        lambda: ops.matmul_f32(f32(2, 3), f32(4, 5)),
        r"weight has the shape \(4, 5\) and needs \(3, 5\), \(in, out\): x has the shape \(2, 3\)",
    ),
    (lambda: ops.matmul_f32(f32(2, 3), f32(3)), r"weight has the shape \(3,\), 1 dim.* needs 2"),
    (lambda: ops.feed_forward(f32(2, 3), f32(3, 4), f32(4, 3), f32(3, 5)), "w3 has the shape"),
    (lambda: ops.feed_forward(f32(2, 3), f32(3, 4), f32(5, 3), f32(3, 4)), "w2 has the shape"),
    (
        lambda: ops.feed_forward(f32(2, 3), f32(3, 4), f32(4, 3), f32(3, 4), "tanh"),
        "activation must be one of 'silu', 'gelu', 'relu', not 'tanh'",
    ),
    (lambda: ops.apply_rope(f32(2, 8), f32(2, 8), 0, 3), "head_dim must be even"),
    (lambda: ops.apply_rope(f32(2, 8), f32(2, 8), 0, 0), "head_dim must be even"),
    (lambda: ops.apply_rope(f32(2, 9), f32(2, 8), 0, 4), r"q .* multiple of head_dim, 4"),
    (lambda: ops.apply_rope(f32(2, 8), f32(3, 8), 0, 4), r"k has the shape \(3,\) and needs"),
    (
        lambda: ops.apply_rope(f32(2, 8), f32(2, 8), np.arange(3), 4),
        r"pos has the shape \(3,\) and needs \(2,\), one position for each row of q",
    ),
    (lambda: ops.apply_rope(f32(2, 8), f32(2, 8), 0, 4, rope_theta=0), "rope_theta must be pos"),
    (
        lambda: ops.apply_rope(f32(2, 8), f32(2, 8), 0, 4, scaling={"rope_type": "yarn"}),
        "scaling must be None or .*llama3",
    ),
    (
        lambda: ops.apply_rope(f32(2, 8), f32(2, 8), 0, 4, scaling=LLAMA3 | {"factor": 0}),
        "scaling needs factor and original_max_position_embeddings above 0",
    ),
    (
        lambda: ops.apply_rope(f32(2, 8), f32(2, 8), 0, 4, scaling=LLAMA3 | {HIGH: 1.0}),
        "high_freq_factor above low_freq_factor",
    ),
    (
        lambda: ops.feed_forward(f32(2, 3), f32(3, 4), f32(4, 3), f32(3, 4), []),
        r"activation must be one of .*, not \[\]",
    ),
    (lambda: ops.multi_head_attention(f32(2, 8), f32(3, 8), f32(3, 8), 3, 2), "multiple of n_kv"),
    (lambda: ops.multi_head_attention(f32(2, 8), f32(3, 8), f32(3, 8), 0, 1), "at least 1"),
    (lambda: ops.multi_head_attention(f32(2, 9), f32(3, 8), f32(3, 8), 2, 2), "multiple of n_head"),
    (
        lambda: ops.multi_head_attention(f32(2, 8), f32(3, 4), f32(3, 8), 2, 2),
        r"k has the shape \(3, 4\) and needs \(3, 8\)",
    ),
    (lambda: ops.multi_head_attention(f32(2, 8), f32(3, 8), f32(4, 8), 2, 2), "v has the shape"),
    (
        lambda: ops.multi_head_attention(f32(2, 8), f32(3, 8), f32(3, 8), 2, 2, f32(3, 2)),
        r"mask has the shape \(3, 2\) and needs \(2, 3\)",
    ),
    (
        lambda: ops.multi_head_attention(f32(2, 8), f32(3, 8), f32(3, 8), 2, 2, "sliding"),
        "mask must be an array, 'causal' or None, not 'sliding'",
    ),
]


@pytest.mark.parametrize(("call", "words"), WRONG)
def test_sizes_and_values_that_do_not_match(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.silu([1.0, 2.0]), "x must be an array, not list"),
        (lambda: ops.silu(1.0), "x must be an array, not float"),
        (lambda: ops.silu(np.ones(2)), "x holds float64; float32, float16 and bfloat16 are acc"),
        (lambda: ops.silu(np.ones(2, np.int32)), "x holds int32"),
        (lambda: ops.silu(np.ones(2, np.uint16)), "x holds uint16"),
        (lambda: ops.silu(np.ma.ones(2, np.float32)), r"x is a masked array: pass x.filled"),
        (lambda: ops.rms_norm(f32(2), np.ones(2)), "weight holds float64"),
        (lambda: ops.silu(f32(2), out=np.ones(2, np.float16)), "out holds f16; the result is f32"),
        (lambda: ops.apply_rope(f32(1, 4), f32(1, 4), 0.5, 4), "pos must be an integer"),
        (lambda: ops.apply_rope(f32(1, 4), f32(1, 4), f32(1), 4), "pos holds float32"),
        (lambda: ops.apply_rope(f32(1, 4), f32(1, 4), 0, 4.0), "head_dim must be an integer"),
        (lambda: ops.apply_rope(f32(1, 4), f32(1, 4), 0, 4, "x"), "rope_theta must be a number"),
        (lambda: ops.apply_rope(f32(1, 4), f32(1, 4), 0, 4, out=f32(1, 4)), "out must be a pair"),
        (
            lambda: ops.apply_rope(f32(1, 4), f32(1, 4), 0, 4, scaling="llama3"),
            "scaling must be None or a mapping, not 'llama3'",
        ),
        (
            lambda: ops.apply_rope(f32(1, 4), f32(1, 4), 0, 4, scaling=LLAMA3 | {"factor": "8"}),
            "scaling's factor must be a number, not '8'",
        ),
        (lambda: ops.rms_norm(f32(2), f32(2), "1e-6"), "eps must be a number, not '1e-6'"),
        (lambda: ops.layer_norm(f32(2), eps=None), "eps must be a number, not None"),
        (lambda: ops.softmax(f32(2), 1.5), "axis must be an integer, not 1.5"),
        (
            lambda: ops.multi_head_attention(f32(1, 4), f32(1, 4), f32(1, 4), "2", 1),
            "n_heads must be an integer, not '2'",
        ),
        (
            lambda: ops.multi_head_attention(
                f32(1, 4), f32(1, 4), f32(1, 4), 1, 1, np.ones((1, 1))
            ),
            "mask holds float64",
        ),
        (
            lambda: ops.multi_head_attention(
                f32(1, 4), f32(1, 4), f32(1, 4), 1, 1, np.ones(1, int)
            ),
            r"mask holds int64; bool \(True keeps\), and float32",
        ),
    ],
)
def test_types_that_are_not_taken(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def test_an_array_that_cannot_be_written_is_no_out():
    out = f32(3)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="out is read-only"):
        ops.silu(f32(3), out=out)
    raw = np.zeros(13, np.uint8)
    with pytest.raises(ValueError, match="out is not aligned"):
        ops.silu(f32(3), out=raw[1:].view(np.float32))
    assert not raw.any()


def test_an_out_that_overlaps_what_is_read_is_refused():
    x = f32(4, 4)
    before = x.copy()
    with pytest.raises(ValueError, match="out shares memory with x"):
        ops.matmul_f32(x, f32(4, 4), out=x)
    with pytest.raises(ValueError, match=r"overlap|share"):
        ops.silu(x[:-1], out=x[1:])
    np.testing.assert_array_equal(x, before)


def test_attention_writes_over_nothing_that_it_reads():
    """Blocks of rows that follow would read what the first wrote."""
    given = {"q": f32(4, 4), "k": f32(4, 4), "v": f32(4, 4), "mask": f32(4, 4)}
    for name, out in given.items():
        with pytest.raises(ValueError, match=f"out shares memory with {name}"):
            ops.multi_head_attention(**given, n_heads=1, n_kv_heads=1, out=out)
    rows = f32(5, 4)
    with pytest.raises(ValueError, match="out shares memory with q"):
        ops.multi_head_attention(rows[:4], f32(4, 4), f32(4, 4), 1, 1, out=rows[1:])


def test_rope_results_do_not_meet():
    q, k = f32(2, 4), f32(2, 4)
    with pytest.raises(ValueError, match=r"out\[0\] shares memory with k"):
        ops.apply_rope(q, k, 0, 4, out=(k, q))
    with pytest.raises(ValueError, match=r"out\[1\] shares memory with out\[0\]"):
        ops.apply_rope(q, k, 0, 4, out=(q, q))
    np.testing.assert_array_equal((q, k), f32(2, 2, 4))


def test_neighbours_in_one_array_share_no_memory():
    """Columns of a fused projection: their bounds overlap, their elements do not."""
    both = np.random.default_rng(0).standard_normal((3, 8), np.float32)
    q, k = both[:, :4], both[:, 4:]
    expected = ops.apply_rope(q.copy(), k.copy(), 1, 4)
    ops.apply_rope(q, k, 1, 4, out=(q, k))
    np.testing.assert_array_equal((q, k), expected)
    ops.matmul_f32(q, np.eye(4, dtype=np.float32), out=k)
    np.testing.assert_array_equal(k, q)


def test_out_is_untouched_by_a_call_that_is_refused():
    out = f32(2, 3)
    with pytest.raises(ValueError, match="weight"):
        ops.rms_norm(f32(2, 3), f32(4), out=out)
    np.testing.assert_array_equal(out, f32(2, 3))


def test_other_byte_order_and_unaligned_memory_are_read():
    x = np.arange(6, dtype=np.float32)
    expected = ops.silu(x)
    np.testing.assert_array_equal(ops.silu(x.astype(">f4")), expected)
    raw = np.zeros(25, np.uint8)
    raw[1:].view(np.float32)[:] = x
    np.testing.assert_array_equal(ops.silu(raw[1:].view(np.float32)), expected)


def test_an_out_whose_elements_share_memory_is_refused():
    spread = np.lib.stride_tricks.as_strided
    for out in (
        spread(np.zeros(4, "f4"), (3, 4), (0, 4)),
        spread(np.zeros(9, "f4"), (3, 4), (4, 4)),
    ):
        with pytest.raises(ValueError, match="share memory: strides"):
            ops.matmul_f32(np.ones((3, 6), "f4"), np.ones((6, 4), "f4"), out=out)
    turned, column = np.zeros((4, 3), "f4").T, spread(np.zeros(3, "f4"), (3, 1), (4, 0))
    for out in (turned, column):
        x = np.ones(out.shape, "f4")
        assert ops.silu(x, out=out) is out
        np.testing.assert_array_equal(out, ops.silu(x))
