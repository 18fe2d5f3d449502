"""The eight small models of the benchmarks: each is saved once, with free sizes, and equals eager
with torch and on NumPy arrays. The files are those of tests/operators/test_models.py."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

import gint
from tests.conductor.small_models import MODELS, build, example
from tests.once import once
from tests.operators import saved_models

pytestmark = pytest.mark.torch
FREE = torch.export.Dim.DYNAMIC


def answer(model: Any, given: dict[str, Any]) -> dict[str, torch.Tensor] | None:
    """Eager's; None where there is none: some models read the last of no words."""
    try:
        return dict(model(**given))
    except (RuntimeError, IndexError):
        return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "models", saved_models.save)


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_a_model_equals_eager_with_torch_and_without(name, folder):
    options, model = MODELS[name][2], build(name)
    loaded = gint.load(folder / f"{name}.gint")
    for batch, length in saved_models.SIZES:
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
