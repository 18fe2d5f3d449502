"""The backend configuration guide, from top to bottom: its commands and Python, in its order.

Every command is typed as the guide has it, in a copy of the checkout, beginning with its `cd`.
There the C++ interpreter is built, OpenCL finds no platform, and `cuda` is a stand-in, on any
machine: not built, until a test says otherwise.
"""

from __future__ import annotations

import json
import os

import pytest

from gint.backend import registry
from tests.airllm.cpp_ext.trees import Finished, Tree

pytestmark = [pytest.mark.checkout, pytest.mark.cpp]

CD = "cd mix/target/airllm/cpp_ext\n"
DEFAULT_FILE = """\
{
  "preferred_backend": "auto",
  "backend_priority": [
    "cuda",
    "opencl",
    "cpp",
    "python"
  ],
  "force_backend": null
}
"""
SHOWN = """\
Current Backend Configuration:
  Preferred backend: auto
  Force backend: None
  Priority order: cuda, opencl, cpp, python

Configuration file: {file}
"""
DEFAULT = ("auto", ["cuda", "opencl", "cpp", "python"], None)
GET_BACKEND = """\
from airllm import tensor_ops

print(tensor_ops.get_backend())
"""
# A backend with the answer to its probe; what it runs, NumPy runs.
STAND_IN = """
from gint.backend import registry
from gint.backend.protocol import Probe
from gint.kernel.interpreter.numpy.backend import NumpyBackend

class StandIn(NumpyBackend):
    name = {name!r}

    def probe(self):
        return {probe}

BACKEND = StandIn()
"""
USABLE = "Probe(True, 'a stand-in', 'a stand-in')"
NOT_BUILT = "Probe(False, 'it is not built.', built=False)"
NO_DEVICE = "Probe(False, 'there is no CUDA device.', built=True, remedy='Plug one in.')"


@pytest.fixture
def guide(tree: Tree) -> Tree:
    """The copy, with commands starting at its root, as the guide does."""
    answer = registry.probe("cpp")
    if not answer.usable:
        required = "cpp" in os.environ.get("GINT_REQUIRE", "").split(",")
        (pytest.fail if required else pytest.skip)(f"backend 'cpp': {answer.reason}")
    stand_in(tree, "cuda", NOT_BUILT)
    return Tree(tree.root, tree.root, tree.file, tree.environment)


def type_in(guide: Tree, script: str, **environment: str) -> Finished:
    """Run bash, which succeeds."""
    done = guide.bash(script, **environment)
    assert done.status == 0, done.err
    return done


def written(guide: Tree) -> tuple:
    return tuple(guide.values().values())


def stand_in(guide: Tree, name: str, probe: str = USABLE) -> None:
    folder = guide.root / "src/gint/kernel/interpreter" / name
    folder.mkdir(exist_ok=True)
    (folder / "__init__.py").touch()
    (folder / "backend.py").write_text(STAND_IN.format(name=name, probe=probe))


def import_error(guide: Tree) -> list[str]:
    """The lines of the ImportError that `from airllm import tensor_ops` raises; its name last."""
    code = (
        "try:\n    from airllm import tensor_ops\n"
        "except Exception as e:\n    print(type(e).__name__, e, e.name, sep='\\n')\n"
    )
    name, *lines = guide.python(f"import sys\n{code}").fine().splitlines()
    assert name == "ImportError"
    return lines


# Configuration File, Configuration Options


def test_default_configuration(guide):
    assert (guide.root / "mix/target/airllm/cpp_ext/backend.json").read_text() == DEFAULT_FILE
    assert guide.python(GET_BACKEND).fine() == "cpp\n"


# Using setup.py to Configure Backend


def test_view_current_configuration(guide):
    done = type_in(guide, CD + "python setup.py configure_backend --show")
    assert done.out == SHOWN.format(file=guide.file)
    assert done.err == ""


def test_set_preferred_backend(guide):
    for name in ("cpp", "cuda", "opencl", "python", "auto"):
        type_in(guide, CD + f"python setup.py configure_backend --backend={name}")
        assert written(guide) == (name, DEFAULT[1], None)
    assert guide.file.read_text() == DEFAULT_FILE


