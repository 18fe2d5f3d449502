"""Choosing a backend by name, by the environment, or by priority."""

import pytest

from gint.host import backends
from gint.host.backends import Probe
from gint.host.selection import select


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    monkeypatch.delenv("GINT_BACKEND", raising=False)


def test_by_name_and_by_environment(monkeypatch):
    assert select("python").name == "python"
    monkeypatch.setenv("GINT_BACKEND", "python")
    assert select().name == "python"


def test_without_a_wish_the_first_usable_one():
    assert select().name == backends.usable()[0]


def test_an_unknown_name_is_an_error_that_names_the_known_ones(monkeypatch):
    with pytest.raises(ValueError, match=r"no backend 'tpu'.*cpp.*python"):
        select("tpu")
    monkeypatch.setenv("GINT_BACKEND", "tpu")
    with pytest.raises(ValueError, match="no backend 'tpu'"):
        select()


def test_an_unusable_backend_asked_for_by_name_is_an_import_error_with_its_reason(monkeypatch):
    answer = backends.probe
    monkeypatch.setattr(
        backends, "probe", lambda n: Probe(False, "not built") if n == "cpp" else answer(n)
    )
    with pytest.raises(
        ImportError, match=r"'cpp' is not usable here: not built\nUsable here: .*python"
    ):
        select("cpp")
    assert select().name != "cpp"


def test_every_backend_answers_its_probe_with_a_sentence():
    for name in backends.names():
        assert backends.backend(name).name == name
        assert backends.probe(name).reason
