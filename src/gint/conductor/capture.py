"""Calling torch.export on a user's function, and saying in words why that cannot be done.

Knows torch.export and where a user's own lines are found. Does not know plans.
"""

from __future__ import annotations

import inspect
import logging
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from functools import wraps
from io import StringIO
from pathlib import Path
from threading import get_ident
from types import FunctionType
from typing import Any

import torch
from torch import fx
from torch.export import ExportedProgram

_OURS = (str(Path(torch.__file__).parent), str(Path(__file__).parents[1]))
_STDLIB = sysconfig.get_path("stdlib")
#: A frame of a node's trace, and its file.
_FRAME = re.compile(r'( *File "([^"]*)".*(?:\n(?! *File ).*)?)')
_PLAIN = (bool, int, float, str, bytes, type(None), list, dict, set, tuple)


class ExportError(ValueError):
    """A function that cannot be saved; the message says what of it, and where that is written."""


def captured(
    model: Callable[..., Any], args: tuple, kwargs: dict[str, Any], dynamic_shapes: Any
) -> ExportedProgram:
    """What torch.export makes of a module or function. Raises ExportError."""
    if not callable(model):
        raise TypeError(
            f"What is saved is a module, a function or what torch.export made: {model!r}."
        )
    module = model if isinstance(model, torch.nn.Module) else _Function(model)
    _take_caches_apart()
    changed: list[tuple[torch.nn.Module, str]] = []
    with _watched(module, changed):
        exported = _exported(module, args, kwargs, dynamic_shapes)
    if _written_constant(exported) is not None:
        # A buffer that is held elsewhere too, as caches are, is known to Dynamo as one.
        exported = _exported(module, args, kwargs, dynamic_shapes, strict=True)
    if (node := _written_constant(exported)) is not None:
        raise ExportError(
            "A call writes into a tensor that is neither an argument nor a buffer: make it a "
            f"buffer of its module.{where_written(node)}"
        )
    for part, name in changed:
        raise ExportError(
            f"A call changes {name!r} of {type(part).__name__}, Python state that no file keeps: "
            f"make it a buffer, or return it.{_line_with(part, name)}"
        )
    return exported


def _take_caches_apart() -> None:
    """Have torch see a cache of transformers' as the tensors in it, as transformers itself has it
    for torch.export. Nothing to do where nobody has one."""
    if "transformers.cache_utils" not in sys.modules:
        return
    try:
        from transformers.integrations.executorch import register_dynamic_cache_export_support
    except ImportError:  # an older one, whose caches are left to torch
        return
    register_dynamic_cache_export_support()


def _exported(
    module: torch.nn.Module, args: tuple, kwargs: dict[str, Any], shapes: Any, strict: bool = False
) -> ExportedProgram:
    try:
        with _unprinted_graph(), _unlogged_failure(), torch.no_grad():
            return torch.export.export(module, args, kwargs, dynamic_shapes=shapes, strict=strict)
    except Exception as error:  # whatever the user's own code and torch's tracing raise
        raise ExportError(f"{_why(error)}{_line_of(error)}") from error


@contextmanager
def _unprinted_graph() -> Iterator[None]:
    """Print what is said on stderr, but for the graph that torch has traced until it fails, which
    may be thousands of lines."""
    said, graph = StringIO(), None
    try:
        with redirect_stderr(said):
            yield
    except Exception as error:
        graph = getattr(error, "partial_fx_graph", None)
        raise
    finally:
        text = said.getvalue()
        print(text if graph is None else text.replace(f"{graph}\n", ""), end="", file=sys.stderr)


@contextmanager
def _unlogged_failure() -> Iterator[None]:
    """Hold what torch logs as warnings and errors, in this thread, until tracing has succeeded: of
    a failure it says with a traceback what ExportError says in a sentence."""
    held: list[tuple[logging.Handler, logging.LogRecord]] = []
    loggers = [logging.root, *map(logging.getLogger, _torchs_loggers())]
    handlers = list(dict.fromkeys(h for logger in loggers for h in logger.handlers))
    thread = get_ident()

    def holding(handler: logging.Handler) -> Callable[[logging.LogRecord], bool]:
        def passes(record: logging.LogRecord) -> bool:
            is_its = record.thread == thread and record.name.partition(".")[0] == "torch"
            if not is_its or record.levelno < logging.WARNING:
                return True
            held.append((handler, record))
            return False

        return passes

    filters = [(handler, holding(handler)) for handler in handlers]
    for handler, keep in filters:
        handler.addFilter(keep)
    try:
        yield
    except Exception:
        held.clear()
        raise
    finally:
        for handler, keep in filters:
            handler.removeFilter(keep)
        for handler, record in held:
            handler.handle(record)


