"""gint.conductor: the torch.compile backend.

    import torch

    @torch.compile(backend="gint")
    def f(x, y):
        return x + y * 2

The backend is known to torch by installation alone; `register_backend()` does the same by hand.
"""

from .backend import gint_backend, register_backend
from .compiler import GintCompiledSubgraph, GintCompiler
from .explain import explain
from .partitioner import GraphPartitioner
from .records import statistics

__all__ = [
    "GintCompiledSubgraph", "GintCompiler", "GraphPartitioner", "explain", "gint_backend",
    "register_backend", "statistics",
]  # fmt: skip
