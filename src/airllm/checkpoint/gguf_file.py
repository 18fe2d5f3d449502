"""A GGUF file: its metadata as an architecture, its tensors by rows.

Metadata and places of tensors are read by the package `gguf`, which maps the file for as long as
that takes; tensors are read where they are. Names and what the architectures mean are those of
llama.cpp's converter. Does not know what weights are used for.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .architecture import FAMILIES, Architecture, Rope
from .files import FileTensor, OpenFile, check_end
from .tensors import CheckpointError, StoredTensor, check_tensor, shapes, stored_name

_FAMILIES = {facts.gguf: name for name, facts in FAMILIES.items() if facts.gguf}
#: Architectures whose converter stores queries' and keys' rows for pairs (2i, 2i + 1).
_INTERLEAVED = ("llama",)
_ACTIVATIONS = {"gemma": "gelu"}


class GGUFFile:
    """What a file holds: `fields` by name, `tensors` by name. Raises CheckpointError."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            from gint.quantized.gguf_reader import Reader
        except ModuleNotFoundError as error:
            raise ImportError(
                f"Reading {path.name} needs the package gguf: pip install 'gint[llm]'."
            ) from error

        class WithoutTensors(Reader):
            """Looks at no tensor, so that one which the file breaks off in can be named."""

            def _build_tensors(self, start_offs: int, fields: list) -> None:
                self.found = [_tensor(f, start_offs, opened) for f in fields]

        opened = OpenFile(path)
        try:
            reader = WithoutTensors(path)
            single = {n: f for n, f in reader.fields.items() if reader.length_of(n) is None}
            self.fields = {name: field.contents() for name, field in single.items()}
            self.tensors = {t.name: t for t in reader.found}
        except (ValueError, IndexError, KeyError, OSError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"{path} is no sound GGUF file, or was cut short: {error}."
            ) from error
        check_end(list(self.tensors.values()))


def _tensor(field: Any, start: int, opened: OpenFile) -> FileTensor:
    from gguf import GGMLQuantizationType

    _, name, _, lengths, kind, offset = field.parts
    return FileTensor(
        bytes(name).decode("utf-8"),
        tuple(reversed(lengths.tolist())),
        GGMLQuantizationType(int(kind[0])).name.lower(),
        start + int(offset[0]),
        opened,
    )


class GGUFCheckpoint:
    """See Checkpoint."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = GGUFFile(path)
        self.architecture = architecture_of(self.file)
        found: dict[str, StoredTensor] = {}
        for role, shape in shapes(self.architecture).items():
            name = stored_name(role, 1)
            tensor = self.file.tensors.get(name)
            if tensor is None:
                raise CheckpointError(f"{path} has no tensor {name!r}, which its metadata ask for.")
            check_tensor(tensor, shape, "its metadata")
            found[role] = tensor
        self.tensors: Mapping[str, StoredTensor] = found

    @property
    def fingerprint(self) -> str:
        """The file's name, size and time."""
        stat = self.path.stat()
        return f"{self.path.resolve()} {stat.st_size} {stat.st_mtime_ns}"


class _Metadata:
    """An architecture's own fields. Raises CheckpointError for one that is missing."""

    def __init__(self, file: GGUFFile) -> None:
        self.file = file
        self.architecture = file.fields.get("general.architecture")

    def get(self, name: str, default: Any = None) -> Any:
        return self.file.fields.get(f"{self.architecture}.{name}", default)

    def __getitem__(self, name: str) -> Any:
        found = self.get(name)
        if found is None:
            raise CheckpointError(f"{self.file.path} has no field '{self.architecture}.{name}'.")
        return found


def architecture_of(file: GGUFFile) -> Architecture:
    """What a file's metadata say. Raises CheckpointError for a model that is not known."""
    said, tensors = _Metadata(file), file.tensors
    family = _FAMILIES.get(str(said.architecture))
    if family is None:
        raise CheckpointError(
            f"{file.path} holds a model of architecture {said.architecture!r}; known are "
            f"{', '.join(_FAMILIES)}."
        )
    facts = FAMILIES[family]
    embedding = tensors.get(stored_name("embedding", 1))
    if embedding is None:
        raise CheckpointError(f"{file.path} has no tensor {stored_name('embedding', 1)!r}.")
    hidden, heads = said["embedding_length"], said["attention.head_count"]
    head_dim = said.get("attention.key_length", hidden // heads)
    return Architecture(
        family=family,
        layers=said["block_count"],
        hidden=hidden,
        intermediate=said["feed_forward_length"],
        heads=heads,
        kv_heads=said.get("attention.head_count_kv", heads),
        head_dim=head_dim,
        vocabulary=embedding.shape[0],
        context=said["context_length"],
        norm_eps=float(said["attention.layer_norm_rms_epsilon"]),
        activation=_ACTIVATIONS.get(family, "silu"),
        rope=_rope(said, head_dim),
        window=None if facts.window_switch != "" else said.get("attention.sliding_window"),
        tied=stored_name("output", 1) not in tensors,
        qkv_bias=stored_name("0.q_bias", 1) in tensors,
        output_bias=stored_name("0.o_bias", 1) in tensors,
        feed_forward_bias=stored_name("0.down_bias", 1) in tensors,
        norm_offset=0.0,  # the converter has added it
        embedding_scale=hidden**0.5 if facts.scaled_embeddings else 1.0,
        dtype=None,
        end_tokens=_end_tokens(file),
    )


def _end_tokens(file: GGUFFile) -> tuple[int, ...]:
    named = (file.fields.get(f"tokenizer.ggml.{end}_token_id") for end in ("eos", "eot"))
    return tuple(dict.fromkeys(t for t in named if t is not None))


def _rope(said: _Metadata, head_dim: int) -> Rope:
    kind = said.get("rope.scaling.type", "none")
    if kind not in ("none", "linear") or "rope_factors_long.weight" in said.file.tensors:
        raise CheckpointError(
            f"{said.file.path} asks for rotary positions of type {kind!r}; none and linear are "
            f"known, and factors in 'rope_freqs.weight'."
        )
    divisors: tuple[float, ...] = (1.0,)
    if kind == "linear":
        divisors = (float(said["rope.scaling.factor"]),)
    elif (factors := said.file.tensors.get("rope_freqs.weight")) is not None:
        divisors = tuple(factors.read(0, factors.shape[0]).tolist())
    return Rope(
        said.get("rope.dimension_count", head_dim), float(said.get("rope.freq_base", 1e4)),
        divisors=divisors, interleaved=said.architecture in _INTERLEAVED,
    )  # fmt: skip
