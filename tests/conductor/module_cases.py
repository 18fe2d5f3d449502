"""Modules, trained, frozen, quantised or saved, beside eager: a module and what is done with it, as
a value that prints as the call that makes it again.

Rounding is judged by the same module in float64: what was compiled may be off by so much more than
eager is. So a module that rounds badly, or jumps, hides nothing but itself.
"""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.testing._internal.two_tensor import TwoTensor

import gint
from gint.conductor import export
from gint.conductor.capture import ExportError
from tests.conductor import layers as ours
from tests.conductor.weights.tiny_models import dequantized

from .calls import AROUND, numbers

#: Numbers of an embedding.
TOKENS = 40
#: How often the error of eager, and which part of the largest value, a result may be off by.
#: (In modules of float64 angles and masks are made in float32.)
_TIMES, _PART = 30, {torch.float64: 1e-6, torch.float32: 2e-5, torch.bfloat16: 0.03}

#: What is said where torch.export does not keep a size free, a graph holds another one, and of
#: complex numbers.
_REFUSED = (
    "A size cannot be free", "torch.export cannot trace it", "graphs of its own",
    *(f"aten.{name} is not among" for name in ("view_as_complex.default", "polar.default")),
)  # fmt: skip
#: Where a step divides by a gradient's size, its rounding does not decide the sign.
_SOFT = {"lr": 0.01, "eps": 0.1}
OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "momentum": partial(torch.optim.SGD, lr=0.01, momentum=0.9),
    "nesterov": partial(torch.optim.SGD, lr=0.01, momentum=0.9, nesterov=True, weight_decay=0.1),
    "adam": partial(torch.optim.Adam, **_SOFT),
    "adamw": partial(torch.optim.AdamW, **_SOFT, weight_decay=0.1, amsgrad=True, foreach=True),
    "rmsprop": partial(torch.optim.RMSprop, **_SOFT, momentum=0.5, centered=True),
    "adagrad": partial(torch.optim.Adagrad, **_SOFT),
}

