"""Guards that are left where a model stays as it is."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from gint.conductor import quantize, skip_model_guards_unsafe
from tests.conductor.weights.tiny_models import ids, tiny

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]


def generated(model, length: int):
    return model.generate(ids(1, length), max_new_tokens=4, do_sample=False)


def test_models_of_one_class_are_told_apart_and_nothing_compiles_again():
    kept = []

    def few(guards):
        answer = skip_model_guards_unsafe(guards)
        kept.append((sum(answer), len(answer)))
        return answer

    sources = [tiny(num_hidden_layers=1) for _ in range(2)]
    sources[1].lm_head.weight.neg_()
    models = [quantize(source, "q8_0", release=True) for source in sources]
    wanted = [[generated(m, n) for n in (5, 9)] for m in models]
    assert not torch.equal(wanted[0][0], wanted[1][0])
    stats = torch._dynamo.utils.counters["stats"]
    before = stats["unique_graphs"]
    for m in models:
        options = {"guard_filter_fn": few}
        m.forward = torch.compile(m.forward, backend="gint", dynamic=True, options=options)
    for _ in range(2):
        for m, expected in zip(models, wanted, strict=True):
            for length, tokens in zip((5, 9), expected, strict=True):
                assert torch.equal(generated(m, length), tokens)
    assert stats["unique_graphs"] == before + 4  # a prompt's, a token's
    assert all(few < every / 2 for few, every in kept)


def test_without_modules_only_globals_are_skipped():
    compiled = torch.compile(
        lambda x: x + 1, backend="gint", options={"guard_filter_fn": skip_model_guards_unsafe}
    )
    for size in (3, 4, 5):
        assert torch.equal(compiled(torch.ones(size)), torch.full((size,), 2.0))
