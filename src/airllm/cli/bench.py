"""`airllm bench`: tokens per second of a model, for a prompt and one by one.

What one token must read is the weights, so the bytes per second they are read at stand beside what
this machine reads at all, measured in the same run. Knows models, and a clock.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np

from airllm.generation import Sampling
from airllm.model import Model
from airllm.tensor_ops import get_backend
from gint.native.loader import NativeMissingError, load_native

from .options import add_model_options, open_model

#: Bytes read to measure reading; more than caches hold.
_READ_BYTES = 256 << 20


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `airllm bench` takes."""
    add_model_options(parser)
    parser.add_argument("--prompt", type=int, default=128, metavar="N", help="tokens of the prompt")
    parser.add_argument("--tokens", type=int, default=64, metavar="N", help="tokens made after it")
    parser.add_argument(
        "--repeat", type=int, default=3, metavar="N", help="runs; the median counts"
    )


def main(options: argparse.Namespace) -> int:
    """Print the figures."""
    if min(options.prompt, options.tokens, options.repeat) < 1:
        raise ValueError("--prompt, --tokens and --repeat must be at least 1.")
    begin = time.perf_counter()
    model = open_model(options)
    loaded = time.perf_counter() - begin
    runs = [measure(model, options.prompt, options.tokens) for _ in range(options.repeat)]
    prompt, each = (statistics.median(times) for times in zip(*runs, strict=True))
    size = model.weight_bytes
    lines = {
        "model": f"{model.path.name}, {model.architecture.family}, "
        f"{size / 1e6:.0f} MB of weights on {get_backend()}",
        "opened in": f"{loaded:.2f} s",
        f"prompt of {options.prompt}": f"{options.prompt / prompt:.1f} tokens/s",
        f"{options.tokens} tokens": f"{1 / each:.1f} tokens/s",
        "weights read at": f"{size / each / 1e9:.1f} GB/s",
    }
    if (read := read_speed()) is not None:
        lines["memory read at"] = f"{read / 1e9:.1f} GB/s"
    for name, value in lines.items():
        print(f"{name:<16} {value}")
    return 0


def measure(model: Model, prompt: int, tokens: int) -> tuple[float, float]:
    """Seconds of a prompt, and of each token after it. The tokens are random."""
    ids = np.random.default_rng(0).integers(0, model.architecture.vocabulary, prompt)
    cache = model.new_cache(prompt + tokens + 1)
    begin = time.perf_counter()
    sampler = model.new_sampler(Sampling())
    token = model.choose(ids, cache, sampler)
    after_prompt = time.perf_counter()
    token = model.choose([token], cache, sampler)  # the first one records the steps
    first = time.perf_counter()
    for _ in range(tokens):
        token = model.choose([token], cache, sampler)
    return after_prompt - begin, (time.perf_counter() - first) / tokens


def read_speed() -> float | None:
    """Bytes per second this machine reads memory at, the best of some; None if not measured."""
    try:
        native = load_native()
    except NativeMissingError:
        return None
    memory = np.ones(_READ_BYTES, np.uint8)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        native.read_all(memory, 0)
        times.append(time.perf_counter() - begin)
    return _READ_BYTES / min(times)
