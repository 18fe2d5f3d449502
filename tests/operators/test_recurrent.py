"""Recurrent cells: layers beside ATen's, and networks saved and run without torch."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import gint
from gint.conductor import export
from gint.operators import OPERATORS
from tests.operators.beside import array, compare

pytestmark = pytest.mark.torch
NAME = "aten.mkldnn_rnn_layer.default"


@pytest.mark.parametrize("sizes", [(5, 2, 3, 4), (1, 1, 1, 1), (7, 3, 16, 5)])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("biases", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("of", [(1, False, False), (2, True, True)])
def test_a_layer_is_atens(sizes, reverse, biases, dtype, of):
    steps, batch, width, size = sizes
    torch.manual_seed(0)
    shapes = (steps, batch, width), (4 * size, width), (4 * size, size), (4 * size,), (4 * size,)
    tensors = [torch.randn(s).to(dtype) for s in (*shapes, *[(1, batch, size)[of[1] :]] * 2)]
    layers, bidirectional, batch_first = of  # of the network
    rest = (reverse, [], 2, size, layers, biases, bidirectional, batch_first, False)
    try:
        wanted = torch.ops.aten.mkldnn_rnn_layer.default(*tensors, *rest)
    except RuntimeError as error:
        if dtype is torch.float32:
            raise
        pytest.skip(f"oneDNN has bfloat16 on some processors only: {error}")
    found = OPERATORS[NAME](*map(array, tensors), *rest)
    compare(NAME, found[:3], wanted[:3])


def test_other_cells_and_packed_sequences_are_refused():
    x = np.ones((2, 1, 1), np.float32)
    for rest in (
        (False, [], 3, 1, 1, True, False, False, False),
        (False, [1], 2, 1, 1, *[False] * 4),
    ):
        with pytest.raises(ValueError, match="a layer of an LSTM"):
            OPERATORS[NAME](x, x[0], x[0], x[0, 0], x[0, 0], x[:1], x[:1], *rest)


class Network(torch.nn.Module):
    def __init__(self, kind, **options):
        super().__init__()
        self.cells = kind(8, 16, 2, **options)

    def forward(self, x):
        return self.cells(x)


@pytest.mark.filterwarnings("ignore:The tensor attributes")
@pytest.mark.parametrize("backend", ["cpp", "python"])
@pytest.mark.parametrize("options", [{}, {"batch_first": True, "bidirectional": True}])
def test_a_saved_lstm_takes_batches_of_any_size(tmp_path, monkeypatch, options, backend):
    monkeypatch.setenv("GINT_BACKEND", backend)
    torch.manual_seed(0)
    network = Network(torch.nn.LSTM, **options).eval()
    batch = 0 if options else 1  # the number of steps is fixed by torch.export
    path = tmp_path / "lstm.gint"
    export(
        network,
        (torch.randn(5, 3, 8),),
        path=path,
        dynamic_shapes=({batch: torch.export.Dim("batch")},),
    )
    saved = gint.load(path)
    for size in (3, 7, 1):
        shape = (size, 3, 8) if options else (5, size, 8)
        x = torch.randn(shape)
        states, (hidden, cell) = network(x)
        found, (found_hidden, found_cell) = saved(x.numpy())
        for ours, wanted in ((found, states), (found_hidden, hidden), (found_cell, cell)):
            np.testing.assert_allclose(ours, wanted.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("more", [{}, {"num_layers": 2}, {"bidirectional": True}])
@pytest.mark.parametrize("shape", [(3, 5, 6), (5, 6)])
def test_a_saved_lstm_of_fixed_sizes(tmp_path, batch_first, more, shape):
    """Where no size is free, torch leaves each layer whole, with states of two dimensions."""
    torch.manual_seed(0)
    network = torch.nn.LSTM(6, 4, batch_first=batch_first, **more).eval()
    x, path = torch.randn(shape), tmp_path / "lstm.gint"
    with torch.no_grad():
        export(network, (x,), path=path)
        states, (hidden, cell) = network(x)
    found, (found_hidden, found_cell) = gint.load(path)(x.numpy())
    for ours, wanted in ((found, states), (found_hidden, hidden), (found_cell, cell)):
        np.testing.assert_allclose(ours, wanted.numpy(), rtol=1e-4, atol=1e-5)
