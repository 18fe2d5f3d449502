"""The plan of a graph: the function that launches its programs and calls its externs, in order.

Knows units, kernels, torch's memory and streams. Does not know how programs came about.
"""
