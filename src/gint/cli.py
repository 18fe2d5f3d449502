"""The command line: `gint info | demo | bench | explain | export | run`.

Knows which module does each command, and imports it only then. Does not know what they do.
"""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from gint import __version__
from gint.host.configuration import ConfigurationError

# command -> (module with main(arguments) -> int or None, help)
_COMMANDS = {
    "info": ("gint.info", "backends, why each is or is not usable, instruction sets, threads"),
    "demo": ("gint.demo", "compile a small transformer with every backend at hand and compare"),
    "explain": ("gint.conductor.explain_cli", "what gint makes of a function or holds in a file"),
    "export": ("gint.conductor.export_cli", "save a function for gint.load and `gint run`"),
    "run": ("gint.runtime.run_cli", "call a saved function with arrays from files"),
    "bench": ("benchmarks", "the benchmarks (from a checkout)"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (2: the command could not be carried out)."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.command is None:
        parser.print_help()
        return 0
    try:
        if options.command == "bench":
            return _bench(options.rest)
        return import_module(_module(options.command, options.rest)).main(options.rest) or 0
    except ModuleNotFoundError as error:
        return _fail(_missing(options.command, error))
    except (ImportError, ConfigurationError) as error:  # what is configured cannot be had
        return _fail(str(error))
    except BrokenPipeError:  # the reader has seen enough (`gint info | head`)
        sys.stdout = None  # nothing is left to flush at exit
        return 0
    except OSError as error:
        return _fail(f"{error.strerror or error}{f': {error.filename}' if error.filename else ''}")
    except KeyboardInterrupt:
        print("gint: interrupted", file=sys.stderr)
        return 130


def _module(command: str, rest: Sequence[str]) -> str:
    """The module of a command; a saved function is explained without torch."""
    if command == "explain" and any(argument.endswith(".gint") for argument in rest):
        return "gint.runtime.explain_cli"
    return _COMMANDS[command][0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gint", description="A bytecode interpreter for tensor programs."
    )
    parser.add_argument("--version", action="version", version=f"gint {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    for name, (_, text) in _COMMANDS.items():
        # Each command parses its own options, --help included.
        command = commands.add_parser(name, help=text, add_help=False, prefix_chars="\0")
        command.add_argument("rest", nargs=argparse.REMAINDER)
    return parser


def _bench(arguments: Sequence[str]) -> int:
    root = Path(__file__).resolve().parents[2]
    if not (root / "benchmarks" / "__main__.py").is_file():
        return _fail(
            "the benchmarks are not part of the installed package.\n"
            "Clone the repository and run `make bench` there."
        )
    sys.path.insert(0, str(root))
    sys.argv = ["gint bench", *arguments]
    try:
        runpy.run_module("benchmarks", run_name="__main__", alter_sys=False)
    except SystemExit as stop:
        if isinstance(stop.code, str):  # as Python itself would
            print(stop.code, file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def _missing(command: str, error: ModuleNotFoundError) -> str:
    module = (error.name or "").partition(".")[0]
    if module in ("gint", "benchmarks"):
        return f"`gint {command}` is not in this version ({error.name} is missing)."
    extra = {"torch": "torch"}.get(module, "bench")
    return f"`gint {command}` needs {module}.\nInstall it with `pip install 'gint[{extra}]'`."


def _fail(sentence: str) -> int:
    print(f"gint: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