def test_force_a_specific_backend(guide):
    done = type_in(guide, CD + "python setup.py configure_backend --backend=cuda --force")
    assert written(guide) == ("cuda", DEFAULT[1], "cuda")
    assert done.err.startswith("warning: 'cuda' is not usable here")
    assert "build_cuda" in done.err


def test_change_backend_priority(guide):
    script = 'python setup.py configure_backend --priority="{}"'
    for order in ("cpp,cuda,opencl,python", "opencl,cuda,cpp,python"):
        assert type_in(guide, CD + script.format(order)).err == ""
        assert written(guide) == ("auto", order.split(","), None)


def test_combined_configuration(guide):
    options = '--backend=auto --priority="cpp,cuda,opencl,python"'
    type_in(guide, CD + "python setup.py configure_backend --backend=python --force")
    assert type_in(guide, CD + f"python setup.py configure_backend {options}").err == ""
    assert written(guide) == ("auto", ["cpp", "cuda", "opencl", "python"], None)


def test_manual_configuration(guide):
    values = {
        "preferred_backend": "cpp",
        "backend_priority": ["cpp", "cuda", "opencl", "python"],
        "force_backend": None,
    }
    guide.file.write_text(json.dumps(values))
    assert guide.python(GET_BACKEND).fine() == "cpp\n"
    values["preferred_backend"] = "python"
    guide.file.write_text(json.dumps(values))
    assert guide.python(GET_BACKEND).fine() == "python\n"


# Usage Examples


def test_example_1_force_cpu_backend(guide):
    stand_in(guide, "cuda")  # "even if CUDA is available"
    assert guide.python(GET_BACKEND).fine() == "cuda\n"
    type_in(guide, CD + "python setup.py configure_backend --backend=cpp")
    assert guide.python(GET_BACKEND).fine() == "cpp\n"


def test_example_2_prefer_gpu_with_fallback(guide):
    type_in(guide, CD + "python setup.py configure_backend --backend=cuda")
    assert guide.python(GET_BACKEND).fine() == "cpp\n"
    stand_in(guide, "cuda")
    assert guide.python(GET_BACKEND).fine() == "cuda\n"


def test_example_3_custom_priority_order(guide):
    options = '--backend=auto --priority="{}"'
    script = CD + f"python setup.py configure_backend {options}"
    stand_in(guide, "cuda")
    stand_in(guide, "opencl")
    type_in(guide, script.format("cpp,opencl,cuda,python"))
    assert guide.python(GET_BACKEND).fine() == "cpp\n"
    type_in(guide, script.format("opencl,cuda,cpp,python"))
    assert guide.python(GET_BACKEND).fine() == "opencl\n"
    type_in(guide, script.format("python,cpp"))
    assert guide.python(GET_BACKEND).fine() == "python\n"


def test_example_4_force_backend_strict_mode(guide):
    type_in(guide, CD + "python setup.py configure_backend --backend=cuda --force")
    assert import_error(guide)[0] == "No module named 'tensor_ops_cuda'"
    stand_in(guide, "cuda")
    assert guide.python(GET_BACKEND).fine() == "cuda\n"


def test_checking_current_configuration(guide):
    type_in(guide, CD + "python setup.py configure_backend --backend=cpp")
    code = """\
from airllm import tensor_ops

info = tensor_ops.get_backend_info()
print("Active backend:", info['backend'])
print("Configuration:", info['config'])
print("Available backends:", info['available_backends'])
"""
    assert (
        guide.python(code).fine()
        == """\
Active backend: cpp
Configuration: {
  'preferred_backend': 'cpp',
  'backend_priority': ['cuda', 'opencl', 'cpp', 'python'],
  'force_backend': None
}
Available backends: ['cpp', 'python']
"""
    )


# Use Cases


def test_development_and_production(guide):
    type_in(guide, CD + "python setup.py configure_backend --backend=cuda --force")
    assert import_error(guide)
    type_in(guide, CD + "python setup.py configure_backend --backend=auto")
    assert guide.python(GET_BACKEND).fine() == "cpp\n"


