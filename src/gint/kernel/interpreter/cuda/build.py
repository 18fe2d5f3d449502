"""Building the device code: by nvcc a fatbin for every architecture, without a GPU; by NVRTC, where
there is no nvcc, once for the device at hand.

    python -m gint.kernel.interpreter.cuda.build            all architectures, and what each uses
    python -m gint.kernel.interpreter.cuda.build sm_90      one of them

There are three binaries: the interpreter for registers of 32 and of 64 bits, and the quantised
products. Each is loaded when something asks for it, and called after the digest of what it was
built from, so that nothing stale is ever loaded. Knows the device sources and the compilers. Does
not know the driver.
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
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from gint.backend.probing import cache_directory, is_our_own, make_folder
from gint.dataclass import frozen
from gint.kernel.interpreter.device.quantized import ProductsBuild
from gint.program.whole import write_whole

from ..device.build import Build, source

HERE = Path(__file__).parent
#: How nvcc's builds are made.
COMMAND = f"python -m {__package__}.build"


@frozen
class CudaBuild(Build):
    """And the groups that shall share a multiprocessor; whether loads ask for the next tile too.
    What is in flight to memory, threads times elements and what was asked for ahead, hides its
    latency; a multiprocessor has 65,536 registers for all its threads."""

    groups_together: int = 1
    looks_ahead: bool = True

    @property
    def defines(self) -> dict[str, int]:
        mine = {
            "GI_GROUPS_TOGETHER": self.groups_together, "GI_LOOKS_AHEAD": int(self.looks_ahead),
        }  # fmt: skip
        return {**super().defines, **mine}

    @property
    def stem(self) -> str:
        """What files of this build are called after."""
        return f"interpreter-{self.word_bits}"

    @property
    def text(self) -> str:
        """The source, to be compiled with the macros `defines`."""
        return source()


#: Anything to be compiled: `defines`, `text` and `stem`.
Binary = CudaBuild | ProductsBuild


#: What the device interpreter is compiled as; docs/gpu.md has the sweep these come from.
NARROW = CudaBuild(word_bits=32, elements=8, registers=4, block=128, step=1, groups_together=5)
WIDE = CudaBuild(word_bits=64, elements=4, registers=4, block=256, step=1, groups_together=2)
BUILDS = (NARROW, WIDE)
PRODUCTS = ProductsBuild()
BINARIES: tuple[Binary, ...] = (*BUILDS, PRODUCTS)
#: Compute capabilities the fatbin has machine code for; the oldest and newest are there as PTX too.
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120")
OLDEST_NVCC = (12, 8)
#: Floating point as the other interpreters have it: no contraction, denormals count.
OPTIONS = ("-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true", "-std=c++17")
#: One jump an instruction, instead of a tree of comparisons that costs registers too; since 13.0.
JUMP_TABLES = "--jump-table-density=20"


class BuildError(RuntimeError):
    """No compiler, or what it said."""


@frozen
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
    architectures: Sequence[str] = ARCHITECTURES, folder: Path = HERE
) -> tuple[tuple[Path, ...], tuple[Resources, ...]]:
    """Compile all builds with nvcc, beside this file: the fatbins, and what each kernel uses.

    Raises BuildError without an nvcc that is new enough, or with what it said. What was built
    before stays until the new build is whole.
    """
    nvcc = find_nvcc()
    with tempfile.TemporaryDirectory() as place:
        with ThreadPoolExecutor() as pool:
            made = list(
                pool.map(lambda b: compile_nvcc(nvcc, b, architectures, Path(place)), BINARIES)
            )
        paths = tuple(fatbin_path(build, folder) for build in BINARIES)
        folder.mkdir(parents=True, exist_ok=True)
        for path, (fatbin, _) in zip(paths, made, strict=True):
            write_whole(path, fatbin)
    for stale in set(folder.glob("*.fatbin")) - set(paths):
        stale.unlink()
    return paths, tuple(r for _, used in made for r in used)


def compile_nvcc(
    nvcc: Path, build: Binary, architectures: Sequence[str], folder: Path
) -> tuple[bytes, tuple[Resources, ...]]:
    """One build as a fatbin, and what its kernels use. Raises BuildError."""
    main = folder / f"{build.stem}.cu"
    main.write_text(text_of(build), encoding="utf-8")
    made = main.with_suffix(".fatbin")
    threads = max(1, (os.cpu_count() or 1) // len(BINARIES))
    command = [
        str(nvcc), "--fatbin", "-O3", "-w", *options(nvcc_version(nvcc)), "-Xptxas", "-v",
        "--threads", str(threads), *_targets(architectures), "-o", str(made), str(main),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"nvcc failed ({done.returncode}):\n{done.stdout}{done.stderr}")
    return made.read_bytes(), read_resources(done.stdout + done.stderr)


def options(version: tuple[int, int]) -> list[str]:
    """For nvcc and NVRTC alike."""
    return [*OPTIONS, JUMP_TABLES] if version >= (13, 0) else list(OPTIONS)


def text_of(build: Binary) -> str:
    """All of the source of one build: its numbers first."""
    numbers = [f"#define {name} {value}\n" for name, value in build.defines.items()]
    return "".join(numbers) + build.text


def _targets(architectures: Sequence[str]) -> list[str]:
    numbers = [a.removeprefix("sm_") for a in architectures]
    flags = [f"-gencode=arch=compute_{n},code=sm_{n}" for n in numbers]
    # PTX for what comes after the newest, and of the oldest for what lies between (sm_110).
    ends = dict.fromkeys(f(numbers, key=int) for f in (min, max))
    return [*flags, *(f"-gencode=arch=compute_{n},code=compute_{n}" for n in ends)]


def image_for(build: Binary, capability: tuple[int, int]) -> bytes:
    """What the driver is to load for a build: nvcc's, or NVRTC's for this capability, made now if
    it has not been before. Raises BuildError."""
    fatbin = find_fatbin(build)
    return build_for(build, capability) if fatbin is None else fatbin.read_bytes()


def build_for(build: Binary, capability: tuple[int, int]) -> bytes:
    """Machine code for one compute capability by NVRTC, from the user's cache where it has been
    built before. Raises BuildError."""
    architecture = f"sm_{capability[0]}{capability[1]}"
    path = cached_path(build, architecture)
    if is_our_own(path):
        return path.read_bytes()
    code = compile_nvrtc(text_of(build), architecture)
    with contextlib.suppress(OSError):  # a home that cannot be written costs the time, no more
        make_folder(path.parent)
        write_whole(path, code)
    return code


def cached_path(build: Binary, architecture: str) -> Path:
    """Where this NVRTC's build for an architecture is kept."""
    version = ".".join(map(str, _nvrtc_version()))
    name = f"{build.stem}-{key(build)}-{architecture}-nvrtc{version}.cubin"
    return cache_folder() / name


