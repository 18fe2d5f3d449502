"""`python -m airllm.cpp_ext` of an installation: the guide's choices without a checkout.

Where `make test` tests the wheel, this is that wheel; in the checkout, a copy without what marks it
as one.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

import airllm.cpp_ext

BACKEND = "from airllm import tensor_ops; print(tensor_ops.get_backend())"
DEFAULT = {
    "preferred_backend": "auto",
    "backend_priority": ["cuda", "opencl", "cpp", "python"],
    "force_backend": None,
}


def shown(path: Path, values: dict) -> str:
    return (
        "Current Backend Configuration:\n"
        f"  Preferred backend: {values['preferred_backend']}\n"
        f"  Force backend: {values['force_backend']}\n"
        f"  Priority order: {', '.join(values['backend_priority'])}\n"
        "\n"
        f"Configuration file: {path}\n"
    )


def test_nothing_is_written_before_it_is_asked_for(installed):
    assert installed.setup("configure_backend", "--show").fine() == shown(installed.file, DEFAULT)
    installed.python(BACKEND).fine()
    assert not installed.file.exists()


def test_it_writes_the_users_file_and_prints_which(installed):
    said = installed.setup("configure_backend", "--backend=python", "--force").fine()
    values = DEFAULT | {"preferred_backend": "python", "force_backend": "python"}
    assert said == shown(installed.file, values)
    assert installed.values() == values
    assert installed.python(BACKEND).fine() == "python\n"


def test_the_environment_rules_one_run(installed, tmp_path):
    installed.setup("configure_backend", "--priority=python").fine()
    named = tmp_path / "named.json"
    named.write_text(json.dumps({"force_backend": "tpu"}))
    assert installed.python(BACKEND, GINT_BACKEND="python").fine() == "python\n"
    done = installed.python(BACKEND, GINT_BACKEND_CONFIG=str(named))
    assert done.status == 1
    assert "force_backend cannot be 'tpu'" in done.err.splitlines()[-1]
    assert installed.python(BACKEND).fine() == "python\n"


def test_a_forced_backend_that_is_not_there_names_the_installations_commands(installed):
    done = installed.setup("configure_backend", "--backend=opencl", "--force")
    assert done.status == 0
    assert done.err.startswith("warning: 'opencl' is not usable here")
    code = (
        "try:\n    import airllm.tensor_ops\n"
        "except ImportError as e:\n    print(type(e).__name__, e.name, e, sep='\\n')\n"
    )
    kind, name, _, ways = installed.python(code).fine().splitlines()
    assert (kind, name) == ("ImportError", "tensor_ops_opencl")
    assert "python -m airllm.cpp_ext configure_backend --backend=auto" in ways
    installed.setup("configure_backend", "--backend=auto").fine()
    assert installed.python("import airllm.tensor_ops").fine() == ""


def test_mistakes_and_broken_files(installed):
    done = installed.setup("configure_backend", "--backend=tpu")
    assert (done.status, done.out) == (2, "")
    assert done.err == (
        "python -m airllm.cpp_ext: preferred_backend cannot be 'tpu'. "
        "Allowed: auto, cuda, opencl, cpp, python.\n"
    )
    assert not installed.file.exists()
    installed.file.parent.mkdir(parents=True)
    installed.file.write_text("{")
    assert installed.setup("configure_backend", "--show").status == 2
    assert installed.file.read_text() == "{"


def test_the_setup_py_that_is_installed_does_the_same(installed):
    packages = installed.environment.get("PYTHONPATH")
    script = Path(packages or Path(airllm.cpp_ext.__file__).parents[2]) / "airllm/cpp_ext/setup.py"
    said = installed.run(sys.executable, str(script), "configure_backend", "--backend=python")
    assert said.fine() == shown(installed.file, DEFAULT | {"preferred_backend": "python"})


def test_there_is_nothing_to_build_the_interpreter_from(installed):
    done = installed.setup("build_ext", "--inplace")
    assert (done.status, done.out) == (1, "")
    assert "Install gint again from its checkout" in done.err


def test_capabilities(installed):
    assert "\nbackend python " in installed.setup("test_capabilities").fine()


@pytest.mark.skipif("GINT_TEST_WHEEL" not in os.environ, reason="only where the wheel is tested")
def test_what_the_wheel_holds():
    folder = Path(airllm.cpp_ext.__file__).parent
    assert folder.is_relative_to(sys.prefix)
    assert not (folder / "backend.json").exists()
    for name in ("setup.py", "README.md", "BACKEND_GUIDE.md", "backend_examples.py"):
        assert (folder / name).is_file()
