"""Damaged and forged files of saved functions as they are exported: products with quantised
weights, convolutions, attention, scans, sorting, scatters, caches that are written, random numbers.

As plans.py, whose file is made by hand and has one operator; here torch exports. Each is called on
NumPy arrays, on both interpreters that reach them, and on torch tensors.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gint.conductor import export

from .kinds import Kind
from .plans import Original, Plans

_WIDTH = 32


class Quantised(nn.Module):
    """An embedding and a product, both kept as q8_0."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.product = nn.Embedding(5, _WIDTH), nn.Linear(_WIDTH, _WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.product(self.table(x[:, 0].abs().to(torch.int64) % 5))


class Convolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, groups=4)
        self.back = nn.ConvTranspose2d(4, 2, 2, stride=2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.max_pool2d(self.second(self.first(x.view(-1, 1, 4, 8)).relu()), 2)
        return F.avg_pool2d(F.pad(self.back(y), (1, 0)), 2, ceil_mode=True)


def attend(x: torch.Tensor) -> torch.Tensor:
    heads = x.view(1, -1, 2, 16).transpose(1, 2)
    return F.scaled_dot_product_attention(heads, heads, heads, is_causal=True)


def scan(x: torch.Tensor) -> torch.Tensor:
    return x.cumsum(0) + x.cumprod(-1) + x.logcumsumexp(1) + x.cummax(1).values


def sort(x: torch.Tensor) -> torch.Tensor:
    return x.sort(-1).values[:, :8] + x.topk(8, -1).values + x.argsort(-1)[:, :8]


def scatter(x: torch.Tensor) -> torch.Tensor:
    at = x.abs().to(torch.int64) % 3
    sums = torch.zeros(3, _WIDTH).scatter_add(0, at, x)
    rows = torch.zeros(3, _WIDTH).index_put((at[:, 0],), x, accumulate=True)
    return sums + rows.index_copy(0, torch.tensor([2, 0]), torch.ones(2, _WIDTH))


def read(x: torch.Tensor) -> torch.Tensor:
    at = x.abs().to(torch.int64) % _WIDTH
    return torch.cat([x.gather(1, at), x[:, at.sum(0) % 7], x.index_select(1, at.sum(0) % _WIDTH)])


class Cache(nn.Module):
    """Keys that the function keeps, written where a position says."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(4, _WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.keys.index_copy_(0, torch.tensor([1]), x.sum(0, keepdim=True))
        return x @ self.keys.t()


def draw(x: torch.Tensor) -> torch.Tensor:
    """The numbers are random, and multiplied by nothing."""
    drawn = torch.rand_like(x) + torch.randn(_WIDTH) + torch.randint(0, 9, (_WIDTH,))
    return x + 0 * (drawn + F.dropout(x, 0.5, training=True))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x.view(-1, 4, 8))[0]


_FUNCTIONS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "quantised": (Quantised, {"quantize": "q8_0", "quantize_activations": False}),
    "convolutions": (Convolutions, {}),
    "attention": (lambda: attend, {}),
    "scans": (lambda: scan, {}),
    "sorting": (lambda: sort, {}),
    "scatters": (lambda: scatter, {}),
    "gathers": (lambda: read, {}),
    "caches": (Cache, {}),
    "random numbers": (lambda: draw, {}),
    "recurrent": (Recurrent, {}),
}


def _rows(n: int) -> tuple[np.ndarray]:
    return (np.linspace(-3, 3, n * _WIDTH, dtype=np.float32).reshape(n, _WIDTH),)


@lru_cache(maxsize=1)
def _exported() -> dict[str, Original]:
    with tempfile.TemporaryDirectory(prefix="gint-fuzz-") as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        path = Path(folder) / "original.gint"
        return {name: _original(path, *made) for name, made in _FUNCTIONS.items()}


def _original(path: Path, make: Callable[[], Any], options: dict[str, Any]) -> Original:
    torch.manual_seed(0)
    function = make()
    given = (torch.from_numpy(_rows(3)[0]),)
    free = ({0: torch.export.Dim("n")},)
    export(function, given, dynamic_shapes=free, path=path, **options)
    # The rounding of quantised weights is not this test's; and eager has no attention of no rows.
    return Original(path.read_bytes(), _rows, partial(_expected, function, bool(options)))


def _expected(function: Any, is_rounded: bool, n: int) -> np.ndarray | None:
    if is_rounded:
        return None
    with torch.no_grad():
        return function(torch.from_numpy(_rows(n)[0])).numpy()


class Bundles(Plans):
    calls = (*Plans.calls, ("torch", "cpp", torch.from_numpy))

    @property
    def originals(self) -> dict[str, Original]:  # type: ignore[override]
        return _exported()


KIND: Kind = Bundles()
