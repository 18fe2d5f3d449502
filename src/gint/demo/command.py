"""`gint demo`: measure, print one table, say what gint used, write the page.

Exit status: 0 done, 1 gint failed or the page could not be written, 2 wrong arguments or
something to install.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from gint.demo.page import Chapter, render
from gint.demo.table import HEADERS, cells_of, crossings_in_words, sentences_of, use_of
from gint.measuring.backends import NAMES, parse, title_of, why_not
from gint.measuring.files import write
from gint.measuring.first_call import Measurement, measure
from gint.measuring.machine import describe
from gint.measuring.models import EXAMPLE, LLAMA, Workload
from gint.measuring.progress import progress

NEEDED = ("torch", "transformers", "rich")
WORKLOADS: tuple[Workload, ...] = (LLAMA, EXAMPLE)
CALLS = {LLAMA.name: 60, EXAMPLE.name: 2000}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo with these arguments (sys.argv's, if None) and return its exit status."""
    options = _parser().parse_args(argv)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"gint demo needs {' and '.join(missing)}: pip install {' '.join(missing)} "
            "(torch without CUDA: add --index-url https://download.pytorch.org/whl/cpu).",
            file=sys.stderr,
        )
        return 2
    device = options.device or _default_device()
    chapters = _measure_all(options.backends, device, options.threads, options.seconds)
    _say(chapters)
    try:
        write(options.output, render(chapters, _machine(chapters, device)))
    except OSError as error:
        print(f"{options.output}: {error.strerror}. Choose another with --output.", file=sys.stderr)
        return 1
    print(f"\nCumulative time over calls: {options.output}")
    ours = [m for c in chapters for m in c.measurements if m.backend == "gint"]
    return 1 if any(m.failure for m in ours) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gint demo",
        description="Compile the specification's example and a small Llama with gint, beside "
        "eager, aot_eager and Inductor; print a table, write a page.",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("out") / "demo.html", help="the page (%(default)s)"
    )
    parser.add_argument(
        "--backends", type=_backends, default=NAMES, help=f"some of {','.join(NAMES)} (all)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), help="cuda where torch has it, or cpu")
    parser.add_argument(
        "--threads", type=int, default=0, help="torch's own choice if 0 (%(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="time for each steady state (%(default)s)"
    )
    return parser


def _backends(text: str) -> tuple[str, ...]:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _default_device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _measure_all(
    backends: Sequence[str], device: str, threads: int, seconds: float
) -> list[Chapter]:
    """Measure every workload on every backend, one fresh process each."""
    found: dict[str, list[Measurement]] = {w.name: [] for w in WORKLOADS}
    with progress("gint demo", len(WORKLOADS) * len(backends)) as step:
        for workload in WORKLOADS:
            for backend in backends:
                step(f"{workload.title}: {title_of(backend)}")
                reason = why_not(backend, device)
                found[workload.name].append(
                    Measurement(workload.name, backend, failure=reason)
                    if reason
                    else measure(
                        workload.name,
                        backend,
                        device=device,
                        threads=threads,
                        calls=CALLS[workload.name],
                        seconds=seconds,
                    )
                )
    return [Chapter(w.short, w.title, tuple(found[w.name])) for w in WORKLOADS]


def _say(chapters: Sequence[Chapter]) -> None:
    """Print the table, then what gint used, then where the lines cross."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table(box=box.SIMPLE_HEAD)
    for i, header in enumerate(("", *HEADERS)):
        table.add_column(header, justify="right" if i > 1 else "left", overflow="fold")
    for chapter in chapters:
        for i, measurement in enumerate(chapter.measurements):
            style = "bold" if measurement.backend == "gint" else ""
            table.add_row("" if i else chapter.short, *cells_of(measurement), style=style)
        table.add_section()
    console.print(table)
    for chapter in chapters:
        gint = chapter.gint
        if gint is not None:
            console.print(f"gint, {chapter.title}:", style="bold", highlight=False)
            said = sentences_of(use_of(gint.statistics)) + crossings_in_words(chapter.measurements)
            for line in said:
                console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _machine(chapters: Sequence[Chapter], device: str) -> str:
    """Describe where the numbers come from in one sentence."""
    threads = max((m.threads for c in chapters for m in c.measurements), default=0)
    machine = describe(threads)
    versions = machine["versions"]
    return (
        f"torch {versions['torch']}, transformers {versions['transformers']}, Python "
        f"{machine['python']}, {machine['system']}, {machine['cpu']}, device {device}, "
        f"{threads} thread{'' if threads == 1 else 's'}."
    )
