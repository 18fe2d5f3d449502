"""What compiling costs beyond tracing: a 48-layer Llama's graph from ATen ops to a plan.

Hidden sizes are small: what counts is the number of nodes. The graph is traced once and compiled
several times in one process, so that programs are loaded and the smallest time is gint's own work.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks.report import Report, Table
from benchmarks.settings import Settings
from gint.measuring.progress import progress

LAYERS = 48
TOKENS = 32


def run(settings: Settings) -> Report:
    """Compile the graph with fixed and with symbolic sizes, and report the smallest times."""
    repetitions = 4 if settings.quick else 12
    found: dict[str, tuple[int, list[float]]] = {}
    with progress("compile", 2) as step:
        for name, dynamic in (("fixed sizes", False), ("symbolic sizes", True)):
            step(name)
            graph = trace_llama(LAYERS, dynamic)
            found[name] = len(graph.graph.nodes), time_compiling(graph, repetitions)
    return report_of(found)


def trace_llama(layers: int, dynamic: bool) -> Any:
    """The graph of ATen ops that GintCompiler is given for a Llama of so many layers."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from gint.conductor.trace.inference import trace_inference

    config = LlamaConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=176,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    traced: list[Any] = []

    def keep(module: Any, inputs: Any) -> Any:
        traced.append(trace_inference(module))
        return module.forward

    torch._dynamo.reset()
    model = torch.compile(LlamaForCausalLM(config).eval(), backend=keep, dynamic=dynamic)
    with torch.no_grad():
        model(input_ids=torch.zeros(1, TOKENS, dtype=torch.int64), use_cache=False)
    (graph,) = traced
    return graph


def time_compiling(graph: Any, repetitions: int) -> list[float]:
    """Seconds of processor time of `GintCompiler.compile`, once per repetition."""
    from gint.conductor import GintCompiler

    taken = []
    for _ in range(repetitions):
        begun = time.process_time()
        GintCompiler().compile(graph)
        taken.append(time.process_time() - begun)
    return taken


def report_of(found: dict[str, tuple[int, list[float]]]) -> Report:
    """Make the table from the number of nodes and the seconds of each graph."""
    rows = [
        [name, str(nodes), f"{min(taken) * 1e3:.0f}", f"{min(taken) / nodes * 1e6:.1f}"]
        for name, (nodes, taken) in found.items()
    ]
    title = f"compiling the graph of a Llama of {LAYERS} layers, without tracing (smallest)"
    table = Table(title, ["", "nodes", "milliseconds", "microseconds per node"], rows)
    data = {name: {"nodes": nodes, "samples_s": taken} for name, (nodes, taken) in found.items()}
    return Report("compile", (table,), data)
