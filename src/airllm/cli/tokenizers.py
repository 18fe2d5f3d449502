"""The tokenizer that lies beside a model.

Read by the package `transformers` where it is installed, which knows how a model wants its turns
marked, else by `tokenizers`, which does not. Does not know models.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

_FILE = "tokenizer.json"
Message = dict[str, str]


class Tokenizer(Protocol):
    """Text to tokens and back."""

    end_tokens: tuple[int, ...]
    #: Whether it knows how turns are marked.
    marks_turns: bool

    def encode(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation {"role", "content"} up to where the next answer begins;
        without marks, of its texts one after the other."""

    def decode(self, tokens: list[int]) -> str:
        """Their text, without those that mark turns."""


def tokenizer_of(model: Path) -> Tokenizer:
    """The tokenizer beside a model's folder or file. Raises ValueError, ImportError."""
    if not model.exists():
        raise ValueError(f"{model}: there is no such file or folder.")
    folder, is_file = (model, False) if model.is_dir() else (model.parent, True)
    file = folder / _FILE
    if find_spec("transformers") is not None:
        named = {"gguf_file": model.name} if is_file and not file.exists() else {}
        if named or file.exists():
            try:
                return _ByTransformers(folder, named)
            except (ValueError, LookupError, TypeError, OSError) as error:
                broken, said = model if named else file, str(error).rstrip(".")
                raise ValueError(
                    f"{broken} has no tokenizer that transformers can read: {said}. Look whether "
                    f"the file is whole, or put the model's {_FILE} beside it."
                ) from error
    if not file.exists():
        raise ValueError(
            f"{folder} has no {_FILE}; copy the model's there"
            + (", or install transformers, which reads that of a GGUF file." if is_file else ".")
        )
    if find_spec("tokenizers") is None:
        raise ImportError(f"Reading {file} needs the package tokenizers: pip install 'gint[llm]'.")
    return _ByTokenizers(file)


class _ByTransformers:
    def __init__(self, folder: Path, named: dict[str, str]) -> None:
        from transformers import AutoTokenizer

        self._inner: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, **named)
        self.marks_turns = bool(getattr(self._inner, "chat_template", None))
        end = self._inner.eos_token_id
        self.end_tokens: tuple[int, ...] = () if end is None else (end,)

    def encode(self, messages: Sequence[Message]) -> list[int]:
        if not self.marks_turns:
            return list(self._inner("".join(m["content"] for m in messages))["input_ids"])
        made = self._inner.apply_chat_template(
            list(messages), add_generation_prompt=True, tokenize=False
        )
        return list(self._inner(made, add_special_tokens=False)["input_ids"])

    def decode(self, tokens: list[int]) -> str:
        return self._inner.decode(
            tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
        )


class _ByTokenizers:
    marks_turns = False
    end_tokens: tuple[int, ...] = ()

    def __init__(self, file: Path) -> None:
        from tokenizers import Tokenizer as Inner

        self._inner: Any = Inner.from_file(str(file))

    def encode(self, messages: Sequence[Message]) -> list[int]:
        return self._inner.encode("".join(m["content"] for m in messages)).ids

    def decode(self, tokens: list[int]) -> str:
        return self._inner.decode(tokens, skip_special_tokens=True)