#: In layers that decide by comparing values.
_JUMPS = ("Max", "max", "min", "Experts", "Windows", "ReLU", "Hard")

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class ModuleCase:
    """`given`: "tokens", "rows" of `width`, or "pictures" of `width` channels; `layers` are source;
    each of `calls` is a batch and a length. `around` is a context's name, `detail` a format of
    weights. `marked`: sizes are marked as dynamic, a file is called on arrays, activations are
    rounded to 8 bits, or a graph is differentiated twice. `optimiser` is one of OPTIMISERS, whose
    step is compiled too where `steps_too`; `channels_last`: pictures and weights lie so; `wrapped`:
    what is given is of a subclass, "named" (without a meaning) or "two" (of two tensors)."""

    seed: int
    way: str
    given: str
    width: int
    layers: tuple[str, ...]
    calls: tuple[tuple[int, int], ...]
    dtype: str = "float32"
    around: str = ""
    dynamic: bool | None = None
    marked: bool = False
    training: bool = True
    detail: str = ""
    optimiser: str = "momentum"
    steps_too: bool = False
    channels_last: bool = False
    wrapped: str = ""

    def module(self) -> nn.Module:
        torch.manual_seed(self.seed)
        space = {"torch": torch, "nn": nn, **vars(ours)}
        made = nn.Sequential(*[eval(text, space) for text in self.layers])
        made = made.to(getattr(torch, self.dtype)).train(self.training)
        return made.to(memory_format=torch.channels_last) if self.channels_last else made

    def inputs(self) -> Iterator[torch.Tensor]:
        for n, (batch, length) in enumerate(self.calls):
            seed = self.seed + n
            if self.given == "tokens":
                yield numbers(seed, batch * length, torch.int64).view(batch, length) % TOKENS
            else:
                shape = (batch, length, self.width)
                if self.given == "pictures":
                    shape = (batch, self.width, length, 6)
                count = torch.Size(shape).numel()
                x = numbers(seed, count, getattr(torch, self.dtype)).view(shape)
                yield x.to(memory_format=torch.channels_last) if self.channels_last else x

    def runs(self) -> bool:
        """Whether eager does it."""
        try:
            self._seen(lambda m: m)
        except (RuntimeError, ValueError, IndexError, TypeError, AssertionError):
            return False
        return True

    def why_unlike_eager(self) -> str:
        """How it differs from eager, and from aot_eager too; "" where it does not."""
        expected = self._seen(lambda m: m)
        why = self._unlike(expected, "gint")
        if not why or self.way in ("export", "freeze", "weights"):
            return why
        return "" if self._unlike(expected, "aot_eager") else why

    def _unlike(self, expected: list[Tensors], backend: str) -> str:
        torch._dynamo.reset()
        try:
            found = self._seen(lambda m: self._compiled(m, backend))
        except ExportError as error:
            return "" if any(text in str(error) for text in _REFUSED) else f"ExportError: {error}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        exact = self._seen(lambda m: m, torch.float64)
        for n, seen in enumerate(zip(found, expected, exact, strict=True)):
            if why := self._difference(*seen):
                return f"call {n}: {why}"
        return ""

    def _difference(self, found: Tensors, expected: Tensors, exact: Tensors) -> str:
        if found.keys() != expected.keys():
            return f"{sorted(found)}, expected {sorted(expected)}"
        part = _PART[torch.bfloat16 if self._is_coarse() else getattr(torch, self.dtype)]
        for name, e in expected.items():
            f, x = found[name], exact[name]
            if (f.dtype, f.shape) != (e.dtype, e.shape):
                return f"{name}: {f.dtype}{list(f.shape)}, expected {e.dtype}{list(e.shape)}"
            if not e.dtype.is_floating_point:
                if not torch.equal(f, e):
                    return f"{name}: {f}, expected {e}"
                continue
            f, e, x = f.double(), e.double(), x.double()
            if not e.numel() or torch.equal(f.nan_to_num(7), e.nan_to_num(7)):
                continue
            size = max(1e-3, float(x.nan_to_num(0, 0, 0).abs().max()))
            off, of_eager = _largest(f - e), _largest(e - x)
            bound = _TIMES * of_eager + part * size
            if self._jumps() and name != "result":
                bound += size
            if self.way == "weights" and self.marked:
                bound += 0.1 * size  # activations in 8 bits
            if (f.isnan() != e.isnan()).any() or off > bound:
                return f"{name}: {f}, expected {e}, off by {off:.3g}, bound {bound:.3g}"
        return ""

    def _jumps(self) -> bool:
        """Whether half types decide where gradients go: of two values that only rounding tells
        apart eager may find the other one larger."""
        is_coarse = self._is_coarse() or self.dtype == "bfloat16"
        return is_coarse and any(word in text for text in self.layers for word in _JUMPS)

    def _is_coarse(self) -> bool:
        return self.around == "autocast" or any("Autocast(" in text for text in self.layers)

    # What is done

    def _compiled(self, module: nn.Module, backend: str) -> Callable[[torch.Tensor], Any]:
        options: dict[str, Any] = {"check": True}
        if self.way == "freeze":
            options["freeze"] = True
        elif self.way == "weights":
            options |= {"weights": self.detail, "quantize_activations": self.marked}
        elif self.way == "export":
            return self._saved(module)
        return torch.compile(
            module, backend=backend, dynamic=self.dynamic,
            options=options if backend == "gint" else None,
        )  # fmt: skip

    def _saved(self, module: nn.Module) -> Callable[[torch.Tensor], Any]:
        """The function of a file, called with torch or, `marked`, on NumPy arrays."""
        example = next(self.inputs())
        free = {n: torch.export.Dim.DYNAMIC for n in (0, 1) if self.dynamic}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "module.gint"
            quantised: dict[str, Any] = {}
            if self.detail:
                quantised = {"quantize": self.detail, "quantize_activations": False}
            shapes = (free,) if free else None
            export(module, (example,), path=path, dynamic_shapes=shapes, **quantised)
            loaded = gint.load(path)
        if not self.marked:
            return loaded
        return lambda x: torch.from_numpy(loaded(x.numpy()).copy())

    def _seen(
        self, compile: Callable[[nn.Module], Callable], dtype: torch.dtype | None = None
    ) -> list[Tensors]:
        module = self.module()
        if self.way != "train":
            module.requires_grad_(False)
        if self.detail and compile(module) is module:
            module = dequantized(module, self.detail)
        if dtype is not None:
            module = module.to(dtype)
        function = compile(module)
        around = AROUND["" if dtype is not None else self.around]
        found = []
        step = None
        if self.way == "train":
            step = self._stepping(module, compile if function is not module else lambda f: f)
        for x in self.inputs():
            if dtype is not None and x.is_floating_point():
                x = x.to(dtype)
            if self.marked and self.way in ("train", "infer"):
                torch._dynamo.maybe_mark_dynamic(x, 0)
                torch._dynamo.maybe_mark_dynamic(x, 1)
            found.append(self._step(module, function, x, around, step))
        if self.way == "freeze" and function is not module:
            self._write_a_weight(module, function, x)
        return found

    def _stepping(self, module: nn.Module, compile: Callable) -> Callable[[], Any]:
        """A step of the optimiser, which forgets the gradients; nothing where none is trained."""
        parameters = list(module.parameters())
        if not parameters:
            return lambda: None
        optimiser = OPTIMISERS[self.optimiser](parameters)
        step = compile(lambda: optimiser.step()) if self.steps_too else optimiser.step

        def take() -> None:
            step()
            optimiser.zero_grad()

        return take

    def _step(
        self,
        module: nn.Module,
        function: Callable,
        x: torch.Tensor,
        around: Callable,
        step: Callable[[], Any] | None,
    ) -> Tensors:
        if step is None:
            with torch.no_grad(), around():
                y = _unwrapped(function(_wrapped(self.wrapped, x)))
            # A file has buffers of its own.
            state = {} if self.way == "export" else dict(module.named_buffers())
            return {"result": y.clone(), "x": x.clone(), **{n: b.clone() for n, b in state.items()}}
        if x.is_floating_point():
            x = x.clone().requires_grad_()
        # Layers that write into what they are given may not write into a leaf.
        given = x.clone() if any("place=True" in text for text in self.layers) else x
        with around():
            y = _unwrapped(function(_wrapped(self.wrapped, given)))
        seen = {"result": y.detach().clone(), "x": given.detach().clone()}
        weights = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape)
        if y.requires_grad:
            y.backward(weights, retain_graph=self.marked)
            if self.marked:
                y.backward(weights.flip(0))
        gradients = {"x": x, **dict(module.named_parameters())}
        for name, t in gradients.items():
            seen[f"gradient of {name}"] = torch.zeros_like(t) if t.grad is None else t.grad.clone()
        step()
        state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
        return seen | {name: t.detach().clone() for name, t in state.items()}

    def _write_a_weight(self, module: nn.Module, function: Callable, x: torch.Tensor) -> None:
        """Whoever writes to a constant is told so, or sees it in the result."""
        written = next(iter(module.parameters()), None)
        if written is None:
            return
        with torch.no_grad():
            written.add_(1)
            plain, exact = copy.deepcopy(module), copy.deepcopy(module).double()
            wide = x.double() if x.is_floating_point() else x.clone()
            try:
                found = function(x.clone())
            except RuntimeError as error:
                if "frozen" not in str(error):
                    raise
            else:
                results = ({"result": y} for y in (found, plain(x.clone()), exact(wide)))
                why = self._difference(*results)
                assert not why, f"a weight was written, {why}"
            written.sub_(1)


def _wrapped(how: str, x: torch.Tensor) -> torch.Tensor:
    if how == "two":
        return TwoTensor(x, x.clone())
    return x.as_subclass(ours.Named) if how else x


def _unwrapped(y: torch.Tensor) -> torch.Tensor:
    y = y.a if isinstance(y, TwoTensor) else y
    return y.as_subclass(torch.Tensor)


def _largest(t: torch.Tensor) -> float:
    return float(t.nan_to_num(0, 0, 0).abs().max())
