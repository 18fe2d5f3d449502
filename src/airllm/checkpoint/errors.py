"""What is wrong with a checkpoint, in a sentence. Standard library only."""

from __future__ import annotations


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message names the file, and the tensor if it is one."""