def compile_nvrtc(text: str, architecture: str) -> bytes:
    """Compile for `sm_90` (machine code) or `compute_90` (PTX). Raises BuildError with the log."""
    nvrtc = _nvrtc()
    names, texts = [n.encode() for n in _HOST_HEADERS], [t.encode() for t in _HOST_HEADERS.values()]
    main = text.encode()
    error, program = nvrtc.nvrtcCreateProgram(main, b"interpreter.cu", len(names), texts, names)
    _check_nvrtc(error)
    told = [f"--gpu-architecture={architecture}", "--disable-warnings"]
    told += options(_nvrtc_version())
    (error,) = nvrtc.nvrtcCompileProgram(program, len(told), [o.encode() for o in told])
    if error:
        raise BuildError(f"NVRTC failed for {architecture}:\n{_nvrtc_log(nvrtc, program)}")
    kind = "CUBIN" if architecture.startswith("sm_") else "PTX"
    error, size = getattr(nvrtc, f"nvrtcGet{kind}Size")(program)
    _check_nvrtc(error)
    code = bytearray(size)
    (error,) = getattr(nvrtc, f"nvrtcGet{kind}")(program, code)
    _check_nvrtc(error)
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


def _check_nvrtc(error: Any) -> None:
    if error:
        raise BuildError(f"NVRTC failed: {error.name}.")


def _nvrtc_log(nvrtc: Any, program: Any) -> str:
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = bytearray(size)
    nvrtc.nvrtcGetProgramLog(program, log)
    return log.decode(errors="replace").rstrip("\0\n")


def cache_folder() -> Path:
    return cache_directory() / "cuda"


def fatbin_path(build: Binary, folder: Path = HERE) -> Path:
    """Where nvcc's build of these very sources is put."""
    return folder / f"{build.stem}-{key(build)}.fatbin"


def find_fatbin(build: Binary) -> Path | None:
    """nvcc's build, beside this file or in the user's cache; None where there is none."""
    installed, cached = (fatbin_path(build, folder) for folder in (HERE, cache_folder()))
    if installed.exists():
        return installed
    return cached if is_our_own(cached) else None


def is_built() -> bool:
    return all(find_fatbin(build) is not None for build in BINARIES)


def has_stale_build() -> bool:
    """Whether there is a build of other sources."""
    return not is_built() and any(HERE.glob("*.fatbin"))


@cache
def key(build: Binary) -> str:
    """The digest of the source, which holds the instruction table's checksum, and the options."""
    made_of = f"{OPTIONS}{JUMP_TABLES}{text_of(build)}"
    return hashlib.sha256(made_of.encode()).hexdigest()[:16]


def find_nvcc() -> Path:
    """nvcc of $CUDA_HOME, the path, or /usr/local/cuda. Raises BuildError."""
    homes = [os.environ.get("CUDA_HOME"), os.environ.get("CUDA_PATH"), "/usr/local/cuda"]
    places = [Path(home) / "bin" / "nvcc" for home in homes if home]
    on_path = shutil.which("nvcc")
    found = next((p for p in [*places[:-1], on_path, places[-1]] if p and Path(p).exists()), None)
    if found is None:
        raise BuildError("There is no nvcc here: install the CUDA toolkit (12.8 or newer).")
    version = nvcc_version(Path(found))
    if version < OLDEST_NVCC:
        raise BuildError(
            f"{found} is version {version[0]}.{version[1]}; 12.8 or newer is needed (sm_120)."
        )
    return Path(found)


@cache
def nvcc_version(nvcc: Path) -> tuple[int, int]:
    text = subprocess.run([str(nvcc), "--version"], capture_output=True, text=True).stdout
    match = re.search(r"release (\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


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
        paths, resources = build_fatbin(arguments or ARCHITECTURES)
    except BuildError as error:
        print(f"gint: the CUDA interpreter could not be built. {error}", file=sys.stderr)
        return 1
    print(table(resources))
    for path in paths:
        print(f"gint: {path} ({path.stat().st_size >> 10} KiB)")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
