"""Inputs of generated functions: strided looks at memory that they may have in common, as source.

They can be made anew, with the same numbers, as often as a comparison wants them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

import torch

from .calls import numbers
from .generated_steps import FLOATS, INTEGERS

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
LAYOUTS = ("plain", "permuted", "sliced", "expanded")
#: What is done to a look at memory, "" for nothing: bits that no guard sees, other classes.
BITS = (*[""] * 8, "torch._neg_view({})", "{}.conj()", "{}.conj().imag", "torch.nn.Parameter({})")
#: How gradients get to an input: not at all, it is a leaf, or it is made of one.
GRADS = ("", "leaf", "made")


@dataclass(frozen=True)
class Input:
    """A tensor of `shape` on memory number `base`, from the element `offset` on."""

    base: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    layout: str
    seed: int
    offset: int = 0
    bits: str = ""
    grad: str = ""

    @classmethod
    def drawn(cls, random: Random, base: int, wide: bool) -> Input:
        types = (*FLOATS * 2, *INTEGERS, torch.bool, *[torch.complex64] * wide)
        plain = cls(
            base,
            random.choice(SHAPES),
            random.choice(types),
            random.choice(LAYOUTS),
            random.randrange(1000),
        )
        if not wide:
            return plain
        grad = random.choice(GRADS) if plain.dtype.is_floating_point else ""
        base, offset = random.randint(0, base), random.choice((0, 0, 1, 3))
        return replace(plain, base=base, offset=offset, bits=random.choice(BITS), grad=grad)

    @property
    def is_made(self) -> bool:
        """Whether its memory is made of a leaf."""
        return self.grad == "made" and self.dtype.is_floating_point

    def strides(self) -> tuple[int, ...]:
        """Of the shape in the layout."""
        order = list(range(len(self.shape)))
        step, strides = 2 if self.layout == "sliced" else 1, [0] * len(order)
        for axis in order if self.layout == "permuted" else reversed(order):
            strides[axis] = step
            step *= max(self.shape[axis] + (self.layout == "sliced"), 1)
        if self.layout == "expanded" and strides:
            strides[0] = 0
        return tuple(strides)

    def reach(self) -> int:
        """Elements of memory it needs."""
        pairs = zip(self.shape, self.strides(), strict=True)
        return self.offset + 1 + sum((size - 1) * stride for size, stride in pairs if size)

    def look(self, owner: Input) -> str:
        """Source for it, on memory of the type of `owner`, which gradients may go through."""
        dtype, is_made = owner.dtype, owner.is_made
        memory = f"{'m' if is_made else 'b'}{self.base}"
        look = f"{memory}.as_strided({self.shape}, {self.strides()}, {self.offset})"
        is_parameter = "Parameter" in self.bits
        floats = dtype.is_floating_point or dtype.is_complex
        suits = floats if is_parameter else dtype.is_complex == ("conj" in self.bits)
        if self.bits and suits and dtype is not torch.bool:
            look = self.bits.format(look)
        is_leaf = self.grad == "leaf" and dtype.is_floating_point and not is_made
        return f"{look}{'.requires_grad_()' * (is_leaf and not is_parameter)}"

    def resized(self, sizes: dict[int, int]) -> Input:
        return replace(self, shape=tuple(sizes.get(s, s) for s in self.shape))


@dataclass(frozen=True)
class Inputs:
    """Inputs, and the memory they lie in, which is of the type of the first that lies there."""

    inputs: tuple[Input, ...]

    def lines(self) -> list[str]:
        """Source that makes them: memory b0, b1, ... and the inputs v0, v1, ..."""
        owners: dict[int, Input] = {}
        for i in self.inputs:
            owners.setdefault(i.base, i)
        lines = []
        for base, owner in owners.items():
            # Looks at other places, by as_strided((2,), (1,), 3), are within it.
            count = 8 + max(i.reach() for i in self.inputs if i.base == base)
            is_made = owner.is_made
            made = f"numbers({owner.seed}, {count}, {owner.dtype})"
            lines.append(f"b{base} = {made}{'.requires_grad_()' * is_made}")
            if is_made:
                lines.append(f"m{base} = b{base} * 1")
        for n, i in enumerate(self.inputs):
            lines.append(f"v{n} = {i.look(owners[i.base])}")
        return lines

    def make(self) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
        """The memory and the inputs."""
        space = {"torch": torch, "numbers": numbers}
        exec("\n".join(self.lines()), space)
        bases = dict.fromkeys(i.base for i in self.inputs)
        return [space[f"b{b}"] for b in bases], [space[f"v{n}"] for n in range(len(self.inputs))]

    def resized(self, sizes: dict[int, int]) -> Inputs:
        return Inputs(tuple(i.resized(sizes) for i in self.inputs))
