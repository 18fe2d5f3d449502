"""Is there an OpenCL device that builds and runs a kernel: asked in a process of its own.

`driver_state` names what the answer depends on, without touching a driver.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from gint.backend.probing import probe_in_subprocess
from gint.backend.protocol import Probe

from .devices import VARIABLE, NoDeviceError, candidates, describe, is_cpu

NO_PACKAGE = 'Install it: pip install "gint[opencl]".'
NO_PLATFORM = (
    "Install a driver with an ICD: your GPU vendor's, or, for CPUs, Debian's pocl-opencl-icd "
    "(apt-get install pocl-opencl-icd)."
)
_VENDORS = "/etc/OpenCL/vendors"
_PACKAGES = ("pyopencl", "pocl-binary-distribution", "pocl", "intel-opencl-rt", "gint")
_VARIABLES = (VARIABLE, "OCL_ICD_VENDORS", "OCL_ICD_FILENAMES", "OPENCL_VENDOR_PATH")
_TINY = """
__kernel void twice(__global int *x) { x[get_global_id(0)] *= 2; }
"""


def probe() -> Probe:
    """The answer kept for this state of drivers, or that of a process that tries them now."""
    if find_spec("pyopencl") is None:
        return Probe(False, "pyopencl is not installed.", built=False, remedy=NO_PACKAGE)
    return probe_in_subprocess(__name__, driver_state())


def driver_state() -> str:
    """A digest of packages, variables, ICD files with the libraries they name, device nodes."""
    total = hashlib.sha256()
    for part in (*_versions(), *_settings(), *_icds(), *_nodes()):
        total.update(part.encode() + b"\0")
    return total.hexdigest()


def _versions() -> Iterator[str]:
    for package in _PACKAGES:
        try:
            yield f"{package} {version(package)}"
        except PackageNotFoundError:
            yield f"no {package}"


def _settings() -> Iterator[str]:
    names = {*_VARIABLES, *(name for name in os.environ if name.startswith("POCL_"))}
    return (f"{name}={os.environ.get(name)}" for name in sorted(names))


def _icds() -> Iterator[str]:
    asked = os.environ.get("OCL_ICD_VENDORS") or os.environ.get("OPENCL_VENDOR_PATH") or _VENDORS
    folder = Path(asked)
    try:
        files = sorted(folder.glob("*.icd")) if folder.is_dir() else [folder]
        for file in files:
            library = file.read_text(errors="replace").strip()
            yield f"{file} {file.stat().st_mtime_ns} {library}"
            if os.path.isabs(library):
                yield f"{os.stat(library).st_mtime_ns}"
    except OSError as error:
        yield str(error)


def _nodes() -> Iterator[str]:
    yield os.uname().release if hasattr(os, "uname") else ""
    for pattern in ("dri/render*", "nvidia*", "kfd"):
        yield from (str(node) for node in sorted(Path("/dev").glob(pattern)))


def probe_device() -> Probe:
    """Try the devices in order of preference; the first that runs a kernel is the one to use.

    `device` is its number, as GINT_OPENCL_DEVICE takes it.
    """
    try:
        found = candidates()
    except NoDeviceError as error:
        return Probe(False, f"{error}.", remedy=NO_PLATFORM)
    reasons = []
    for number, device in found:
        reason = _why_not(device)
        if reason is None:
            words = f"{describe(device)} ({number})"
            cpu_only = all(is_cpu(d) for _, d in found)
            return Probe(True, f"runs kernels: {words}", words, cpu_only=cpu_only, device=number)
        reasons.append(f"{describe(device)}: {reason}")
    return Probe(False, f"{'; '.join(reasons)}.", remedy=NO_PLATFORM)


def _why_not(device) -> str | None:
    """Why a kernel of one line does not build, run or count right on `device`, if so."""
    import numpy as np
    import pyopencl as cl

    try:
        context = cl.Context([device])
        queue = cl.CommandQueue(context)
        program = cl.Program(context, _TINY).build(cache_dir=False)
        values = np.arange(64, dtype=np.int32)
        flags = cl.mem_flags.READ_WRITE | cl.mem_flags.COPY_HOST_PTR
        buffer = cl.Buffer(context, flags, hostbuf=values)
        program.twice(queue, values.shape, None, buffer)
        cl.enqueue_copy(queue, values, buffer)
        queue.finish()
    except Exception as error:
        return f"no kernel runs on it: {_essence(str(error))}"
    return None if (values == 2 * np.arange(64)).all() else "a kernel gave wrong numbers"


def _essence(text: str) -> str:
    """The line of a build log that says what is wrong."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wanted = [line for line in lines if "error" in line.lower() and "BUILD_PROGRAM" not in line]
    return (wanted or lines or ["no words"])[0][:200].rstrip(".")
