"""gint: a bytecode interpreter for tensor programs, built once ahead of time.

Importing this package imports nothing heavy: no torch, no NumPy, no compiler, no device.
"""

__version__ = "0.1.0"
