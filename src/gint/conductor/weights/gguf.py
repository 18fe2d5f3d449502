"""A transformers model whose matrices are the blocks of a GGUF file.

What is in a file is transformers' and gguf's to say: the configuration, which tensor is which
parameter, and which rows llama.cpp keeps in another order. Rows are moved as blocks, so nothing is
dequantised but what is no matrix: norms and biases.

Knows modules and files. Does not know graphs.
"""

from __future__ import annotations

import math
import mmap
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from gint.host import memory
from gint.quantized import FORMATS, QuantizedFormat, QuantizedProducts, QuantizedWeights

from .matrix import QuantizedMatrix
from .model import bar, cpu_products
from .modules import is_quantizable, put_in_place

if TYPE_CHECKING:
    from gint.quantized.gguf_reader import Reader

_FORMATS = {f.gguf_name: f for f in FORMATS}
#: transformers' classes that leave matrices alone or move whole rows, which blocks can follow.
_BY_ROWS = ("TensorProcessor", "LlamaTensorProcessor", "Gemma2TensorProcessor")


def from_gguf(
    path: str | PathLike[str],
    *,
    dtype: torch.dtype = torch.float32,
    quantize_activations: bool = True,
    progress: bool = False,
    backend: str | None = None,
    **settings: Any,
) -> nn.Module:
    """The transformers model of a GGUF file, for inference, its matrices in the file's blocks.

    dtype     of the activations, norms and biases
    settings  for the model's configuration, over what the file says: attn_implementation ...
    The others are those of `quantize`.

    Matrices are packed for products, in as many bytes as they have in the file; embeddings are read
    from the file, which stays mapped. Float tensors become parameters of `dtype`. The model runs in
    eager torch and compiled; it is compiled without the option `weights`.

    Raises FileNotFoundError; ImportError without transformers and gguf; ValueError for a file that
    is no GGUF or not whole, a family whose tensors are more than moved rows, a type of blocks there
    is no format for, and a tensor that is missing.
    """
    from transformers.modeling_gguf_pytorch_utils import get_gguf_hf_weights_map

    path = Path(fspath(path))
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    with path.open("rb") as file:
        if file.read(4) != b"GGUF":
            raise ValueError(f"{path} is no GGUF file: it does not begin with 'GGUF'.")
    reader, model, processor, family = _empty_model(path, dtype, settings)
    loading = _Loading(path, model, cpu_products(backend), quantize_activations, reader.data)
    names = get_gguf_hf_weights_map(_Names(model), processor, family)
    with bar(progress, sum(t.n_bytes for t in reader.tensors)) as step:
        for tensor in reader.tensors:
            if tensor.name in names:
                loading.load(tensor, names[tensor.name], processor)
            step(tensor.name, tensor.n_bytes)
    loading.finish()
    return model.requires_grad_(False).eval()


def _empty_model(path: Path, dtype: torch.dtype, settings: dict[str, Any]) -> tuple[Any, ...]:
    """The file, its model without memory for parameters, what changes its tensors, its family."""
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers import modeling_gguf_pytorch_utils as conventions

    from gint.quantized.gguf_reader import Reader

    try:
        reader = Reader(str(path))
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no whole GGUF file: {error}. Fetch it again.") from error
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        parsed = conventions.load_gguf_checkpoint(_metadata(reader, Path(folder)))
    config = AutoConfig.for_model(**parsed["config"] | _ends(reader, parsed["config"]) | settings)
    family = reader.fields["general.architecture"].contents()
    made = conventions.TENSOR_PROCESSORS.get(family, conventions.TensorProcessor)
    if made.__name__ not in _BY_ROWS:
        raise ValueError(
            f"{path} holds a model of the family {family!r}, whose matrices transformers changes "
            "by more than moving rows; blocks cannot follow that."
        )
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    for module in model.modules():
        held = {name: b for name, b in module._buffers.items() if b is not None and b.is_meta}
        for name, buffer in held.items():
            module._buffers[name] = torch.empty_like(buffer, device="cpu")
        if held:
            model._init_weights(module)
    return reader, model, made(config=parsed["config"]), family


class _Names:
    """A module as transformers asks for its parameters' names, and its children without theirs.

    transformers asks every module below for what its names would be, and has gguf make the table of
    all layers' names for each: 10 s of 32 layers. The families here have their names from the top.
    """

    def __init__(self, module: nn.Module, is_top: bool = True) -> None:
        self.config, self.state_dict = getattr(module, "config", None), module.state_dict
        self._below = module.named_children() if is_top else ()

    def named_children(self) -> list[tuple[str, _Names]]:
        return [(name, _Names(child, is_top=False)) for name, child in self._below]


