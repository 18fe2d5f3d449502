"""What a backend is: the protocol, the registry of those there are, probing, errors.

    protocol.py   what a backend offers, and the values it answers with
    registry.py   which backends there are; each is loaded and probed once
    probing.py    asking drivers in a process of its own, and keeping the answer
    errors.py     the error flag of a launch, as exceptions

Standard library only, so that a configuration can be written before anything is installed. Does not
know devices, configurations or tensors.
"""
