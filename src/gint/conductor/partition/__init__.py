"""From nodes to units: which values are stored, which share a program, and what runs when.

Knows lowering as programs that can be tried. Does not know kernels or plans.
"""
