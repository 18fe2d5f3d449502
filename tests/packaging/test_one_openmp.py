"""One OpenMP runtime in the process: torch ships libgomp.so.1, and we ask for that soname."""

import subprocess
import sys

import pytest

OURS = "from gint.native.loader import load_native; load_native().default_threads()"
TORCH = "import torch; torch.ones(1 << 20).exp()"
REPORT = """
import re
names = {line.split()[-1] for line in open("/proc/self/maps")}
print(*(name for name in sorted(names) if re.search("lib(gomp|omp|iomp)", name)), sep="\\n")
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/maps")


def runtimes(*statements: str) -> list[str]:
    code = "\n".join((*statements, REPORT))
    return subprocess.check_output([sys.executable, "-c", code], text=True).split()


@pytest.mark.cpp
def test_alone(native):
    assert len(runtimes(OURS)) == 1


@pytest.mark.cpp
@pytest.mark.torch
@pytest.mark.parametrize("order", [(OURS, TORCH), (TORCH, OURS)], ids=["gint-first", "torch-first"])
def test_with_torch(native, order):
    assert len(runtimes(*order)) == 1


@pytest.mark.cpp
@pytest.mark.torch
def test_thread_counts_are_shared(native):
    """What torch.set_num_threads says rules our regions too, on the thread that said it."""
    code = f"import torch; torch.set_num_threads(1); {OURS}; print(load_native().default_threads())"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "1\n"
