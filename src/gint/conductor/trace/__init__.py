"""From Dynamo's graph of torch calls to ATen operators: how, and which of them are broken up.

Knows torch's tracers. Knows nothing else of the conductor.
"""
