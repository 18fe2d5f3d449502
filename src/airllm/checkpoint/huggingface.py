"""A folder with config.json and safetensors shards, as Hugging Face's `save_pretrained` writes it.

Knows the folder's layout and the names in config.json. Does not know what weights are used for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .architecture import FAMILIES, Architecture, Rope
from .files import FileTensor, check_end
from .safetensors_file import read_tensors
from .tensors import FLOATS, CheckpointError, StoredTensor, check_tensor, shapes, stored_name

_CONFIG = "config.json"
_GENERATION = "generation_config.json"
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"
_DTYPES = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_ACTIVATIONS = {"silu": "silu", "swish": "silu", "gelu_pytorch_tanh": "gelu"}


class HuggingFaceCheckpoint:
    """See Checkpoint."""

    def __init__(self, path: Path, dtype: str) -> None:
        self.path = path
        config = path / _CONFIG
        said, generation = read_json(config), path / _GENERATION
        if generation.exists():
            ends = read_json(generation).get("eos_token_id")
            said["eos_token_id"] = said.get("eos_token_id") if ends is None else ends
        self.architecture = architecture_of(said, config)
        shards = _shards(path)
        found = {
            role: (_find(shards, path, stored_name(role, 0)), shape)
            for role, shape in shapes(self.architecture).items()
        }
        wanted = self.architecture.dtype if dtype == "config" else None
        for tensor, shape in found.values():
            check_tensor(tensor, shape, _CONFIG)
            _check_type(tensor, wanted)
        check_end([tensor for tensor, _ in found.values()])
        self.tensors: Mapping[str, StoredTensor] = {role: t for role, (t, _) in found.items()}
        self._files = [config, *sorted({t.file for t in self.tensors.values()})]

    @property
    def fingerprint(self) -> str:
        """The files' names, sizes and times."""
        stats = [(f.resolve(), f.stat()) for f in self._files]
        return "\n".join(f"{f} {s.st_size} {s.st_mtime_ns}" for f, s in stats)


def read_json(file: Path) -> dict[str, Any]:
    """A file's JSON object. Raises CheckpointError."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing.") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}.") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{file} holds {type(found).__name__}; a JSON object is needed.")
    return found


def _shards(path: Path) -> dict[str, dict[str, FileTensor]]:
    """Tensor's name -> the tensors of the file that is said to hold it."""
    index = path / _INDEX
    if index.exists():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict):
            raise CheckpointError(f"{index} has no 'weight_map', from tensors to files.")
        opened = {name: _read_shard(path / name, named) for name in sorted(set(named.values()))}
        return {tensor: opened[file] for tensor, file in named.items()}
    if not (path / _SINGLE).exists():
        raise CheckpointError(f"{path} holds neither {_SINGLE} nor {_INDEX}.")
    tensors = read_tensors(path / _SINGLE)
    return dict.fromkeys(tensors, tensors)


def _read_shard(file: Path, named: Mapping[str, str]) -> dict[str, FileTensor]:
    if not file.exists():
        first = min(tensor for tensor, name in named.items() if name == file.name)
        raise CheckpointError(
            f"{file} is missing; {_INDEX} says that it holds tensor {first!r} and others."
        )
    return read_tensors(file)


def _find(shards: Mapping[str, dict[str, FileTensor]], path: Path, name: str) -> FileTensor:
    index = path / _INDEX
    shard = shards.get(name)
    if shard is None:
        where = index if index.exists() else path / _SINGLE
        raise CheckpointError(f"{where} has no tensor {name!r}, which {_CONFIG} asks for.")
    if name not in shard:
        file = next(iter(shard.values())).file if shard else path
        raise CheckpointError(f"{file} has no tensor {name!r}, which {_INDEX} says it has.")
    return shard[name]


