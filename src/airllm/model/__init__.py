"""Decoders run layer by layer on airllm.tensor_ops.

    automodel.py   opening a model: what is kept in memory, and in which format
    matrices.py    the matrices of a model, and which stored rows they are made of
    resident.py    weights that are all in memory
    cache.py       keys and values of the positions so far
    decoder.py     the steps from tokens to logits

Knows checkpoints and operations. Does not know sampling, text.
"""

from .automodel import AutoModel, Model
from .cache import Cache

__all__ = ["AutoModel", "Cache", "Model"]
