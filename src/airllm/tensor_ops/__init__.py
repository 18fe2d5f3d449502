"""LLM operations on NumPy arrays, and on whatever speaks DLPack.

Importing this chooses the backend, as the configuration says; it raises ImportError where one is
forced that is not usable.
"""

from .backend import get_backend, get_backend_info, use_backend

__all__ = ["get_backend", "get_backend_info", "use_backend"]
