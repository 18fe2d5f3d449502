"""gint.conductor: the torch.compile backend.

    import torch

    @torch.compile(backend="gint")
    def f(x, y):
        return x + y * 2

The backend is known to torch by installation alone; `register_backend()` does the same by hand.
"""

from typing import Any

from .backend import gint_backend, register_backend
from .compiler import GintCompiledSubgraph, GintCompiler
from .explain import explain
from .partitioner import GraphPartitioner
from .records import statistics

__all__ = [
    "GintCompiledSubgraph", "GintCompiler", "GraphPartitioner", "explain", "export",
    "from_gguf", "gint_backend", "prepare_generate", "quantize", "register_backend", "statistics",
]  # fmt: skip


def quantize(model: Any, weights: Any = "q8_0", **options: Any) -> Any:
    """Quantise a model's weights ahead of its first call: gint.conductor.weights.model.quantize."""
    from .weights.model import quantize

    return quantize(model, weights, **options)


def export(model: Any, args: Any = (), kwargs: Any = None, **how: Any) -> Any:
    """Save a function for gint.load, at `path`: gint.conductor.exporting.export."""
    from .exporting import export

    return export(model, args, kwargs, **how)


def from_gguf(path: Any, **options: Any) -> Any:
    """A transformers model on the blocks of a GGUF file: gint.conductor.weights.gguf.from_gguf."""
    from .weights.gguf import from_gguf

    return from_gguf(path, **options)


def prepare_generate(model: Any, **options: Any) -> Any:
    """Compile a transformers model for `generate`: gint.conductor.generating.prepare_generate."""
    from .generating import prepare_generate

    return prepare_generate(model, **options)


def __getattr__(name: str) -> None:
    """`registered` is the entry point: reading it registers the backend, and gives None.

    What an entry point gives, torch registers without asking again whether another thread has done
    so, and raises if one has. None it takes for a decorator's call, and looks the name up.

    It is an attribute of the package, not of a module in it: of two threads that import the one and
    the other, each would wait for what the other has begun.
    """
    if name != "registered":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    register_backend()
