"""Checkpoints of language models, as files: what the model is, and tensors read by rows.

    architecture.py   the sizes and choices of a model, and one table of families
    tensors.py        what a stored tensor offers, and the roles tensors play in a layer
    huggingface.py    a folder with config.json and safetensors shards
    gguf_file.py, safetensors_file.py   what such a file holds
    files.py          tensors of a file, read by rows
    errors.py         what is wrong with a file, in a sentence

Knows files. Does not know backends, products, what is kept in memory.
"""

from .architecture import FAMILIES, Architecture, Family, Rope
from .opening import open_checkpoint
from .tensors import Checkpoint, CheckpointError, StoredTensor

__all__ = [
    "FAMILIES",
    "Architecture",
    "Checkpoint",
    "CheckpointError",
    "Family",
    "Rope",
    "StoredTensor",
    "open_checkpoint",
]
