"""Choosing a backend: by name, environment, force, preference and priority; and the reasons."""

import json
import os

import pytest

from gint.backend import registry
from gint.backend.protocol import Probe
from gint.host import configuration
from gint.host.configuration import ConfigurationError
from gint.host.selection import BackendNotUsableError, choose, choose_for_torch, explain, select

USABLE = Probe(True, "there")


@pytest.fixture(autouse=True)
def configure(monkeypatch, tmp_path):
    """Writes the configuration in effect; without a call it is the default."""
    monkeypatch.delenv("GINT_BACKEND", raising=False)
    path = tmp_path / "backend.json"

    def write(**values):
        path.write_text(json.dumps(values))
        monkeypatch.setenv("GINT_BACKEND_CONFIG", os.fspath(path))
        configuration._read_once.cache_clear()

    write()
    yield write
    configuration._read_once.cache_clear()


@pytest.fixture
def usable(monkeypatch):
    """Decides what every probe answers: names, or names with their answers."""

    def decide(*given, **answers):
        answers.update(dict.fromkeys(given, USABLE))
        missing = Probe(False, "nothing there.", built=False, remedy="Build it.")
        monkeypatch.setattr(registry, "probe", lambda name: answers.get(name, missing))
        for name in registry.names():
            device = "cuda" if name == "cuda" else "cpu"
            fake = type("Fake", (), {"name": name, "device": device})()
            found[name] = fake
        monkeypatch.setattr(registry, "backend", found.__getitem__)

    found = {}
    return decide


def test_by_name_and_by_environment(monkeypatch):
    assert select("python").name == "python"
    monkeypatch.setenv("GINT_BACKEND", "python")
    assert select().name == "python"
    assert choose().reasons == {"python": "taken: GINT_BACKEND asks for it"}


def test_an_unknown_name_is_an_error_that_names_the_known_ones(monkeypatch):
    with pytest.raises(ValueError, match=r"no backend 'tpu'.*cpp.*python"):
        select("tpu")
    monkeypatch.setenv("GINT_BACKEND", "tpu")
    words = "^GINT_BACKEND asks for what is no backend: 'tpu'. Allowed: auto, cuda, .*python.$"
    with pytest.raises(ConfigurationError, match=words):
        select()


def test_an_unusable_backend_asked_for_by_name_is_an_import_error_with_its_reason(usable):
    usable("python")
    with pytest.raises(ImportError) as caught:
        select("cpp")
    assert str(caught.value) == (
        "The backend 'cpp' is not usable here: nothing there. Build it.\n"
        "It must be used because it is asked for by name. Usable here: python."
    )


def test_by_default_the_first_usable_one_in_the_default_priority(usable):
    usable("cpp", "opencl", "python")
    choice = choose()
    assert choice.backend.name == "opencl"
    assert choice.reasons == {
        "cuda": "not usable here: nothing there.",
        "opencl": "taken: the first usable in the default priority",
    }
    assert explain(choice)["cpp"] == "usable, and not asked for"


def test_an_opencl_of_this_cpu_is_passed_over_while_the_order_is_the_default(usable, configure):
    usable("cpp", "python", opencl=Probe(True, "PoCL", cpu_only=True))
    assert select().name == "cpp"
    assert choose().reasons["opencl"].startswith("passed over")
    configure(backend_priority=["opencl", "cpp"])
    assert select().name == "opencl"
    configure(preferred_backend="opencl")
    assert select().name == "opencl"


def test_an_opencl_of_this_cpu_is_taken_where_cpp_is_not_usable(usable):
    usable("python", opencl=Probe(True, "PoCL", cpu_only=True))
    assert select().name == "opencl"


def test_a_preference_falls_back_along_the_priority(usable, configure):
    usable("cpp", "python")
    configure(preferred_backend="cuda", backend_priority=["opencl", "python", "cpp"])
    assert select().name == "python"
    assert list(choose().reasons) == ["cuda", "opencl", "python"]


def test_what_the_priority_leaves_out_is_not_tried_and_numpy_stays(usable, configure):
    usable("cpp", "python")
    configure(backend_priority=["cuda"])
    assert choose().reasons["python"] == "taken: the last resort"


def test_force_is_that_backend_or_an_error(usable, configure):
    usable("cpp", "python")
    configure(force_backend="python", preferred_backend="cpp")
    assert select().name == "python"
    configure(force_backend="cuda")
    with pytest.raises(BackendNotUsableError, match="because force_backend asks for it") as caught:
        select()
    assert caught.value.backend == "cuda"
    assert not caught.value.probe.built


def test_the_environment_rules_over_the_file_and_auto_undoes_it(usable, configure, monkeypatch):
    usable("cpp", "python")
    configure(force_backend="python")
    monkeypatch.setenv("GINT_BACKEND", "cpp")
    assert select().name == "cpp"
    monkeypatch.setenv("GINT_BACKEND", "auto")
    assert select().name == "cpp"


def test_torch_tensors_stay_where_they_live(usable, configure):
    usable("cpp", "cuda", "opencl", "python")
    configure(backend_priority=["opencl", "cuda", "python"])
    assert choose_for_torch("cpu").backend.name == "cpp"
    assert choose_for_torch("cuda").backend.name == "cuda"
    assert choose_for_torch("mps").backend is None


def test_another_backend_for_a_device_type_is_one_line(usable, monkeypatch):
    """As one for torch of ROCm would be, which calls its devices "cuda"."""
    monkeypatch.setitem(registry.BACKENDS, "hip", registry.Entry("somewhere.hip", serves="cuda"))
    usable("hip", "cpp", "python")
    choice = choose_for_torch("cuda")
    assert choice.backend.name == "hip"
    assert list(choice.reasons) == ["cuda", "hip"]
    usable("cuda", "hip", "cpp", "python")
    assert choose_for_torch("cuda").backend.name == "cuda"
    with pytest.raises(ValueError, match="Known: cuda, opencl, cpp, python, hip"):
        registry.entry("tpu")


@pytest.mark.parametrize("key", ["force_backend", "preferred_backend"])
def test_torch_tensors_follow_a_named_backend_that_reaches_them(usable, configure, key):
    usable("cpp", "cuda", "opencl", "python")
    configure(**{key: "opencl"})
    assert choose_for_torch("cpu").backend.name == "opencl"
    assert choose_for_torch("cuda").backend.name == "cuda"
    configure(**{key: "cuda"})
    assert choose_for_torch("cpu").backend.name == "cpp"


def test_torch_tensors_fall_back_to_eager_and_never_to_numpy(usable, configure):
    usable("python")
    configure(preferred_backend="opencl")
    choice = choose_for_torch("cpu")
    assert choice.backend is None
    assert choice.reasons == dict.fromkeys(["opencl", "cpp"], "not usable here: nothing there.")
    configure(force_backend="opencl")
    with pytest.raises(BackendNotUsableError):
        choose_for_torch("cpu")


def test_a_broken_file_is_an_error_and_not_the_default(configure, tmp_path):
    configure(preferred_backend="tpu")
    with pytest.raises(ConfigurationError, match="preferred_backend cannot be 'tpu'"):
        select()


def test_every_backend_answers_its_probe_with_a_sentence():
    for name in registry.names():
        assert registry.probe(name).reason
