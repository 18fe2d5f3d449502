"""A CUDA driver without a GPU (see driver.cpp): builds it. LD_LIBRARY_PATH=FOLDER then uses it.

python -m tests.kernel.interpreter.cuda.rehearsal.driver FOLDER
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from gint.kernel.interpreter.cuda import build

HERE = Path(__file__).parent
#: Hidden: what is loaded later (NVRTC) must not meet our symbols.
FLAGS = ("-std=c++20", "-O1", "-g", "-w", "-fPIC", "-ffp-contract=off", "-fvisibility=hidden",
         f"-I{HERE}")  # fmt: skip


def build_driver(folder: Path) -> None:
    """`libcuda.so.1` in `folder`. Raises CalledProcessError with what the compiler said."""
    objects = []
    for made in build.BINARIES:
        source = folder / f"{made.stem}.cpp"
        names = "products.cpp" if made is build.PRODUCTS else "kernels.cpp"
        text = build.text_of(made) + (HERE / names).read_text(encoding="utf-8")
        source.write_text('#include "cuda_on_host.h"\n' + text, encoding="utf-8")
        objects.append(source.with_suffix(".o"))
        _run("g++", *FLAGS, "-c", str(source), "-o", str(objects[-1]))
    _run("g++", *FLAGS, "-shared", str(HERE / "driver.cpp"), *map(str, objects), "-ldl",
         "-o", str(folder / "libcuda.so.1"))  # fmt: skip


def environment_of(folder: Path, cache: Path) -> dict[str, str]:
    """What makes a process use the driver in `folder`, with a cache folder of its own."""
    _pretend_built(cache)
    return {"LD_LIBRARY_PATH": str(folder), "XDG_CACHE_HOME": str(cache)}


def _pretend_built(cache: Path) -> None:
    """Something to load, in the place of nvcc's builds; NVRTC itself wants a real driver."""
    folder = cache / build.cache_folder().relative_to(build.cache_folder().parent.parent)
    folder.mkdir(parents=True, exist_ok=True)
    for made in build.BINARIES:
        build.fatbin_path(made, folder).write_bytes(b"for rehearsal")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


if __name__ == "__main__":
    made = Path(sys.argv[1])
    build_driver(made)
    print(*(f"{k}={v}" for k, v in environment_of(made, made / "cache").items()))
