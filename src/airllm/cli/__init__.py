"""The command line: `airllm chat | bench`.

    chat.py          a conversation in the terminal
    conversation.py  turns of it, in one cache
    tokenizers.py    the tokenizer beside a model
    bench.py         tokens per second
    options.py       what both may be told about a model

Knows which module does each command, and imports it only then. Does not know what they do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from airllm.checkpoint import CheckpointError
from gint import __version__
from gint.host.configuration import ConfigurationError

#: command -> (module with add_options(parser) and main(options), help)
_COMMANDS = {
    "chat": ("airllm.cli.chat", "talk to a model, or have it go on with a text"),
    "bench": ("airllm.cli.bench", "tokens per second of a model, for a prompt and one by one"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (2: the command could not be carried out)."""
    parser = argparse.ArgumentParser(
        prog="airllm", description="Language models on the backend that is configured."
    )
    parser.add_argument("--version", action="version", version=f"airllm of gint {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    try:
        for name, (module, text) in _COMMANDS.items():
            import_module(module).add_options(commands.add_parser(name, help=text))
        options = parser.parse_args(arguments)
        if options.command is None:
            parser.print_help()
            return 0
        return import_module(_COMMANDS[options.command][0]).main(options)
    except (CheckpointError, ConfigurationError, ImportError, ValueError) as error:
        return _fail(str(error))
    except BrokenPipeError:  # the reader has seen enough
        sys.stdout = None  # nothing is left to flush at exit
        return 0
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except MemoryError:
        return _fail("there is not enough memory for the model. Pass --memory, for example 4G.")
    except KeyboardInterrupt:
        print("airllm: interrupted", file=sys.stderr)
        return 130


def _fail(sentence: str) -> int:
    print(f"airllm: {sentence}", file=sys.stderr)
    return 2
