"""The commands of `python setup.py` and `python -m airllm.cpp_ext`: which there are, and errors.

Knows the options, and which module does each command; imports it only then. Standard library only.
"""

from __future__ import annotations

import argparse
import errno
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from airllm.commands import CommandError
from gint.backend import registry
from gint.host.configuration import AUTO, ConfigurationError

#: Command -> (module and function that does it, help).
_COMMANDS = {
    "configure_backend": ("configure:run", "show or change the backend configuration"),
    "build_ext": ("building:build_ext", "build the C++ interpreter, for the backend cpp"),
    "build_cuda": ("building:build_cuda", "build the CUDA interpreter (needs nvcc, not a GPU)"),
    "build_opencl": ("building:build_opencl", "build the interpreter for the OpenCL device here"),
    "test_capabilities": ("capabilities:run", "what this machine has: compilers and devices"),
}


class _Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors are one line, with the usage at its end."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, " ".join(f"{self.prog}: {message} ({self.format_usage()}".split()) + ")\n")


def main(arguments: Sequence[str], program: str) -> int:
    """Run one command, called as `program`; the exit status.

    0 done, 1 something it needs is missing or failed, 2 the command makes no sense or the
    configuration cannot be used.
    """
    try:
        try:
            _run(arguments, program)
        finally:
            if sys.stdout is not None:
                sys.stdout.flush()  # while what goes wrong with it can be said
    except CommandError as error:
        return _fail(program, error, 1)
    except ConfigurationError as error:
        return _fail(program, error, 2)
    except ModuleNotFoundError as error:
        name = error.name or str(error)
        return _fail(program, f"this needs {name}: pip install {name.partition('.')[0]}.", 1)
    except BrokenPipeError:  # the reader has seen enough
        sys.stdout = None  # nothing is left to flush at exit
    except OSError as error:
        if error.errno == errno.ENOSPC:
            sys.stdout = None  # what is left cannot be written at exit either
        where = f": {error.filename}" if error.filename else ""
        return _fail(program, f"{error.strerror or error}{where}", 1)
    except KeyboardInterrupt:
        return _fail(program, "interrupted", 130)
    return 0


def _run(arguments: Sequence[str], program: str) -> None:
    parser = _parser(program)
    options, unknown = parser.parse_known_args(arguments)
    if unknown:
        options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    if options.command is None:
        parser.print_help()
        return
    module, function = _COMMANDS[options.command][0].split(":")
    getattr(import_module(f"{__package__}.{module}"), function)(options)


def _parser(program: str) -> _Parser:
    parser = _Parser(
        prog=program,
        allow_abbrev=False,
        description="Configure, build and check the backends of airllm.tensor_ops.",
    )
    parser.set_defaults(parser=parser)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    added = {
        name: commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        for name, (_, text) in _COMMANDS.items()
    }
    for command in added.values():
        command.set_defaults(parser=command)  # whose usage the errors show
    _add_configure_options(added["configure_backend"])
    added["build_ext"].add_argument(
        "--inplace", action="store_true", required=True, help="into the checkout: the only way"
    )
    return parser


def _add_configure_options(command: argparse.ArgumentParser) -> None:
    known = registry.names()
    command.add_argument(
        "--show", action="store_true", help="print the configuration (also without any option)"
    )
    command.add_argument(
        "--backend",
        metavar="NAME",
        help=f"the backend to prefer: {', '.join([AUTO, *known])}; undoes an earlier --force",
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="with --backend=NAME: fail where it is not usable, instead of falling back",
    )
    command.add_argument(
        "--priority",
        metavar="A,B,...",
        help=f"the backends to try, in order; by default {','.join(known)}",
    )


def _fail(program: str, error: object, status: int) -> int:
    print(f"{program}: {error}", file=sys.stderr)
    return status
