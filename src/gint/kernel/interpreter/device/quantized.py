"""Quantised products on devices: the kernel of portable/products.h, on OpenCL or CUDA.

Knows the layout of the device's weights and how the kernel is launched. A device is given as a few
functions; how memory moves and kernels are built is theirs to know.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, Protocol

import numpy as np

from gint.dataclass import frozen
from gint.kernel.interpreter.device.build import inline
from gint.kernel.interpreter.numpy.quantized import NumpyProducts
from gint.quantized import (
    PreparedWeights,
    QuantizedFormat,
    QuantizedProducts,
    QuantizedWeights,
    format_of,
)

_LANES = 32
#: The formats that have kernels.
_WITH_KERNELS = (format_of("q4_0"), format_of("q8_0"))
#: Rows of x that share a weight read once: there is a kernel for each.
_TILES = (1, 8)
#: Values of x, and of out, of one launch: the kernels count them in 32 bits.
_MOST_VALUES = 1 << 31


@frozen
class ProductsBuild:
    """One compilation of portable/products.h, all kernels; `block` is a multiple of 32."""

    block: int = 128
    stem: str = "quantized"

    @property
    def defines(self) -> dict[str, int]:
        """The macros the source is compiled with."""
        return {"GI_BLOCK": self.block, "GI_GROUPS_TOGETHER": 1}

    @property
    def text(self) -> str:
        return _source()


class ProductsDevice(Protocol):
    """Where products run."""

    @property
    def build(self) -> ProductsBuild:
        """What it is that `launch` launches."""

    def upload(self, array: np.ndarray) -> Any:
        """A contiguous array in the device's memory."""

    def allocate(self, nbytes: int) -> Any: ...

    def download(self, memory: Any, array: np.ndarray) -> None:
        """Into a contiguous array, when all that was launched is done."""

    def launch(self, kernel: str, groups: int, memory: list[Any], numbers: list[int]) -> None:
        """A kernel of the build, on memory and uint32 numbers."""


class DeviceWeights:
    """Weights interleaved by 32 output rows, in a device's memory."""

    def __init__(self, products: DeviceProducts, weights: QuantizedWeights) -> None:
        self.products: QuantizedProducts = products
        self.shape, self.format = weights.shape, weights.format
        scales, words = _interleave(weights)
        self.layout = (scales.shape, words.shape)
        self.nbytes = scales.nbytes + words.nbytes
        self.device = products.device
        self.scales, self.words = self.device.upload(scales), self.device.upload(words)

    def unpack(self) -> QuantizedWeights:
        """The bytes they were made from."""
        scales, words = np.empty(self.layout[0], np.uint16), np.empty(self.layout[1], np.uint32)
        self.device.download(self.scales, scales)
        self.device.download(self.words, words)
        data = np.empty((self.shape[0], self.format.row_bytes(self.shape[1])), np.uint8)
        made = QuantizedWeights(data, self.shape, self.format)
        _disentangle(scales, words, made)
        return made

    def rows(self, ids: np.ndarray) -> np.ndarray:
        """See PreparedWeights."""
        return self.unpack().rows(ids)

    def __repr__(self) -> str:
        return f"DeviceWeights(shape={self.shape}, {self.format.name})"


