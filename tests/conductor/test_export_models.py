"""The eight small models of the benchmarks: each is saved once, with free sizes, and equals eager
with torch and on NumPy arrays."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import gint
from gint.conductor import export
from tests.conductor.small_models import MODELS, build, example, reads_images

pytestmark = pytest.mark.torch
FREE = torch.export.Dim.DYNAMIC


def answer(model: Any, given: dict[str, Any]) -> dict[str, torch.Tensor] | None:
    """Eager's; None where there is none: some models read the last of no words."""
    try:
        return dict(model(**given))
    except (RuntimeError, IndexError):
        return None


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_a_model_equals_eager_with_torch_and_without(name, tmp_path):
    options, model = MODELS[name][2], build(name)
    given = example(model, 2, 9)
    free = {k: {0: FREE} if reads_images(model) else {0: FREE, 1: FREE} for k in given}
    free |= dict.fromkeys(options)
    path = tmp_path / "model.gint"
    export(model, (), {**given, **options}, dynamic_shapes=free, path=path)
    loaded = gint.load(path)
    for batch, length in ((2, 9), (1, 1), (3, 16), (0, 9), (2, 0)):
        given = example(model, batch, length)
        wanted = answer(model, {**given, **options})
        if wanted is None:
            assert 0 in (batch, length)
            with suppress(ValueError, RuntimeError, IndexError):
                loaded(**given, **options)
            continue
        found = loaded(**given, **options)
        on_arrays = loaded(**{k: t.numpy() for k, t in given.items()}, **options)
        for key, value in wanted.items():
            torch.testing.assert_close(found[key], value, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(
                torch.from_numpy(on_arrays[key]), value, rtol=1e-4, atol=1e-4
            )
