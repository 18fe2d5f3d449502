"""The C++ interpreter: tiles in the L1 cache, threads, several instruction sets in one module."""
