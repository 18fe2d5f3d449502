"""Which backend the operations run on, in one process; other processes: tests/airllm/cpp_ext."""

from __future__ import annotations

import re
import threading

import pytest

from airllm import tensor_ops
from airllm.tensor_ops.backend import ConfigurationValues, _import_error
from gint.backend import registry
from gint.backend.protocol import Probe
from gint.host.selection import BackendNotUsableError

GUIDES_CONFIGURATION = """{
  'preferred_backend': 'cpp',
  'backend_priority': ['cuda', 'opencl', 'cpp', 'python'],
  'force_backend': None
}"""


def test_the_configuration_prints_as_in_the_guide():
    values = ConfigurationValues(
        preferred_backend="cpp",
        backend_priority=["cuda", "opencl", "cpp", "python"],
        force_backend=None,
    )
    assert str(values) == GUIDES_CONFIGURATION
    assert values == dict(values)


def test_info_says_what_runs_and_why():
    info = tensor_ops.get_backend_info()
    assert info["backend"] == tensor_ops.get_backend()
    assert info["available_backends"] == list(registry.usable())
    assert set(info["reasons"]) == set(registry.names())
    assert info["reasons"][info["backend"]].startswith("taken: ")
    assert set(info["config"]) == {"preferred_backend", "backend_priority", "force_backend"}
    assert info["device"] == registry.probe(info["backend"]).description


def test_use_backend_holds_inside_and_in_this_thread_only():
    before = tensor_ops.get_backend()
    seen = []
    with tensor_ops.use_backend("python"):
        assert tensor_ops.get_backend() == "python"
        reasons = tensor_ops.get_backend_info()["reasons"]
        assert reasons["python"] == "taken: use_backend asks for it"
        if before != "python":
            assert reasons[before].startswith("taken outside of use_backend: ")
        thread = threading.Thread(target=lambda: seen.append(tensor_ops.get_backend()))
        thread.start()
        thread.join()
    assert seen == [before]
    assert tensor_ops.get_backend() == before


def test_use_backend_refuses_unknown_and_unusable_names(monkeypatch):
    with pytest.raises(ValueError, match="no backend 'tpu'"), tensor_ops.use_backend("tpu"):
        pass
    monkeypatch.setattr(registry, "probe", lambda name: Probe(False, "broken."))
    monkeypatch.setattr(registry, "usable", lambda: ("python",))
    with pytest.raises(ImportError, match="broken"), tensor_ops.use_backend("cpp"):
        pass


@pytest.mark.parametrize(
    ("probe", "demand", "lines"),
    [
        (
            Probe(False, "no.", built=False),
            "force_backend asks for it",
            [
                "No module named 'tensor_ops_cuda'",
                "Build the backend: .*build_cuda, or remove force mode: .*configure_backend"
                " --backend=auto.",
            ],
        ),
        (
            Probe(False, "there is no CUDA device.", remedy="Plug one in."),
            "GINT_BACKEND asks for it",
            [
                "tensor_ops_cuda is built, and not usable here: there is no CUDA device. Plug one"
                " in.",
                "Make it usable, or unset GINT_BACKEND.",
            ],
        ),
    ],
)
def test_a_backend_that_must_be_taken_fails_as_a_missing_module_does(probe, demand, lines):
    error = _import_error(BackendNotUsableError("cuda", probe, demand))
    assert type(error) is ImportError
    assert error.name == "tensor_ops_cuda"
    for found, wanted in zip(str(error).split("\n"), lines, strict=True):
        assert re.fullmatch(wanted, found), found
