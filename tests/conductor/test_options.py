"""Options of `torch.compile`: read once into an object that does not change. What is refused, and
in which words torch.compile passes it on, is in test_backend.py."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.options import Options
from gint.quantized import WeightFormats

pytestmark = pytest.mark.torch
FACTOR = 3.0


def test_nothing_given_is_the_defaults():
    assert Options.of(None) == Options.of({}) == Options(None, False, None, False, None, True)


def test_what_is_given_is_kept():
    given = {"backend": "python", "check": True, "max_tensors": 2, "cuda_graphs": True}
    given |= {"weights": {"*": "q8_0"}, "quantize_activations": False, "freeze": True}
    kept = given | {"weights": WeightFormats.of("q8_0")}
    assert {f.name: getattr(Options.of(given), f.name) for f in fields(Options)} == kept
    with pytest.raises(FrozenInstanceError):
        Options.of(given).check = False


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"backend": "tpu"}, "no backend 'tpu'. Known: "),
        ({"cuda_graphs": 1}, "'cuda_graphs' is True or False, not 1"),
        ({"max_tensors": True}, "'max_tensors' is a whole number, not True"),
        ({"max_tensors": 2.0}, "'max_tensors' is a whole number, not 2.0"),
    ],
)
def test_wrong_values(given, words):
    with pytest.raises(ValueError, match=words):
        Options.of(given)


def test_every_option_is_explained():
    assert all(f"{f.name}:" in Options.__doc__ for f in fields(Options))


def test_torchs_own_option_on_guards_is_in_effect(monkeypatch):
    def f(x):
        return x + 2 * FACTOR

    torch._dynamo.reset()
    how = {"guard_filter_fn": torch.compiler.skip_guard_on_globals_unsafe}
    compiled = torch.compile(f, backend="gint", options=how)
    assert torch.equal(compiled(torch.ones(3)), torch.full((3,), 7.0))
    monkeypatch.setitem(globals(), "FACTOR", 0.0)  # which is not noticed
    assert torch.equal(compiled(torch.ones(3)), torch.full((3,), 7.0))
