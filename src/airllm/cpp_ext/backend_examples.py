"""`python backend_examples.py`: the operations on every backend that is usable here.

Runs on any machine. Each example is a function to read and to copy from; results are compared with
those of the backend `python`, and the time each backend takes with its time.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

HERE = Path(__file__).resolve().parent
SEQ, HEADS, KV_HEADS, HEAD_DIM, HIDDEN = 64, 8, 2, 64, 1536
DIM = HEADS * HEAD_DIM


def import_tensor_ops() -> ModuleType:
    """Import with the backend that is configured; where one is forced that is not there, any."""
    # Only needed where gint is not installed: the packages lie two folders up.
    sys.path[:] = [str(HERE.parents[1]), *(p for p in sys.path if Path(p).resolve() != HERE)]
    from gint.host.configuration import ConfigurationError

    try:
        from airllm import tensor_ops
    except ModuleNotFoundError as error:
        sys.exit(f"backend_examples.py: this needs {error.name}: pip install {error.name}.")
    except ConfigurationError as error:  # a file or a name to correct
        sys.exit(f"backend_examples.py: {error}")
    except ImportError as error:
        print(f"The configuration cannot be met:\n{error}".replace("\n", "\n  "))
        print("The examples go on with GINT_BACKEND=auto, for this run alone.\n")
        os.environ["GINT_BACKEND"] = "auto"
        from airllm import tensor_ops
    return tensor_ops


def what_is_in_effect(ops: ModuleType) -> None:
    """The backend, the configuration, and why each backend was or was not taken."""
    info = ops.get_backend_info()
    print("Active backend:", info["backend"], f"({info['device']})")
    print("Configuration:", info["config"])
    print("Available backends:", info["available_backends"])
    for name, reason in info["reasons"].items():
        print(f"  {name:<8}{reason}")


def operations(ops: ModuleType) -> dict[str, Callable[[], Any]]:
    """One call of each operation on arrays of some language model's shapes."""
    import numpy as np

    random = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal(shape, np.float32)

    x, row = normal(SEQ, DIM), normal(DIM)
    q, k, v = normal(SEQ, DIM), normal(SEQ, KV_HEADS * HEAD_DIM), normal(SEQ, KV_HEADS * HEAD_DIM)
    w1, w2, w3 = (normal(*shape) / 16 for shape in ((DIM, HIDDEN), (HIDDEN, DIM), (DIM, HIDDEN)))
    found = {
        "rms_norm": lambda: ops.rms_norm(x, row),
        "layer_norm": lambda: ops.layer_norm(x, row, row),
        "softmax": lambda: ops.softmax(x),
        "silu": lambda: ops.silu(x),
        "gelu": lambda: ops.gelu(x),
        "apply_rope": lambda: ops.apply_rope(q, k, 0, HEAD_DIM)[0],
        "matmul_f32": lambda: ops.matmul_f32(x, w1),
        "multi_head_attention": lambda: ops.multi_head_attention(
            q, k, v, HEADS, KV_HEADS, mask="causal"
        ),
        "feed_forward": lambda: ops.feed_forward(x, w1, w2, w3),
    }
    weight = normal(HIDDEN, DIM)  # (out, in), as GGUF stores it
    for kind in ("q40", "q80"):
        data = getattr(ops, f"quantize_{kind}")(weight)
        found[f"matmul_quantized, {kind}"] = partial(
            ops.matmul_quantized, x, data, weight.shape, kind
        )
    return found


def decoder_layer(ops: ModuleType) -> Callable[[], Any]:
    """A whole layer of a Llama-like model, from its residual stream to its residual stream."""
    import numpy as np

    random = np.random.default_rng(1)
    kv = KV_HEADS * HEAD_DIM
    shapes = {
        "q": (DIM, DIM), "k": (DIM, kv), "v": (DIM, kv), "o": (DIM, DIM),
        "w1": (DIM, HIDDEN), "w2": (HIDDEN, DIM), "w3": (DIM, HIDDEN),
    }  # fmt: skip
    w = {name: random.standard_normal(s, np.float32) / s[0] ** 0.5 for name, s in shapes.items()}
    norm = np.ones(DIM, np.float32)
    x = random.standard_normal((SEQ, DIM), np.float32)

    def layer() -> Any:
        y = ops.rms_norm(x, norm)
        q, k, v = (ops.matmul_f32(y, w[name]) for name in "qkv")
        q, k = ops.apply_rope(q, k, 0, HEAD_DIM)
        y = ops.multi_head_attention(q, k, v, HEADS, KV_HEADS, mask="causal")
        y = x + ops.matmul_f32(y, w["o"])
        return y + ops.feed_forward(ops.rms_norm(y, norm), w["w1"], w["w2"], w["w3"])

    return layer


def compare(ops: ModuleType, calls: dict[str, Callable[[], Any]]) -> None:
    """Every call on every usable backend: the largest difference from `python`, and its time."""
    import numpy as np

    names = [name for name in ops.get_backend_info()["available_backends"] if name != "python"]
    heads = "".join(f"{f'{name}: difference':>20}{'speed':>9}" for name in names)
    print(f"{'':<26}{'python':>12}{heads}")
    for what, call in calls.items():
        with ops.use_backend("python"):
            expected, python_s = call(), seconds(call)
        line = f"{what:<26}{1e6 * python_s:>9.0f} us"
        for name in names:
            with ops.use_backend(name):
                found, taken_s = call(), seconds(call)
            difference = np.abs(found - expected).max() / np.abs(expected).max()
            line += f"{difference:>20.1e}{python_s / taken_s:>7.1f} x"
        print(line)
    print("Differences: relative to the largest value. Speed: python's time over the backend's.")
    if any("quantized" in what for what in calls):
        print(
            "Quantised products may round x to 8 bits a block; quantize_activations=False does not."
        )


def seconds(call: Callable[[], Any], least_s: float = 0.02) -> float:
    """The fastest of the calls that fit into some time, at least three."""
    times: list[float] = []
    while len(times) < 3 or sum(times) < least_s:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def torch_tensors(ops: ModuleType) -> None:
    """What comes in as a torch tensor goes out as one; the memory is shared, not copied."""
    try:
        import torch
    except ImportError:
        print("torch is not installed.")
        return
    x = torch.randn(4, DIM)
    y = ops.softmax(x)
    difference = (y - torch.softmax(x, -1)).abs().max()
    print(
        f"softmax of a {type(x).__name__} is a {type(y).__name__}; "
        f"from torch's own it differs by {difference:.1e}."
    )


def main() -> None:
    ops = import_tensor_ops()
    print("1. What is in effect\n")
    what_is_in_effect(ops)
    print("\n2. The operations on every usable backend\n")
    compare(ops, operations(ops))
    print("\n3. A decoder layer\n")
    compare(ops, {"decoder layer": decoder_layer(ops)})
    print("\n4. torch tensors\n")
    torch_tensors(ops)


if __name__ == "__main__":
    main()
