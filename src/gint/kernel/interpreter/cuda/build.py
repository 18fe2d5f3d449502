"""Building the device code: by nvcc a fatbin for every architecture, without a GPU; by NVRTC, where
there is no nvcc, once for the device at hand.

    python -m gint.kernel.interpreter.cuda.build            all architectures, and what each uses
    python -m gint.kernel.interpreter.cuda.build sm_90      one of them

Knows the sources and the compilers. Does not know the driver. What is built is called after the
digest of what it was built from, so that nothing stale is ever loaded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gint.isa.generate import checksum

HERE = Path(__file__).parent
MAIN = "interpreter.cu"
#: Compute capabilities the fatbin has machine code for; the newest is there as PTX too.
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
OLDEST_NVCC = (12, 8)
#: Floating point as the other interpreters have it: no contraction, denormals count.
OPTIONS = ("-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true", "-std=c++17")


class BuildError(RuntimeError):
    """No compiler, or what it said."""


@dataclass(frozen=True)
class Resources:
    """What one kernel needs on one architecture, by ptxas. Bytes, but for the registers."""

    architecture: str
    kernel: str
    registers: int
    stack: int
    spill_stores: int
    spill_loads: int
    shared: int


def build_fatbin(
    architectures: Sequence[str] = ARCHITECTURES, target: Path | None = None
) -> tuple[Path, tuple[Resources, ...]]:
    """Compile with nvcc; the file and what each kernel uses.

    Raises BuildError without an nvcc that is new enough, or with what it said. An older build stays
    until the new one is whole.
    """
    nvcc = find_nvcc()
    target = target or fatbin_path()
    with tempfile.TemporaryDirectory() as folder:
        _write_sources(Path(folder))
        made = Path(folder) / "interpreter.fatbin"
        command = [
            str(nvcc), "--fatbin", "-O3", *OPTIONS, "-Xptxas", "-v",
            "--threads", str(os.cpu_count() or 1), *_targets(architectures),
            "-I", folder, "-o", str(made), str(Path(folder) / MAIN),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise BuildError(f"nvcc failed ({done.returncode}):\n{done.stdout}{done.stderr}")
        _put(made.read_bytes(), target)
    if target == fatbin_path():
        for stale in HERE.glob("interpreter-*.fatbin"):
            if stale != target:
                stale.unlink()
    return target, read_resources(done.stdout + done.stderr)


def _targets(architectures: Sequence[str]) -> list[str]:
    numbers = [a.removeprefix("sm_") for a in architectures]
    flags = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in numbers]
    newest = max(numbers, key=int)
    return [*flags, f"-gencode=arch=compute_{newest},code=compute_{newest}"]


def build_for(capability: tuple[int, int]) -> bytes:
    """Machine code for one compute capability by NVRTC, from the user's cache where it has been
    built before. Raises BuildError."""
    architecture = f"sm_{capability[0]}{capability[1]}"
    major, minor = _nvrtc_version()
    name = f"{key()}-{architecture}-nvrtc{major}.{minor}.cubin"
    path = cache_folder() / name
    try:
        return path.read_bytes()
    except OSError:
        code = compile_nvrtc(architecture)
    with contextlib.suppress(OSError):  # a home that cannot be written costs the time, no more
        _put(code, path)
    return code


def compile_nvrtc(architecture: str) -> bytes:
    """Compile for `sm_90` (machine code) or `compute_90` (PTX). Raises BuildError with the log."""
    nvrtc = _nvrtc()
    headers = {**sources(), **_HOST_HEADERS}
    main = headers.pop(MAIN)
    names = [name.encode() for name in headers]
    texts = [text.encode() for text in headers.values()]
    error, program = nvrtc.nvrtcCreateProgram(
        main.encode(), MAIN.encode(), len(names), texts, names
    )
    _check_nvrtc(nvrtc, error)
    options = [f"--gpu-architecture={architecture}", *OPTIONS]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), [o.encode() for o in options])
    if error:
        raise BuildError(f"NVRTC failed for {architecture}:\n{_nvrtc_log(nvrtc, program)}")
    kind = "CUBIN" if architecture.startswith("sm_") else "PTX"
    error, size = getattr(nvrtc, f"nvrtcGet{kind}Size")(program)
    _check_nvrtc(nvrtc, error)
    code = bytearray(size)
    (error,) = getattr(nvrtc, f"nvrtcGet{kind}")(program, code)
    _check_nvrtc(nvrtc, error)
    nvrtc.nvrtcDestroyProgram(program)
    return bytes(code)


#: NVRTC has no headers of the host's; of these the sources need the names of integers alone.
_HOST_HEADERS = {
    "stdint.h": """
        typedef signed char int8_t; typedef unsigned char uint8_t;
        typedef short int16_t; typedef unsigned short uint16_t;
        typedef int int32_t; typedef unsigned int uint32_t;
        typedef long long int64_t; typedef unsigned long long uint64_t;
        typedef unsigned long long uintptr_t;
    """,
    "math.h": "",
    "string.h": "",
}


def _nvrtc() -> Any:
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except Exception as error:
        raise BuildError(
            "There is neither nvcc nor NVRTC here: install the CUDA toolkit (12.8 or newer), or "
            f"`pip install nvidia-cuda-nvrtc`. ({str(error).splitlines()[0]})"
        ) from error
    return nvrtc


def _nvrtc_version() -> tuple[int, int]:
    _, major, minor = _nvrtc().nvrtcVersion()
    return major, minor


def has_nvrtc() -> bool:
    try:
        _nvrtc()
    except BuildError:
        return False
    return True


def _check_nvrtc(nvrtc: Any, error: Any) -> None:
    if error:
        raise BuildError(f"NVRTC failed: {error.name}.")


def _nvrtc_log(nvrtc: Any, program: Any) -> str:
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = bytearray(size)
    nvrtc.nvrtcGetProgramLog(program, log)
    return log.decode(errors="replace").rstrip("\0\n")


def cache_folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "gint" / "cuda"


def fatbin_path() -> Path:
    """Where nvcc's build of these very sources is, if it has been made."""
    return HERE / f"interpreter-{key()}.fatbin"


