"""Random compositions of torch operations on mixed shapes, types, layouts and views, as source.

A function is a list of steps, each a line of source on values made before it: what fails is printed
as a test (`generated_calls`). A value is *exact* where rounding cannot have touched it: what jumps
(comparisons, rounding, casts to integers, argmax) is applied to those alone, so that one unit of
difference cannot become a difference of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from random import Random

import torch

from .generated_inputs import Input, Inputs
from .generated_steps import (
    BINARY,
    EXACT_SCANS,
    FLOATS,
    INDEXED,
    INTEGERS,
    JUMPS,
    MIXED,
    REDUCTIONS,
    ROWS,
    SCANS,
    SELECTING,
    SURROUNDINGS,
    TYPES,
    UNARY,
    VIEWS,
    WIDE_VIEWS,
    WINDOWS,
    WRITES,
    WRITES_EXACTLY,
)

#: Larger values are not worked with: what is left of their differences tells nothing.
_MOST = 3e3


@dataclass(frozen=True)
class Step:
    """A line of source on the values numbered `operands`, called x, y and z in `text`.

    `makes`: whether it makes a value, or only writes into some; `around`: a context it is in.
    """

    text: str
    operands: tuple[int, ...]
    makes: bool = True
    around: str = ""

    def lines(self, number: int) -> list[str]:
        """With a value it makes numbered so."""
        names = {letter: f"v{o}" for letter, o in zip("xyz", self.operands, strict=False)}
        line = re.sub(r"\b[xyz]\b", lambda m: names.get(m[0], m[0]), self.text)
        line = f"v{number} = {line}" if self.makes else line
        return [f"with {self.around}:", f"    {line}"] if self.around else [line]


def lines_of(steps: Iterable[Step], first: int) -> list[str]:
    """The body of a function, whose first made value has this number."""
    lines = []
    for step in steps:
        lines += step.lines(first)
        first += step.makes
    return lines


@dataclass(frozen=True)
class Generated:
    """A function of tensors, and inputs for it. `coarse`: a half type occurs somewhere."""

    given: Inputs
    steps: tuple[Step, ...]
    outputs: tuple[int, ...]
    scale: float
    coarse: bool

    @cached_property
    def inputs(self) -> list[torch.Tensor]:
        return self.given.make()[1]

    @cached_property
    def source(self) -> str:
        count = len(self.given.inputs)
        names = ", ".join(f"v{i}" for i in range(count))
        body = lines_of(self.steps, count)
        result = f"return [{', '.join(f'v{o}' for o in self.outputs)}]"
        return "\n".join([f"def function({names}):", *(f"    {x}" for x in [*body, result]), ""])

    @cached_property
    def function(self):
        space = {"torch": torch}
        exec(compile(self.source, "<generated>", "exec"), space)
        return space["function"]

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        return self.function(*inputs)

    def everything(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        """All values met on the way, what was written over later among them."""
        values, before = list(inputs), []
        for step in self.steps:
            if not step.makes:
                before += [v.detach().clone() for v in values]
            values = _run([step], values)
        return [*values, *before]

    def __repr__(self) -> str:
        return "\n".join([*self.given.lines(), self.source])


def _run(steps: Iterable[Step], values: list[torch.Tensor]) -> list[torch.Tensor]:
    space = {"torch": torch, **{f"v{i}": v for i, v in enumerate(values)}}
    for step in steps:
        exec("\n".join(step.lines(len(values))), space)
        if step.makes:
            values.append(space[f"v{len(values)}"])
    return values


class Generator:
    """Makes steps, evaluating eagerly what they say. `wide`: also what writes into memory, what is
    left to ATen, and contexts."""

    def __init__(self, random: Random, given: Inputs, wide: bool) -> None:
        self.random, self.given, self.wide = random, given, wide
        self.steps: list[Step] = []
        self._begin()
        self.exact = [True] * len(self.values)

    def _begin(self) -> None:
        self.values = _run(self.steps, self.given.make()[1])

    def _toss(self) -> bool:
        return bool(self.random.getrandbits(1))

    def step(self) -> None:
        i, j = (self.random.randrange(len(self.values)) for _ in range(2))
        x, y = self.values[i], self.values[j]
        kinds = ["unary", "binary", "binary", "reduce", "view", "cast", "jump", "row", "where"]
        kinds += ["write", "write", "view", "mixed", "indexed", "scan", "window"] * self.wide
        kind = self.random.choice(kinds)
        both = self.exact[i] and self.exact[j]
        if kind == "unary" and x.dtype.is_floating_point:
            self._try(self.random.choice(UNARY), (i,), exact=False)
        elif kind == "binary":
            text = self.random.choice(BINARY)
            # Which of two a gradient goes to, or to both, is a jump as well.
            if self.wide and not both and text in SELECTING:
                return
            self._try(text, (i, j), exact=both and not _is_float(x, y) and "/" not in text)
        elif kind == "jump" and both:
            text = self.random.choice(JUMPS)
            # Eager rounds the divisor to a half type; compiled, it is not rounded on the way.
            if "clamp" not in text or y.dtype not in FLOATS[2:]:
                self._try(text, (i, j), exact=True)
        elif kind == "reduce" and x.dim():
            self._reduce(i, x)
        elif kind == "view" and (x.dim() or self.wide):
            self._view(i, x)
        elif kind == "cast":
            self._cast(i, x)
        elif kind == "row" and x.dim() and x.dtype.is_floating_point:
            d = self.random.randrange(-1, x.dim())
            self._try(self.random.choice(ROWS).format(d=d), (i,), exact=False)
        elif kind == "mixed":
            self._try(self.random.choice(MIXED), (i, j), exact=False)
        elif kind == "indexed" and x.dim() and self.exact[j] and not y.is_complex():
            d = self.random.randrange(x.dim())
            text = self.random.choice(INDEXED).format(d=d)
            jumps = "amax" in text or "amin" in text
            if self.exact[i] or not jumps:
                self._try(text, (i, j), exact=both and not _is_float(x))
        elif kind == "scan" and x.dim():
            d = self.random.randrange(x.dim())
            self._try(self.random.choice(SCANS).format(d=d), (i,), exact=False)
            if self.exact[i]:
                self._try(self.random.choice(EXACT_SCANS).format(d=d), (i,), exact=True)
        elif kind == "window" and x.dim() and x.dtype.is_floating_point:
            self._try(self.random.choice(WINDOWS), (i,), exact=False)
        elif kind == "write":
            self._write(i, j, x)
        elif kind == "where":
            masks = [k for k, v in enumerate(self.values) if v.dtype is torch.bool]
            if masks:
                self._try("torch.where(z, x, y)", (i, j, self.random.choice(masks)), exact=both)

    def _reduce(self, i: int, x: torch.Tensor) -> None:
        dims = sorted(self.random.sample(range(x.dim()), self.random.randint(1, x.dim())))
        keepdim, name = self._toss(), self.random.choice((*REDUCTIONS, "argmax", "any"))
        if name == "argmax":
            if self.exact[i]:
                self._try(f"x.argmax({dims[0]}, {keepdim})", (i,), exact=True)
        elif name == "any":
            if self.exact[i]:
                self._try(f"torch.any(x, {dims}, {keepdim})", (i,), exact=True)
        elif self.wide and name in ("amax", "amin") and not self.exact[i]:
            return
        elif x.dtype.is_floating_point or name in ("sum", "amax", "amin"):
            whole = self.exact[i] and not x.dtype.is_floating_point and x.dtype is not torch.bool
            if x.dtype is not torch.bool or name == "sum":
                text = REDUCTIONS[name].format(dims=dims, keepdim=keepdim)
                self._try(text, (i,), exact=whole)

    def _view(self, i: int, x: torch.Tensor) -> None:
        if x.dim():
            d = self.random.randrange(x.dim())
            text = self.random.choice(VIEWS + WIDE_VIEWS * self.wide).format(d=d)
        else:
            text = self.random.choice([v for v in WIDE_VIEWS if "{d}" not in v])
        # The bits of a float tell every rounding.
        if ".view(torch." not in text or self.exact[i]:
            self._try(text, (i,), exact=self.exact[i])

    def _cast(self, i: int, x: torch.Tensor) -> None:
        targets = FLOATS if x.dtype.is_floating_point and not self.exact[i] else FLOATS + INTEGERS
        self._try(f"x.to({self.random.choice(targets)})", (i,), exact=self.exact[i])

    def _write(self, i: int, j: int, x: torch.Tensor) -> None:
        exactly = self.exact[j] and self._toss()
        text = self.random.choice(WRITES_EXACTLY if exactly else WRITES)
        text = text.format(d=max(x.dim() - 1, 0))
        exact = exactly or not x.dtype.is_floating_point
        self._try(text, (i, j), exact=exact and self.exact[i] and self.exact[j], makes=False)

    def _try(self, text: str, operands: tuple[int, ...], exact: bool, makes: bool = True) -> None:
        around = self.random.choice(SURROUNDINGS) if self.wide else ""
        step, count = Step(text, operands, makes, around), len(self.values)
        try:
            self.values = _run([step], self.values)
            is_modest = _is_modest(self.values[-1] if makes else self.values[operands[0]])
        except (RuntimeError, NotImplementedError, IndexError, TypeError):
            is_modest = False
        if not is_modest:
            self.values = self.values[:count]
            if not makes:  # it may have written before it failed
                self._begin()
            return
        touched = self.values[-1] if makes else self.values[operands[0]]
        self.steps.append(step)
        if makes:
            self.exact.append(exact and "autocast" not in around)
        elif not exact:
            where = _memory(touched)
            self.exact = [
                e and _memory(v) != where for e, v in zip(self.exact, self.values, strict=True)
            ]


def _is_modest(value: object) -> bool:
    if not isinstance(value, torch.Tensor) or value.numel() >= 5000 or value.dtype not in TYPES:
        return False
    value = value.detach()
    if not value.numel() or value.is_complex():
        return True
    return bool(value.isfinite().all() and value.double().abs().max() < _MOST)


def _is_float(*tensors: torch.Tensor) -> bool:
    return any(t.dtype.is_floating_point or t.is_complex() for t in tensors)


def _memory(t: torch.Tensor) -> int:
    return t.untyped_storage()._cdata


def random_function(random: Random, steps: int = 8, wide: bool = False) -> Generated:
    """A function and inputs that it can be called with."""
    count = random.randint(1, 3)
    given = Inputs(tuple(Input.drawn(random, i, wide) for i in range(count)))
    g = Generator(random, given, wide)
    for _ in range(steps):
        g.step()
    made = range(count, len(g.values))
    outputs = {*list(made)[-2:], *random.sample(made, min(len(made), random.randrange(3)))} or {0}
    if wide:  # inputs as they are, too, and a value twice
        outputs |= set(random.sample(range(len(g.values)), random.randrange(2)))
    ordered = sorted(outputs) + [max(outputs)] * (wide and random.randrange(4) == 0)
    halves = (v.dtype in FLOATS[2:] for v in g.values)
    coarse = any(halves) or any("autocast" in s.around for s in g.steps)
    return Generated(given, tuple(g.steps), tuple(ordered), scale_of(g.values), coarse)


def scale_of(values: Iterable[torch.Tensor]) -> float:
    """The largest magnitude among values."""
    plain = (v.detach().resolve_neg() for v in values if v.numel())
    magnitudes = (v.abs() if v.is_complex() else v.double().abs() for v in plain)
    return max([1.0, *(m.max().item() for m in magnitudes)])