def _metadata(reader: Reader, folder: Path) -> str:
    """A file of what transformers reads a configuration from: it asks gguf for every text of the
    vocabulary, and takes no more of them than their number."""
    from gguf import GGUFWriter

    path = folder / "metadata.gguf"
    writer = GGUFWriter(path, reader.fields["general.architecture"].contents())
    left_out = ("GGUF.", "tokenizer.", "general.architecture", "general.alignment")
    for name, field in reader.fields.items():
        if field.data and not name.startswith(left_out):
            writer.add_key_value(name, field.contents(), field.types[0], field.types[-1])
    tokens = reader.length_of("tokenizer.ggml.tokens")
    if tokens is not None and f"{writer.arch}.vocab_size" not in reader.fields:
        writer.add_vocab_size(tokens)
    for tensor in reader.tensors:  # their names say what a model has
        writer.add_tensor(tensor.name, np.zeros(1, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


def _ends(reader: Reader, config: dict[str, Any]) -> dict[str, Any]:
    """The tokens that begin, end and pad a text, where the file says them: transformers leaves
    those to its tokenizer, and a model would generate beyond the end. Some files name one that the
    model has no row for."""
    known = config.get("vocab_size", math.inf)
    found = {
        end: token
        for end in ("bos", "eos", "eot", "padding")
        if (name := f"tokenizer.ggml.{end}_token_id") in reader.fields
        and (token := reader.fields[name].contents()) < known
    }
    ends = list(dict.fromkeys(found[end] for end in ("eos", "eot") if end in found))
    said = {
        "bos_token_id": found.get("bos"),
        "eos_token_id": ends if len(ends) > 1 else next(iter(ends), None),
        "pad_token_id": found.get("padding"),
    }
    return {name: token for name, token in said.items() if token is not None}


class _Loading:
    """Fills a model without memory, tensor by tensor."""

    def __init__(
        self,
        path: Path,
        model: Any,
        products: QuantizedProducts,
        quantize_activations: bool,
        mapped: np.memmap,
    ) -> None:
        self.path, self.model, self.products = path, model, products
        self.quantize_activations, self.mapped = quantize_activations, mapped
        self.matrices: dict[str, QuantizedMatrix] = {}

    def load(self, tensor: Any, name: str, processor: Any) -> None:
        """Take the tensor as the parameter of that name."""
        module_name, _, kind = name.rpartition(".")
        module = self.model.get_submodule(module_name)
        chosen = _FORMATS.get(tensor.tensor_type.name)
        if chosen is not None and kind == "weight" and is_quantizable(module):
            self.matrices[module_name] = self._matrix(tensor, name, chosen, processor)
            return
        values = self._values(tensor, processor)
        setattr(module, kind, nn.Parameter(values.to(module._parameters[kind].dtype)))

    def _matrix(
        self, tensor: Any, name: str, chosen: QuantizedFormat, processor: Any
    ) -> QuantizedMatrix:
        inputs, outputs = (int(n) for n in tensor.shape)
        blocks = tensor.data.reshape(outputs, chosen.row_bytes(inputs))
        moved = np.ascontiguousarray(processor.process(blocks, tensor.name).weights)
        return QuantizedMatrix(
            name, QuantizedWeights(moved, (outputs, inputs), chosen), self.products
        )

    def _values(self, tensor: Any, processor: Any) -> torch.Tensor:
        from gguf import dequantize

        try:
            values = dequantize(tensor.data, tensor.tensor_type)
        except NotImplementedError:
            raise ValueError(
                f"{self.path}: the tensor {tensor.name!r} is of the type "
                f"{tensor.tensor_type.name}, which neither gint nor the package gguf can read."
            ) from None
        return torch.from_numpy(np.array(processor.process(values, tensor.name).weights))

    def finish(self) -> None:
        """Put the matrices in their places, embeddings first, whose bytes stay the file's."""
        model = self.model
        names = {id(m): name for name, m in model.named_modules(remove_duplicate=False)}
        inner, outer = model.get_input_embeddings(), model.get_output_embeddings()
        if model.config.tie_word_embeddings and names[id(inner)] in self.matrices:
            self.matrices.setdefault(names[id(outer)], self.matrices[names[id(inner)]])
        elif model.config.tie_word_embeddings:
            outer.weight = inner.weight
        linear = [n for n in self.matrices if not isinstance(model.get_submodule(n), nn.Embedding)]
        for name in [*(self.matrices.keys() - set(linear)), *linear]:
            put_in_place(model, name, self.matrices[name], self.quantize_activations)
            _let_go(self.mapped)
        memory.trim()
        missing = [name for name, p in model.named_parameters() if p.is_meta]
        if missing:
            raise ValueError(f"{self.path} has no tensor for {', '.join(missing[:4])}.")


def _let_go(mapped: np.memmap) -> None:
    """Have the pages of a file that were read count no longer as ours; whoever reads them again
    finds them in the system's cache. Packed weights are a copy."""
    if hasattr(mmap, "MADV_DONTNEED"):
        mapped._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
