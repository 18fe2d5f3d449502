"""A contender of the benchmark `decode`: a process that opens a model, and is asked for tokens."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gint.measuring.process import answer

if TYPE_CHECKING:
    from benchmarks.decode_steps import Parts

PROMPT, TOKENS = 128, 24
FORMATS = ("q4_0", "q8_0", "q4_k", "q6_k")
#: Parameters -> hidden size, intermediate size, layers.
SIZES = {"0.1B": (768, 2048, 12), "0.4B": (1024, 2816, 16), "1B": (2048, 5632, 16)}
#: gint without guards on the model.
FIXED = "gint, model fixed"
#: Those that compile the transformers model of a GGUF file: gint, tracing alone, and tracing by
#: AOTAutograd.
ON_FILE = ("gint", FIXED, "dynamo", "aot_eager")
#: Contenders that torch.compile makes -> its backends.
_COMPILERS = {
    "gint": "gint", FIXED: "gint", "dynamo": "eager", "aot_eager": "aot_eager",
    "inductor f32": "inductor",
}  # fmt: skip
_HEAD = 64
_VOCABULARY = 32000
_POSITIONS = 512


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


class Steps(NamedTuple):
    """A model in use: tokens to the likeliest next one, as if all that came before were known;
    a way to forget those; the bytes of the matrices that every token is multiplied with; and, where
    that can be seen, what tokens after a prompt take in attention and between products."""

    step: Callable[[np.ndarray], int]
    forget: Callable[[], None]
    nbytes: int
    parts: Callable[[np.ndarray], Parts] | None = None


def open_steps(contender: str, size: str, path: Path, threads: int) -> Steps:
    """The model as this contender has it."""
    if contender == "llama.cpp":
        return _llama_cpp(path, threads)
    if contender == "airllm":
        return _airllm(path)
    return _torch(contender, size, path, threads)


def _torch_model(contender: str, size: str, path: Path) -> Any:
    import torch

    if contender in ON_FILE:
        from gint.conductor import from_gguf, skip_model_guards_unsafe

        model, backend = from_gguf(path), _COMPILERS[contender]
        options = {"guard_filter_fn": skip_model_guards_unsafe} if contender == FIXED else None
        model.forward = torch.compile(model.forward, backend=backend, dynamic=True, options=options)
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


def _torch(contender: str, size: str, path: Path, threads: int) -> Steps:
    import torch
    from transformers import DynamicCache

    torch.set_num_threads(threads)
    model = _torch_model(contender, size, path)
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

    of_parameters = sum(p.nbytes for p in model.parameters())
    return Steps(step, forget, path.stat().st_size if contender in ON_FILE else of_parameters)


def _airllm(path: Path) -> Steps:
    from airllm import AutoModel
    from airllm.generation import Sampling
    from benchmarks.decode_steps import measure_parts

    model = AutoModel.from_pretrained(path)
    cache, sampler = model.new_cache(_POSITIONS), model.new_sampler(Sampling())

    def step(tokens: np.ndarray) -> int:
        return model.choose(tokens, cache, sampler)

    def parts(prompt: np.ndarray) -> Parts:
        return measure_parts(model, prompt, TOKENS)

    return Steps(step, lambda: cache.truncate(0), model.weight_bytes, parts)


def _llama_cpp(path: Path, threads: int) -> Steps:
    import llama_cpp as lib

    quiet = lib.llama_log_callback(lambda *said: None)
    lib.llama_log_set(quiet, None)
    lib.llama_backend_init()
    model = lib.llama_model_load_from_file(str(path).encode(), lib.llama_model_default_params())
    settings = lib.llama_context_default_params()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = _POSITIONS
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

    return Steps(step, forget, path.stat().st_size)


class Contender:
    """What a process of this module answers with: see the methods, whose names are asked for."""

    def __init__(self, contender: str, size: str, path: Path, threads: int) -> None:
        _import(contender)
        self.prompt = np.random.default_rng(0).integers(3, _VOCABULARY, PROMPT)
        before, self.graphs = _resident() - _resident_code(), _graphs()
        self.steps = open_steps(contender, size, path, threads)
        begun = time.perf_counter()
        self.turn()  # compiles
        self.first = time.perf_counter() - begun
        self.turn()  # grows what grows
        self.process = _resident()
        self.resident = self.process - _resident_code() - before

    def turn(self) -> dict[str, Any]:
        """Seconds of a prompt, and of each token after it."""
        step, forget, *_ = self.steps
        forget()
        clock = time.perf_counter
        begun = clock()
        token = step(self.prompt)
        prompt, tokens = clock() - begun, []
        for _ in range(TOKENS):
            begun = clock()
            token = step(np.array([token]))
            tokens.append(clock() - begun)
        return {"prompt": prompt, "tokens": tokens}

    def parts(self) -> tuple[float, float] | None:
        """Seconds of a token in attention, and in what is neither that nor a product."""
        return None if self.steps.parts is None else self.steps.parts(self.prompt)

    def facts(self) -> dict[str, Any]:
        """Bytes of the matrices; those resident since the model is there, and all that are; graphs
        compiled; seconds of the first turn."""
        return {
            "nbytes": self.steps.nbytes,
            "resident": self.resident,
            "process": self.process,
            "graphs": _graphs() - self.graphs,
            "first": self.first,
        }


def _import(contender: str) -> None:
    """What is resident without any model: the modules, and what compiling anything at all loads."""
    if contender == "llama.cpp":
        import llama_cpp  # noqa: F401

        return
    import gguf  # noqa: F401

    if contender == "airllm":
        from airllm import AutoModel  # noqa: F401

        return
    import torch._dynamo
    from transformers import LlamaForCausalLM  # noqa: F401

    import gint.conductor  # noqa: F401

    if contender in _COMPILERS:
        torch.compile(_anything, backend=_COMPILERS[contender])(torch.ones(3))


def _anything(x: Any) -> Any:
    return x + 1


def _graphs() -> int:
    if "torch._dynamo" not in sys.modules:
        return 0
    import torch._dynamo.utils

    return int(torch._dynamo.utils.counters["stats"]["unique_graphs"])


def _resident() -> int:
    found = re.search(r"^VmRSS:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
    return int(found[1]) << 10 if found else 0


def _resident_code() -> int:
    """Of what is resident, that of shared libraries: pages of code come in as it runs."""
    found, is_code = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if re.match(r"[0-9a-f]+-[0-9a-f]+ ", line):
            is_code = ".so" in line.rpartition("/")[2]
        elif is_code and (rss := re.match(r"Rss:\s*(\d+) kB", line)):
            found += int(rss[1]) << 10
    return found


def write(result: str, _: str, size: str, weights: str, path: str) -> None:
    """Write the file that contenders read, as `run_child` asks for it."""
    from benchmarks.gguf_file import write_gguf

    write_gguf(build(size), Path(path), weights)
    Path(result).write_text(json.dumps(Path(path).stat().st_size), encoding="utf-8")


def main(contender: str, size: str, path: str, threads: str) -> None:
    """As a Companion: answers with what the named method returns."""
    made = Contender(contender, size, Path(path), int(threads))
    answer(lambda method: getattr(made, method)())


if __name__ == "__main__":
    (write if "write" in sys.argv[2:3] else main)(*sys.argv[1:])
