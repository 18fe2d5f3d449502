"""Values that others made, brought into what a graph was traced with.

Dynamo's guards look at the inputs of a graph, and at nothing else. Not at the gradients that a
backward graph is called with; at what was saved for it, which hooks may give back changed; at
results of operators whose fake kernels are somebody's word. And no guard sees where memory lies.

Knows tensors. Does not know graphs.
"""

from __future__ import annotations

import torch

#: The hooks on saved tensors in effect, or None.
saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks


class Saving:
    """What a forward graph tells its backward graph: whether hooks ever saw what it saved."""

    hooked = False
