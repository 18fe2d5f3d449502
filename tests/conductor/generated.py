"""Random compositions of torch operations on mixed shapes, types, layouts and views.

A function is a list of steps, each an operation on values made before it. A value is *exact* where
rounding cannot have touched it: what jumps (comparisons, rounding, casts to integers, argmax) is
applied to those alone, so that one unit of difference cannot become a difference of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from hypothesis import strategies as st

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
SHAPES = [
    (),
    (1,),
    (5,),
    (3, 5),
    (1, 5),
    (3, 1),
    (2, 3, 5),
    (2, 1, 5),
    (2, 3, 1),
    (4, 1, 3, 5),
    (0, 5),
]

UNARY = {
    "tanh": torch.tanh, "sigmoid": torch.sigmoid, "sin": torch.sin, "abs": torch.abs,
    "relu": torch.relu, "neg": lambda x: x * -1, "gelu": torch.nn.functional.gelu,
    "silu": torch.nn.functional.silu, "log1p": lambda x: torch.log1p(x.abs()),
    "rsqrt": lambda x: torch.rsqrt(x.abs() + 1), "exp": lambda x: torch.exp(x.clamp(-3, 3)),
    "erf": torch.erf, "square": torch.square, "softplus": torch.nn.functional.softplus,
    "clone": torch.clone, "scaled": lambda x: x * 0.5 + 2, "ones": torch.ones_like,
}  # fmt: skip
BINARY = {
    "add": torch.add, "sub": torch.sub, "mul": torch.mul, "maximum": torch.maximum,
    "minimum": torch.minimum, "div": lambda a, b: a / (b.abs() + 1),
    "scaled add": lambda a, b: torch.add(a, b, alpha=3),
    "atan2": lambda a, b: torch.atan2(a, b + 9),
    "between": lambda a, b: a + (b - a) * 0.25,
}  # fmt: skip
JUMPS = {
    "lt": torch.lt, "eq": torch.eq, "ge": torch.ge, "ne": torch.ne,
    "remainder": lambda a, b: torch.remainder(a, b.abs().clamp(max=20) + 2),
    # Not "floor": torch's fake tensors, which compilers go by, have other strides than eager there.
    "quotient": lambda a, b: torch.div(a, b.abs().clamp(max=20) + 2, rounding_mode="trunc"),
}  # fmt: skip
REDUCTIONS = {
    "sum": torch.sum, "mean": torch.mean, "amax": torch.amax, "amin": torch.amin,
    "var": lambda x, d, keepdim: torch.var(x, d, correction=0, keepdim=keepdim),
    "logsumexp": torch.logsumexp,
}  # fmt: skip


@dataclass(frozen=True)
class Step:
    """`apply` on the values numbered `operands`."""

    name: str
    operands: tuple[int, ...]
    apply: Callable


class Generator:
    """Draws inputs and steps, evaluating eagerly what is drawn."""

    def __init__(self, draw) -> None:
        self.draw = draw
        self.values: list[torch.Tensor] = []
        self.exact: list[bool] = []
        self.steps: list[Step] = []

    def choose(self, options):
        return self.draw(st.sampled_from(list(options)))

    def input(self) -> None:
        shape, dtype = self.choose(SHAPES), self.choose((*FLOATS * 2, *INTEGERS, torch.bool))
        generator = torch.Generator().manual_seed(self.draw(st.integers(0, 1000)))
        layout = self.choose(("plain", "permuted", "sliced", "expanded"))
        made = [2 * s + 1 for s in shape] if layout == "sliced" else list(shape)
        made = made[::-1] if layout == "permuted" else made
        made = [1, *made[1:]] if layout == "expanded" and made else made
        x = torch.randn(made, generator=generator)
        x = (x * (1 if dtype.is_floating_point else 4)).abs().to(dtype)
        if layout == "permuted":
            x = x.permute(tuple(range(x.dim()))[::-1])
        elif layout == "sliced":
            x = x[tuple(slice(1, None, 2) for _ in shape)]
        elif layout == "expanded":
            x = x.expand(shape)
        self.values.append(x)
        self.exact.append(True)

    def step(self) -> None:
        i, j = (self.draw(st.integers(0, len(self.values) - 1)) for _ in range(2))
        x, y = self.values[i], self.values[j]
        kind = self.choose(("unary", "binary", "binary", "reduce", "view", "cast", "jump", "row",
                            "where"))  # fmt: skip
        if kind == "unary" and x.dtype.is_floating_point:
            name = self.choose(UNARY)
            self._try(name, (i,), UNARY[name], exact=False)
        elif kind == "binary":
            name = self.choose(BINARY)
            whole = self.exact[i] and self.exact[j] and not _is_float(x, y)
            self._try(name, (i, j), BINARY[name], exact=whole and name != "div")
        elif kind == "jump" and self.exact[i] and self.exact[j]:
            name = self.choose(JUMPS)
            self._try(name, (i, j), JUMPS[name], exact=True)
        elif kind == "reduce" and x.dim():
            self._reduce(i, x)
        elif kind == "view" and x.dim():
            self._view(i, x)
        elif kind == "cast":
            self._cast(i, x)
        elif kind == "row" and x.dim() and x.dtype.is_floating_point:
            d = self.draw(st.integers(-1, x.dim() - 1))
            name = self.choose(("softmax", "log_softmax"))
            self._try(f"{name} {d}", (i,), lambda v: getattr(v, name)(d), exact=False)
        elif kind == "where":
            masks = [k for k, v in enumerate(self.values) if v.dtype is torch.bool]
            if masks:
                exact = self.exact[i] and self.exact[j]
                self._try("where", (self.choose(masks), i, j), torch.where, exact=exact)

    def _reduce(self, i: int, x: torch.Tensor) -> None:
        dims = sorted(self.draw(st.sets(st.integers(0, x.dim() - 1), min_size=1)))
        keepdim, name = self.draw(st.booleans()), self.choose((*REDUCTIONS, "argmax", "any"))
        if name == "argmax":
            if self.exact[i]:
                self._try("argmax", (i,), lambda v: v.argmax(dims[0], keepdim), exact=True)
        elif name == "any":
            if self.exact[i]:
                self._try("any", (i,), lambda v: torch.any(v, dims, keepdim), exact=True)
        elif x.dtype.is_floating_point or name in ("sum", "amax", "amin"):
            function = REDUCTIONS[name]
            whole = self.exact[i] and not x.dtype.is_floating_point and x.dtype is not torch.bool
            if x.dtype is not torch.bool or name == "sum":
                self._try(
                    f"{name} {dims}", (i,), lambda v: function(v, dims, keepdim=keepdim), whole
                )

    def _view(self, i: int, x: torch.Tensor) -> None:
        d = self.draw(st.integers(0, x.dim() - 1))
        shape = x.shape
        views = {
            "transpose": lambda v: v.transpose(0, d),
            "unsqueeze": lambda v: v.unsqueeze(d),
            "select": lambda v: v.select(d, -1),
            "slice": lambda v: v.narrow(d, shape[d] // 2, shape[d] - shape[d] // 2),
            "step": lambda v: v[..., ::2],
            "flatten": lambda v: v.flatten(),
            "reshape": lambda v: v.reshape(-1, shape[0]),
            "expand": lambda v: v.unsqueeze(0).expand(2, *shape),
            "chunk": lambda v: v.chunk(2, d)[0],
            "flip": lambda v: v.flip(d),
            "contiguous": lambda v: v.contiguous(),
            "cat": lambda v: torch.cat([v, v], d),
        }
        name = self.choose(views)
        self._try(f"{name} {d}", (i,), views[name], exact=self.exact[i])

    def _cast(self, i: int, x: torch.Tensor) -> None:
        targets = FLOATS if x.dtype.is_floating_point and not self.exact[i] else FLOATS + INTEGERS
        target = self.choose(targets)
        exact = self.exact[i]
        self._try(f"to {target}", (i,), lambda v: v.to(target), exact=exact)

    def _try(self, name: str, operands: tuple[int, ...], apply: Callable, exact: bool) -> None:
        try:
            value = apply(*(self.values[o] for o in operands))
        except (RuntimeError, NotImplementedError, IndexError, TypeError):
            return
        finite = (
            value.isfinite().all() and value.double().abs().max() < 3e3 if value.numel() else True
        )
        if value.numel() < 5000 and finite:
            self.values.append(value)
            self.exact.append(exact)
            self.steps.append(Step(name, operands, apply))


def _is_float(*tensors: torch.Tensor) -> bool:
    return any(t.dtype.is_floating_point for t in tensors)


@dataclass(frozen=True)
class Generated:
    """A function of tensors, and inputs for it. `coarse`: a half type occurs somewhere."""

    inputs: list[torch.Tensor]
    steps: list[Step]
    outputs: list[int]
    scale: float
    coarse: bool

    def __call__(self, *inputs: torch.Tensor) -> list[torch.Tensor]:
        values = list(inputs)
        for step in self.steps:
            values.append(step.apply(*(values[o] for o in step.operands)))
        return [values[o] for o in self.outputs]

    def __repr__(self) -> str:
        lines = [
            f"v{i}: {t.dtype} {tuple(t.shape)} {t.stride()}" for i, t in enumerate(self.inputs)
        ]
        for i, step in enumerate(self.steps, len(self.inputs)):
            lines.append(f"v{i} = {step.name}({', '.join(f'v{o}' for o in step.operands)})")
        return "\n".join([*lines, f"-> {self.outputs}"])


@st.composite
def functions(draw, steps: int = 8) -> Generated:
    g = Generator(draw)
    for _ in range(draw(st.integers(1, 3))):
        g.input()
    inputs = list(g.values)
    for _ in range(steps):
        g.step()
    made = range(len(inputs), len(g.values))
    outputs = sorted({*list(made)[-2:], *draw(st.sets(st.sampled_from(made), max_size=2))} if made
                     else {0})  # fmt: skip
    largest = [v.double().abs().max().item() for v in g.values if v.numel()]
    coarse = any(v.dtype in FLOATS[2:] for v in g.values)
    return Generated(inputs, g.steps, outputs, max([1.0, *largest]), coarse)
