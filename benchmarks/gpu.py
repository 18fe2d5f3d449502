"""What the GPU benchmarks share: the device, its two ceilings, timing by events, plain tables.

The ceilings are measured in the same run as what is judged by them: the device's own copy, counted
read and written, and float32 products and sums that are not contracted. Needs torch with CUDA.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report import Table, plain
from gint.backend import registry
from gint.kernel.interpreter.cuda import build, driver
from gint.measuring.clock import Call, Effort, median, take_turns
from gint.measuring.files import write
from gint.measuring.machine import describe

#: float32 elements of the buffers: several times any device's L2 cache.
ELEMENTS = 1 << 27

PEAK = """
extern "C" __global__ void __launch_bounds__(256) peak(float *out, float x, float y, int rounds) {
    float a[16];
    #pragma unroll
    for (int k = 0; k < 16; k++) a[k] = threadIdx.x * 0.001f + k;
    #pragma unroll 1
    for (int r = 0; r < rounds; r++) {
        #pragma unroll
        for (int k = 0; k < 16; k++) a[k] = a[k] * x + y;
    }
    float sum = 0;
    #pragma unroll
    for (int k = 0; k < 16; k++) sum += a[k];
    if (sum == 12345.678f) out[0] = sum;
}
"""
PEAK_ROUNDS = 4096


def why_not() -> str | None:
    """Why nothing can be measured here, or None."""
    import torch

    if not torch.cuda.is_available():
        return "torch sees no CUDA device"

    answer = registry.probe("cuda")
    return None if answer.usable else f"the backend 'cuda' is not usable: {answer.reason}"


def effort(samples: int) -> Effort:
    """How long the GPU benchmarks look at each contender."""
    return Effort(rounds=samples, batch_s=5e-3, most_repeats=1000)


def time_batch(call: Call, repeats: int) -> float:
    """Return the seconds of `repeats` calls on the device, by events around them."""
    import torch

    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(repeats):
        call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


def median_s(call: Call, samples: int = 15) -> float:
    """Median seconds of a call on the device."""
    return median(take_turns({"": call}, effort(samples), time_batch)[""])


def copy_bandwidth() -> float:
    """Bytes read and written per second by the better of torch's copy and the driver's."""
    import torch

    a = torch.randn(ELEMENTS, device="cuda")
    b = torch.empty_like(a)
    ways = {
        "copy_": lambda: b.copy_(a),
        "elementwise": lambda: torch.mul(a, 1.5, out=b),
    }
    return 2 * a.nbytes / min(median_s(way) for way in ways.values())


def float32_peak() -> float:
    """Operations per second of float32 products and sums, each an instruction of its own."""
    import ctypes

    import torch

    where = driver.device(torch.cuda.current_device())
    major, minor = where.capability
    api = driver.bindings()
    code = build.compile_nvrtc(PEAK, f"sm_{major}{minor}")
    with where.current():
        module = driver.check(api.cuModuleLoadData(code), where, "loading the peak kernel")
        kernel = driver.check(api.cuModuleGetFunction(module, b"peak"), where, "finding it")
    groups = 8 * where.attribute("MULTIPROCESSOR_COUNT")
    out = torch.zeros(1, device="cuda")
    values = [
        ctypes.c_uint64(out.data_ptr()), ctypes.c_float(1.0000001), ctypes.c_float(1e-7),
        ctypes.c_int(PEAK_ROUNDS),
    ]  # fmt: skip
    array = (ctypes.c_void_p * 4)(*(ctypes.addressof(v) for v in values))

    def call() -> None:
        stream = torch.cuda.current_stream().cuda_stream
        driver.check(
            api.cuLaunchKernel(
                kernel, groups, 1, 1, 256, 1, 1, 0, stream, ctypes.addressof(array), 0
            ),
            where, "the peak kernel",
        )  # fmt: skip

    return groups * 256 * PEAK_ROUNDS * 16 * 2 / median_s(call)


#: What one part of a benchmark found: its tables, and figures for the JSON.
Part = tuple[list[Table], dict[str, Any]]


def run(name: str, measure: Callable[[bool], Iterator[Part]], argv: Sequence[str]) -> int:
    """The command line of one GPU benchmark: measure, print tables, write JSON.

    Part by part: time on such a machine may end before the last.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}")
    parser.add_argument("--quick", action="store_true", help="fewer samples and variants")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write all figures here")
    options = parser.parse_args(argv)
    reason = why_not()
    if reason is not None:
        print(f"benchmarks.{name} needs a CUDA device: {reason}.", file=sys.stderr)
        return 1
    import torch

    whole = {
        "machine": describe(torch.get_num_threads()), "device": torch.cuda.get_device_name(),
        "quick": options.quick,
    }  # fmt: skip
    for tables, data in measure(options.quick):
        for table in tables:
            print(plain(table), flush=True)
        whole |= data
        if options.json is not None:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            write(options.json, json.dumps(whole, indent=1) + "\n")
    if options.json is not None:
        print(f"All figures: {options.json}")
    return 0
