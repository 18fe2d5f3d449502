"""gint: a bytecode interpreter for tensor programs, built once ahead of time.

Importing this package imports nothing heavy: no torch, no NumPy, no compiler, no device.
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """`gint.load` is `gint.runtime.function.load`, imported when it is wanted."""
    if name != "load":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from gint.runtime.function import load

    return load
