"""The host side: writing programs, choosing a backend, running programs on tensors.

    frontend.py       writing programs; schedule.py puts them into sections
    tensors.py        reading tensors: where their elements lie
    launches.py       tensors to slots; the loaded programs and bound launches that are kept
    executor.py       running a program on tensors given by name
    recall.py         operations on arrays that remember their calls
    memory.py         memory for large results, used again
    selection.py      choosing a backend, as configuration.py says; info.py tells of it

Knows programs, bindings and the backend protocol. Does not know torch's graphs.
"""