def _torchs_loggers() -> list[str]:
    return [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "torch"]


def _written_constant(exported: ExportedProgram) -> fx.Node | None:
    """A node that writes into a tensor which is no buffer, no parameter and no argument."""
    constants = exported.graph_signature.inputs_to_lifted_tensor_constants
    for node in exported.graph.nodes:
        is_operator = isinstance(node.target, torch._ops.OpOverload)
        writes = is_operator and node.target._schema.is_mutable
        if writes and isinstance(node.args[0], fx.Node) and node.args[0].name in constants:
            return node
    return None


def where_written(node: fx.Node | None) -> str:
    """The user's line that a node comes from, as the end of a message."""
    trace = (node.meta.get("stack_trace") or "") if node is not None else ""
    frames = [f for f in _FRAME.findall(trace) if not f[1].startswith("<")]
    own = [f for f in frames if not f[1].startswith(_OURS)] or frames
    if not own:
        return "" if node is None else f"\nIt is {node} of the graph."
    where, *line = own[-1][0].strip().splitlines()
    return "\n".join([f"\n{node}, written in", f"  {where}", *(f"    {x.strip()}" for x in line)])


@contextmanager
def _watched(module: torch.nn.Module, changed: list[tuple[torch.nn.Module, str]]) -> Iterator[None]:
    """Note inside which plain values of modules calls change; torch puts them back afterwards."""
    own, forward = vars(module).get("forward"), module.forward

    @wraps(forward)
    def watching(*args: Any, **kwargs: Any) -> Any:
        before = dict(_state(module))
        result = forward(*args, **kwargs)
        changed.extend(where for where, shown in _state(module) if before.get(where) != shown)
        return result

    module.forward = watching
    try:
        yield
    finally:
        del module.forward
        if own is not None:
            module.forward = own


class _Function(torch.nn.Module):
    """A function as a module, which torch.export wants."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.forward = _named_forward(function)


def _named_forward(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function by the name of those whose lines torch notes."""
    if not isinstance(function, FunctionType):
        return function
    code = function.__code__.replace(co_name="forward")
    own = (function.__globals__, function.__name__, function.__defaults__, function.__closure__)
    made = FunctionType(code, *own)
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def _state(module: torch.nn.Module) -> Iterator[tuple[tuple[torch.nn.Module, str], Any]]:
    """The plain Python values that modules hold, and how many items the lists among them have."""
    for part in module.modules():
        for name, value in vars(part).items():
            if not name.startswith("_") and isinstance(value, _PLAIN):
                if isinstance(value, (list, dict, set)):
                    yield (part, name), len(value)
                else:
                    yield (part, name), repr(value)


def _why(error: Exception) -> str:
    first, *more = str(error).strip().splitlines() or [""]
    if first.startswith("Constraints violated"):  # torch says below which, and why
        reasons = [line.strip().removeprefix("- ") for line in more if line.lstrip()[:2] == "- "]
        return f"A size cannot be free. {' '.join(reasons) or first}"
    if "data-dependent" in first:
        return f"What it does depends on the values of tensors, which a plan cannot: {first}"
    return f"torch.export cannot trace it: {type(error).__name__}: {first}"


def _line_of(error: Exception) -> str:
    """The user's line that an error came through, as the end of a message."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not f.filename.startswith((*_OURS, "<")) and not _is_python(f)]
    return (
        f'\n  File "{own[-1].filename}", line {own[-1].lineno}\n    {own[-1].line}' if own else ""
    )


def _is_python(frame: traceback.FrameSummary) -> bool:
    """Whether a frame is of the standard library."""
    is_package = "site-packages" in frame.filename or "dist-packages" in frame.filename
    return frame.filename.startswith(_STDLIB) and not is_package


def _line_with(module: torch.nn.Module, name: str) -> str:
    """The line of a module's forward function that names one of its attributes."""
    try:
        lines, first = inspect.getsourcelines(type(module).forward)
    except (OSError, TypeError):
        return ""
    for n, line in enumerate(lines):
        if f"self.{name}" in line:
            where = inspect.getsourcefile(type(module))
            return f'\n  File "{where}", line {first + n}\n    {line.strip()}'
    return ""
