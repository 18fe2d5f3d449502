"""What a token of airllm takes between its products."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.airllm.checkpoints import model_of, tokens, write

pytestmark = [pytest.mark.torch, pytest.mark.cpp]


def test_parts_are_of_the_tokens_that_the_model_makes(tmp_path):
    from airllm import AutoModel, tensor_ops
    from benchmarks.decode_steps import measure_parts

    prompt = np.array(tokens(9))
    with tensor_ops.use_backend("cpp"):
        model = AutoModel.from_pretrained(write(model_of("llama"), tmp_path))
        expected = model.generate(prompt, 12, end_tokens=())
        begun = time.perf_counter()
        parts = measure_parts(model, prompt, 7)
        assert 0 < parts.attention < parts.between < time.perf_counter() - begun
        assert model.generate(prompt, 12, end_tokens=()) == expected
