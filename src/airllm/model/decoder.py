"""The steps from tokens to logits, and to a token.

Knows an architecture, weights, a cache, and which operation comes after which. Does not know files,
backends, nor how a token is chosen.
"""

from __future__ import annotations

import numpy as np

from airllm.checkpoint import Architecture, Checkpoint
from airllm.generation.sampling import Sampler
from airllm.tensor_ops import multi_head_attention, steps
from airllm.tensor_ops.sampling import sample
from gint.host import memory
from gint.host.recall import watched

from .cache import BUCKET, Cache
from .embedding import Embedding
from .matrices import Vectors, last_norm, vectors
from .row import RecordedRow
from .weights import Weights

#: What lay between a prompt's steps is given back where it was so much: single tokens need none of
#: it, and the C library would keep it.
_TRIMMED_BYTES = 2 << 20


class Buffers:
    """What lies between two steps, for a number of rows. `x` is the residual."""

    def __init__(self, a: Architecture, rows: int) -> None:
        def empty(*shape: int) -> np.ndarray:
            return np.empty(shape, np.float32)

        self.x, self.normed, self.more = (empty(rows, a.hidden) for _ in range(3))
        self.qkv = empty(rows, a.query_size + 2 * a.kv_size)
        self.mixed = empty(rows, a.query_size)
        self.gate_up = empty(rows, 2 * a.intermediate)
        # In memory of their own: products want rows without gaps.
        self.gated = empty(rows, a.intermediate)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in vars(self).values())


class Decoder:
    """A model's layers. Not for several threads at a time."""

    def __init__(self, checkpoint: Checkpoint, weights: Weights) -> None:
        a = self.architecture = checkpoint.architecture
        self.weights = weights
        self._embed = Embedding(checkpoint, weights)
        self._vectors = [vectors(checkpoint, n) for n in range(a.layers)]
        self._last_norm = last_norm(checkpoint)
        self._row, self._token = Buffers(self.architecture, 1), np.empty(1, np.int64)
        self._recorded: RecordedRow | None = None
        self._is_embedded = False  # by the recorded steps

    def __call__(
        self, tokens: np.ndarray, cache: Cache, logits: np.ndarray, sampler: Sampler | None = None
    ) -> None:
        """logits <- what is expected after the last of the tokens, as many as it has rows; where
        there is a sampler, whose logits they are then, it has a token chosen by them.

        Fills the cache's rows from its length on; the length stays.
        """
        if len(tokens) > 1:
            self._run_rows(tokens, cache, logits, sampler)
            return
        # The row of the embedding that a sampler's token names is read by the steps themselves.
        token = self._token if sampler is None else sampler.token
        if tokens is not token:
            token[0] = tokens[0]
        row = self._recorded
        if row is not None and row.fits(cache, sampler):
            if not self._is_embedded:
                self._embed(token, self._row.x)
            row(logits, sampler)
        elif self.weights.is_recordable and steps.is_native() and cache.length:
            self._record(token, cache, logits, sampler)
        else:
            self._embed(token, self._row.x)
            self._run(self._row, cache, logits, sampler)

    def _record(
        self, token: np.ndarray, cache: Cache, logits: np.ndarray, sampler: Sampler | None
    ) -> None:
        self._is_embedded = self._embed.is_recordable
        if not self._is_embedded:
            self._embed(token, self._row.x)
        with watched() as launches:
            if self._is_embedded:
                self._embed(token, self._row.x)
            self._run(self._row, cache, logits, sampler)
        self._recorded = RecordedRow(launches, cache, logits, sampler)

    def _run_rows(
        self, tokens: np.ndarray, cache: Cache, logits: np.ndarray, sampler: Sampler | None
    ) -> None:
        b = Buffers(self.architecture, len(tokens))
        self._embed(tokens, b.x)
        self._run(b, cache, logits, sampler)
        is_large = b.nbytes >= _TRIMMED_BYTES
        del b
        if is_large:
            memory.trim()

    def _run(self, b: Buffers, cache: Cache, logits: np.ndarray, sampler: Sampler | None) -> None:
        """From embeddings in `b.x` to logits, and a token, step by step."""
        a, more = self.architecture, None
        for layer, v in enumerate(self._vectors):
            self._norm(b, more, v.attention_norm)
            self._project(b, cache, layer, v)
            self._attend(b, cache, layer)
            self._multiply(f"{layer}.o", b.mixed, b.more, v.o_bias)
            self._norm(b, b.more, v.feed_forward_norm)
            self._multiply(f"{layer}.gate_up", b.normed, b.gate_up, v.gate_up_bias)
            wide = a.intermediate
            steps.gate(b.gate_up[:, :wide], b.gate_up[:, wide:], a.activation, b.gated)
            self._multiply(f"{layer}.down", b.gated, b.more, v.down_bias)
            more = b.more
        self._norm(b, more, self._last_norm)
        self._multiply("output", b.normed[-len(logits) :], logits, None)
        if sampler is not None:
            sample(logits[0], sampler.seen, sampler.rule, sampler.token)

    def _norm(self, b: Buffers, more: np.ndarray | None, weight: np.ndarray) -> None:
        """The residual, to which a layer's result is added first, normed."""
        eps = self.architecture.norm_eps
        if more is None:
            steps.norm(b.x, weight, eps, b.normed)
        else:
            steps.add_norm(b.x, more, weight, eps, b.normed)

    def _multiply(self, key: str, x: np.ndarray, out: np.ndarray, bias: np.ndarray | None) -> None:
        for at, part in self.weights.parts(key):
            steps.multiply(x, part, out[:, at : at + part.shape[0]])
        if bias is not None:
            steps.add(out, bias)

    def _project(self, b: Buffers, cache: Cache, layer: int, v: Vectors) -> None:
        """Queries, keys and values, of which the last two go to the cache."""
        a, rows = self.architecture, len(b.x)
        self._multiply(f"{layer}.qkv", b.normed, b.qkv, v.qkv_bias)
        k = a.query_size + a.kv_size
        heads = b.qkv[:, :k].reshape(rows, a.heads + a.kv_heads, a.head_dim)
        if v.query_norm is not None and v.key_norm is not None:
            for part, weight in ((heads[:, : a.heads], v.query_norm),
                                 (heads[:, a.heads :], v.key_norm)):  # fmt: skip
                steps.norm(part, weight, a.norm_eps, part)
        at = np.s_[cache.length : cache.length + rows]
        steps.keep(
            b.qkv, cache.cos[at], cache.sin[at], a.rope.interleaved,
            cache.key_places(layer, rows), cache.values[layer, :, at],
        )  # fmt: skip

    def _attend(self, b: Buffers, cache: Cache, layer: int) -> None:
        a, rows, q = self.architecture, len(b.x), self.architecture.query_size
        if rows == 1:
            count, shape = cache.attended(), (a.kv_heads, a.heads // a.kv_heads, a.head_dim)
            steps.attend(
                b.qkv[0, :q].reshape(shape), cache.keys[layer, :, : count // BUCKET],
                cache.values[layer, :, :count],
                cache.keep(cache.length, count), cache.scores(count), b.mixed.reshape(shape),
            )  # fmt: skip
            return
        k, v = b.qkv[:, q : q + a.kv_size], b.qkv[:, q + a.kv_size :]
        if cache.length:
            k, v = cache.first(layer, cache.length + rows)
        mask = cache.mask(rows)
        multi_head_attention(b.qkv[:, :q], k, v, a.heads, a.kv_heads, mask, out=b.mixed)
