"""Generated functions with calls that change from one to the next, and the test one prints as."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random

import torch

from .calls import AROUND, Call, Given, why_unlike_eager
from .generated import Generated, random_function, scale_of
from .generated_inputs import GRADS, LAYOUTS, Inputs
from .generated_steps import FLOATS

#: Of every size another one, which broadcasts wherever it did.
_RESIZED = {2: 3, 3: 4, 5: 7}
_HEAD = """\
import torch

from tests.conductor.calls import Call, Given, assert_like_eager, numbers
"""


@dataclass(frozen=True)
class Campaign:
    """A function, what it is called with in turn, and torch.compile's `dynamic`."""

    function: Generated
    given: tuple[tuple[Inputs, str], ...]
    dynamic: bool | None

    def why_unlike_eager(self) -> str:
        """As the function of that name says."""
        return why_unlike_eager(self.function.function, self._calls(), self.dynamic)

    def _calls(self) -> Iterator[Call]:
        for inputs, around in self.given:
            yield Call(lambda i=inputs: Given(*i.make()), around, self._tolerance(inputs, around))

    def _tolerance(self, inputs: Inputs, around: str) -> float:
        try:
            with torch.no_grad():
                scale = scale_of(self.function.everything(*inputs.make()[1]))
        except (RuntimeError, NotImplementedError, IndexError, TypeError, ValueError):
            scale = self.function.scale
        halves = any(i.dtype in FLOATS[2:] for i in inputs.inputs)
        coarse = self.function.coarse or halves or around == "autocast"
        return float(f"{(0.05 if coarse else 1e-4) * scale:.1g}")

    def source(self, name: str = "test_generated") -> str:
        """A test, complete, that compares the calls with eager's."""
        body = [self.function.source]
        calls = []
        for n, (inputs, around) in enumerate(self.given):
            bases = ", ".join(f"b{b}" for b in dict.fromkeys(i.base for i in inputs.inputs))
            args = ", ".join(f"v{i}" for i in range(len(inputs.inputs)))
            lines = [*inputs.lines(), f"return Given([{bases}], [{args}])"]
            body.append(f"def given_{n}():\n" + textwrap.indent("\n".join(lines), "    ") + "\n")
            calls.append(f"Call(given_{n}, {around!r}, {self._tolerance(inputs, around)!r})")
        joined = ",\n        ".join(calls)
        body.append(
            f"assert_like_eager(\n    function,\n    {joined.replace('        ', '    ')},\n"
            f"    dynamic={self.dynamic},\n)"
        )
        inner = textwrap.indent("\n".join(body), "    ")
        return f"{_HEAD}\n\ndef {name}():\n{inner}\n\n\n{name}()\n"

    def __repr__(self) -> str:
        return self.source()


def random_campaign(random: Random, steps: int = 8) -> Campaign:
    """A function of everything there is, called one to four times."""
    function = random_function(random, steps, wide=True)
    given = [(function.given, _around(random))]
    for _ in range(random.randrange(4)):
        given.append((_changed(random, random.choice(given)[0]), _around(random)))
    return Campaign(function, tuple(given), random.choice((None, None, True, False)))


def _around(random: Random) -> str:
    return random.choice(["", "", "", *AROUND])


def _changed(random: Random, given: Inputs) -> Inputs:
    """Other numbers, and one thing about the inputs that is other than before."""
    inputs = [replace(i, seed=i.seed + 1) for i in given.inputs]
    what = random.choice(("nothing", "sizes", "layout", "offset", "memory", "grad", "bits"))
    n = random.randrange(len(inputs))
    if what == "sizes":
        return Inputs(tuple(inputs)).resized(_RESIZED)
    changes = {
        "nothing": {},
        "layout": {"layout": random.choice(LAYOUTS)},
        "offset": {"offset": random.randrange(6)},
        "memory": {"base": random.randint(0, n)},
        "grad": {"grad": random.choice(GRADS)},
        "bits": {"bits": random.choice(("", "torch._neg_view({})"))},
    }
    inputs[n] = replace(inputs[n], **changes[what])
    return Inputs(tuple(inputs))