def test_server_deployment(guide):
    script = CD + "python setup.py configure_backend "
    type_in(guide, script + "--backend=cuda --force")
    assert written(guide) == ("cuda", DEFAULT[1], "cuda")
    type_in(guide, script + "--backend=opencl --force")
    assert written(guide) == ("opencl", DEFAULT[1], "opencl")
    assert type_in(guide, script + "--backend=cpp").err == ""
    assert written(guide) == ("cpp", DEFAULT[1], None)


# Troubleshooting


def test_changes_take_effect_in_the_next_interpreter(guide):
    code = (
        "from airllm import tensor_ops; import json, pathlib\n"
        "file = pathlib.Path(tensor_ops.get_backend_info()['config_file'])\n"
        "file.write_text(json.dumps({'preferred_backend': 'python'}))\n"
        "print(tensor_ops.get_backend(), tensor_ops.get_backend_info()['config'])\n"
    )
    assert guide.python(code).fine().startswith("cpp {\n  'preferred_backend': 'auto',")
    assert guide.python(GET_BACKEND).fine() == "python\n"


def test_backend_not_available(guide):
    done = type_in(guide, CD + "python setup.py configure_backend --backend=cuda")
    assert "Build it: python setup.py build_cuda." in done.err
    assert guide.python(GET_BACKEND).fine() == "cpp\n"
    reasons = guide.python(
        "from airllm import tensor_ops; print(tensor_ops.get_backend_info()['reasons']['cuda'])"
    ).fine()
    assert reasons.startswith("not usable here: ")


@pytest.mark.parametrize("name", ["cuda", "opencl"])
def test_force_mode_failures(guide, name):
    stand_in(guide, name, NOT_BUILT)
    type_in(guide, CD + f"python setup.py configure_backend --backend={name} --force")
    fact, ways, module = import_error(guide)
    assert fact == f"No module named 'tensor_ops_{name}'"
    assert f"python setup.py build_{name}" in ways
    assert "python setup.py configure_backend --backend=auto" in ways
    assert module == f"tensor_ops_{name}"
    # Way out 2. Way out 1 is that the backend is there.
    stand_in(guide, name)
    assert guide.python(GET_BACKEND).fine() == f"{name}\n"
    stand_in(guide, name, NOT_BUILT)
    type_in(guide, CD + "python setup.py configure_backend --backend=auto")
    assert guide.python(GET_BACKEND).fine() == "cpp\n"


def test_force_mode_failures_with_cuda_itself(tree):
    """No stand-in: the copy has no build, and the devices are hidden."""
    assert tree.setup("configure_backend", "--backend=cuda", "--force").status == 0
    fact, ways, module = import_error(tree)
    assert fact == "No module named 'tensor_ops_cuda'"
    assert "python setup.py build_cuda" in ways
    assert module == "tensor_ops_cuda"


def test_force_mode_failures_with_a_backend_that_is_built(guide):
    stand_in(guide, "cuda", NO_DEVICE)
    type_in(guide, CD + "python setup.py configure_backend --backend=cuda --force")
    fact, ways, module = import_error(guide)
    reason = "there is no CUDA device. Plug one in."
    assert fact == f"tensor_ops_cuda is built, and not usable here: {reason}"
    assert "python setup.py configure_backend --backend=auto" in ways
    assert module == "tensor_ops_cuda"


# Integration with CI/CD


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("nvidia", ("cuda", DEFAULT[1], "cuda")),
        ("amd", ("opencl", DEFAULT[1], "opencl")),
        ("", ("cpp", DEFAULT[1], None)),
    ],
)
def test_integration_with_ci(guide, kind, expected):
    script = """\
# In deployment script
cd mix/target/airllm/cpp_ext

# Configure backend based on environment
if [ "$GPU_TYPE" = "nvidia" ]; then
    python setup.py configure_backend --backend=cuda --force
elif [ "$GPU_TYPE" = "amd" ]; then
    python setup.py configure_backend --backend=opencl --force
else
    python setup.py configure_backend --backend=cpp
fi
"""
    type_in(guide, script, GPU_TYPE=kind)
    assert written(guide) == expected


# See Also


@pytest.mark.parametrize(
    "name", ["BACKEND_GUIDE.md", "backend_examples.py", "README.md", "setup.py", "benchmark.py"]
)
def test_the_files_the_guide_points_to(guide, name):
    assert (guide.root / "mix/target/airllm/cpp_ext" / name).is_file()
