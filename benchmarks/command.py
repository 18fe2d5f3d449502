"""The command line of the benchmarks: which ones, with what settings, and where the JSON goes."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.report import Report, as_json, save, show
from benchmarks.settings import Settings, set_threads, threads_in_effect
from gint.isa.dtypes import DTYPES
from gint.measuring.backends import NAMES, parse

BENCHMARKS: dict[str, str] = {
    "import_cost": "seconds that `import gint.conductor` takes",
    "call_cost": "microseconds of a call of a one-program graph",
    "plan_cost": "microseconds of a plan per launch, extern and view, of 100 each",
    "compile": "gint's own share of compiling a 48-layer Llama's graph",
    "shapes": "compiles for 50 shapes through one function",
    "kernels": "twelve kernels, three sizes, three ways to treat the result",
    "tensor_ops": "the operations of airllm.tensor_ops beside NumPy and torch eager",
    "quantized": "products with quantised weights, by read bandwidth and NumPy",
    "operators": "every opcode and ATen operator alone, worst first (hours; not part of all)",
    "sampled": "operators on drawn shapes, layouts and types, worst first (not part of all)",
    "models": "steady state of eight small models",
    "training": "a step of training of eight small models (minutes; not part of all)",
    "small_graphs": "graphs of many small steps, batch 1, beside eager and Inductor",
    "decode": "tokens per second of quantised language models (an hour; not part of all)",
    "saved": "steady state of eight saved models, with torch and without",
    "first_call": "seconds to the first answer of four small transformers",
    "start": "seconds to a saved Llama's first answer, beside AOTInductor and others",
}
MODULES = {"compile": "compile_time", "models": "models_steady"}
#: Run where they are named only: they take hours.
BY_NAME = ("operators", "sampled", "decode", "training")
BUSY_LOAD = 0.7
BUSY_ADVICE = (
    "threads that wait for each other make noisy figures. Stop what else runs, or use --threads 1."
)
NEEDED = {
    "compile": ("torch", "transformers"),
    "decode": ("torch", "transformers", "gguf"),
    "first_call": ("torch", "transformers"),
    "models": ("torch", "transformers"),
    "saved": ("torch", "transformers"),
    "start": ("torch", "transformers"),
    "training": ("torch", "transformers"),
    "small_graphs": ("torch", "transformers"),
    "tensor_ops": (),
    "quantized": (),
}


def main(
    argv: Sequence[str] | None = None,
    names: Sequence[str] = ("all",),
    threads: int = 0,
    program: str = "gint bench",
) -> int:
    """Run what is asked for; exit status 0 done, 1 no JSON written, 2 arguments or packages.

    `names` and `threads` are meant where `argv` says nothing, `program` is what the user typed.
    """
    parser = _parser(names, threads, program)
    options = parser.parse_args(argv)
    asked = options.benchmark or names
    if (options.warm or options.rows or options.runs > 1) and "operators" not in asked:
        parser.error("--warm, --rows and --runs are of the benchmark `operators`: name it")
    drawing = options.seed or options.draws != Settings.draws or options.together > 1
    if drawing and "sampled" not in asked:
        parser.error("--draws, --seed and --together are of the benchmark `sampled`: name it")
    named = dict.fromkeys(n for n in asked if n != "all")
    every = [n for n in BENCHMARKS if n not in BY_NAME or n in named]
    names = every if "all" in asked else list(named)
    missing = _missing(names)
    if missing:
        listed = " ".join(missing)
        print(
            f"{program} needs {listed.replace(' ', ' and ')}: pip install {listed}.",
            file=sys.stderr,
        )
        return 2
    backends = tuple(b for b in options.backends if options.inductor or b != "inductor")
    filters = options.only, options.types, options.shapes
    kept = options.frozen, options.ahead and str(options.ahead)
    settings = Settings(
        backends, options.threads, options.quick, *filters, *kept,
        warm=options.warm, rows=options.rows and str(options.rows), runs=options.runs,
        draws=options.draws, seed=options.seed, together=options.together,
    )  # fmt: skip
    if any("torch" in _needed(name) for name in names):
        for backend, reason in settings.skipped().items():
            print(f"{backend} is left out: {reason}.", file=sys.stderr)
    return _run(names, settings, options.json)


def _run(names: Sequence[str], settings: Settings, path: Path | None) -> int:
    from gint.measuring.machine import describe

    begun = time.perf_counter()
    if settings.threads:
        set_threads(settings.threads)
    machine = describe(threads_in_effect())
    load = machine["load"][0] if machine["load"] else 0.0
    if load > BUSY_LOAD:
        print(f"The machine is busy (load {load:.1f}): {BUSY_ADVICE}", file=sys.stderr)
    reports: list[Report] = []
    for name in names:
        module = importlib.import_module(f"benchmarks.{MODULES.get(name, name)}")
        reports.append(module.run(settings))
        show(reports[-1])
        if path is not None:  # after each, so that a long run that is stopped leaves what it has
            try:
                save(path, as_json(settings, machine, reports, time.perf_counter() - begun))
            except OSError as error:
                print(f"{path}: {error.strerror}. Choose another with --json.", file=sys.stderr)
                return 1
    threads, wall_s = machine["threads"], time.perf_counter() - begun
    print(f"{machine['cpu']}, {threads} thread{'s' * (threads != 1)}, {wall_s:.0f} s in all.")
    if path is not None:
        print(f"Samples and medians: {path}")
    return 0


def _needed(name: str) -> tuple[str, ...]:
    return NEEDED.get(name, ("torch",))


def _missing(names: Sequence[str]) -> list[str]:
    needed = [package for name in names for package in _needed(name)]
    return [p for p in dict.fromkeys(needed) if importlib.util.find_spec(p) is None]


def _parser(names: Sequence[str], threads: int, program: str) -> argparse.ArgumentParser:
    listed = "\n".join(f"  {name:12} {what}" for name, what in BENCHMARKS.items())
    parser = argparse.ArgumentParser(
        prog=program,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description=f"Measure gint beside eager, aot_eager and Inductor.\n\nbenchmarks:\n{listed}",
    )
    parser.add_argument(
        "benchmark",
        nargs="*",
        type=_benchmark,
        metavar="benchmark",
        help=f"names from the list above ({' '.join(names)})",
    )
    parser.add_argument("--quick", action="store_true", help="fewer samples: minutes, not 25")
    parser.add_argument("--json", type=Path, metavar="PATH", help="write samples and medians here")
    parser.add_argument(
        "--backends", type=_backends, default=NAMES, help=f"some of {','.join(NAMES)} (all)"
    )
    parser.add_argument(
        "--threads", type=_threads, default=threads, help=f"torch's own choice if 0 ({threads})"
    )
    parser.add_argument(
        "--frozen", action="store_true", help="models, small_graphs: with constant weights too"
    )
    parser.add_argument(
        "--ahead", type=Path, metavar="FOLDER",
        help="start: keep here what is made ahead, and make only what is not there (minutes)",
    )  # fmt: skip
    few = parser.add_argument_group(
        "operators only (--only: models, small_graphs, saved, decode, sampled too)"
    )
    parser.add_argument(
        "--draws", type=_count, default=Settings.draws, help=f"sampled: so many ({Settings.draws})"
    )
    parser.add_argument("--seed", type=int, default=0, help="sampled: which draws (0)")
    parser.add_argument(
        "--together", type=_count, default=1, help="sampled: operators in a row, of each draw (1)"
    )
    few.add_argument("--only", type=_words, default=(), help="rows whose names hold one of these")
    few.add_argument("--types", type=_types, default=(), help="types, f32,bf16 for instance")
    few.add_argument("--shapes", type=_shapes, default=(), help="shapes, 48x40,300x1000")
    few.add_argument(
        "--no-inductor", dest="inductor", action="store_false", help="as --quick does: no Inductor"
    )
    few.add_argument(
        "--warm", action="store_true", help="only compile, into Inductor's cache: time later"
    )
    few.add_argument(
        "--rows", type=Path, metavar="FILE",
        help="append each row here when it is measured, and go on behind those that are there",
    )  # fmt: skip
    few.add_argument(
        "--runs", type=_count, default=1, help="measure rows below the goal so often (1): medians"
    )
    return parser


def _words(text: str) -> tuple[str, ...]:
    return tuple(part for part in text.split(",") if part)


def _types(text: str) -> tuple[str, ...]:
    known = [t.name for t in DTYPES]
    if unknown := [t for t in _words(text) if t not in known]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: expected some of {', '.join(known)}")
    return _words(text)


def _shapes(text: str) -> tuple[tuple[int, int], ...]:
    try:
        return tuple((int(r), int(c)) for r, c in (part.split("x") for part in _words(text)))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected shapes as 48x40") from None


def _benchmark(text: str) -> str:
    if text not in (*BENCHMARKS, "all"):
        raise argparse.ArgumentTypeError(f"{text!r}: expected {', '.join(BENCHMARKS)} or all")
    return text


def _backends(text: str) -> tuple[str, ...]:
    try:
        return parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"{count}: expected 1 or more")
    return count


def _threads(text: str) -> int:
    threads = int(text)
    if threads < 0:
        raise argparse.ArgumentTypeError(f"{threads}: expected a number of threads, 0 or more")
    return threads
