"""What torch is given to keep, and when it is given nothing but a function."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import GintCompiler, keeping
from gint.conductor.keeping import compiled_function, compiles_ahead, is_caching, kept_compiler
from gint.conductor.options import Options
from tests.conductor.graphs import traced

pytestmark = pytest.mark.torch
OPTIONS = Options(backend="python")


def compiled():
    return GintCompiler(OPTIONS).compile(traced(lambda x: (x + 1,), (3,)))


def by_operators(*args):
    return ("operators", *args)


def test_by_default_torch_keeps_nothing():
    assert not compiles_ahead()
    assert not is_caching()
    function = compiled_function(None, compiled(), by_operators, OPTIONS)
    assert type(function).__name__ == "function"
    torch.testing.assert_close(function(torch.zeros(3))[0], torch.ones(3))


def test_fake_tensors_and_tangents_are_the_operators_business():
    function = compiled_function(None, compiled(), by_operators, OPTIONS)
    with torch._subclasses.FakeTensorMode():
        assert function(1)[0] == "operators"
    with torch.autograd.forward_ad.dual_level():
        assert function(1)[0] == "operators"


@pytest.mark.parametrize("switch", ["compiles_ahead", "is_caching"])
def test_what_is_saved_can_be_pickled(monkeypatch, switch):
    monkeypatch.setattr(keeping, switch, lambda: True)
    function = compiled_function(None, compiled(), by_operators, OPTIONS)
    made, unmade = function.serialize_compile_artifacts, function.deserialize_compile_artifacts
    again = unmade(made(function))
    torch.testing.assert_close(again(torch.zeros(3))[0], torch.ones(3))


def test_a_graph_left_to_eager_is_not_kept():
    left = compiled()
    left.built = None
    with pytest.raises(RuntimeError, match="cannot save a graph that it leaves to eager"):
        keeping._contents(left, OPTIONS)


def test_autograds_compiler():
    plain = kept_compiler(GintCompiler(OPTIONS))(is_backward=False)
    found = plain(traced(lambda x: (x + 1,), (3,)), [])
    torch.testing.assert_close(found([torch.zeros(3)])[0], torch.ones(3))
