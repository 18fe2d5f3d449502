"""A quantised matrix: products with it and rows of it, and where operators find it.

An operator of torch's takes tensors and numbers, so a graph names a matrix by a number, its key.
The key means something as long as somebody holds the matrix: a module, or a compiled graph.

Knows blocks, and float32 arrays. Does not know torch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from gint.quantized import PreparedWeights, QuantizedFormat, QuantizedProducts, QuantizedWeights

_keys = count(1)
#: key -> matrix, of all that somebody holds
_MATRICES: WeakValueDictionary[int, QuantizedMatrix] = WeakValueDictionary()


class QuantizedMatrix:
    """A matrix (out, in) in blocks, for products, for rows, or for both.

    The bytes are packed for products when the first is asked for, and dropped then unless rows
    are wanted too that are read from the bytes: native code reads them from what it packed.
    """

    def __init__(self, name: str, weights: QuantizedWeights, products: QuantizedProducts) -> None:
        self.name, self.key = name, next(_keys)
        self.products = products
        self._rows: QuantizedWeights | None = weights
        self._packed: PreparedWeights | None = None
        self._bound: dict[bool, Callable[..., None]] = {}
        self._reads_rows = False
        self.shape: tuple[int, int] = weights.shape
        self.format: QuantizedFormat = weights.format
        _MATRICES[self.key] = self

    def for_products(self) -> QuantizedMatrix:
        """Pack the weights, unless they are."""
        if self._packed is None:
            assert self._rows is not None
            self._packed = self.products.prepare(self._rows)
            if self._packs_rows or not self._reads_rows:
                self._rows = None
        return self

    @property
    def _packs_rows(self) -> bool:
        """Whether rows of what is packed are read as fast as of the bytes."""
        return self.products.bind is not None

    def for_rows(self) -> QuantizedMatrix:
        """Keep what rows are read from."""
        self._reads_rows = True
        if self._packed is None or not self._packs_rows:
            self._rows = self.blocks
        return self

    @property
    def blocks(self) -> QuantizedWeights:
        """The bytes it was made from."""
        if self._rows is not None:
            return self._rows
        assert self._packed is not None
        return self._packed.unpack()

    @property
    def nbytes(self) -> int:
        """The memory it takes; bytes that are a file's count."""
        held = self._packed.nbytes if self._packed is not None else 0
        return held + (self._rows.data.nbytes if self._rows is not None else 0)

    def multiply(self, x: np.ndarray, out: np.ndarray, quantize_activations: bool) -> None:
        """out <- x times the transpose, for float32 arrays (..., in) and (..., out) without gaps;
        see QuantizedProducts.multiply."""
        bound = self._bound.get(quantize_activations)
        if bound is None:
            bound = self._bind(quantize_activations)
        bound(x, self._packed, out)

    def native(self, quantize_activations: bool) -> tuple[Any, Any] | None:
        """The product of native code and the weights it takes; None where products are not."""
        packed = self.for_products()._packed
        if self.products.bind is None or not hasattr(packed, "recall_key"):
            return None
        return self._bound.get(quantize_activations) or self._bind(quantize_activations), packed

    def _bind(self, quantize_activations: bool) -> Callable[..., None]:
        packed = self.for_products()._packed
        if self.products.bind is not None and hasattr(packed, "recall_key"):
            made = self.products.bind(packed, quantize_activations)
        else:
            made = partial(_multiply, self.products, quantize_activations)
        self._bound[quantize_activations] = made
        return made

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """Integers of any shape -> (*ids.shape, in) float32. Raises IndexError."""
        self.for_rows()
        held = self._packed if self._rows is None else self._rows
        return held.rows(ids)  # type: ignore[union-attr]

    def __repr__(self) -> str:
        return f"QuantizedMatrix({self.name!r}, {self.shape}, {self.format.name})"


def _multiply(
    products: QuantizedProducts,
    quantize_activations: bool,
    x: np.ndarray,
    packed: PreparedWeights,
    out: np.ndarray,
) -> None:
    rows = x.reshape(-1, packed.shape[1])
    products.multiply(rows, packed, out.reshape(-1, packed.shape[0]), quantize_activations)


def matrix(key: int) -> QuantizedMatrix:
    """The matrix of a key. Raises RuntimeError for one that nobody holds any more."""
    found = _MATRICES.get(key)
    if found is None:
        raise RuntimeError(
            f"There is no quantised matrix number {key} any more: whoever made the graph that "
            "names it has let go of it. A graph with quantised weights belongs to its process."
        )
    return found
