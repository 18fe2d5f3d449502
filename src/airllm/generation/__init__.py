"""From logits to text: choosing tokens, the loop, stop words.

    sampling.py   how tokens are chosen
    loop.py       tokens one after the other
    text.py       tokens to pieces of text, up to a stop word

Knows a model that chooses tokens. Does not know how it does, nor checkpoints.
"""

from .loop import generate, stream
from .sampling import Sampling

__all__ = ["Sampling", "generate", "stream"]
