"""A tokenizer whose tokens are bytes, as the file that lies beside a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

tokenizers = pytest.importorskip("tokenizers")

#: Tokens 0 to 2 are special, then come the bytes.
SPECIAL = ["<pad>", "<s>", "</s>"]
SIZE = len(SPECIAL) + 256
TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}:{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant:{% endif %}"
)


def write_tokenizer(folder: Path, template: str | None = None) -> None:
    """tokenizer.json, and with a template of turns the configuration that holds it."""
    symbols = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: n for n, text in enumerate([*SPECIAL, *symbols])}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, []))
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([tokenizers.AddedToken(text, special=True) for text in SPECIAL])
    made.save(str(folder / "tokenizer.json"))
    said = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>", "bos_token": "<s>"}
    if template:
        said["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(said))
