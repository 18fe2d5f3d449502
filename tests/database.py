"""torch's database of operators (OpInfo), and its sample inputs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db

SEED = 1234


def _name(op: Any) -> str:
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


DATABASE = {_name(op): op for op in op_db}


def samples_of(op: Any, dtype: torch.dtype) -> Iterator[Any]:
    """What `op.sample_inputs` yields, seeded before each as there.

    That looks for unittest's test case and reads the sources of every frame of the stack for it,
    which takes longer than to compile an operator and to compare it.
    """
    found = iter(op.sample_inputs_func(op, "cpu", dtype, False))
    while True:
        random.seed(SEED)
        np.random.seed(SEED)
        torch.default_generator.manual_seed(SEED)  # torch.manual_seed reads the stack as well
        try:
            sample = next(found)
        except StopIteration:
            return
        yield sample
