"""Recurrent cells over a sequence, a step after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gint.host import memory
from gint.host.frontend import Builder

from .arrays import same_type, widened
from .launches import compute
from .products import multiply, product
from .registry import operator

#: The kind of cell in oneDNN's numbers: an LSTM's is all that torch keeps whole.
_LSTM = 2


@operator("mkldnn_rnn_layer")
def lstm_layer(
    input: np.ndarray, weight0: np.ndarray, weight1: np.ndarray, weight2: np.ndarray,
    weight3: np.ndarray, hx_: np.ndarray, cx_: np.ndarray, reverse: bool,
    batch_sizes: Sequence[int], mode: int, hidden_size: int, num_layers: int, has_biases: bool,
    bidirectional: bool, batch_first: bool, train: bool,
) -> tuple[np.ndarray, ...]:  # fmt: skip
    """A layer of an LSTM in one direction: input (t, b, i), weights (4h, i) and (4h, h), biases
    (4h,), states (b, h) or (1, b, h); all hidden states (t, b, h), the last ones, and nothing.

    Gates lie as torch.nn.LSTM has them: input, forget, cell, output. `num_layers`, `bidirectional`
    and `batch_first` are those of the network that the layer is of: ATen has turned the input and
    calls this for each layer and direction. Raises ValueError for other cells and packed sequences.
    """
    if mode != _LSTM or len(batch_sizes):
        raise ValueError("mkldnn_rnn_layer takes a layer of an LSTM, of sequences of one length.")
    same_type("mkldnn_rnn_layer", input, weight0, weight1, hx_, cx_)
    steps, batch, size = *input.shape[:2], int(hidden_size)
    bias = widened(weight2) + widened(weight3) if has_biases else None
    from_input = product(input.reshape(steps * batch, input.shape[2]), weight0.T, bias=bias)
    from_input = from_input.reshape(steps, batch, 4, size)
    across = np.ascontiguousarray(widened(weight1).T)
    states = memory.empty((steps, batch, size), across.dtype)
    hidden, cell = (np.array(widened(a.reshape(batch, size))) for a in (hx_, cx_))
    from_hidden = np.empty((batch, 4 * size), across.dtype)
    gates = from_hidden.reshape(batch, 4, size)
    for t in reversed(range(steps)) if reverse else range(steps):
        multiply(hidden, across, from_hidden)
        pairs = [part[:, gate] for gate in range(4) for part in (from_input[t], gates)]
        compute(_cell, *pairs, cell, states[t])
        hidden = states[t]
    last = [np.array(a, input.dtype).reshape(hx_.shape) for a in (hidden, cell)]
    return states.astype(input.dtype, copy=False), *last, np.empty(0, np.uint8)


def _cell(b: Builder, lead: tuple[int, ...], types: tuple[str, ...]) -> None:
    """cell <- forget * cell + input * candidate; the hidden state."""

    def gate(name: str) -> Any:
        return b.input(f"{name}_x", types[0], *lead) + b.input(f"{name}_h", types[0], *lead)

    taken, kept, candidate, shown = map(gate, ("input", "forget", "cell", "output"))
    cell = b.sigmoid(kept) * b.inout("state", types[0], *lead) + b.sigmoid(taken) * b.tanh(
        candidate
    )
    b.store("state", cell)
    b.output("hidden", types[0], lead, b.sigmoid(shown) * b.tanh(cell))
