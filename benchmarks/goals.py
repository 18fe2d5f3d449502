"""The numbers to reach, each written once, with a verdict on a value. Nothing here fails a run."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A bound on a figure: "at least" where `least` holds, else "at most"."""

    what: str
    bound: float
    least: bool
    unit: str = ""

    def verdict(self, value: float) -> str:
        """Return "WHAT: VALUE (goal: at most BOUND, reached)"."""
        if math.isnan(value):
            return f"{self.what}: not measured"
        reached = value >= self.bound if self.least else value <= self.bound
        word = "least" if self.least else "most"
        said = "reached" if reached else "NOT reached"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.what}: {value:.3g}{unit} (goal: at {word} {self.bound:g}{unit}, {said})"


FIRST_CALL = Goal("first call, gint over aot_eager, geomean", 1.10, least=False)
FIRST_CALL_INDUCTOR = Goal("first call, cold Inductor over gint, geomean", 8, least=True)
OWN_SHARE = Goal("gint's own share of the first call over Inductor's, median", 1 / 50, least=False)
KERNELS = {
    "dropped": Goal("kernels, result dropped, Inductor over gint, geomean", 1.5, least=True),
    "held": Goal("kernels, last 4 results held, Inductor over gint, geomean", 1.3, least=True),
    "into": Goal(
        "kernels, into preallocated outputs, Inductor over gint, geomean", 1.0, least=True
    ),
}
KERNELS_WORST = Goal("kernels, the worst of them, Inductor over gint", 0.9, least=True)
SMALL_KERNELS = Goal("small kernels, gint beyond Inductor, largest", 5, least=False, unit="us")
BANDWIDTH = Goal("large kernels, bytes moved over copy bandwidth, geomean", 0.9, least=True)
MODELS = Goal("models, better of eager and Inductor over gint, geomean", 1.0, least=True)
TRAINING = Goal("training, better of eager and Inductor over gint, geomean", 1.0, least=True)
SAVED_COMPILED = Goal("saved models, torch.compile gint over them, worst", 0.97, least=True)
SAVED_EAGER = Goal("saved models on arrays, eager over them, worst", 1.0, least=True)
START = Goal("saved plan, first answer after import torch", 100, least=False, unit="ms")
START_ALONE = Goal("saved plan without torch, first answer from start", 0.5, least=False, unit="s")
START_FILE = Goal("saved plan, the file without weights", 1, least=False, unit="MB")
START_MEMORY = Goal("saved plan without torch, beyond weights", 60, least=False, unit="MB")
START_STEADY = Goal("saved plan, torch.compile gint over it, steady", 1.0, least=True)
CALL_COST = Goal("call, gint beyond a preallocated result", 3, least=False, unit="us")
COMPILES_DYNAMIC = Goal("compiles for 50 shapes, dynamic=True", 1, least=False)
COMPILES_AUTOMATIC = Goal("compiles for 50 shapes, automatic", 2, least=False)
#: The goals of airllm.tensor_ops are for this backend with two threads, every result fresh.
TENSOR_OPS_BACKEND = "cpp"
TENSOR_OPS = {
    (operation, shape): Goal(
        f"{operation} at {shape}, NumPy over tensor_ops", least_small if small else 4, least=True
    )
    for shape, small in (((128, 4096), True), ((2048, 4096), False))
    for operation, least_small in (("rms_norm", 8), ("silu", 5), ("gelu", 4), ("softmax", 4))
}
TENSOR_OPS_TORCH = Goal("the worst operation, torch eager over tensor_ops", 1.0, least=True)
OPERATORS = {
    "eager": Goal("operators, eager over gint, geomean", 1.3, least=True),
    "inductor": Goal("operators, Inductor over gint, geomean", 1.3, least=True),
}
OPERATORS_WORST = Goal(
    "operators, the better of eager and Inductor over gint, worst", 0.9, least=True
)
SMALL_GRAPHS = Goal("graphs of many small steps, eager over gint, geomean", 1.2, least=True)
SMALL_GRAPHS_WORST = Goal("graphs of many small steps, the worst of them", 0.95, least=True)
PLAN_LAUNCH = Goal("a launch in a plan, beyond its own work", 0.5, least=False, unit="us")
PLAN_EXTERN = Goal("an extern in a plan, beyond its own work", 0.3, least=False, unit="us")
IMPORT = Goal("import gint.conductor", 0.1, least=False, unit="s")
QUANTIZED_READ = Goal(
    "1 row of Q4_0, Q8_0, Q4_K, Q6_K: weight bytes per second over read bandwidth, worst",
    0.9,
    least=True,
)
QUANTIZED_ROWS = Goal("32 rows of Q4_0, NumPy's float32 product over gint, worst", 2.0, least=True)
DECODE_LLAMA_CPP = {
    weights: Goal(f"tokens per second, {weights}, over llama.cpp, worst", least, least=True)
    for weights, least in (("q4_0", 0.95), ("q8_0", 0.95), ("q4_k", 0.9), ("q6_k", 0.9))
}
DECODE_PROMPT = Goal("prompt of 128 tokens, over llama.cpp, worst", 0.9, least=True)
DECODE_EAGER = Goal("tokens per second, over eager bfloat16, worst", 3, least=True)
DECODE_FIRST = tuple(
    Goal(f"first turn, over tracing by {how} and eager torch, worst", 1, least=False)
    for how in ("Dynamo", "AOTAutograd")
)
DECODE_BEYOND = Goal("a token beyond its matrices' memory time, worst", 50, least=False, unit="us")
DECODE_BETWEEN = Goal(
    "a token beyond its products and its attention, worst", 50, least=False, unit="us"
)
DECODE_RESIDENT = Goal("resident beside the modules, over the file, worst", 1.1, least=False)
