"""A saved function, loaded: call it with NumPy arrays or with torch tensors.

Knows how a call becomes the inputs of a plan, and what is checked of them. Does not know files, nor
how a plan was made.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from gint.backend.machine import ASKED_BYTES, need_memory
from gint.backend.protocol import Backend
from gint.host.launches import MOST_BOUND, load_kernel
from gint.host.memory import map_ahead
from gint.host.tensors import is_torch
from gint.plan import Call, Check, Define, Plan, Step, TensorType
from gint.plan.contents import symbols_in
from gint.plan.dtypes import ELEMENT_TYPES, span
from gint.plan.file import Opened, as_path, open_saved
from gint.plan.memory import Memory
from gint.plan.operators import names_of_operators
from gint.plan.signature import filled
from gint.plan.verifier import PlanError
from gint.program import VerificationError

from .overlaps import overlap_check
from .steps import Steps
from .values import Prepared, Values


def load(
    path: str | Path,
    *,
    backend: str | None = None,
    operators: Sequence[str] = (),
    check: bool = False,
) -> SavedFunction:
    """The function saved in the file at `path`.

    It is called as the one it was exported from, with NumPy arrays or with torch tensors; the
    results are of the same kind. With arrays torch is not needed. `backend` names the interpreter
    that runs its programs. `operators` names ATen operators ("aten.linalg_inv_ex.default") it may
    call beside those that every saved function may. `check` compares the weights with their
    checksums: programs and plan always are, weights only here, since that reads all of them.

    Raises TypeError for other arguments; FileNotFoundError; ValueError for a file that is no saved
    function of this version, has been altered or cut short, or whose weights are missing. For a
    backend that is not there the first call raises ValueError or ImportError.
    """
    if not isinstance(backend, (str, type(None))):
        raise TypeError(f"backend is the name of one, not {backend!r}.")
    opened = open_saved(as_path(path), names_of_operators(operators), map_ahead)
    if check:
        opened.check_constants()
    return SavedFunction(opened, backend)


class SavedFunction:
    """A function from a file. Buffers that it writes into are its own, and keep what was written.

    Raises when called: TypeError for other arguments than it takes, for a tensor of another type;
    ValueError for sizes it was not exported for, or where its file was cut short meanwhile;
    MemoryError where a call takes more memory, by what the plan declares, than is left.
    """

    def __init__(self, opened: Opened, backend: str | None = None) -> None:
        self._opened, self._backend = opened, backend
        self._on_arrays: Running | None = None
        self._on_tensors: Running | None = None

    @property
    def plan(self) -> Plan:
        """What it does, as data; read-only."""
        return self._opened.plan

    def __str__(self) -> str:
        from gint.plan.text import describe

        return describe(self._opened)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        signature = self._opened.signature
        if signature.is_flat and not kwargs and len(args) == len(signature.args):
            inputs = list(args)
        else:
            found = signature.inputs(args, kwargs)
            inputs = [found[n] for n in range(len(found))]
        running = self._running(inputs)
        self._opened.check_length()
        return filled(signature.result, running(inputs))

    def _running(self, inputs: list[Any]) -> Running:
        tensor = next((x for x in inputs if hasattr(x, "dtype")), None)
        if tensor is None and not self._opened.plan.inputs and "torch" in sys.modules:
            on_torch = True
        else:
            on_torch = tensor is not None and is_torch(tensor)
        if on_torch:
            if self._on_tensors is None:
                from .tensors.values import Tensors

                self._on_tensors = Running(self._opened, Tensors(), self._backend)
            return self._on_tensors
        if self._on_arrays is None:
            from .arrays import Arrays

            self._on_arrays = Running(self._opened, Arrays(), self._backend)
        return self._on_arrays


class Running:
    """A plan prepared for one kind of values. Several threads may call it, unless it has state."""

    def __init__(self, opened: Opened, values: Values, backend: str | None) -> None:
        self.plan, self.values = opened.plan, values
        chosen = values.backend(backend)
        kernels = [load_kernel(chosen, p) for p in self.plan.programs]
        called = [str(step.operator) for step in self.plan.steps if isinstance(step, Call)]
        has_ours = any(map(values.is_ours, called))
        self.operators_on = _operators_on(chosen) if has_ours else nullcontext
        memory = Memory(self.plan)
        steps = Steps(self.plan, values, kernels, memory.unknown)
        count = self.plan.head
        self.checks = [_Checked(n, given, values) for n, given in enumerate(self.plan.inputs)]
        self.head = [steps.prepare(step) for step in self.plan.steps[:count]]
        self.layouts = self._layout_checks(steps)
        self.tensors = [
            n for n, given in enumerate(self.plan.inputs) if isinstance(given.type, TensorType)
        ]
        self.apart = self._overlap_check()
        made = [s.value for s in self.plan.steps if hasattr(s, "value")]
        self.count = max([len(self.plan.inputs) + len(self.plan.constants), *(n + 1 for n in made)])
        self.steps = self._prepared(self.plan.steps[count:], steps, memory)
        self.result = steps.result(self.plan.result)
        self.constants = _constants(opened, values)
        left = self.count - len(self.plan.inputs) - len(self.constants)
        self.rest = [*self.constants, *([None] * left)]

    def _layout_checks(self, steps: Steps) -> list[Prepared]:
        return [
            _layout_check(n, given.name, given.type, given.written, steps)
            for n, given in enumerate(self.plan.inputs)
            if isinstance(given.type, TensorType)
        ]

    def _overlap_check(self) -> Callable[[Sequence[Any]], None] | None:
        """Where something is written, and something else might lie there."""
        given = [self.plan.inputs[n] for n in self.tensors]
        written = [x.written for x in given]
        if len(given) < 2 or not any(written):
            return None
        names = [x.name or f"input {n}" for n, x in zip(self.tensors, given, strict=True)]
        return overlap_check(names, written, self.values)

    def _prepared(self, rest: Sequence[Step], steps: Steps, memory: Memory) -> list[Prepared]:
        prepared = {id(step): steps.prepare(step) for step in rest}

        def prepare(step: Step) -> Prepared:
            return prepared.get(id(step)) or steps.prepare(step)

        body = self.values.body(self.plan, steps.launches, memory.unknown, prepare)
        if body is not None:
            return [_memory_check(memory), body]
        return _guarded([(step, prepared[id(step)]) for step in rest], memory)

    def __call__(self, inputs: Sequence[Any]) -> tuple:
        """The results for the inputs, in their order."""
        v = [check(x) for check, x in zip(self.checks, inputs, strict=True)]
        v += self.rest
        s: dict[str, Any] = {}
        with self.values.running(), self.operators_on():
            for step in self.head:
                step(v, s)
            if self.apart is not None:
                self.apart([v[n] for n in self.tensors])
            for step in self.layouts:
                step(v, s)
            try:
                for step in self.steps:
                    step(v, s)
            except (PlanError, VerificationError) as error:
                raise _in_sizes(error, s) from None
            return self.result(v, s)


def _in_sizes(error: PlanError | VerificationError, s: Mapping[str, Any]) -> Exception:
    """What a plan says of its own values, in words of what it was called with."""
    if not s:
        return error
    return type(error)(f"It does not run where {_values_of(s)}: {error}")


def _operators_on(chosen: Backend) -> Callable[[], AbstractContextManager[Any]]:
    """What has operators of gint's run on a backend."""
    from gint.operators import use_backend

    return partial(use_backend, chosen)


