"""Random modules, trained, frozen, quantised or saved, beside eager.

Attention, norms, embeddings, convolutions, scatters, scans, windows, buffers that are written:
`tests.conductor.generated_modules`. A finding prints as what makes it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from random import Random

import torch

from tests.conductor.generated_modules import random_module
from tests.conductor.module_cases import ModuleCase


class Modules:
    def case(self, seed: int, number: int) -> ModuleCase:
        return random_module(Random(f"module {seed} {number}"))

    def run(self, case: ModuleCase) -> Iterator[tuple[str, str]]:
        torch.set_num_threads(1)
        if not case.runs():
            yield "module", "raises in eager"
            return
        why = case.why_unlike_eager()
        assert not why, f"{why}\n\n{case}"
        yield "module", case.way
        for layer in case.layers:
            yield "layer", layer.partition("(")[0]

    def smaller(self, case: ModuleCase) -> Iterator[ModuleCase]:
        if len(case.calls) > 1:
            for n in range(len(case.calls)):
                yield replace(case, calls=case.calls[:n] + case.calls[n + 1 :])
        for n in reversed(range(len(case.layers))):
            yield replace(case, layers=case.layers[:n] + case.layers[n + 1 :])
        for n, layer in enumerate(case.layers):
            for part in _parts(layer):
                yield replace(case, layers=(*case.layers[:n], part, *case.layers[n + 1 :]))
        plain = {"around": "", "dynamic": False, "marked": False, "training": False}
        for name, value in plain.items():
            if getattr(case, name) != value:
                yield replace(case, **{name: value})

    def dump(self, case: ModuleCase) -> dict:
        return asdict(case)

    def load(self, written: dict) -> ModuleCase:
        calls = tuple((batch, length) for batch, length in written["calls"])
        return ModuleCase(**written | {"layers": tuple(written["layers"]), "calls": calls})


def _parts(layer: str) -> Iterator[str]:
    """What is between the outer parentheses of a layer made of layers, and each of those."""
    inner = layer.partition("(")[2].rpartition(")")[0]
    depth, start, found = 0, 0, []
    for at, letter in enumerate(inner + ","):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            found.append(inner[start:at].strip())
            start = at + 1
    yield from (part for part in found if part.endswith(")") and not part.startswith("("))


KIND = Modules()
