"""From nothing to the first answer of a small Llama: a saved plan, and what else there is.

Fresh processes taking turns; what is compiled ahead lies in files, made before and not counted
(kept from one run to the next with `--ahead FOLDER`): saved plan, what torch's
`save_compiled_function` writes, AOTInductor's package, the caches Inductor fills, an ONNX model
(where onnxruntime and onnxscript are installed: the extra `bench`). Where the clocks start is in
`gint.measuring.start`.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks import goals
from benchmarks.report import Report, Table, divide, seconds, whole
from benchmarks.settings import Settings, threads_in_effect
from gint.measuring.clock import Effort, Samples, median, medians, take_turns
from gint.measuring.process import ProcessError
from gint.measuring.progress import progress
from gint.measuring.start import (
    EXPECTED,
    INPUT,
    NO_CACHE,
    PREPARED,
    SAVED,
    Start,
    measure,
    prepare,
)

MB = 1e6
#: Far beyond rounding: an answer that differs more is another model's.
MOST_DIFFERENCE = 1e-3
#: What ONNX Runtime needs here, of the extra `bench`.
ONNX = ("onnxruntime", "onnxscript")
TITLES = {
    "saved": "saved plan",
    "arrays": "saved plan, without torch",
    "eager": "eager, model built",
    "gint": "torch.compile, gint",
    "door": "torch's compiled function, gint",
    "inductor": "Inductor, warm caches",
    "aoti": "AOTInductor's package",
    "onnx": "ONNX Runtime",
}
STEADY = {"eager": "eager", "gint": "torch.compile, gint", "saved": "saved plan"}
FULL = Effort(rounds=30, batch_s=0.0, budget_s=4.0)
QUICK = Effort(rounds=8, batch_s=0.0, budget_s=1.0)


@dataclass
class Found:
    """Every process that answered, by way; seconds of later calls; why some are missing."""

    starts: dict[str, list[Start]]
    steady: Samples = field(default_factory=dict)
    file_bytes: float = math.nan
    failures: list[str] = field(default_factory=list)


def ways_of(settings: Settings) -> dict[str, int]:
    """Return how often each way is taken; a quick run compiles nothing with Inductor."""
    usable, many, few = settings.usable(), 3 if settings.quick else 7, 1 if settings.quick else 3
    ways = {"saved": many, "arrays": many} if "gint" in usable else {}
    ways |= {backend: few for backend in ("eager", "gint") if backend in usable}
    ways |= {"door": few} if "gint" in usable else {}
    if "inductor" in usable and not settings.quick:
        ways |= {"inductor": few, "aoti": many}
    if all(map(find_spec, ONNX)):
        ways["onnx"] = many
    return ways


def run(settings: Settings) -> Report:
    """Measure and report."""
    if settings.ahead is not None:
        # Guards of torch's compiled function, and Inductor's code, are for a number of threads.
        folder = Path(settings.ahead) / f"threads-{threads_in_effect()}"
        folder.mkdir(parents=True, exist_ok=True)
        return report_of(_found(ways_of(settings), folder, settings))
    with tempfile.TemporaryDirectory(prefix="gint-start-") as name:
        return report_of(_found(ways_of(settings), Path(name), settings))


def _found(ways: dict[str, int], folder: Path, settings: Settings) -> Found:
    found = Found({way: [] for way in ways})
    if "onnx" not in ways:
        found.failures.append(f"ONNX Runtime is left out: pip install {' '.join(ONNX)}.")
    caches = {
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "caches"),
        "TORCHINDUCTOR_FX_GRAPH_CACHE": "1",
        "TORCHINDUCTOR_AUTOGRAD_CACHE": "1",
    }
    # Both would else try again, in every process, which instructions the compiler takes.
    environments = {"inductor": caches, "aoti": caches}
    turns = [way for r in range(max(ways.values())) for way in ways if r < ways[way]]
    prepared = ["arrays", *[way for way in ways if way in PREPARED]]
    with progress("start", len(prepared) + len(turns) + 1) as step:
        for way in prepared:
            step(f"{TITLES[way]}: made ahead")
            try:
                _made(way, folder, environments.get(way))
            except ProcessError as error:
                found.failures.append(f"{TITLES[way]}: {error.reason}")
                if way == "arrays":  # the input and the answer of all
                    return found
                turns = [turn for turn in turns if turn != way]
        for way in turns:
            step(TITLES[way])
            try:
                found.starts[way].append(measure(way, folder, environments.get(way)))
            except ProcessError as error:
                found.failures.append(f"{TITLES[way]}: {error.reason}")
        found.file_bytes = (folder / SAVED).stat().st_size
        step("steady state")
        if {"saved", "gint"} <= ways.keys():
            found.steady = _steady(folder, QUICK if settings.quick else FULL)
    return found


def _made(way: str, folder: Path, environment: dict[str, str] | None) -> None:
    """Have what a way needs in the folder. Raises ProcessError."""
    done = folder / f"{way}.made"
    if not done.exists():
        prepare(way, folder, environment)
        done.touch()


def _steady(folder: Path, effort: Effort) -> Samples:
    """Later calls of the plan beside `torch.compile`'s, in one process."""
    import numpy as np
    import torch

    import gint
    from gint.measuring.backends import compile_for
    from gint.measuring.models import LLAMA

    torch.manual_seed(0)
    built = LLAMA.build("cpu")
    ids = torch.from_numpy(np.load(folder / INPUT))
    saved = gint.load(folder / SAVED)
    with torch.no_grad():
        wanted = torch.from_numpy(np.load(folder / EXPECTED))
        found = saved(input_ids=ids, **NO_CACHE)["logits"]
        torch.testing.assert_close(found, wanted, atol=MOST_DIFFERENCE, rtol=0.0)
        calls = {
            "eager": partial(built.call, built.function),
            "gint": partial(built.call, compile_for(built.function, "gint")),
            "saved": partial(saved, input_ids=ids, **NO_CACHE),
        }
        return take_turns(calls, effort)


