"""Which of Dynamo's guards are left of a model that stays as it is.

Knows what Dynamo tells of a guard. Does not know graphs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.compiler import skip_guard_on_all_nn_modules_unsafe, skip_guard_on_globals_unsafe

#: The attribute by which a quantised module names its matrix, another one for each of a process.
_KEY = ".key"


def skip_model_guards_unsafe(guards: Sequence[Any]) -> list[bool]:
    """Which guards are kept, as torch.compile's option `guard_filter_fn` asks for it: those on what
    a call is given (tokens, masks, the cache) and on modes of torch's, and of a model with
    quantised modules the one that tells it from others.

    Of the model's modules and of globals nothing is checked: a module that is replaced afterwards,
    an attribute that is written to, or `train()` goes unnoticed. That is what "unsafe" in torch's
    names stands for. Weights that the option `weights` quantises are compared before each call all
    the same.
    """
    kept = [
        on_modules and on_globals
        for on_modules, on_globals in zip(
            skip_guard_on_all_nn_modules_unsafe(guards),
            skip_guard_on_globals_unsafe(guards),
            strict=True,
        )
    ]
    key = next((n for n, guard in enumerate(guards) if guard.name.endswith(_KEY)), None)
    if key is not None:
        kept[key] = True
    return kept