def stale_builds() -> list[Path]:
    """Builds of other sources beside this backend."""
    return [p for p in HERE.glob("interpreter-*.fatbin") if p != fatbin_path()]


@cache
def key() -> str:
    """The digest of all sources, the generated ones and the instruction table's among them."""
    digest = hashlib.sha256(f"{checksum()} {OPTIONS}".encode())
    for name, text in sorted(sources().items()):
        digest.update(f"\0{name}\0{text}".encode())
    return digest.hexdigest()[:16]


def _write_sources(folder: Path) -> None:
    for name, text in sources().items():
        (folder / name).write_text(text, encoding="utf-8")


def _put(data: bytes, path: Path) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".gint-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def find_nvcc() -> Path:
    """nvcc of $CUDA_HOME, the path, or /usr/local/cuda. Raises BuildError."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    places = [Path(home) / "bin" / "nvcc" for home in homes if home]
    on_path = shutil.which("nvcc")
    found = next((p for p in [*places[:-1], on_path, places[-1]] if p and Path(p).exists()), None)
    if found is None:
        raise BuildError("There is no nvcc here: install the CUDA toolkit (12.8 or newer).")
    text = subprocess.run([str(found), "--version"], capture_output=True, text=True).stdout
    match = re.search(r"release (\d+)\.(\d+)", text)
    version = (int(match[1]), int(match[2])) if match else (0, 0)
    if version < OLDEST_NVCC:
        raise BuildError(
            f"{found} is version {version[0]}.{version[1]}; 12.8 or newer is needed (sm_120)."
        )
    return Path(found)


_ENTRY = re.compile(r"Compiling entry function '(\w+)' for '(\w+)'")
_FRAME = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_USED = re.compile(r"Used (\d+) registers(?:.*?(\d+) bytes smem)?")


def read_resources(log: str) -> tuple[Resources, ...]:
    """What `ptxas -v` reports of each kernel and architecture."""
    found, entry, frame = [], None, (0, 0, 0)
    for line in log.splitlines():
        if match := _ENTRY.search(line):
            entry, frame = match, (0, 0, 0)
        elif match := _FRAME.search(line):
            frame = (int(match[1]), int(match[2]), int(match[3]))
        elif entry and (match := _USED.search(line)):
            found.append(Resources(entry[2], entry[1], int(match[1]), *frame, int(match[2] or 0)))
            entry = None
    return tuple(sorted(found, key=lambda r: (int(r.architecture[3:]), r.kernel)))


def table(resources: Sequence[Resources]) -> str:
    lines = [f"{'kernel':28} {'arch':7} registers  stack  spills (bytes)  shared"]
    lines += [
        f"{r.kernel:28} {r.architecture:7} {r.registers:9} {r.stack:6} "
        f"{r.spill_stores:6} + {r.spill_loads:<6} {r.shared:6}"
        for r in resources
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    try:
        path, resources = build_fatbin(arguments or ARCHITECTURES)
    except BuildError as error:
        print(f"gint: the CUDA interpreter could not be built. {error}", file=sys.stderr)
        return 1
    print(table(resources))
    print(f"gint: {path} ({path.stat().st_size >> 10} KiB)")
    return 0


def sources() -> dict[str, str]:
    raise NotImplementedError


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
