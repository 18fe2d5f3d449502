"""Copies of the packages to run commands in: a checkout, or an installation.

What runs in them is told no backend and no file by its environment, sees no device (no OpenCL
platform, no CUDA device), and keeps configuration and caches in the copy's own folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]
LEFT_OUT = shutil.ignore_patterns("__pycache__", "_build_error.txt", "*.fatbin")
#: With these a process writes where it should not, or sees what a test must not depend on.
HIDDEN = ("GINT_", "PYTHON", "XDG_", "OCL_", "POCL_", "CUDA_")


@dataclass
class Tree:
    """A copy: its folder, where commands start, and their environment."""

    root: Path
    start: Path
    file: Path
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, cwd: Path | None = None, **environment: str) -> Finished:
        done = subprocess.run(
            command,
            cwd=cwd or self.start,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        if "-c" not in command:  # a command of ours, not Python or bash typed by a user
            assert "Traceback" not in done.stderr, done.stderr
        return Finished(done.returncode, done.stdout, done.stderr)

    def setup(self, *arguments: str, **environment: str) -> Finished:
        """`python setup.py ...` in cpp_ext/, or `python -m airllm.cpp_ext` of an installation."""
        command = ["setup.py"] if (self.start / "setup.py").exists() else ["-m", "airllm.cpp_ext"]
        return self.run(sys.executable, *command, *arguments, **environment)

    def bash(self, script: str, **environment: str) -> Finished:
        """A script, stopped at the first command that fails."""
        return self.run("bash", "-e", "-c", script, **environment)

    def python(self, code: str, **environment: str) -> Finished:
        return self.run(sys.executable, "-c", code, **environment)

    def values(self) -> dict[str, Any]:
        return json.loads(self.file.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Finished:
    status: int
    out: str
    err: str

    def fine(self) -> str:
        """What it printed, where it succeeded and had nothing to warn of."""
        assert (self.status, self.err) == (0, "")
        return self.out


def hermetic(folder: Path) -> dict[str, str]:
    """The environment; configuration and caches in `folder`."""
    found = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)}
    (folder / "no-opencl").mkdir(parents=True)
    return found | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{found.get('PATH', '')}",
        "HOME": str(folder),
        "XDG_CONFIG_HOME": str(folder / "config"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "OCL_ICD_VENDORS": str(folder / "no-opencl"),
        "CUDA_VISIBLE_DEVICES": "",
    }


def checkout(folder: Path) -> Tree:
    """A checkout that is installed: its src/ is on the path."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=LEFT_OUT)
    for name in ("scripts", "benchmarks"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    for name in ("pyproject.toml", "CMakeLists.txt", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, folder)
    (folder / "mix").mkdir()
    (folder / "mix" / "target").symlink_to("../src")
    cpp_ext = folder / "src" / "airllm" / "cpp_ext"
    shutil.copy(ROOT / "src/airllm/cpp_ext/backend.json", cpp_ext)
    environment = hermetic(folder / "home") | {"PYTHONPATH": str(folder / "src")}
    start = folder / "mix" / "target" / "airllm" / "cpp_ext"
    return Tree(folder, start, cpp_ext / "backend.json", environment)


def installation(folder: Path) -> Tree:
    """The installed wheel where that is tested; else what it would hold, in another folder."""
    environment = hermetic(folder / "home")
    start = folder / "elsewhere"
    start.mkdir()
    if "GINT_TEST_WHEEL" not in os.environ:
        packages = folder / "site-packages"
        shutil.copytree(ROOT / "src", packages, ignore=LEFT_OUT)
        (packages / "airllm" / "cpp_ext" / "backend.json").unlink()
        environment["PYTHONPATH"] = str(packages)
    return Tree(folder, start, folder / "home" / "config" / "gint" / "backend.json", environment)


def refuses_a_name(tree: Tree, script: str) -> None:
    """A script of cpp_ext/ says which backends there are where the environment asks for none."""
    done = tree.run(sys.executable, script, GINT_BACKEND="CPP")
    assert (done.status, done.out) == (1, "")
    assert f"{script}: GINT_BACKEND asks for what is no backend: 'CPP'. Allowed: auto" in done.err


def needs_numpy(tree: Tree, script: str) -> None:
    """A script of cpp_ext/ says what to install where there is nothing but Python."""
    done = tree.run(sys.executable, "-I", "-S", script)
    assert (done.status, done.out) == (1, "")
    assert done.err.splitlines()[-1] == f"{script}: this needs numpy: pip install numpy."
