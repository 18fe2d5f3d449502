"""`airllm chat`: a conversation in the terminal.

Knows turns and text. Does not know how a model computes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airllm.generation.sampling import Sampling
from airllm.generation.text import text_of

from .conversation import Conversation
from .options import add_model_options, open_model
from .tokenizers import Message, Tokenizer, tokenizer_of

_CONTEXT = 4096


def add_options(parser: argparse.ArgumentParser) -> None:
    """What `airllm chat` takes."""
    add_model_options(parser)
    parser.add_argument("--prompt", help="answer this alone, and end")
    parser.add_argument("--system", help="what the model is told first")
    parser.add_argument("--max-new-tokens", type=int, default=512, metavar="N")
    parser.add_argument(
        "--context", type=int, default=_CONTEXT, metavar="N",
        help=f"tokens that a conversation may have (default: {_CONTEXT}, or what the model knows)",
    )  # fmt: skip
    parser.add_argument("--stop", action="append", default=[], help="text that ends an answer")
    parser.add_argument("--temperature", type=float, default=0.7, help="0: the likeliest token")
    parser.add_argument("--top-k", type=int, metavar="K")
    parser.add_argument("--top-p", type=float, default=0.95, metavar="P")
    parser.add_argument("--repetition-penalty", type=float, default=1.0, metavar="X")
    parser.add_argument("--seed", type=int)


def main(options: argparse.Namespace) -> int:
    """Answer what is typed, line by line, until there is no more. Ctrl-C ends an answer."""
    names = ("temperature", "top_k", "top_p", "repetition_penalty", "seed")
    sampling = {name: getattr(options, name) for name in names}
    Sampling(**sampling)  # raises for what has no meaning, before anything is read
    tokenizer = tokenizer_of(Path(options.model).expanduser())
    model = open_model(options)
    capacity = min(options.context, model.architecture.context)
    conversation = Conversation(model, capacity)
    messages = [{"role": "system", "content": options.system}] if options.system else []
    for text in [options.prompt] if options.prompt is not None else _typed():
        messages.append({"role": "user", "content": text})
        said = _answer(conversation, tokenizer, messages, options, sampling, model.end_tokens)
        messages.append({"role": "assistant", "content": said})
    return 0


def _typed() -> Iterator[str]:
    """Lines of the standard input; on a terminal it is asked for them."""
    asked = sys.stdin.isatty()
    while True:
        try:
            line = input("> " if asked else "")
        except (EOFError, KeyboardInterrupt):
            if asked:
                print()
            return
        if line.strip():
            yield line


def _answer(
    conversation: Conversation, tokenizer: Tokenizer, messages: list[Message],
    options: argparse.Namespace, sampling: dict[str, Any], end_tokens: tuple[int, ...],
) -> str:  # fmt: skip
    """Print an answer as it comes; what was said of it."""
    ends = {*end_tokens, *tokenizer.end_tokens}
    tokens = conversation.answer(
        tokenizer.encode(messages), options.max_new_tokens, ends, **sampling
    )
    said = ""
    try:
        for piece in text_of(tokens, tokenizer.decode, options.stop):
            print(piece, end="", flush=True)
            said += piece
    except KeyboardInterrupt:
        if options.prompt is not None:
            raise
    print()
    return said