def _check_type(tensor: StoredTensor, wanted: str | None) -> None:
    if tensor.kind not in FLOATS:
        raise CheckpointError(
            f"{tensor.file}: tensor {tensor.name!r} holds {tensor.kind}; "
            f"F32, F16 and BF16 are read."
        )
    if wanted is not None and len(tensor.shape) > 1 and tensor.kind != wanted:
        raise CheckpointError(
            f"{tensor.file}: tensor {tensor.name!r} holds {tensor.kind}; {_CONFIG} says {wanted}. "
            f"Where that is meant, pass dtype='stored'."
        )


def architecture_of(config: Mapping[str, Any], file: Path) -> Architecture:
    """What config.json says. Raises CheckpointError for a model that is not known."""
    family = config.get("model_type")
    if family not in FAMILIES:
        raise CheckpointError(
            f"{file} describes a model of type {family!r}; known are {', '.join(FAMILIES)}."
        )
    facts = FAMILIES[family]

    def number(name: str, default: int | None = None) -> int:
        value = config.get(name)
        value = default if value is None else value
        if not isinstance(value, int) or value < 1:
            raise CheckpointError(f"{file} says {name} is {value!r}; a positive integer is needed.")
        return value

    hidden, heads = number("hidden_size"), number("num_attention_heads")
    head_dim = number("head_dim", hidden // heads or None)
    activation = config.get("hidden_activation") or config.get("hidden_act", "silu")
    if activation not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        raise CheckpointError(f"{file} says hidden_act is {activation!r}; known are {known}.")
    context = number("max_position_embeddings")
    window = _window(config, facts.window_switch, context)
    if window and len(set(config.get("layer_types") or ["all"])) > 1:
        raise CheckpointError(f"{file} mixes layers with and without a sliding window.")
    kv_heads = number("num_key_value_heads", heads)
    if heads % kv_heads:
        raise CheckpointError(f"{file}: {heads} heads cannot share {kv_heads} keys and values.")
    bias = bool(config.get("attention_bias"))
    return Architecture(
        family=family,
        layers=number("num_hidden_layers"),
        hidden=hidden,
        intermediate=number("intermediate_size"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocabulary=number("vocab_size"),
        context=context,
        norm_eps=float(config.get("rms_norm_eps", 1e-6)),
        activation=_ACTIVATIONS[activation],
        rope=_rope(config, head_dim, file),
        window=window,
        tied=bool(config.get("tie_word_embeddings", facts.tied)),
        qkv_bias=facts.qkv_bias or bias,
        output_bias=bias,
        feed_forward_bias=bool(config.get("mlp_bias")),
        norm_offset=facts.norm_offset,
        embedding_scale=hidden**0.5 if facts.scaled_embeddings else 1.0,
        dtype=_DTYPES.get(str(config.get("dtype") or config.get("torch_dtype"))),
        end_tokens=_tokens(config.get("eos_token_id")),
    )


def _window(config: Mapping[str, Any], switch: str | None, context: int) -> int | None:
    if switch is None or (switch and not config.get(switch)):
        return None
    window = config.get("sliding_window")
    return window if window and window < context else None


def _tokens(found: Any) -> tuple[int, ...]:
    if found is None:
        return ()
    return tuple(found) if isinstance(found, list) else (found,)


def _rope(config: Mapping[str, Any], head_dim: int, file: Path) -> Rope:
    said = {**(config.get("rope_scaling") or {}), **(config.get("rope_parameters") or {})}
    theta = float(said.get("rope_theta", config.get("rope_theta", 10000.0)))
    share = said.get("partial_rotary_factor", config.get("partial_rotary_factor", 1.0))
    dims = int(head_dim * float(share))
    kind = said.get("rope_type", said.get("type", "default"))
    if kind == "default":
        return Rope(dims, theta)
    if kind == "linear":
        return Rope(dims, theta, divisors=(float(said["factor"]),))
    if kind == "llama3":
        return Rope(dims, theta, scaling=said)
    raise CheckpointError(
        f"{file} asks for rotary positions of type {kind!r}; known are default, linear and llama3."
    )
