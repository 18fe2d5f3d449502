"""Tokens per second of a language model of random weights, by contender.

One Llama; its weights are written as GGUF files, which gint and llama.cpp read. llama.cpp is one
where the package llama-cpp-python is installed. Each contender is a process of its own; those of
one file take turns, each with a prompt of 128 tokens and then one token after the other, and so
does reading memory.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import goals
from benchmarks.decode_contenders import FIXED, FORMATS, PROMPT, SIZES
from benchmarks.report import Report, Table
from benchmarks.settings import Settings
from gint.measuring.clock import median
from gint.measuring.process import Companion, ProcessError, run_child
from gint.measuring.progress import progress

HEADERS = (
    "size", "threads", "weights", "contender", "tokens/s", f"prompt of {PROMPT}, tokens/s",
    "weights read at, GB/s", "memory, GB/s", "beyond memory, us", "attention, us",
    "between, us", "resident, MiB", "process, MiB", "graphs", "first turn, s",
)  # fmt: skip
#: The weights of contenders that take floats.
NO_FILE = "-"
_FLOAT = ("eager f32", "eager bf16", "eager int8", "inductor f32")
#: gint's two doors: torch.compile of a transformers model, with all guards and without those on the
#: model, and a model without torch.
OURS = ("gint", FIXED, "airllm")
#: Tracing, and eager torch for what was traced: what a first call must not take longer than. By
#: Dynamo alone, and on to what AOTAutograd makes of it.
TRACED = ("dynamo", "aot_eager")
#: Contenders whose threads wait by spinning sleep by then.
_PAUSE_S = 0.03


@dataclass(frozen=True)
class Row:
    """What one contender's turns came to.

    `nbytes` of matrices are read for a token, at `bandwidth` bytes a second if nothing else were
    to be done; `resident`: bytes more than before the model was opened, of those of the whole
    `process`; `graphs`: by Dynamo; `first`: seconds of the first prompt and its tokens, with all
    that is compiled for them; `attention`, `between`: seconds of a token in attention, and in all
    that is neither attention nor product, where that can be seen.
    """

    size: str
    threads: int
    weights: str
    contender: str
    token_s: float
    prompt_s: float
    bandwidth: float
    nbytes: int
    resident: int
    process: int
    graphs: int
    first: float
    attention: float | None = None
    between: float | None = None

    @property
    def beyond_us(self) -> float:
        """A token's time less that of reading the matrices."""
        return (self.token_s - self.nbytes / self.bandwidth) * 1e6

    def cells(self) -> list[str]:
        """As HEADERS name them."""
        return [
            self.size,
            str(self.threads),
            self.weights,
            self.contender,
            f"{1 / self.token_s:.1f}",
            f"{PROMPT / self.prompt_s:.0f}",
            f"{self.nbytes / self.token_s / 1e9:.1f}",
            f"{self.bandwidth / 1e9:.1f}",
            f"{self.beyond_us:.0f}",
            *("-" if s is None else f"{s * 1e6:.0f}" for s in (self.attention, self.between)),
            f"{self.resident / 2**20:.0f}",
            f"{self.process / 2**20:.0f}",
            str(self.graphs),
            f"{self.first:.2f}",
        ]


def run(settings: Settings) -> Report:
    """Run every contender on every size with one and two threads."""
    sizes = list(SIZES)[:1] if settings.quick else list(SIZES)
    threads = (settings.threads,) if settings.threads else (1, 2)
    turns = 3 if settings.quick else 9
    groups = list(_groups(settings))
    rows: list[Row] = []
    failed: list[str] = []
    with progress("decode", len(sizes) * len(groups) * len(threads)) as step:
        for size in sizes:
            for weights, contenders in groups:
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder) / f"{weights}.gguf"
                    if weights in FORMATS:
                        run_child("benchmarks.decode_contenders", "write", size, weights, str(path))
                    for count in threads:
                        step(f"{size} {weights}, {count} threads")
                        found, missing = measure(size, weights, contenders, path, count, turns)
                        rows += found
                        failed += missing
    return report_of(rows, failed)


def report_of(rows: Sequence[Row], failed: Sequence[str]) -> Report:
    """The table, and verdicts."""
    table = Table("decode, one sequence, medians", HEADERS, [r.cells() for r in rows])
    data = {"rows": [asdict(r) for r in rows], "failed": list(failed)}
    return Report("decode", (table,), data, (*_verdicts(rows), *failed))


