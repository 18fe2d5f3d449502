"""Models on GGUF files, against float models of the values that the blocks stand for."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
gguf = pytest.importorskip("gguf")

from transformers import modeling_gguf_pytorch_utils as conventions

from airllm import AutoModel
from benchmarks.gguf_file import ARCHITECTURES, write_gguf
from gint.conductor import from_gguf, statistics
from gint.conductor.weights.gguf import _Names
from gint.quantized import FORMATS
from tests.conductor.weights.tiny_models import dequantized, ids, relative, tiny

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]

#: Family -> settings: what GGUF does not say is transformers' default there.
FAMILIES = {
    "Llama": {}, "Mistral": {"sliding_window": None}, "Qwen2": {"tie_word_embeddings": True},
    "Qwen3": {"head_dim": 128}, "Phi3": {}, "Gemma2": {"head_dim": 64, "sliding_window": 8},
    "Gemma3": {"head_dim": 64},
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_families(family, tmp_path):
    settings = FAMILIES[family] | {"num_hidden_layers": 1}
    source, tokens = tiny(family, **settings), ids(2, 9)
    path = write_gguf(source, tmp_path / "model.gguf", "q8_0")
    model = from_gguf(path, quantize_activations=False, pad_token_id=0)
    wanted = dequantized(source, "q8_0")(tokens).logits
    torch.testing.assert_close(model(tokens).logits, wanted, rtol=1e-4, atol=1e-4)
    assert all(p.dim() == 1 or p.shape[0] == 96 for p in model.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_names_are_found_without_asking_each_module(family):
    source = tiny(family, **FAMILIES[family])
    kind = ARCHITECTURES[source.config.model_type]
    processor = conventions.TENSOR_PROCESSORS.get(kind, conventions.TensorProcessor)({})
    found, wanted = (
        conventions.get_gguf_hf_weights_map(asked, processor, kind)
        for asked in (_Names(source), source)
    )
    assert found.items() <= wanted.items()
    assert {name for name, _ in source.named_parameters()} <= set(found.values())


def test_compiled(tmp_path):
    source, tokens = tiny("Llama", tie_word_embeddings=True), ids(2, 9)
    path = write_gguf(source, tmp_path / "model.gguf", {"*.mlp.*": "q4_k", "*": "q6_k"})
    model = from_gguf(path, dtype=torch.bfloat16)
    found = torch.compile(model, backend="gint", options={"check": True})(tokens).logits
    wanted = dequantized(source, {"*.mlp.*": "q4_k", "*": "q6_k"})(tokens).logits
    assert found.dtype == torch.bfloat16
    assert relative(found, wanted) < 0.04
    assert {k: n for k, n in statistics()[-1].externs.items() if k.startswith("gint.")} == {
        "gint.quantized_embedding[q6_k]": 1, "gint.quantized_linear[q6_k]": 9,
        "gint.quantized_linear[q4_k]": 6,
    }  # fmt: skip


@pytest.mark.parametrize("name", [f.name for f in FORMATS])
def test_formats(name, tmp_path):
    source, tokens = tiny("Qwen2", num_hidden_layers=1), ids(1, 4)
    model = from_gguf(write_gguf(source, tmp_path / "m.gguf", name), quantize_activations=False)
    wanted = dequantized(source, name)(tokens).logits
    torch.testing.assert_close(model(tokens).logits, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", [f.name for f in FORMATS])
def test_activations_in_8_bits_move_logits_little(name, tmp_path):
    """By both doors. The largest of 32 normal values is some 2.2 deviations, so rounding to 1/127
    of it moves a product by 2.2 / 127 / 12**0.5, 0.5 %; 15 of them one after another by 2 %."""
    source, tokens = tiny("Llama", tie_word_embeddings=True), ids(1, 9)
    path = write_gguf(source, tmp_path / "m.gguf", name)
    wanted = dequantized(source, name)(tokens).logits
    assert 0 < relative(from_gguf(path)(tokens).logits, wanted) < 0.03
    found = AutoModel.from_pretrained(path)(tokens[0].numpy(), every=True)
    assert 0 < relative(torch.from_numpy(found)[None], wanted) < 0.03


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        from_gguf(tmp_path / "missing.gguf")
    (tmp_path / "text.gguf").write_text("no model")
    with pytest.raises(ValueError, match="is no GGUF file"):
        from_gguf(tmp_path / "text.gguf")
    with pytest.raises(TypeError):
        from_gguf(None)


def test_a_file_that_breaks_off(tmp_path):
    path = write_gguf(tiny("Llama", num_hidden_layers=1), tmp_path / "model.gguf", "q8_0")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"model\.gguf is no whole GGUF file: .*Fetch it again"):
        from_gguf(path)


def test_a_tensor_is_missing(tmp_path, monkeypatch):
    source = tiny("Llama", num_hidden_layers=1)
    del source.model.layers[0].mlp.down_proj
    path = write_gguf(source, tmp_path / "model.gguf", "q8_0")
    with pytest.raises(ValueError, match=r"has no tensor for model\.layers\.0\.mlp\.down_proj"):
        from_gguf(path)


@pytest.mark.parametrize("pad", [11, 96])
def test_a_vocabulary_in_the_file(pad, tmp_path):
    """It says how many tokens there are, and where texts end, and is held by nobody."""
    path, texts = tmp_path / "model.gguf", [f"token {i}" for i in range(96)]
    write_gguf(tiny("Llama", num_hidden_layers=1), path, "q8_0")
    reader, whole = gguf.GGUFReader(path), tmp_path / "whole.gguf"
    writer = gguf.GGUFWriter(whole, "llama")
    for name, field in reader.fields.items():
        if name.startswith("llama.") and name != "llama.vocab_size":
            writer.add_key_value(name, field.contents(), field.types[0])
    writer.add_token_list(texts)
    writer.add_bos_token_id(5)
    writer.add_eos_token_id(7)
    writer.add_eot_token_id(9)
    writer.add_pad_token_id(pad)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    model, tokens = from_gguf(whole), ids(1, 9)
    config = model.config
    assert config.vocab_size == 96
    assert (config.bos_token_id, config.eos_token_id) == (5, [7, 9])
    assert config.pad_token_id == (pad if pad < 96 else None)  # Llama's
    assert model.generation_config.eos_token_id == [7, 9]
    assert from_gguf(whole, eos_token_id=8).generation_config.eos_token_id == 8
    assert torch.equal(model(tokens).logits, from_gguf(path)(tokens).logits)
