"""The native module for aarch64, cross-built, and its tests under qemu's user emulation.

    make arm                      a Debian arm64 Python with NumPy, the module, the tests; among
                                  them eight models, saved here, without torch there
    make arm ARGS='-k gather'     other arguments for pytest

Needs Debian's cross compiler and emulator, and says which package is missing. What it downloads and
builds lies in build/aarch64 and is kept: the packages that Debian's arm64 Python needs are unpacked
into `root`, wheels into `site`. `python` is a script that starts the emulator; programs of the host
(compilers) that a test starts run as they are. The processor that qemu shows has every extension,
so the tests run on the best unit, and those of quantised products on each.

Knows apt, pip, cmake, qemu. Does not know gint, nor what the tests test.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from bootstrap import digest, native_sources, requirements

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "build/aarch64"
SYSTEM, SITE, NATIVE = HERE / "root", HERE / "site", HERE / "native"
PYTHON, MODELS = HERE / "python", HERE / "models"
COMPILER = "aarch64-linux-gnu-g++"
TOOLS = {  # command: Debian's package
    COMPILER: "g++-aarch64-linux-gnu",
    "qemu-aarch64-static": "qemu-user-static",
    "apt-get": "apt",
    "dpkg-deb": "dpkg",
    "cmake": "cmake",
    "ninja": "ninja-build",
}
#: Debian's, with all they depend on.
PACKAGES = ("python3", "libpython3-dev", "libgomp1", "libstdc++6")
TESTS = (
    "tests/native", "tests/kernel", "tests/program", "tests/isa", "tests/quantized", "tests/plan",
    "tests/runtime/test_function.py", "tests/runtime/test_made_elsewhere.py",
)  # fmt: skip
#: Builds the whole module again, from a copy of the tree.
LEFT_OUT = ("--ignore=tests/isa/test_made_up.py",)


def run(*command: object, **more: object) -> None:
    subprocess.run([str(word) for word in command], check=True, **more)  # type: ignore[call-overload]


def unpack_system() -> None:
    """Debian's packages for arm64, resolved by an apt that knows of nothing installed."""
    state = HERE / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    options = {
        "APT::Architecture": "arm64",
        "APT::Architectures": "arm64",
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache::archives": state / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Debug::NoLocking": "1",
    }
    apt = ["apt-get", "-qq", *(f"-o{name}={value}" for name, value in options.items())]
    run(*apt, "update")
    run(*apt, "install", "--yes", "--download-only", "--no-install-recommends", *PACKAGES)
    for package in sorted((state / "archives").glob("*.deb")):
        run("dpkg-deb", "--extract", package, SYSTEM)
    shutil.rmtree(state)


def write_python() -> None:
    """A script that is this system's Python: it names itself, so that tests can start it again."""
    (interpreter,) = (
        path for path in SYSTEM.glob("usr/bin/python3.[0-9]*") if path.name[-1].isdigit()
    )
    emulator = f"qemu-aarch64-static -L {shlex.quote(str(SYSTEM))}"
    PYTHON.write_text(
        "#!/bin/sh\n"
        f"export PYTHONHOME={shlex.quote(str(SYSTEM / 'usr'))}\n"
        f'exec {emulator} -0 "$0" {shlex.quote(str(interpreter))} "$@"\n'
    )
    PYTHON.chmod(0o755)


def ask_python(expression: str) -> str:
    code = f"import sys, sysconfig; print({expression})"
    return subprocess.check_output([str(PYTHON), "-c", code], text=True).strip()


def install_wheels() -> None:
    """What the tests import, and nanobind: wheels for this Python, put there by the host's pip."""
    found, build = requirements(["test"])
    found = [name for name in found + build if "cuda" not in name]
    platforms = (f"--platform=manylinux_2_{minor}_aarch64" for minor in (17, 27, 28, 34))
    version = ask_python("'%d.%d' % sys.version_info[:2]")
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--only-binary=:all:", *platforms, "--platform=manylinux2014_aarch64",
        f"--python-version={version}", "--implementation=cp",
        "--upgrade", "--target", SITE, "--constraint", "constraints.txt", *found, cwd=ROOT,
    )  # fmt: skip


def build_native() -> None:
    """The module, copied into src/ beside the host's: its name says which Python it is for."""
    include = ask_python("sysconfig.get_path('include')")
    environment = os.environ | {"PYTHONPATH": str(SITE)}
    run(
        "cmake", "-S", ROOT, "-B", NATIVE, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
        "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_CXX_COMPILER={COMPILER}",
        f"-DCMAKE_CXX_FLAGS=-idirafter {SYSTEM / 'usr/include'}",  # Debian's pyconfig.h
        f"-DPython_EXECUTABLE={PYTHON}",
        # Of another architecture CMake asks the interpreter for nothing but its name.
        f"-DPython_INCLUDE_DIR={include}",
        f"-DPython_NumPy_INCLUDE_DIR={SITE / 'numpy/_core/include'}",
        f"-Dnanobind_DIR={SITE / 'nanobind/cmake'}", env=environment,
    )  # fmt: skip
    run("cmake", "--build", NATIVE, env=environment)
    (module,) = NATIVE.glob("_native.*.so")
    shutil.copy(module, ROOT / "src/gint/native")


def save_models() -> None:
    """What torch saves here is run there; nothing where this Python has no torch."""
    MODELS.mkdir(exist_ok=True)
    if find_spec("torch") and find_spec("transformers"):
        run(sys.executable, "-m", "tests.operators.saved_models", MODELS, cwd=ROOT)


def step(name: str, key: str, *work: object) -> None:
    """Do `work` unless it was done for the same key."""
    stamp = HERE / f".stamp-{name}"
    if stamp.exists() and stamp.read_text() == key:
        return
    print(f"gint: aarch64: {name}", flush=True)
    for function in work:
        function()  # type: ignore[operator]
    stamp.write_text(key)


def main(arguments: list[str]) -> int:
    missing = [package for tool, package in TOOLS.items() if shutil.which(tool) is None]
    if missing:
        print(f"gint: for `make arm`: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 2
    HERE.mkdir(parents=True, exist_ok=True)
    step("system", digest([], PACKAGES), unpack_system)
    write_python()
    step("wheels", digest(["pyproject.toml", "constraints.txt"]), install_wheels)
    step("native module", digest(native_sources()), build_native)
    save_models()
    environment = {
        "PYTHONPATH": os.pathsep.join((str(ROOT / "src"), str(SITE))),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CXX": COMPILER,
        "GINT_RUN_BY": f"qemu-aarch64-static -L {SYSTEM}",
        "GINT_REQUIRE": "cpp",
    }
    if any(MODELS.glob("*.gint")):
        environment["GINT_SAVED_MODELS"] = str(MODELS)
    command = [str(PYTHON), "-m", "pytest", "-p", "no:cacheprovider", "-n", "2"]
    chosen = arguments or [*TESTS, *LEFT_OUT]
    return subprocess.call([*command, *chosen], cwd=ROOT, env=os.environ | environment)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except subprocess.CalledProcessError as error:
        print(
            f"gint: {shlex.join(error.cmd[:4])} ... failed; its words are above.", file=sys.stderr
        )
        sys.exit(1)
