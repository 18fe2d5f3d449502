"""Builds of the device interpreter over arithmetic intensity: polynomials of degree 1 to 256.

For every build (elements per thread, registers, threads per group, groups per multiprocessor) and
degree: bytes and operations per second, next to the device's copy bandwidth and its float32 peak
without contraction, both measured in this run.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import product
from multiprocessing import get_context
from typing import Any

from benchmarks import gpu
from benchmarks.report import Table
from gint.host.frontend import Builder
from gint.kernel.interpreter.cuda import build, driver
from gint.kernel.interpreter.cuda.backend import CudaBackend
from gint.kernel.interpreter.cuda.build import NARROW, CudaBuild
from gint.program import VerifiedProgram

DEGREES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ELEMENTS = 1 << 26
#: elements, registers, threads, groups together: all that fit a multiprocessor.
FULL = product((4, 8, 16), (3, 4, 6), (128, 256), (1, 2, 3, 4, 5, 6))
QUICK = ((8, 4, 256, 2), (8, 4, 256, 3), (8, 4, 128, 4), (16, 4, 128, 3), (4, 4, 256, 4))


def variants(quick: bool) -> list[CudaBuild]:
    """The builds to compare, the one that is shipped first."""
    found = [NARROW, replace(NARROW, looks_ahead=not NARROW.looks_ahead)]
    for elements, registers, block, together in QUICK if quick else FULL:
        threads = block * together
        # As many registers as elements in flight need at least, and a warp's worth of threads.
        if not 256 <= threads <= 1536 or 65_536 // threads < elements * (registers + 1):
            continue
        found.append(
            CudaBuild(
                elements=elements, registers=registers, block=block, step=1,
                groups_together=together,
            )
        )  # fmt: skip
    return list(dict.fromkeys(found))


def polynomial(degree: int) -> VerifiedProgram:
    """y = (...((c x + c) x + c) ...): `degree` products and as many sums for each element."""
    b = Builder(f"polynomial{degree}")
    n = b.parallel("n")
    x = b.input("x", "f32", n)
    y = b.const(0.5, "f32")
    for k in range(degree):
        y = b.add(b.mul(y, x), b.const(0.5 + (k % 7) / 16, "f32"))
    b.output("y", "f32", (n,), y)
    return b.build()


def measure(quick: bool) -> Iterator[gpu.Part]:
    import torch

    where = driver.device(torch.cuda.current_device())
    builds = variants(quick)
    print(f"compiling {len(builds)} builds for {where} ...", flush=True)
    # Processes: NVRTC compiles one program at a time in each.
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        made = list(pool.map(partial(_compiled, where.capability), builds))
    copy, peak = gpu.copy_bandwidth(), gpu.float32_peak()
    print(f"copy {copy / 1e9:,.0f} GB/s, float32 {peak / 1e9:,.0f} GFLOP/s", flush=True)
    x = torch.rand(ELEMENTS, device="cuda")
    y, programs = torch.empty_like(x), {d: polynomial(d) for d in DEGREES}
    results = []
    for variant, reason in zip(builds, made, strict=True):
        row: dict[str, Any] = {"build": variant.defines, "shipped": variant == NARROW}
        if reason is None:
            row["points"] = [_point(variant, d, programs[d], x, y, quick) for d in DEGREES]
        else:
            row["failed"] = reason
        results.append(row)
    data = {"copy_bytes_per_s": copy, "peak_flops": peak, "elements": ELEMENTS, "builds": results}
    yield _tables(results, copy, peak), data


def _compiled(capability: tuple[int, int], variant: CudaBuild) -> str | None:
    """Why a build does not compile, or None."""
    try:
        build.image_for(variant, capability)
    except build.BuildError as error:
        return str(error).splitlines()[0]
    return None


def _point(
    variant: CudaBuild, degree: int, program: VerifiedProgram, x: Any, y: Any, quick: bool
) -> dict[str, float]:
    import torch

    bytes_each = x.nbytes
    kernel = CudaBackend(narrow=variant).load(program)
    layout = ((bytes_each, 0, (1,)), (bytes_each, 0, (1,)))
    ready = kernel.prepare((x.numel(),), (), layout, device=x.device.index)
    stream = torch.cuda.current_stream().cuda_stream
    y.zero_()
    ready(x.data_ptr(), y.data_ptr(), stream=stream)
    _check(x[:1000], y[:1000], degree)
    seconds = gpu.median_s(
        lambda: ready(x.data_ptr(), y.data_ptr(), stream=stream), samples=5 if quick else 15
    )
    return {
        "degree": degree, "seconds": seconds, "bytes_per_s": 2 * bytes_each / seconds,
        "flops": 2 * degree * x.numel() / seconds,
    }  # fmt: skip


def _check(x: Any, y: Any, degree: int) -> None:
    """The values themselves, against float64."""
    import torch

    exact, value = x.double(), torch.full_like(x, 0.5, dtype=torch.float64)
    for k in range(degree):
        value = value * exact + (0.5 + (k % 7) / 16)
    torch.testing.assert_close(y.double(), value, rtol=1e-4, atol=0)


def _tables(results: list[dict[str, Any]], copy: float, peak: float) -> list[Table]:
    headers = ["elements x registers x threads x groups", *(f"{d}" for d in DEGREES)]
    rows: dict[str, list[list[str]]] = {"of copy": [], "of peak": []}
    for row in results:
        numbers = row["build"]
        keys = ("GI_ELEMENTS", "GI_REGISTERS", "GI_BLOCK", "GI_GROUPS_TOGETHER")
        name = " x ".join(str(numbers[k]) for k in keys)
        name += "" if numbers["GI_LOOKS_AHEAD"] else ", no look ahead"
        name += " (shipped)" if row["shipped"] else ""
        points = row.get("points")
        if points is None:
            continue
        rows["of copy"].append([name, *(f"{p['bytes_per_s'] / copy:.2f}" for p in points)])
        rows["of peak"].append([name, *(f"{p['flops'] / peak:.3f}" for p in points)])
    moved = f"bytes moved, of copy ({copy / 1e9:,.0f} GB/s), by degree"
    done = f"operations, of the peak without contraction ({peak / 1e12:.1f} TFLOP/s), by degree"
    return [Table(moved, headers, rows["of copy"]), Table(done, headers, rows["of peak"])]


if __name__ == "__main__":
    sys.exit(gpu.run("gpu_sweep", measure, sys.argv[1:]))