class DeviceProducts:
    """Float32 products of the dequantised weights; activations are never rounded."""

    bind = None

    def __init__(self, device: ProductsDevice) -> None:
        self.device = device

    def prepare(self, weights: QuantizedWeights, threads: int | None = None) -> PreparedWeights:
        """Interleave the weights and put them into the device's memory.

        Those of a format without a kernel stay with the host, which multiplies them.
        """
        if weights.format not in _WITH_KERNELS:
            return NumpyProducts().prepare(weights)
        return DeviceWeights(self, weights)

    def multiply(
        self,
        x: np.ndarray,
        weights: QuantizedWeights | PreparedWeights,
        out: np.ndarray,
        quantize_activations: bool = True,
        threads: int | None = None,
    ) -> None:
        """See QuantizedProducts. Weights that are not prepared are prepared for this product."""
        inputs = weights.shape[1]
        if out.size == 0 or inputs == 0:
            out[...] = 0
            return
        if isinstance(weights, QuantizedWeights):
            weights = self.prepare(weights)
        if not isinstance(weights, DeviceWeights):
            weights.products.multiply(x, weights, out)
            return
        most = max(1, _MOST_VALUES // inputs)
        for first in range(0, len(x), most):
            part = slice(first, first + most)
            self._multiply(x[part], weights, out[part])

    def _multiply(self, x: np.ndarray, weights: Any, out: np.ndarray) -> None:
        outputs, inputs = weights.shape
        result = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
        rows = np.ascontiguousarray(x)
        memory = self.device.allocate(result.nbytes)
        tile = _TILES[len(rows) > 1]
        groups = -(-outputs // _LANES) * -(-len(rows) // tile)
        self.device.launch(
            kernel_of(weights.format, tile),
            groups,
            [weights.words, weights.scales, self.device.upload(rows), memory],
            [inputs // weights.format.block, outputs, len(rows)],
        )
        self.device.download(memory, result)
        if result is not out:
            out[...] = result


def kernel_of(quantized: QuantizedFormat, rows: int) -> str:
    """The name of the kernel for `rows` rows of x, 1 or 8."""
    return f"gint_quantized_{_quads(quantized)}_{rows}"


@cache
def _source() -> str:
    """All kernels as one text without includes of files of ours."""
    seen: set[str] = set()
    parts = []
    for quantized, rows in product(_WITH_KERNELS, _TILES):
        quads = _quads(quantized)
        macros = {"ROWS": rows, "QUADS": quads, "VARIANT(name)": f"name##_{quads}_{rows}"}
        parts += [f"#define GI_{macro} {value}\n" for macro, value in macros.items()]
        parts.append(inline("products.h", seen))
        parts += [f"#undef GI_{macro.removesuffix('(name)')}\n" for macro in macros]
    return "".join(parts)


def _interleave(weights: QuantizedWeights) -> tuple[np.ndarray, np.ndarray]:
    """(groups, blocks, lanes) of scales, (groups, blocks, quads, lanes) of words; zeros beyond."""
    outputs, inputs = weights.shape
    groups, blocks, quads = (
        -(-outputs // _LANES),
        inputs // weights.format.block,
        _quads(weights.format),
    )
    scales = np.zeros((groups, blocks, _LANES), np.uint16)
    words = np.zeros((groups, blocks, quads, _LANES), np.uint32)
    for first, lanes, rows in _groups(weights):
        n = slice(first, first + len(rows))
        _bytes_of(scales)[n, :, :lanes] = rows[..., :2].transpose(0, 2, 1, 3)
        values = rows[..., 2:].reshape(len(rows), lanes, blocks, quads, 4)
        _bytes_of(words)[n, ..., :lanes, :] = values.transpose(0, 2, 3, 1, 4)
    return scales, words


def _disentangle(scales: np.ndarray, words: np.ndarray, weights: QuantizedWeights) -> None:
    """The other way, into the weights' bytes."""
    for first, lanes, rows in _groups(weights):
        n = slice(first, first + len(rows))
        rows[..., :2] = _bytes_of(scales)[n, :, :lanes].transpose(0, 2, 1, 3)
        values = _bytes_of(words)[n, ..., :lanes, :].transpose(0, 3, 1, 2, 4)
        rows[..., 2:] = values.reshape(rows[..., 2:].shape)


def _groups(weights: QuantizedWeights) -> Iterator[tuple[int, int, np.ndarray]]:
    """Whole groups, then the rest: (first group, lanes, (groups, lanes, blocks, block bytes))."""
    outputs, inputs = weights.shape
    blocks, whole = inputs // weights.format.block, outputs // _LANES * _LANES
    rows = weights.data.reshape(outputs, blocks, weights.format.block_bytes)
    if whole:
        yield 0, _LANES, rows[:whole].reshape(whole // _LANES, _LANES, *rows.shape[1:])
    if whole < outputs:
        yield whole // _LANES, outputs - whole, rows[None, whole:]


def _bytes_of(array: np.ndarray) -> np.ndarray:
    """With the bytes of an element as a last dimension."""
    return array.view(np.uint8).reshape(*array.shape, array.itemsize)


def _quads(quantized: QuantizedFormat) -> int:
    return (quantized.block_bytes - 2) // 4
