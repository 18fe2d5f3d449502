"""Functions whose files are damaged and forged: products with quantised weights, convolutions,
attention, scans, sorting, scatters, caches that are written, random numbers, transforms, windows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from gint.conductor import export

from .bundles import WIDTH, rows_of
from .plans import ROWS


class Quantised(nn.Module):
    """An embedding and a product, both kept as q8_0."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.product = nn.Embedding(5, WIDTH), nn.Linear(WIDTH, WIDTH)

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


class Fixed(nn.Module):
    """Of one number of rows: on tensors, native runs of operators between launches."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.product = nn.Conv2d(1, 4, 3), nn.Linear(48, WIDTH)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(x.view(-1, 1, 4, 8)).tanh()
        return attend(self.product(y.flatten(1)) * 2) * (x @ x.t()).exp().mean()


def scan(x: torch.Tensor) -> torch.Tensor:
    return x.cumsum(0) + x.cumprod(-1) + x.logcumsumexp(1) + x.cummax(1).values


def sort(x: torch.Tensor) -> torch.Tensor:
    return x.sort(-1).values[:, :8] + x.topk(8, -1).values + x.argsort(-1)[:, :8]


def scatter(x: torch.Tensor) -> torch.Tensor:
    at = x.abs().to(torch.int64) % 3
    sums = torch.zeros(3, WIDTH).scatter_add(0, at, x)
    rows = torch.zeros(3, WIDTH).index_put((at[:, 0],), x, accumulate=True)
    return sums + rows.index_copy(0, torch.tensor([2, 0]), torch.ones(2, WIDTH))


def read(x: torch.Tensor) -> torch.Tensor:
    at = x.abs().to(torch.int64) % WIDTH
    return torch.cat([x.gather(1, at), x[:, at.sum(0) % 7], x.index_select(1, at.sum(0) % WIDTH)])


class Cache(nn.Module):
    """Keys that the function keeps, written where a position says."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("keys", torch.zeros(4, WIDTH))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.keys.index_copy_(0, torch.tensor([1]), x.sum(0, keepdim=True))
        return x @ self.keys.t()


def draw(x: torch.Tensor) -> torch.Tensor:
    """The numbers are random, and multiplied by nothing."""
    drawn = torch.rand_like(x) + torch.randn(WIDTH) + torch.randint(0, 9, (WIDTH,))
    return x + 0 * (drawn + F.dropout(x, 0.5, training=True))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTM(8, 4, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x.view(-1, 4, 8))[0]


class Bags(nn.Module):
    """Rows of a table, as many as each bag has."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.EmbeddingBag(5, WIDTH, mode="sum")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        at = x.abs().to(torch.int64) % 5
        return self.table(at.view(-1), torch.arange(x.shape[0]) * WIDTH)


def resize(x: torch.Tensor) -> torch.Tensor:
    image = x.view(-1, 1, 4, 8)
    parts = [
        F.interpolate(image, (6, 6), mode="nearest"),
        F.interpolate(image, (6, 6), mode="bilinear"),
        F.interpolate(image, (6, 6), mode="bicubic"),
        F.grid_sample(image, torch.linspace(-1.5, 1.5, 72).view(1, 6, 6, 2).expand(
            x.shape[0], 6, 6, 2), align_corners=False),
        F.pad(image, (1, 0, 1, 1), mode="reflect")[..., :6, :6],
        F.pad(image, (1, 0, 1, 1), mode="replicate")[..., :6, :6],
        F.pad(image, (1, 0, 1, 1), mode="circular")[..., :6, :6],
        F.adaptive_avg_pool2d(image, (6, 6)),
    ]  # fmt: skip
    return sum(parts[1:], parts[0])


def transform(x: torch.Tensor) -> torch.Tensor:
    return torch.fft.irfft(torch.fft.rfft(x) * 2, n=WIDTH) + torch.fft.fft(x).real


def solve(x: torch.Tensor) -> torch.Tensor:
    square = x.t() @ x + torch.eye(WIDTH)
    factor = torch.linalg.cholesky(square)
    return (
        torch.linalg.solve_triangular(factor, x.t(), upper=False) + torch.linalg.inv(square).sum()
    )


def window(x: torch.Tensor) -> torch.Tensor:
    """Views, of more elements than memory; rows that are looked for."""
    many = x[:, None, :].expand(-1, 3, -1).sort(1).values[:, 1, :15]
    wide = x.unfold(1, 4, 2).sum(-1) + many
    at = torch.searchsorted(torch.linspace(-3, 3, 7), x)
    return wide + at[:, :15] + torch.stack([x, x], 1).amax((1, 2))[:, None]


_FUNCTIONS: dict[str, tuple[Callable[[], Any], dict[str, Any]]] = {
    "quantised": (Quantised, {"quantize": "q8_0", "quantize_activations": False}),
    "convolutions": (Convolutions, {}),
    "attention": (lambda: attend, {}),
    "fixed sizes": (Fixed, {"dynamic_shapes": None}),
    "scans": (lambda: scan, {}),
    "sorting": (lambda: sort, {}),
    "scatters": (lambda: scatter, {}),
    "gathers": (lambda: read, {}),
    "caches": (Cache, {}),
    "random numbers": (lambda: draw, {}),
    "recurrent": (Recurrent, {}),
    "bags": (Bags, {}),
    "resampling": (lambda: resize, {}),
    "transforms": (lambda: transform, {}),
    "linear algebra": (lambda: solve, {}),
    "windows": (lambda: window, {}),
}


def save_all(folder: Path) -> None:
    """A file of each, NAME.gint, and what eager makes for so many rows, NAME.npz. Of quantised
    weights the latter has nothing: their rounding is not this test's."""
    for name, (make, options) in _FUNCTIONS.items():
        torch.manual_seed(0)
        function = make()
        options = {"dynamic_shapes": ({0: torch.export.Dim("n")},)} | options
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            given = (torch.from_numpy(rows_of(3)[0]),)
            path = folder / f"{name}.gint"
            export(function, given, path=path, **options)
            rows = ROWS if options["dynamic_shapes"] else (3,)
            found = {str(n): _answer(function, n) for n in rows if "quantize" not in options}
        np.savez(folder / f"{name}.npz", **{n: a for n, a in found.items() if a is not None})


def _answer(function: Any, n: int) -> np.ndarray | None:
    """None where eager has none: of no rows."""
    try:
        return function(torch.from_numpy(rows_of(n)[0])).detach().numpy()
    except RuntimeError:
        return None
