"""The operations as their formulas say, for float64 arrays."""

from __future__ import annotations

import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[np.float64])


def softmax_reference(x, axis):
    if not x.size:
        return x
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def rope_reference(x, positions, head_dim, interleaved, theta=10000.0):
    """Pairs as complex numbers, turned."""
    half = head_dim // 2
    heads = x.reshape(*x.shape[:-1], x.shape[-1] // head_dim, head_dim)
    firsts, seconds = np.s_[..., :half], np.s_[..., half:]
    if interleaved:
        firsts, seconds = np.s_[..., ::2], np.s_[..., 1::2]
    first, second = heads[firsts], heads[seconds]
    turn = np.exp(1j * positions[:, None] * theta ** (-2 * np.arange(half) / head_dim))
    turned = (first + 1j * second) * turn[:, None]
    found = np.empty_like(heads)
    found[firsts], found[seconds] = turned.real, turned.imag
    return found.reshape(x.shape)


def attention_reference(q, k, v, heads, kv_heads, mask):
    """One head and one query after the other."""
    seq, kv_seq, d = len(q), len(k), q.shape[1] // heads
    found = np.zeros_like(q)
    for h in range(heads):
        g = h // (heads // kv_heads)
        own = slice(h * d, (h + 1) * d)
        shared = slice(g * d, (g + 1) * d)
        for i in range(seq):
            scores = k[:, shared] @ q[i, own] / math.sqrt(d)
            keep = np.ones(kv_seq, bool)
            if isinstance(mask, str):
                keep = np.arange(kv_seq) <= i + kv_seq - seq
            elif mask is not None:
                row = mask[i] if mask.ndim == 2 else mask[h, i]
                if mask.dtype == bool:
                    keep = row
                else:
                    scores = scores + row
            if keep.any():
                found[i, own] = softmax_reference(scores[keep], -1) @ v[keep][:, shared]
    return found


def silu_reference(x):
    return x / (1 + np.exp(-x))


def gelu_reference(x):
    """By tanh."""
    return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_erf_reference(x):
    return x / 2 * (1 + erf(x / math.sqrt(2)))
