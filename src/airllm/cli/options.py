"""What commands may be told about a model, and opening it with a word on how far it is."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

from airllm.model import CACHE_DTYPES, AutoModel, Model

_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
#: Seconds between two words.
_PERIOD = 0.2


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """MODEL and how its weights are kept."""
    parser.add_argument("model", metavar="MODEL", help="a Hugging Face folder, or a .gguf file")
    parser.add_argument(
        "--weights", default="keep", metavar="FORMAT",
        help="quantise matrices: q4_0, q8_0 ... (default: keep them as they are stored)",
    )  # fmt: skip
    parser.add_argument(
        "--memory", type=memory_size, metavar="BYTES",
        help="what matrices may take, such as 4G; the rest is read while the model computes",
    )  # fmt: skip
    parser.add_argument(
        "--dtype", choices=("config", "stored"), default="config",
        help="whether matrices must have the type that config.json says",
    )  # fmt: skip
    parser.add_argument(
        "--kv-cache", choices=CACHE_DTYPES, default=CACHE_DTYPES[0],
        help="what keys and values are kept as (default: %(default)s)",
    )  # fmt: skip


def memory_size(text: str) -> int:
    """Bytes, of a number with or without a unit (K, M, G, T, of 1,024). ArgumentTypeError."""
    number, unit = text.upper().removesuffix("B").removesuffix("I"), 1
    if number and number[-1] in _UNITS:
        number, unit = number[:-1], _UNITS[number[-1]]
    try:
        size = int(float(number) * unit)
    except (ValueError, OverflowError):
        size = 0
    if size < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; 500M and 4G are")
    return size


def open_model(options: argparse.Namespace) -> Model:
    """The model that the options name; on a terminal a line says how much has been read."""
    return AutoModel.from_pretrained(
        options.model, weights=options.weights, memory_budget=options.memory,
        dtype=options.dtype, kv_cache=options.kv_cache,
        progress=progress_line(sys.stderr.isatty()),
    )  # fmt: skip


def progress_line(shown: bool) -> Callable[[int, int], None]:
    """A function of the bytes that are read and their number."""
    last = 0.0

    def say(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if shown and (done == total or now - last >= _PERIOD):
            last = now
            end = "\r\033[K" if done == total else "\r"
            share = 100 * done // total
            print(f"reading {share:3} % of {total / 1e9:.2f} GB", end=end, file=sys.stderr)

    return say
