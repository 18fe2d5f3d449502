"""What `gint demo` and the benchmarks measure with.

A clock for calls that take turns, processes with empty caches, the torch.compile backends that are
compared, the models they compile, and the description of a machine. Knows `gint.conductor` by
`torch.compile` and its records alone, and neither the demo nor the benchmarks. Importing any of it
imports no torch.
"""
