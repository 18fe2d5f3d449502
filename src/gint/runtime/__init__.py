"""What runs plans: memory for results, operators, and tensors in the layouts that were planned.

Knows plans, backends and arrays; `gint.runtime.tensors` knows torch's tensors, and nothing of how
graphs are traced. Does not know how plans came about.
"""
