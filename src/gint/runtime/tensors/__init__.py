"""Plans on torch tensors: memory, streams, the quickest way into an operator, layouts.

Imports torch and none of its compilers.
"""