class _Checked:
    """What is checked of an input before any size is known."""

    def __init__(self, number: int, given: Any, values: Values) -> None:
        self.name, self.type, self.values = given.name or f"input {number}", given.type, values
        if isinstance(self.type, TensorType):
            self.dtype, self.rank = values.dtype_of(self.type.dtype), len(self.type.size)

    def __call__(self, x: Any) -> Any:
        t = self.type
        if isinstance(t, TensorType):
            if not self.values.is_value(x):
                raise TypeError(f"{self.name} is a {self.values.noun}, not {self.values.shown(x)}.")
            if x.dtype != self.dtype:
                raise TypeError(f"{self.name} is of {t.dtype}, not of {_dtype_name(x)}.")
            if len(x.shape) != self.rank:
                raise ValueError(
                    f"{self.name} has {self.rank} dimensions, not {len(x.shape)}: its shape is "
                    f"{_shown(t.size)}, and {tuple(x.shape)} was given."
                )
            return x
        if t is None:
            return x
        return self._number(x)

    def _number(self, x: Any) -> Any:
        kinds: dict[str, Any] = {"int": int, "float": (int, float), "bool": bool}
        is_bool = isinstance(x, bool)
        if not isinstance(x, kinds[str(self.type)]) or is_bool != (self.type == "bool"):
            raise TypeError(f"{self.name} is a number ({self.type}), not {x!r}.")
        return x


