"""Embeddings of tokens, by rows.

Knows where the rows lie: in the checkpoint's file, and with a tied output layer in memory too. Does
not know what they are used for.
"""

from __future__ import annotations

import numpy as np

from airllm.checkpoint import Checkpoint
from airllm.tensor_ops.arrays import Operand
from airllm.tensor_ops.steps import embed, float_rows, is_native
from gint.quantized import PreparedWeights, QuantizedWeights

from .parts import as_part
from .weights import Weights


class Embedding:
    """The rows of a checkpoint's embedding, in float32."""

    def __init__(self, checkpoint: Checkpoint, weights: Weights) -> None:
        a = checkpoint.architecture
        self._stored, self._hidden = checkpoint.tensors["embedding"], a.hidden
        self._scale = np.float32(a.embedding_scale)
        self._in_memory = _tied(checkpoint, weights)

    @property
    def is_recordable(self) -> bool:
        """Whether a single token's is a native launch, which reads the token where it lies."""
        return self._in_memory is not None and is_native()

    def __call__(self, tokens: np.ndarray, out: np.ndarray) -> None:
        """out (rows, hidden) <- the embeddings of tokens, int64 without gaps."""
        if self._in_memory is not None and len(tokens) == 1 and is_native():
            embed(self._in_memory, float(self._scale), tokens, out)
            return
        if self._in_memory is not None:
            out[...] = self._in_memory.rows(tokens)
        else:
            for n, token in enumerate(tokens.tolist()):
                rows = self._stored.read(token, token + 1)
                out[n] = float_rows(as_part(rows, self._stored.kind, self._hidden))
        if self._scale != 1:
            out *= self._scale


def _tied(checkpoint: Checkpoint, weights: Weights) -> PreparedWeights | None:
    """The output layer where it stays in memory as native code reads it, the same blocks."""
    if not (checkpoint.architecture.tied and weights.is_recordable):
        return None
    parts = [part for _, part in weights.parts("output")]
    stored = checkpoint.tensors["embedding"]
    if len(parts) != 1 or isinstance(parts[0], (Operand, QuantizedWeights)):
        return None
    return parts[0] if parts[0].format.name == stored.kind else None