def report_of(found: Found) -> Report:
    """Make the tables and verdicts."""
    median_of = {way: _medians(starts) for way, starts in found.starts.items()}
    rows = [
        [
            TITLES[way],
            seconds(m["imported_s"]),
            seconds(m["process_s"]),
            seconds(m["built_s"]),
            whole(m["peak_bytes"] / MB),
        ]
        for way, m in median_of.items()
    ]
    steady = medians(found.steady)
    heads = ["", "after import torch", "from its start", "of it, the model", "peak MB resident"]
    tables = [Table("first answer of a Llama, seconds (median of fresh processes)", heads, rows)]
    if steady:
        row = ["Llama", *(f"{s * 1e3:.1f}" for s in steady.values())]
        tables.append(Table("later calls, milliseconds (median)", ["", *STEADY.values()], [row]))
    nothing = _medians([])
    saved, alone = (median_of.get(way, nothing) for way in ("saved", "arrays"))
    nan = math.nan
    verdicts = (
        goals.START.verdict(saved["imported_s"] * 1e3),
        goals.START_ALONE.verdict(alone["process_s"]),
        goals.START_FILE.verdict(found.file_bytes / MB),
        goals.START_MEMORY.verdict(alone["beyond_bytes"] / MB),
        goals.START_STEADY.verdict(divide(steady.get("gint", nan), steady.get("saved", nan))),
    )
    data: dict[str, Any] = {
        "starts": {way: [s._asdict() for s in starts] for way, starts in found.starts.items()},
        "medians": median_of,
        "file_bytes": found.file_bytes,
        "steady_samples_s": found.steady,
        "steady_medians_s": steady,
    }
    notes = (*verdicts, *_differences(found), *dict.fromkeys(found.failures))
    return Report("start", tuple(tables), data, notes)


def _medians(starts: list[Start]) -> dict[str, float]:
    """The median of every figure; NaN for one that no process has."""
    return {
        name: median([v for s in starts if (v := getattr(s, name)) is not None])
        for name in Start._fields
    }


def _differences(found: Found) -> list[str]:
    """A note for each way whose answer is another one."""
    worst = {way: max([s.difference for s in starts]) for way, starts in found.starts.items()
             if starts}  # fmt: skip
    return [
        f"{TITLES[way]}: its answer differs from eager's by {most:.2g}"
        for way, most in worst.items()
        if not most <= MOST_DIFFERENCE
    ]