def _layout_check(n: int, name: str, t: TensorType, written: bool, steps: Steps) -> Prepared:
    """A step that compares an input's sizes and strides with the plan's."""
    values, itemsize = steps.values, ELEMENT_TYPES[t.dtype].nbytes
    made, pick = steps.sized((t.size, t.strides), lambda found: found)

    def check(v: list[Any], s: dict[str, Any]) -> None:
        size, strides = made if pick is None else made(s)
        x = v[n]
        if values.size(x) != size:
            raise ValueError(_other_size(name, t, size, values.size(x), s))
        if written and not values.is_writable(x):
            raise ValueError(f"{name} is written into, and the array given is read-only.")
        found = values.strides(x)
        if not values.is_plain(x):
            if written:
                raise ValueError(
                    f"{name} is written into, and its memory holds negatives or conjugates of its "
                    "values, or nothing: give it a clone."
                )
            v[n] = relaid(x, size, strides)
            return
        if found == strides:
            return
        if all(a == b or k < 2 for a, b, k in zip(found, strides, size, strict=True)):
            v[n] = values.viewer((size, strides), 0)(x)
        elif written:
            raise ValueError(
                f"{name} is written into, and has the strides {found}; {strides} are expected "
                "(elements)."
            )
        else:
            v[n] = relaid(x, size, strides)

    def relaid(x: Any, size: tuple, strides: tuple) -> Any:
        need_memory(span(size, strides) * itemsize, f"{name} in the strides {strides}")
        return values.relaid(x, strides)

    return check


def _guarded(steps: Sequence[tuple[Step, Prepared]], memory: Memory) -> list[Prepared]:
    """The prepared steps, before which the memory is asked for that they take: when sizes are
    known, and again when a result has told more."""
    enough, guarded, is_asked = _memory_check(memory), [], False
    for step, prepared in steps:
        if not is_asked and not isinstance(step, (Check, Define)):
            guarded.append(enough)
            is_asked = True
        guarded.append(prepared)
        is_asked = is_asked and not isinstance(step, Define)
    return guarded


def _memory_check(memory: Memory) -> Prepared:
    """A step that refuses sizes for which a call takes more memory than there is."""
    names = memory.symbols

    @lru_cache(MOST_BOUND)
    def needed(sizes: tuple[tuple[str, Any], ...]) -> int:
        known = dict(sizes)
        most = memory.at_most(known)
        return memory.peak(known) if most is None or most > ASKED_BYTES else most

    def check(v: list[Any], s: dict[str, Any]) -> None:
        nbytes = needed(tuple([(k, n) for k, n in s.items() if k in names]))
        if nbytes > ASKED_BYTES:
            where = f" where {_values_of(s)}" if s else ""
            need_memory(nbytes, f"A call{where}")

    return check


def _values_of(s: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} = {n}" for name, n in s.items())


def _other_size(name: str, t: TensorType, size: tuple, found: tuple, s: Mapping[str, Any]) -> str:
    text = f"{name} has the shape {_shown(t.size)}, not {tuple(found)}"
    if names := symbols_in(t.size):
        text += f", where {_values_of({k: n for k, n in s.items() if k in names})}"
    return f"{text}."


def _shown(size: tuple) -> str:
    from gint.plan.expressions import source

    return f"({', '.join(source(e) for e in size)}{',' * (len(size) == 1)})"


def _dtype_name(x: Any) -> str:
    return str(x.dtype).removeprefix("torch.")


def _constants(opened: Opened, values: Values) -> list[Any]:
    found = []
    for constant, start in zip(opened.plan.constants, opened.starts, strict=True):
        t: Any = constant.type
        layout = (t.size, t.strides)
        dtype = values.dtype_of(t.dtype)
        where = (opened.buffer, start, span(*layout))
        found.append(values.constant(*where, dtype, layout, constant.written))
    return found
