"""A graph as data: its nodes' kinds, the memory behind values, sizes, types, views, index maps.

Knows FX and ATen's operators. Does not know opcodes, programs or plans.
"""
