"""The host side: writing programs, choosing a backend, running programs on tensors.

Knows programs, bindings and the backend protocol. Does not know torch's graphs.
"""
