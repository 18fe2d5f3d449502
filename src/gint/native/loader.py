"""Finds the native module, or says in words why there is none.

Knows where the build leaves the module and the compiler's error, and where torch keeps its OpenMP
runtime. Does not know programs, bindings, torch itself (it is not imported).
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType

#: What builds the module in the folder of a checkout.
BUILD_COMMAND = "python scripts/gint_build.py inplace"
_HERE = Path(__file__).parent
_NATIVE = f"{__package__}._native"
_SPINS = "GOMP_SPINCOUNT"
#: Some tens of microseconds: longer than between two operations, shorter than a product.
_SPIN_COUNT = "3000"
_SUFFIX = sysconfig.get_config_var("EXT_SUFFIX")  # of modules for this very Python


class NativeMissingError(ImportError):
    """The C++ interpreter is not usable here; the message says why.

    `remedy` says what to do, or is empty: then BUILD_COMMAND does it. `built`: the module is there,
    and something else is missing.
    """

    def __init__(self, reason: str, remedy: str, built: bool) -> None:
        super().__init__(f"{reason}\n{remedy or f'Build it in a checkout: {BUILD_COMMAND}.'}")
        self.reason, self.remedy, self.built = reason, remedy, built


def load_native() -> ModuleType:
    """The module `_native`; raises NativeMissingError. One OpenMP runtime serves it and torch."""
    with _short_waits():
        try:
            return import_module(_NATIVE)
        except ImportError as error:
            if "libgomp" in str(error) and _preload_torch_openmp():
                return import_module(_NATIVE)
            raise _explain(error) from error


@contextmanager
def _short_waits() -> Iterator[None]:
    """For a libgomp that is loaded inside, unless the user has said how its threads wait.

    By default they spin for milliseconds after every parallel region, on the cores that the
    threads of NumPy's BLAS need next (docs/performance.md). libgomp reads its settings once.
    """
    if not os.environ.keys().isdisjoint((_SPINS, "OMP_WAIT_POLICY")):
        yield
        return
    os.environ[_SPINS] = _SPIN_COUNT
    try:
        yield
    finally:
        os.environ.pop(_SPINS, None)


def build_error() -> str | None:
    """What the tools said when the C++ part could not be built, or None."""
    path = _HERE / "_build_error.txt"
    return path.read_text(encoding="utf-8").rstrip() if path.exists() else None


def _explain(error: ImportError) -> NativeMissingError:
    if "libgomp" in str(error):
        return NativeMissingError(
            "the OpenMP runtime libgomp.so.1 is missing.",
            "Install it (Debian, Ubuntu: apt-get install libgomp1), or torch, which brings one.",
            built=True,
        )
    remedy = ""
    present = sorted(path.name for path in _HERE.glob("_native.*"))
    if present:
        reason = f"the native module cannot be loaded: {error} (present: {', '.join(present)})."
    elif build_error() is not None:
        reason = "the C++ part could not be built at installation; `gint info` shows the error."
        remedy = "Install gint again where there is a C++ compiler."
    else:
        reason = "the native module is not built."
    ours = any(name.endswith(_SUFFIX) for name in present)
    return NativeMissingError(reason, remedy, built=ours)


def _preload_torch_openmp() -> bool:
    """Load the libgomp.so.1 that torch ships: the soname then serves both, in either order."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return False
    try:
        ctypes.CDLL(str(Path(spec.origin).parent / "lib" / "libgomp.so.1"))
    except OSError:
        return False
    return True