def _groups(settings: Settings) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Weights, and the contenders that take turns with them."""
    inductor = "inductor" in settings.usable()
    floats = tuple(c for c in _FLOAT if c != "inductor f32" or inductor)
    beside = ("llama.cpp",) if find_spec("llama_cpp") is not None else ()
    for weights, contenders in (
        (NO_FILE, floats),
        *((w, (*OURS, *TRACED, *beside)) for w in FORMATS),
    ):
        if settings.wants(weights):
            yield weights, contenders


def measure(
    size: str, weights: str, contenders: Sequence[str], path: Path, threads: int, turns: int
) -> tuple[list[Row], list[str]]:
    """The rows of contenders that take so many turns, and what each that failed said.

    `path` is the GGUF file, or is not there for contenders without one.
    """
    from gint.kernel.interpreter.cpp.quantized import read_all

    environment = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
    memory = np.ones(256 << 20, np.uint8)
    reading: list[float] = []
    answers: dict[str, list[dict[str, Any]]] = {}
    parts: dict[str, list[Sequence[float]]] = {contender: [] for contender in contenders}
    failed = []
    with ExitStack() as stack:
        asked = {}
        for contender in contenders:
            arguments = (contender, size, str(path), str(threads))
            child = Companion("benchmarks.decode_contenders", *arguments, environment=environment)
            try:
                answers[contender] = [stack.enter_context(child).ask("facts")]
                asked[contender] = child
            except ProcessError as error:
                failed.append(f"{contender} {weights} {size}: {error.reason}")
        for _ in range(turns):
            for contender, child in asked.items():
                time.sleep(_PAUSE_S)
                answers[contender].append(child.ask("turn"))
                if (found := child.ask("parts")) is not None:
                    parts[contender].append(found)
            time.sleep(_PAUSE_S)
            begun = time.perf_counter()
            read_all(memory, threads)
            reading.append(time.perf_counter() - begun)
    bandwidth = memory.nbytes / min(reading)
    rows = []
    for contender, (facts, *turned) in answers.items():
        token = median([s for turn in turned for s in turn["tokens"]])
        prompt = median([turn["prompt"] for turn in turned])
        row = Row(size, threads, weights, contender, token, prompt, bandwidth, **facts)
        each = [median(list(seconds)) for seconds in zip(*parts[contender], strict=True)]
        rows.append(replace(row, **dict(zip(("attention", "between"), each, strict=False))))
    return rows, failed


def _verdicts(rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(f"{door}: {verdict}" for door in OURS for verdict in _verdicts_of(door, rows))


def _verdicts_of(door: str, rows: Sequence[Row]) -> Iterator[str]:
    def beside(row: Row, contender: str) -> Row | None:
        same = (row.size, row.threads, contender)
        found = (r for r in rows if (r.size, r.threads, r.contender) == same)
        return next((r for r in found if r.weights in (row.weights, NO_FILE)), None)

    ours = [r for r in rows if r.contender == door]
    against = [(r, o) for r in ours if (o := beside(r, "llama.cpp"))]
    for weights, goal in goals.DECODE_LLAMA_CPP.items():
        ratios = [o.token_s / r.token_s for r, o in against if r.weights == weights]
        yield goal.verdict(min(ratios, default=math.nan))
    prompts = [o.prompt_s / r.prompt_s for r, o in against]
    yield goals.DECODE_PROMPT.verdict(min(prompts, default=math.nan))
    eager = [o.token_s / r.token_s for r in ours if (o := beside(r, "eager bf16"))]
    yield goals.DECODE_EAGER.verdict(min(eager, default=math.nan))
    for traced, goal in zip(TRACED, goals.DECODE_FIRST, strict=True):
        over = [r.first / o.first for r in ours if (o := beside(r, traced)) and door == OURS[0]]
        yield goal.verdict(max(over, default=math.nan))
    beyond = [r.beyond_us for r in ours if r.threads == 1]
    yield goals.DECODE_BEYOND.verdict(max(beyond, default=math.nan))
    between = [r.between for r in ours if r.between is not None]
    if between:
        yield goals.DECODE_BETWEEN.verdict(max(between) * 1e6)
    resident = [r.resident / r.nbytes for r in ours]
    yield goals.DECODE_RESIDENT.verdict(max(resident, default=math.nan))
