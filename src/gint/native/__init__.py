"""The native module as a whole: its loader here, what Python sees of it in src/.

`_native` holds the C++ interpreter and the quantised products of the `cpp` backend, NumPy's arrays
read from their own fields, calls that are recalled by their layouts, and steps that run in one
call.
Standard library only: whoever needs the module loads it, and is told in words where it cannot be
had.
"""

from .loader import NativeMissingError, build_error, load_native

__all__ = ["NativeMissingError", "build_error", "load_native"]
