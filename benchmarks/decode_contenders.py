"""A contender of the benchmark `decode`: a process that loads a model, and measures it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gint.measuring.clock import median

PROMPT, TOKENS = 128, 24
FORMATS = ("q4_0", "q8_0", "q4_k", "q6_k")
#: Parameters -> hidden size, intermediate size, layers.
SIZES = {"0.1B": (768, 2048, 12), "0.4B": (1024, 2816, 16), "1B": (2048, 5632, 16)}
_HEAD = 64
_VOCABULARY = 32000


def build(size: str) -> Any:
    """A Llama of random weights, without gradients."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    hidden, intermediate, layers = SIZES[size]
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=_VOCABULARY, hidden_size=hidden, intermediate_size=intermediate,
        num_hidden_layers=layers, num_attention_heads=hidden // _HEAD,
        num_key_value_heads=hidden // _HEAD // 4, head_dim=_HEAD, max_position_embeddings=2048,
        tie_word_embeddings=True,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval().requires_grad_(False)


def torch_model(contender: str, size: str, path: Path) -> Any:
    """The model as this contender has it, to be called with `input_ids` and a cache."""
    import torch

    if contender == "gint":
        from gint.conductor import from_gguf

        model = from_gguf(path)
        model.forward = torch.compile(model.forward, backend="gint", dynamic=True)
        return model
    model = build(size)
    if contender == "eager bf16":
        return model.to(torch.bfloat16)
    if contender == "eager int8":
        from torch.ao.quantization import quantize_dynamic

        return quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
    if contender == "inductor f32":
        model.forward = torch.compile(model.forward, dynamic=True)
    return model


def torch_steps(model: Any) -> tuple[Callable[[np.ndarray], int], Callable[[], None]]:
    """A function from tokens to the likeliest next one, and one that forgets all tokens."""
    import torch
    from transformers import DynamicCache

    state: dict[str, Any] = {}

    def forget() -> None:
        state["cache"] = DynamicCache(config=model.config)

    def step(tokens: np.ndarray) -> int:
        with torch.no_grad():
            made = model(
                input_ids=torch.from_numpy(tokens)[None], past_key_values=state["cache"],
                use_cache=True, logits_to_keep=1,
            )  # fmt: skip
            return int(made.logits[0, -1].argmax())

    return step, forget


def llama_cpp_steps(
    path: Path, threads: int
) -> tuple[Callable[[np.ndarray], int], Callable[[], None]]:
    """The same by llama.cpp's C interface."""
    import llama_cpp as lib

    quiet = lib.llama_log_callback(lambda *said: None)
    lib.llama_log_set(quiet, None)
    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    settings = lib.llama_context_default_params()
    settings.n_ctx, settings.n_batch, settings.n_ubatch = 512, 512, 512
    settings.n_threads = settings.n_threads_batch = threads
    context = lib.llama_init_from_model(model, settings)

    def forget() -> None:
        lib.llama_memory_clear(lib.llama_get_memory(context), True)

    def step(tokens: np.ndarray, said: Any = quiet) -> int:  # which must stay, as it is called
        ids = (lib.llama_token * len(tokens))(*map(int, tokens))
        if lib.llama_decode(context, lib.llama_batch_get_one(ids, len(tokens))):
            raise RuntimeError("llama_decode failed")
        logits = lib.llama_get_logits_ith(context, -1)
        return int(np.ctypeslib.as_array(logits, (_VOCABULARY,)).argmax())

    return step, forget


def measure(contender: str, size: str, weights: str, folder: Path, threads: int) -> dict[str, Any]:
    """What a Row holds beyond what was asked."""
    import torch

    from gint.kernel.interpreter.cpp.quantized import read_all

    torch.set_num_threads(threads)
    path = folder / f"{size}-{weights}.gguf"
    if contender == "llama.cpp":
        step, forget = llama_cpp_steps(path, threads)
        nbytes = path.stat().st_size
    else:
        model = torch_model(contender, size, path)
        step, forget = torch_steps(model)
        nbytes = path.stat().st_size if contender == "gint" else _weight_bytes(model)
    prompt = np.random.default_rng(0).integers(3, _VOCABULARY, PROMPT)
    forget()
    token = step(prompt)  # compiles
    step(np.array([token]))
    prompts, tokens = [], []
    for _ in range(3):
        forget()
        begun = time.perf_counter()
        token = step(prompt)
        prompts.append(time.perf_counter() - begun)
    for _ in range(TOKENS):
        begun = time.perf_counter()
        token = step(np.array([token]))
        tokens.append(time.perf_counter() - begun)
    resident = _resident()
    memory = np.ones(256 << 20, np.uint8)
    reading = []
    for _ in range(5):
        begun = time.perf_counter()
        read_all(memory, threads)
        reading.append(time.perf_counter() - begun)
    took, bandwidth = median(tokens), memory.nbytes / min(reading)
    return {
        "tokens_per_s": 1 / took,
        "prompt_per_s": PROMPT / median(prompts),
        "beyond_us": (took - nbytes / bandwidth) * 1e6,
        "resident": resident,
        "graphs": _graphs(),
    }


def _weight_bytes(model: Any) -> int:
    return sum(p.nbytes for p in model.parameters())


def _graphs() -> int:
    import torch._dynamo.utils

    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def _resident() -> int:
    found = re.search(r"^VmRSS:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    return int(found[1]) << 10 if found else 0


def main(result: str, contender: str, size: str, weights: str, folder: str, *rest: str) -> None:
    """As `run_child` calls it. "write" as the contender writes the file that the others read."""
    if contender == "write":
        from benchmarks.gguf_file import write_gguf

        write_gguf(build(size), Path(folder) / f"{size}-{weights}.gguf", weights)
        found: Any = None
    else:
        found = measure(contender, size, weights, Path(folder), int(rest[0]))
    Path(result).write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
