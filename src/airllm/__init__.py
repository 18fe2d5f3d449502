"""Language models on NumPy arrays: operations on a backend the user picks, and decoders on them.

    tensor_ops    operations (cpp_ext/BACKEND_GUIDE.md)
    checkpoint    models as files
    model         decoders, also those larger than memory
    generation    tokens and text
    cli           `airllm chat | bench`

Importing this chooses no backend; what is named here is imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "AutoModel": "airllm.model",
    "Sampling": "airllm.generation",
    "generate": "airllm.generation",
    "stream": "airllm.generation",
}
__all__ = ["AutoModel", "Sampling", "generate", "stream"]  # by __getattr__


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_EXPORTS[name]), name)
