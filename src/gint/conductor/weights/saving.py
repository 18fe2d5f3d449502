"""Quantised matrices in functions that are saved: their blocks are constants of the graph.

Before torch.export's program is traced, products with its parameters become products with
matrices, as under torch.compile; afterwards, what names a matrix by a number is given its blocks.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind

from gint.quantized import QuantizedProducts, WeightFormats

from ..trace.constants import Constant
from ..trace.exported import register_constant
from .matrix import QuantizedMatrix
from .operators import EMBEDDING_OF_BLOCKS, LINEAR, LINEAR_OF_BLOCKS, matrix_of
from .rewrite import quantize_nodes


def quantize_program(
    program: ExportedProgram,
    formats: WeightFormats,
    products: QuantizedProducts,
    quantize_activations: bool,
) -> list[QuantizedMatrix]:
    """Change a functional program so that it multiplies with matrices where it can; whoever traces
    it holds them meanwhile. Warns of weights that cannot take their format."""
    placeholders = [n for n in program.graph.nodes if n.op == "placeholder"]
    constants = {}
    for n, spec in enumerate(program.graph_signature.input_specs):
        if spec.kind is InputKind.PARAMETER:
            tensor = program.state_dict[spec.target]
            constants[placeholders[n]] = Constant(n, spec.target, tensor, True)
    formats.warn_of_unmatched(constant.name for constant in constants.values())
    made = quantize_nodes(program.graph, constants, formats, products, quantize_activations)
    program.graph_module.recompile()
    return list(made.values())


def hold_blocks(module: fx.GraphModule) -> None:
    """Give the operators on matrices their blocks, which become attributes of the module."""
    held: dict[int, fx.Node] = {}
    names: Counter[str] = Counter()
    first = next(iter(module.graph.nodes))
    for node in list(module.graph.nodes):
        if (found := matrix_of(node)) is None:
            continue
        if found.key not in held:
            name = f"{found.name}_{found.format.name}"
            names[name] += 1
            name += f"_{names[name]}" if names[name] > 1 else ""
            data = found.blocks.data
            blocks = torch.from_numpy(data if data.flags.writeable else data.copy())
            register_constant(module, name, blocks)
            with module.graph.inserting_before(first):
                held[found.key] = module.graph.get_attr(name)
            held[found.key].meta["val"] = blocks
        matrix, format = held[found.key], found.format.name
        if node.target is LINEAR:
            x, bias, _, quantize_activations = node.args
            node.target = LINEAR_OF_BLOCKS
            node.args = (x, bias, matrix, format, quantize_activations)
        else:
            ids, _, dtype = node.args
            node.target, node.args = EMBEDDING_OF_BLOCKS, (ids, matrix, format, dtype)
