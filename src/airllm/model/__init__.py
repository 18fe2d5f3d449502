"""Decoders run layer by layer on airllm.tensor_ops.

    automodel.py   opening a model: what is kept in memory, and in which format
    matrices.py    the matrices of a model, and which stored rows they are made of
    parts.py       stored rows as what products take
    resident.py    weights that are all in memory
    streamed.py    weights read while the model computes
    quantized_file.py  matrices quantised once, and kept
    cache.py       keys and values of the positions so far
    decoder.py     the steps from tokens to logits
    row.py         one row's steps as one native call

Knows checkpoints and operations. Does not know sampling, text.
"""

from .automodel import AutoModel, Model
from .cache import CACHE_DTYPES, Cache

__all__ = ["CACHE_DTYPES", "AutoModel", "Cache", "Model"]
