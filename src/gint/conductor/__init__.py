"""gint.conductor: the torch.compile backend.

    import torch

    @torch.compile(backend="gint")
    def f(x, y):
        return x + y * 2

The backend is known to torch by installation alone; `register_backend()` does the same by hand.
What compiles is imported with the first graph, or with the first name that is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .backend import gint_backend, register_backend

if TYPE_CHECKING:
    from .compiler import GintCompiledSubgraph, GintCompiler
    from .explaining import explain
    from .exporting import export
    from .generating import prepare_generate
    from .guards import skip_model_guards_unsafe
    from .partitioner import GraphPartitioner
    from .records import statistics
    from .weights.gguf import from_gguf
    from .weights.model import quantize

__all__ = [
    "GintCompiledSubgraph", "GintCompiler", "GraphPartitioner", "explain", "export",
    "from_gguf", "gint_backend", "prepare_generate", "quantize", "register_backend",
    "skip_model_guards_unsafe", "statistics",
]  # fmt: skip

_MODULES = {
    "GintCompiledSubgraph": ".compiler", "GintCompiler": ".compiler", "explain": ".explaining",
    "export": ".exporting", "GraphPartitioner": ".partitioner", "statistics": ".records",
    "from_gguf": ".weights.gguf", "prepare_generate": ".generating",
    "quantize": ".weights.model", "skip_model_guards_unsafe": ".guards",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """`registered` is the entry point: reading it registers the backend, and gives None.

    What an entry point gives, torch registers without asking again whether another thread has done
    so, and raises if one has. None it takes for a decorator's call, and looks the name up.

    It is an attribute of the package, not of a module in it: of two threads that import the one and
    the other, each would wait for what the other has begun.
    """
    if name == "registered":
        return register_backend()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
