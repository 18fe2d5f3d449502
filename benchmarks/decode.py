"""Tokens per second of a language model of random weights, by contender, each in its own process.

One Llama; its weights are written as GGUF files, which gint and llama.cpp read. llama.cpp is one
where the package llama-cpp-python is installed. Every process measures the bandwidth at which it
reads memory, takes a prompt of 128 tokens, and then one token after the other.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import goals
from benchmarks.decode_contenders import FORMATS, PROMPT, SIZES
from benchmarks.report import Report, Table
from benchmarks.settings import Settings
from gint.measuring.process import ProcessError, run_child
from gint.measuring.progress import progress

HEADERS = (
    "size", "threads", "contender", "weights", "tokens/s", f"prompt of {PROMPT}, tokens/s",
    "beyond memory, us", "resident, MiB", "graphs",
)  # fmt: skip
_FLOAT = ("eager f32", "eager bf16", "eager int8", "inductor f32")


class Row(NamedTuple):
    """What one process found. `beyond_us`: a token's time less that of reading the matrices;
    `resident`: bytes when all is done; `graphs`: compiled by Dynamo."""

    size: str
    threads: int
    contender: str
    weights: str
    tokens_per_s: float
    prompt_per_s: float
    beyond_us: float
    resident: int
    graphs: int


def run(settings: Settings) -> Report:
    """Run every contender on every size with one and two threads."""
    sizes = list(SIZES)[:1] if settings.quick else list(SIZES)
    threads = (settings.threads,) if settings.threads else (1, 2)
    asked = list(_asked(settings))
    rows: list[Row] = []
    failed: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        progress("decode", len(sizes) * len(threads) * len(asked)) as step,
    ):
        for size in sizes:
            for weights in FORMATS:
                run_child("benchmarks.decode_contenders", "write", size, weights, folder)
            for count in threads:
                for contender, weights in asked:
                    step(f"{size} {contender} {weights}")
                    given = (contender, size, weights, folder, str(count))
                    try:
                        found = run_child("benchmarks.decode_contenders", *given)
                        rows.append(Row(size, count, contender, weights, **found))
                    except ProcessError as error:
                        failed.append(f"{contender} {weights} {size}: {error.reason}")
            for file in Path(folder).iterdir():
                file.unlink()
    lines = [
        [
            *map(str, r[:4]),
            f"{r.tokens_per_s:.1f}",
            f"{r.prompt_per_s:.0f}",
            f"{r.beyond_us:.0f}",
            f"{r.resident / 2**20:.0f}",
            str(r.graphs),
        ]
        for r in rows
    ]
    table = Table("decode, one sequence", HEADERS, lines)
    data = {"rows": [r._asdict() for r in rows], "failed": failed}
    return Report("decode", (table,), data, (*_verdicts(rows), *failed))


def _asked(settings: Settings) -> Iterator[tuple[str, str]]:
    for contender in _FLOAT:
        if contender != "inductor f32" or "inductor" in settings.usable():
            yield contender, "-"
    llama = find_spec("llama_cpp") is not None
    for weights in FORMATS:
        yield "gint", weights
        if llama:
            yield "llama.cpp", weights


def _verdicts(rows: list[Row]) -> tuple[str, ...]:
    def of(row: Row, contender: str) -> Any:
        same = (r for r in rows if r[:3] == (row.size, row.threads, contender))
        return next((r for r in same if r.weights in (row.weights, "-")), None)

    ours = [r for r in rows if r.contender == "gint"]
    said = []
    for weights, goal in goals.DECODE_LLAMA_CPP.items():
        ratios = [r.tokens_per_s / other.tokens_per_s for r in ours
                  if r.weights == weights and (other := of(r, "llama.cpp"))]  # fmt: skip
        said.append(goal.verdict(min(ratios, default=math.nan)))
    prompts = [r.prompt_per_s / o.prompt_per_s for r in ours if (o := of(r, "llama.cpp"))]
    eager = [r.tokens_per_s / o.tokens_per_s for r in ours if (o := of(r, "eager bf16"))]
    said.append(goals.DECODE_PROMPT.verdict(min(prompts, default=math.nan)))
    said.append(goals.DECODE_EAGER.verdict(min(eager, default=math.nan)))
    beyond = [r.beyond_us for r in ours if r.threads == 1]
    said.append(goals.DECODE_BEYOND.verdict(max(beyond, default=math.nan)))
    return tuple(said)
