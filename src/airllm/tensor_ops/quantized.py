"""Matrices in GGUF's block formats: quantise, dequantise, multiply.

The formats are those of `gint.quantized.formats`, by GGUF's names in any case:

    4 and 8 bits, blocks of 32 values    "q4_0", "q8_0"; `_q40` and `_q80` have functions too
    further blocks of 32                 "q4_1", "q5_0", "q5_1", "iq4_nl"
    super-blocks of 256                  "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"

Blocks lie along a row, which holds a whole number of them. docs/quantized.md has the error of each.
Knows operands, and the active backend's products. Does not know how those compute, or bytes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gint import quantized as blocks
from gint.host.memory import empty
from gint.host.recall import note_launch
from gint.host.selection import products_for
from gint.quantized import (
    PreparedWeights,
    QuantizedFormat,
    QuantizedProducts,
    QuantizedWeights,
    format_of,
)

from .arrays import (
    Operand,
    beside,
    check_rank,
    check_shape,
    on_host,
    restorer,
    take,
    take_out,
    view,
)
from .backend import active, recalled
from .linear import refuse_overlap, store

_Q40, _Q80 = format_of("q4_0"), format_of("q8_0")


def quantize(w: Any, quant_type: str) -> Any:
    """The bytes of `w` in one of GGUF's formats.

    w           (..., in), float32, float16 or bfloat16; `in` a multiple of the format's block
    quant_type  "q4_0", "q4_k" and so on

    Returns uint8 of shape (..., bytes of a row), an array like w: row by row, as GGUF stores it.
    "q4_0" to "q8_0" are bit for bit what the package `gguf` makes. The others search for scales
    with a small error; the result depends on w alone, and the root mean square of a block's errors
    is never more than that of plain rounding (gint/quantized/superblocks.py says how much that is
    at most). Raises TypeError for other types, ValueError for other names and another `in`.
    """
    return _quantize(w, format_of(quant_type))


def dequantize(data: Any, shape: tuple[int, ...], quant_type: str) -> Any:
    """The float32 values of blocks.

    data        uint8, as many bytes as values of `shape` take, in order: (..., bytes of a row) or
                flat; or what `prepare` made
    shape       (..., in); `in` a multiple of the format's block
    quant_type  "q4_0", "q4_k" and so on

    Returns float32 of `shape`, an array like data. Raises TypeError for other types, ValueError for
    other names and sizes that do not match.
    """
    return _dequantize(data, shape, format_of(quant_type))


def dequantize_rows(ids: Any, data: Any, weight_shape: tuple[int, int], quant_type: str) -> Any:
    """Chosen rows of a quantised matrix as float32, such as embeddings of tokens.

    ids           integers of any shape, from 0 up to `out`
    data          uint8, (out, bytes of a row) or flat; or what `prepare` made
    weight_shape  (out, in); `in` a multiple of the format's block
    quant_type    "q4_0", "q4_k" and so on

    Returns float32 of shape (*ids.shape, in), an array like data, or like ids where data was
    prepared. Only those rows are read. Raises TypeError for other types, ValueError for other names
    and sizes that do not match, IndexError for a row that is not there.
    """
    quantized = format_of(quant_type)
    shape = _matrix_shape(weight_shape, quantized)
    weights = _weights("data", data, shape, quantized)
    rows = on_host(view("ids", ids)) if hasattr(ids, "__dlpack__") else np.asarray(ids)
    if rows.dtype.kind not in "iu":
        raise TypeError(f"ids holds {rows.dtype}; rows are chosen by integers.")
    if rows.size and not 0 <= rows.min() <= rows.max() < shape[0]:
        raise IndexError(f"ids holds {rows.min()} to {rows.max()}; there are {shape[0]} rows.")
    values = weights.rows(rows)
    like = data if isinstance(weights, QuantizedWeights) else ids
    given = view("data", like) if hasattr(like, "__dlpack__") else values
    return restorer("data", like)(beside(values, given))


def prepare(data: Any, weight_shape: tuple[int, int], quant_type: str) -> PreparedWeights:
    """A quantised matrix in the layout that the active backend multiplies fastest.

    data          uint8, (out, bytes of a row) or flat
    weight_shape  (out, in); `in` a multiple of the format's block
    quant_type    "q4_0", "q4_k" and so on

    Returns an opaque object, accepted wherever the bytes are. It is a copy, about as large as
    `data` (`nbytes`), belongs to this process (save or send the bytes), and products with it run on
    the backend that made it. Raises as `dequantize`.
    """
    return _prepare(data, weight_shape, format_of(quant_type))


def quantize_q40(w: Any) -> Any:
    """The bytes of `w` in GGUF's Q4_0: 4.5 bits a value.

    w  (..., in), float32, float16 or bfloat16; `in` a multiple of 32

    Returns uint8 of shape (..., in / 32 * 18), an array like w: row by row, as GGUF stores it. Bit
    for bit what the package `gguf` makes: per block, d is the value of largest magnitude over -8,
    and a value x becomes the integer nearest to x / d, at most 7. What is rounded is off by at most
    |d| / 2, what is cut at 7 by at most |d|, and by the rounding of d to float16. Raises TypeError
    for other types, ValueError for another `in`.
    """
    return _quantize(w, _Q40)


def quantize_q80(w: Any) -> Any:
    """The bytes of `w` in GGUF's Q8_0: 8.5 bits a value.

    w  (..., in), float32, float16 or bfloat16; `in` a multiple of 32

    Returns uint8 of shape (..., in / 32 * 34), an array like w: row by row, as GGUF stores it. Bit
    for bit what the package `gguf` makes: per block, d is the largest magnitude over 127, and a
    value x becomes the integer nearest to x / d (halves away from 0), off by at most d / 2 and by
    the rounding of d to float16. Raises TypeError for other types, ValueError for another `in`.
    """
    return _quantize(w, _Q80)


def dequantize_q40(data: Any, shape: tuple[int, ...]) -> Any:
    """The float32 values d * q of Q4_0 blocks.

    data   uint8, as many bytes as values of `shape` take, in order: (..., in / 32 * 18) or flat;
           or what `prepare_q40` made
    shape  (..., in); `in` a multiple of 32

    Returns float32 of `shape`, an array like data. Raises TypeError for other types, ValueError for
    sizes that do not match.
    """
    return _dequantize(data, shape, _Q40)


def dequantize_q80(data: Any, shape: tuple[int, ...]) -> Any:
    """The float32 values d * q of Q8_0 blocks.

    data   uint8, as many bytes as values of `shape` take, in order: (..., in / 32 * 34) or flat;
           or what `prepare_q80` made
    shape  (..., in); `in` a multiple of 32

    Returns float32 of `shape`, an array like data. Raises TypeError for other types, ValueError for
    sizes that do not match.
    """
    return _dequantize(data, shape, _Q80)


def prepare_q40(data: Any, weight_shape: tuple[int, int]) -> PreparedWeights:
    """Q4_0 weights in the layout that the active backend multiplies fastest.

    data          uint8, (out, in / 32 * 18) or flat
    weight_shape  (out, in); `in` a multiple of 32

    Returns an opaque object, accepted wherever the bytes are. It is a copy, as large as `data`
    (`nbytes`), belongs to this process (save or send the bytes), and products with it run on the
    backend that made it. Raises as `dequantize_q40`.
    """
    return _prepare(data, weight_shape, _Q40)


def prepare_q80(data: Any, weight_shape: tuple[int, int]) -> PreparedWeights:
    """Q8_0 weights in the layout that the active backend multiplies fastest.

    data          uint8, (out, in / 32 * 34) or flat
    weight_shape  (out, in); `in` a multiple of 32

    Returns an opaque object, accepted wherever the bytes are. It is a copy, as large as `data`
    (`nbytes`), belongs to this process (save or send the bytes), and products with it run on the
    backend that made it. Raises as `dequantize_q80`.
    """
    return _prepare(data, weight_shape, _Q80)


@recalled
def matmul_quantized(
    x: Any,
    weight_data: Any,
    weight_shape: tuple[int, int],
    quant_type: str,
    *,
    quantize_activations: bool = True,
    out: Any = None,
) -> Any:
    """x @ W.T for a quantised matrix W, which is never written to memory as floats.

    x             (..., in), float32, float16 or bfloat16
    weight_data   uint8, (out, bytes of a row) or flat, the blocks along `in`, as GGUF stores it;
                  or what `prepare` made, which is faster
    weight_shape  (out, in); `in` a multiple of the format's block
    quant_type    "q4_0", "q4_k" and so on, in any case; "q40" and "q80" are Q4_0 and Q8_0
    quantize_activations
                  whether a backend may round x to 8 bits, as ggml does: `cpp` does, `python` never
    out           (..., out) of x's type, for the result; must not share memory with x or the
                  weights

    Returns (..., out), an array like x, accumulated in float32. Rounded, each value of x is off by
    at most 1/254 of the largest magnitude in its block of 32, so that a result is off by at most
    the sum over blocks of max|x| / 254 * sum|w|; usually by far less, as errors of both signs
    meet (tests/quantized/test_products.py). A row of x that holds inf or NaN is taken as it
    is, and gives what NumPy gives; so is one with magnitudes beyond 2**90 or blocks below 2**-90.
    An infinite scale, which no sound file has, may give NaN where NumPy has inf.

    Raises TypeError for other types, ValueError for shapes, sizes or names that do not match,
    before anything is computed.
    """
    x = take("x", x)
    check_rank("x", x, 1)
    quantized = format_of(quant_type)
    shape = _matrix_shape(weight_shape, quantized)
    if not isinstance(quantize_activations, (bool, np.bool_)):
        raise TypeError(f"quantize_activations must be a bool, not {quantize_activations!r}.")
    weights = _weights("weight_data", weight_data, shape, quantized)
    if x.shape[-1] != shape[1]:
        check_shape("x", x.shape, (*x.shape[:-1], shape[1]), f", as weight_shape is {shape}")
    y = take_out(out, (*x.shape[:-1], shape[0]), x)
    if out is not None:
        refuse_overlap(y, x=x)
    if isinstance(weights, QuantizedWeights):
        if out is not None and isinstance(y.array, np.ndarray):
            refuse_overlap(y, weight_data=Operand(weights.data, "u8"))
        products = products_for(active())
    else:
        products = weights.products
    if y.array.size:
        rounds = bool(quantize_activations)
        _multiply(products, x, weights, y, rounds)
        plain = x.type == "f32" and x.array.flags.c_contiguous and y.array.flags.c_contiguous
        if products.bind and plain and not isinstance(weights, QuantizedWeights):
            launch = products.bind(weights, rounds)
            note_launch(launch, (x.array, weights, y.array), check_overlap=True)
    return y.result()


def _multiply(
    products: QuantizedProducts,
    x: Operand,
    weights: QuantizedWeights | PreparedWeights,
    y: Operand,
    quantize_activations: bool,
) -> None:
    rows = _as_matrix(on_host(x.float32()))
    direct = y.type == "f32" and isinstance(y.array, np.ndarray) and y.array.flags.c_contiguous
    values = y.array if direct else empty(y.shape, np.dtype("f4"))
    products.multiply(rows, weights, _as_matrix(values), quantize_activations)
    if not direct:
        store(y, beside(values, y.array))


def _as_matrix(array: np.ndarray) -> np.ndarray:
    if array.ndim == 2:
        return array
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


def _quantize(w: Any, quantized: QuantizedFormat) -> Any:
    values = take("w", w)
    check_rank("w", values, 1)
    _check_blocks("w has the shape", values.shape, quantized)
    bytes_ = blocks.quantize(on_host(values.float32()), quantized)
    return restorer("w", w)(beside(bytes_, values.array))


def _dequantize(data: Any, shape: tuple[int, ...], quantized: QuantizedFormat) -> Any:
    shape = _shape("shape", shape, quantized)
    weights = _weights("data", data, shape, quantized)
    if not isinstance(weights, QuantizedWeights):
        weights = weights.unpack()
    values = blocks.dequantize(weights.data, shape, quantized, empty(shape, np.dtype("f4")))
    given = view("data", data) if hasattr(data, "__dlpack__") else values
    return restorer("data", data)(beside(values, given))


def _prepare(data: Any, shape: tuple[int, int], quantized: QuantizedFormat) -> PreparedWeights:
    weights = _weights("data", data, _matrix_shape(shape, quantized), quantized)
    return (
        products_for(active()).prepare(weights)
        if isinstance(weights, QuantizedWeights)
        else weights
    )


def _weights(
    name: str, data: Any, shape: tuple[int, ...], quantized: QuantizedFormat
) -> QuantizedWeights | PreparedWeights:
    """The argument called `name`, checked against the shape and format that it should have."""
    if hasattr(data, "unpack"):
        if data.format != quantized:
            raise ValueError(f"{name} was prepared as {data.format.name}, not {quantized.name}.")
        check_shape(name, data.shape, shape)
        return data
    found = on_host(view(name, data))
    if found.dtype != np.uint8:
        raise TypeError(f"{name} holds {found.dtype}; the bytes of blocks are uint8.")
    rows, row_bytes = math.prod(shape[:-1]), quantized.row_bytes(shape[-1])
    if found.size != rows * row_bytes:
        wanted = (*shape[:-1], row_bytes)
        check_shape(name, found.shape, wanted, f" for {quantized.gguf_name} of the shape {shape}")
    return QuantizedWeights(np.ascontiguousarray(found), (rows, shape[-1]), quantized)


def _matrix_shape(shape: Any, quantized: QuantizedFormat) -> tuple[int, int]:
    if type(shape) is tuple and len(shape) == 2:
        outputs, inputs = shape
        whole = type(outputs) is type(inputs) is int and outputs >= 0 <= inputs
        if whole and inputs % quantized.block == 0:
            return shape
    found = _shape("weight_shape", shape, quantized)
    if len(found) != 2:
        raise ValueError(f"weight_shape is {found} and needs two dimensions, (out, in).")
    return found[0], found[1]


def _shape(name: str, shape: Any, quantized: QuantizedFormat) -> tuple[int, ...]:
    """Raises TypeError for what is no shape, ValueError for one that no blocks have."""
    try:
        found = tuple(length.__index__() for length in shape)
    except (AttributeError, TypeError):
        raise TypeError(f"{name} is {shape!r} and must be a tuple of integers.") from None
    if not found or min(found) < 0:
        raise ValueError(f"{name} is {found} and needs one dimension or more, none negative.")
    _check_blocks(f"{name} is", found, quantized)
    return found


def _check_blocks(what: str, shape: tuple[int, ...], quantized: QuantizedFormat) -> None:
    if shape[-1] % quantized.block:
        raise ValueError(
            f"{what} {shape} and needs a multiple of {quantized.block} as its last dimension: "
            f"a block of {quantized.gguf_name} holds {quantized.block} values of a row."
        )
