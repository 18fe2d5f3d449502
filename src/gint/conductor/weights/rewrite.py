"""A graph with operators on quantised matrices, in place of products with constant weights.

Works before the graph is traced, so that both roads from there take it as it is. A product is with
a constant if its second factor is a module's parameter, or its transpose: what `Linear`, the
output layer tied to an embedding, and a plain `x @ weight` become. Rows of an embedding are read
from the same matrix.

Knows graphs of Dynamo's and of torch.export's. Does not know what becomes of them.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import fx
from torch.utils.weak import WeakTensorKeyDictionary

from gint.quantized import (
    QuantizedFormat,
    QuantizedProducts,
    QuantizedWeights,
    WeightFormats,
    quantize,
)

from ..trace.constants import Constant, Unchanged, constants_of, refuse_training
from .matrix import QuantizedMatrix
from .operators import EMBEDDING, LINEAR, matrix_of

_FLOATS = (torch.float32, torch.bfloat16, torch.float16)
#: Values that are converted at a time: 64 MiB as float32.
_CHUNK_VALUES = 1 << 24


class Use(NamedTuple):
    """A node that multiplies with a constant, or reads rows of it. `columns`: the factor is (in,
    out), and its columns are the rows of the matrix."""

    weight: fx.Node
    operand: fx.Node  # x, or ids
    bias: fx.Node | None
    columns: bool
    reads_rows: bool


class Quantized(NamedTuple):
    """What a graph holds of quantised matrices, and sees to."""

    matrices: tuple[QuantizedMatrix, ...]
    unchanged: Unchanged


def quantize_constants(
    gm: fx.GraphModule,
    formats: WeightFormats,
    products: QuantizedProducts,
    quantize_activations: bool = True,
) -> Quantized:
    """Change a graph of Dynamo's so that it multiplies with quantised matrices where it can.

    Raises RuntimeError where gradients are wanted. Warns of weights that cannot take the format
    that was chosen for them.
    """
    constants = constants_of(gm.graph)
    refuse_training(gm.graph, "weights")
    made = quantize_nodes(gm.graph, constants, formats, products, quantize_activations)
    for node in gm.graph.nodes:
        if (found := matrix_of(node)) is not None:
            found.for_rows() if node.target is EMBEDDING else found.for_products()
    gm.recompile()
    unchanged = Unchanged(
        [constants[w] for w in dict.fromkeys(weight for weight, _ in made)], "to be quantised"
    )
    return Quantized(tuple(made.values()), unchanged)


def quantize_nodes(
    graph: fx.Graph,
    constants: Mapping[fx.Node, Constant],
    formats: WeightFormats,
    products: QuantizedProducts,
    quantize_activations: bool,
) -> dict[tuple[fx.Node, bool], QuantizedMatrix]:
    """Have nodes multiply with quantised matrices in place of constants; the matrices, by the
    constant and whether its columns are the rows. A graph of Dynamo's, or of torch.export's."""
    made: dict[tuple[fx.Node, bool], QuantizedMatrix | None] = {}
    for node in list(graph.nodes):
        use = _use(node, constants)
        if use is None:
            continue
        which = (use.weight, use.columns)
        if which not in made:
            _, name, tensor, _ = constants[use.weight]
            made[which] = matrix_of_tensor(name, tensor, formats, products, use.columns)
        if (found := made[which]) is not None:
            _replace(node, use, found, quantize_activations)
    _warn_of_floats(constants, formats, {weight for weight, _ in made})
    return {which: m for which, m in made.items() if m is not None}


def _warn_of_floats(
    constants: Mapping[fx.Node, Constant], formats: WeightFormats, seen: set[fx.Node]
) -> None:
    """Name matrices that were to be quantised, and are read by something else than a product."""
    kept = {
        f"{constants[node].name!r} ({', '.join(sorted({_name(user) for user in node.users}))})"
        for node in constants.keys() - seen
        if node.users
        and constants[node].is_parameter
        and _is_matrix(_value(node))
        and formats.format_for(constants[node].name) is not None
    }
    if kept:
        warnings.warn(
            "gint keeps weights as they are that no product and no embedding of the graph reads "
            f"(what does is in parentheses): {', '.join(sorted(kept))}.",
            RuntimeWarning,
            stacklevel=2,
        )


def _name(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else node.target.__name__


def _is_matrix(value: Any) -> bool:
    return value.dim() == 2 and value.dtype in _FLOATS and value.device.type == "cpu"


# Where constants are used


def _use(node: fx.Node, constants: Mapping[fx.Node, Constant]) -> Use | None:
    reader = _READERS.get(node.target)
    use = reader(node, constants) if reader is not None else None
    if use is None:
        return None
    value, operand = _value(use.weight), _value(use.operand)
    same = use.reads_rows or (isinstance(operand, torch.Tensor) and operand.dtype == value.dtype)
    is_ours = _is_matrix(value) and same and constants[use.weight].is_parameter
    return use if is_ours else None


def _value(node: Any) -> Any:
    """What Dynamo, or torch.export, knows of a node's value."""
    meta = node.meta if isinstance(node, fx.Node) else {}
    return meta.get("example_value", meta.get("val"))


def _linear(node: fx.Node, constants: Mapping[fx.Node, Constant]) -> Use | None:
    x, weight, bias = _arguments(node, "input", "weight", "bias")
    if weight not in constants:
        return None
    return Use(weight, x, bias, columns=False, reads_rows=False)


def _matmul(node: fx.Node, constants: Mapping[fx.Node, Constant]) -> Use | None:
    x, factor = _arguments(node, "input", "other")
    return _product(x, factor, None, constants)


