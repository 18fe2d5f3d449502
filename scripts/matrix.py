"""The wheel, tested under each Python and each torch that gint names.

    make matrix                          every pair below
    make matrix ARGS='3.13/2.13'         these

A pair has an environment of its own in build/matrix: the wheel built for that Python, that torch,
what the tests need. Then run tests of the wheel and a slice of those of the conductor, one case of
each. The environments are kept: a second run installs the wheel anew, if it has changed, and tests.

An interpreter is taken from the path or from pyenv. What is not there is said, and is no failure.
torch comes from TORCH_INDEX, or from the index that pip is set up for (PyPI's for Linux bring
CUDA's libraries along: 5 GB a pair on disk).

Knows interpreters, pip, pytest. Does not know gint.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from bootstrap import digest, native_sources, requirements

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build/matrix"
#: The oldest and the newest torch, the oldest and the newest Python, and what lies between.
PAIRS = (("3.11", "2.11"), ("3.11", "2.13"), ("3.12", "2.13"), ("3.13", "2.11"), ("3.13", "2.13"))
TESTS = (
    "tests/native",
    "tests/program",
    "tests/isa",
    "tests/backend",
    "tests/host",
    "tests/kernel/interpreter/test_differential.py",
    "tests/conductor/plan",
    "tests/conductor/trace",
    "tests/conductor/test_backend.py",
    "tests/conductor/test_compiler.py",
    "tests/conductor/test_dynamic_shapes.py",
    "tests/conductor/test_generated.py",
    "tests/conductor/test_regressions.py",
)


def interpreter(version: str) -> str | None:
    """A Python of that version which runs here."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    pyenv = sorted(str(path) for path in versions.glob(f"{version}.*/bin/python"))
    code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
    for name in (sys.executable, f"python{version}", *pyenv):
        try:
            done = subprocess.run([name, "-c", code], capture_output=True, text=True, check=False)
        except OSError:
            continue
        if done.returncode == 0 and done.stdout.strip() == version:
            return name
    return None


class Pair:
    """One environment, and the stamps of what was done in it."""

    def __init__(self, python: str, torch: str) -> None:
        self.name, self.torch, self.version = f"{python}/{torch}", torch, python
        self.folder = FOLDER / f"{python}-{torch}"
        self.python = self.folder / "bin/python"
        self.environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}

    def run(self, *command: object) -> None:
        words = [str(word) for word in command]
        subprocess.run(words, cwd=ROOT, env=self.environment, check=True)

    def pip(self, *arguments: object) -> None:
        self.run(self.python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)

    def step(self, name: str, key: str, work: Callable[[], None]) -> None:
        """Do `work` unless it was done for the same key."""
        stamp = self.folder / f".stamp-{name}"
        if stamp.exists() and stamp.read_text() == key:
            return
        print(f"gint: {self.name}: {name}", flush=True)
        work()
        stamp.write_text(key)

    def make(self, python: str) -> None:
        if not self.python.exists():
            self.run(python, "-m", "venv", "--clear", self.folder)
        self.step("torch", self.torch, self.install_torch)
        packages = digest(["pyproject.toml", "constraints.txt"])
        self.step("packages", packages, self.install_packages)
        files = [str(p.relative_to(ROOT)) for p in (ROOT / "src").rglob("*.py")]
        self.step("wheel", digest([*files, *native_sources()]), self.install_wheel)

    def install_torch(self) -> None:
        index = os.environ.get("TORCH_INDEX", "")
        self.pip("install", *(["--index-url", index] if index else []), f"torch=={self.torch}.*")

    def install_packages(self) -> None:
        """As constraints.txt has them, but for torch, which this pair chooses."""
        lines = (ROOT / "constraints.txt").read_text().splitlines(keepends=True)
        constraints = self.folder / "constraints.txt"
        ours = ("torch==", "cuda-bindings==")
        constraints.write_text("".join(line for line in lines if not line.startswith(ours)))
        found, build = requirements(["test"])
        found = [name for name in found + build if not name.startswith("cuda-bindings")]
        self.pip("install", "--constraint", constraints, *found)

    def install_wheel(self) -> None:
        place = self.folder / "wheel"
        options = ("--no-deps", "--no-build-isolation")
        self.pip("wheel", *options, "--wheel-dir", place, ".")
        wheel = max(place.glob("*.whl"), key=lambda path: path.stat().st_mtime)
        self.pip("install", "--no-deps", "--force-reinstall", wheel)

    def test(self) -> str:
        """pytest's last line."""
        environment = self.environment | {"GINT_TEST_WHEEL": "1", "GINT_REQUIRE": "cpp"}
        options = ("-q", "-n", "2", "-m", "not checkout and not opencl", "-p", "no:cacheprovider")
        done = subprocess.run(
            [self.python, "-m", "pytest", *options, *TESTS],
            cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        said = done.stdout.strip().splitlines() or ["pytest said nothing"]
        if done.returncode:
            print(done.stdout, flush=True)
        return f"{'passed' if done.returncode == 0 else 'FAILED'}: {said[-1].strip('= ')}"


def result(version: str, torch: str) -> str:
    python = interpreter(version)
    if python is None:
        return f"not run: there is no Python {version} here (looked on the path and in pyenv)"
    pair = Pair(version, torch)
    try:
        pair.make(python)
    except subprocess.CalledProcessError as error:
        return f"FAILED: {' '.join(map(str, error.cmd[2:]))} (its words are above)"
    return pair.test()


def main(arguments: list[str]) -> int:
    chosen = [tuple(name.split("/")) for name in arguments] or PAIRS
    results = {f"Python {p}, torch {t}": result(p, t) for p, t in chosen}
    width = max(map(len, results))
    for name, said in results.items():
        print(f"{name:{width}}  {said}")
    return int(any(said.startswith("FAILED") for said in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
