"""What a process made by fork changes of torch's, so that operators in a plan return there."""

from __future__ import annotations

import os
from functools import cache, partial

import torch


@cache
def compute_alone_after_fork() -> None:
    """From now on a child made by `os.fork` begins with one thread for torch's operators.

    The OpenMP runtime that it inherits counts on threads which only its parent has: an operator
    that wants two waits for them without end, eager's as well as a plan's.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=partial(torch.set_num_threads, 1))
