"""Lowering: from ATen operators to opcodes.

    kinds.py       which nodes of a graph are lowered
    numbers.py     numbers on another device, brought to the graph's
    rules.py       the registry of rules: one an operator
    domain.py      the axes of a program
    emitter.py     nodes emitted as one program, and the Context a rule is given

The rules, by subject:

    pointwise.py   elementwise operators; most are one line of a table
    reduce.py      reductions, softmax, norms
    create.py      full, arange, casts, copies
    join.py        concatenations
    gather.py      indexing by tensor
    losses.py      gradients of losses over classes
    pieces.py      gradients of slices
    windows.py     pooling, windows as columns
    scan.py        running sums, products, extremes
    writing.py     writes into a piece of a value

A rule takes a Context and returns the value of the node at the context's map. Does not know which
nodes belong together.
"""

# Importing them registers their rules.
from . import create, gather, join, losses, pieces, pointwise, reduce, scan, windows, writing

__all__ = [
    "create",
    "gather",
    "join",
    "losses",
    "pieces",
    "pointwise",
    "reduce",
    "scan",
    "windows",
    "writing",
]