def _mm(node: fx.Node, constants: Mapping[fx.Node, Constant]) -> Use | None:
    x, factor = _arguments(node, "input", "mat2")
    return _product(x, factor, None, constants)


def _addmm(node: fx.Node, constants: Mapping[fx.Node, Constant]) -> Use | None:
    bias, x, factor = _arguments(node, "input", "mat1", "mat2")
    value = _value(bias)
    scaled = {"beta", "alpha", "out"} & set(node.kwargs)
    if scaled or not isinstance(value, torch.Tensor) or value.dim() != 1:
        return None
    return _product(x, factor, bias, constants)


def _product(
    x: Any, factor: Any, bias: fx.Node | None, constants: Mapping[fx.Node, Constant]
) -> Use | None:
    if factor in constants:
        return Use(factor, x, bias, columns=True, reads_rows=False)
    weight = _transposed(factor)
    if weight in constants:
        return Use(weight, x, bias, columns=False, reads_rows=False)
    return None


def _transposed(node: Any) -> Any:
    """What a node is the transpose of, or None."""
    if not isinstance(node, fx.Node) or not node.args:
        return None
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    name = name.partition(".")[0]  # ATen's: transpose.int
    source, *dims = node.args
    swaps = name == "transpose" and dims in ([0, 1], [1, 0], [-1, -2], [-2, -1])
    swaps |= name == "permute" and dims in ([[1, 0]], [1, 0])
    is_property = node.target is getattr and dims in (["T"], ["mT"])
    return source if name in ("t", "numpy_T", "mT") or swaps or is_property else None


def _embedding(node: fx.Node, constants: Mapping[fx.Node, Constant]) -> Use | None:
    ids, weight, _, longest = _arguments(node, "input", "weight", "padding_idx", "max_norm")
    if weight not in constants or longest is not None:
        return None
    return Use(weight, ids, None, columns=False, reads_rows=True)


def _aten_embedding(node: fx.Node, constants: Mapping[fx.Node, Constant]) -> Use | None:
    weight, ids = node.args[:2]
    return Use(weight, ids, None, columns=False, reads_rows=True) if weight in constants else None


_ATEN = torch.ops.aten
_READERS: dict[Any, Callable[[fx.Node, Mapping[fx.Node, Constant]], Use | None]] = {
    torch._C._nn.linear: _linear,
    torch.nn.functional.embedding: _embedding,
    **dict.fromkeys((torch.matmul, operator.matmul, "matmul", "__matmul__"), _matmul),
    **dict.fromkeys((torch.mm, "mm"), _mm),
    **dict.fromkeys((torch.addmm, "addmm"), _addmm),
    _ATEN.linear.default: _linear,
    _ATEN.matmul.default: _matmul,
    _ATEN.mm.default: _mm,
    _ATEN.addmm.default: _addmm,
    _ATEN.embedding.default: _aten_embedding,
}


def _arguments(node: fx.Node, *names: str) -> list[Any]:
    """A node's arguments by place or by name, None for those not given."""
    given = dict(zip(names, node.args, strict=False)) | dict(node.kwargs)
    return [given.get(name) for name in names]


def _replace(node: fx.Node, use: Use, found: QuantizedMatrix, quantize_activations: bool) -> None:
    if use.reads_rows:
        dtype = _value(use.weight).dtype
        node.target, node.args = EMBEDDING, (use.operand, found.key, dtype)
    else:
        node.target = LINEAR
        node.args = (use.operand, use.bias, found.key, quantize_activations)
    node.op, node.kwargs = "call_function", {}


# Quantising


#: Parameter -> what has been made of it, with the parameter's version and address then.
_MADE: WeakTensorKeyDictionary = WeakTensorKeyDictionary()


def matrix_of_tensor(
    name: str,
    tensor: torch.Tensor,
    formats: WeightFormats,
    products: QuantizedProducts,
    columns: bool = False,
) -> QuantizedMatrix | None:
    """The matrix of a tensor's rows, or of its columns, in the format chosen for its name; None for
    one that is kept. Warns where blocks do not fit."""
    chosen = formats.format_for(name)
    if chosen is None:
        return None
    inputs = tensor.shape[0 if columns else 1]
    if inputs % chosen.block:
        warnings.warn(
            f"gint keeps {name!r} as it is: its rows of {inputs} values are no multiple "
            f"of the {chosen.block} of a block of {chosen.name}.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return _quantized_once(name, tensor, columns, chosen, products)


def _quantized_once(
    name: str,
    tensor: torch.Tensor,
    columns: bool,
    chosen: QuantizedFormat,
    products: QuantizedProducts,
) -> QuantizedMatrix:
    """The matrix made before, unless the tensor has changed since."""
    state = (None if tensor.is_inference() else tensor._version, tensor.data_ptr())
    made = _MADE.setdefault(tensor, {})
    which = (chosen, columns, id(products))
    if which not in made or made[which][0] != state:
        weights = quantized_weights(tensor.detach().T if columns else tensor.detach(), chosen)
        made[which] = state, QuantizedMatrix(name, weights, products)
    return made[which][1]


def quantized_weights(values: torch.Tensor, chosen: QuantizedFormat) -> QuantizedWeights:
    """A matrix (out, in) of floats in blocks; a few rows are float32 at a time."""
    outputs, inputs = values.shape
    data = np.empty((outputs, chosen.row_bytes(inputs)), np.uint8)
    step = max(1, _CHUNK_VALUES // max(1, inputs))
    for at in range(0, outputs, step):
        data[at : at + step] = quantize(values[at : at + step].float().numpy(), chosen)
    return QuantizedWeights(data, (outputs, inputs), chosen)
