"""The build backend: scikit-build-core, and what to do where the C++ part cannot be built.

`pip install` of any kind succeeds without the native module; the compiler's words are then kept
where the module would be, in `_build_error.txt`, for `gint info`. `GINT_REQUIRE=cpp` makes such a
failure final.

An editable installation, and `python scripts/gint_build.py inplace`, build the very wheel that
`make wheel` builds and copy the native module out of it into `src/`: one way to build, one build
folder, one file.

Knows scikit-build-core and where the native module lives. Does not know CMake's options,
compilers, gint itself.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

from scikit_build_core import build as skbuild
from scikit_build_core.build import (
    build_sdist,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
)

# No prepare_metadata_* hooks: whether the wheel is pure is known only after the compiler has run.
__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
]

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = Path("gint/native")
ERROR_FILE = Path("src") / PACKAGE / "_build_error.txt"
COMPILER_FILE = Path("build") / "compiler.txt"
KEPT_LINES = 200

Config = dict[str, "str | list[str]"] | None


class NativeBuildError(Exception):
    """The C++ part was not built; the text is what the tools said."""


def get_requires_for_build_editable(config_settings: Config = None) -> list[str]:
    """What a wheel needs (CMake and Ninja where the system has none): one is built on the way."""
    return get_requires_for_build_wheel(config_settings)


def build_wheel(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """A wheel with the native module, or a pure one that carries the error."""
    ERROR_FILE.unlink(missing_ok=True)
    try:
        return _build_native_wheel(wheel_directory, config_settings)
    except NativeBuildError as error:
        _record(error)
    pure = {"wheel.cmake": "false", "sdist.include": ERROR_FILE.as_posix()}
    try:
        return skbuild.build_wheel(wheel_directory, {**(config_settings or {}), **pure})
    finally:
        ERROR_FILE.unlink(missing_ok=True)


def build_editable(
    wheel_directory: str, config_settings: Config = None, metadata_directory: str | None = None
) -> str:
    """Build in place, then an installation that points to `src/`.

    The setting `gint.native=done` says that `build_inplace` has just run.
    """
    config = dict(config_settings or {})
    if config.pop("gint.native", "") != "done":
        build_inplace(config)
    name = skbuild.build_editable(wheel_directory, config)
    _keep_paths_only(Path(wheel_directory) / name)
    return name


def _keep_paths_only(wheel: Path) -> None:
    """Leave of an editable wheel the line that puts `src/` on the path.

    scikit-build-core adds an import hook, for rebuilding at import, which we do not ask for; it
    would find this checkout's packages where PYTHONPATH or another checkout's setup.py name others.
    """
    with zipfile.ZipFile(wheel) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name in [n for n in files if n.startswith("_editable_")]:
        lines = files.pop(name).decode().splitlines()
        if name.endswith(".pth"):
            paths = dict.fromkeys(line for line in lines if not line.startswith("import "))
            files[name] = "".join(f"{path}\n" for path in paths).encode()
    record = next(name for name in files if name.endswith(".dist-info/RECORD"))
    rows = [f"{name},{_hash(data)},{len(data)}" for name, data in files.items() if name != record]
    files[record] = "\n".join([*rows, f"{record},,", ""]).encode()
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def _hash(data: bytes) -> str:
    """As a wheel's RECORD has it."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={digest.decode().rstrip('=')}"


def build_inplace(config_settings: Config = None) -> Path | None:
    """Put this Python's native module into `src/`; returns it, None where the build failed."""
    ERROR_FILE.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        try:
            wheel = Path(folder) / _build_native_wheel(folder, config_settings)
        except NativeBuildError as error:
            for stale in (Path("src") / PACKAGE).glob(f"_native.*{sys.implementation.cache_tag}*"):
                stale.unlink()
            _record(error)
            return None
        return _unpack_native(wheel)


def _build_native_wheel(wheel_directory: str, config_settings: Config) -> str:
    compiler = repr([os.environ.get(name) for name in ("CXX", "CXXFLAGS", "LDFLAGS")])
    _forget_compiler(unless=compiler)
    with tempfile.TemporaryFile() as log:
        try:
            with _copy_output(log.fileno()):
                wheel = skbuild.build_wheel(wheel_directory, config_settings)
            COMPILER_FILE.write_text(compiler, encoding="utf-8")
            return wheel
        except (SystemExit, Exception) as error:  # whatever it is, it is told below
            log.seek(0)
            lines = log.read().decode(errors="replace").splitlines()
            if not isinstance(error, SystemExit):
                lines.append(f"{type(error).__name__}: {error}")
            raise NativeBuildError("\n".join(lines[-KEPT_LINES:])) from error


def _forget_compiler(unless: str) -> None:
    """CMake keeps the first compiler it met, even a broken one: let it look again. Objects stay."""
    known = COMPILER_FILE.read_text(encoding="utf-8") if COMPILER_FILE.exists() else None
    COMPILER_FILE.unlink(missing_ok=True)  # written again after success
    if known == unless:
        return
    build = Path("build")
    for cache in build.glob("*/CMakeCache.txt"):
        cache.unlink()
    for found in build.glob("*/CMakeFiles/[0-9]*"):
        shutil.rmtree(found)


def _record(error: NativeBuildError) -> None:
    """Keep the error for `gint info`, or stop here where the C++ part is required."""
    if "cpp" in os.environ.get("GINT_REQUIRE", "").split(","):
        print("gint: GINT_REQUIRE=cpp, and the C++ interpreter could not be built (see above).")
        raise SystemExit(1) from error
    ERROR_FILE.parent.mkdir(parents=True, exist_ok=True)
    ERROR_FILE.write_text(f"{error}\n", encoding="utf-8")
    print("gint: the C++ interpreter could not be built (see above); going on without it.")


def _unpack_native(wheel: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (n for n in archive.namelist() if n.startswith(f"{PACKAGE.as_posix()}/_native."))
        target = Path("src") / name
        # A new inode: a process that has the old module open keeps it whole.
        fresh = target.with_name(target.name + ".new")
        fresh.write_bytes(archive.read(name))
    fresh.chmod(0o755)
    fresh.replace(target)
    return target


@contextlib.contextmanager
def _copy_output(log: int) -> Iterator[None]:
    """Copy what this process and its children print to the file descriptor `log` as well."""
    sys.stdout.flush()
    sys.stderr.flush()
    terminal, errors = os.dup(1), os.dup(2)
    reader, writer = os.pipe()
    os.dup2(writer, 1)
    os.dup2(writer, 2)
    os.close(writer)

    def copy() -> None:
        while data := os.read(reader, 65536):
            os.write(log, data)
            # Whoever looked on may be gone. The compilers' output is read on: else they would wait.
            with contextlib.suppress(OSError):
                os.write(terminal, data)

    thread = threading.Thread(target=copy)
    thread.start()
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os.dup2(terminal, 1)
        os.dup2(errors, 2)
        thread.join()
        for descriptor in (terminal, errors, reader):
            os.close(descriptor)


def main(arguments: list[str]) -> int:
    """`inplace` builds into `src/`; `requires` prints what building needs beyond pyproject.toml."""
    os.chdir(ROOT)
    if arguments == ["requires"]:
        print("\n".join(get_requires_for_build_wheel()))
        return 0
    if arguments == ["inplace"]:
        native = build_inplace()
        print(f"gint: native module: {native or 'none'}")
        return 0
    print("usage: python scripts/gint_build.py inplace | requires", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
