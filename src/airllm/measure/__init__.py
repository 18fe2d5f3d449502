"""Measurements of the operations that need nothing but an installed gint: for `benchmark.py` of
cpp_ext, and for `gint bench`, which adds tables and goals."""
