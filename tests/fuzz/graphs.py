"""Random torch functions, compiled and called several times, beside eager and `aot_eager`.

Views, writes in place, inputs that share memory, strides, offsets, bits, types, sizes that change,
gradients, autocast: `tests.conductor.generated_calls`. A finding prints as a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import Any

import torch

from tests.conductor.generated import Generated, Step
from tests.conductor.generated_calls import Campaign, random_campaign
from tests.conductor.generated_inputs import Input, Inputs


class Graphs:
    def case(self, seed: int, number: int) -> Campaign:
        return random_campaign(Random(f"graph {seed} {number}"))

    def run(self, case: Campaign) -> Iterator[tuple[str, str]]:
        why = case.why_unlike_eager()
        assert not why, f"{why}\n\n{case.source()}"
        yield "function", "as eager"
        for _, around in case.given:
            yield "call", around or "plain"

    def smaller(self, case: Campaign) -> Iterator[Campaign]:
        function = case.function
        if len(case.given) > 1:
            for n in range(len(case.given)):
                yield replace(case, given=case.given[:n] + case.given[n + 1 :])
        if len(function.outputs) > 1:
            for n in range(len(function.outputs)):
                outputs = function.outputs[:n] + function.outputs[n + 1 :]
                yield replace(case, function=replace(function, outputs=outputs))
        for n in reversed(range(len(function.steps))):
            yield replace(case, function=_without(function, n))
        for n, step in enumerate(function.steps):
            if step.around:
                plain = _put(function.steps, n, replace(step, around=""))
                yield replace(case, function=replace(function, steps=plain))
        if case.dynamic is not None:
            yield replace(case, dynamic=None)
        for n, (inputs, around) in enumerate(case.given):
            if around:
                yield replace(case, given=_put(case.given, n, (inputs, "")))
            for plainer in _plainer(inputs):
                yield replace(case, given=_put(case.given, n, (plainer, around)))

    def dump(self, case: Campaign) -> dict:
        function = case.function
        return {
            "test": case.source(),
            "steps": [[s.text, list(s.operands), s.makes, s.around] for s in function.steps],
            "outputs": list(function.outputs),
            "scale": function.scale,
            "coarse": function.coarse,
            "inputs": _written(function.given),
            "given": [[_written(inputs), around] for inputs, around in case.given],
            "dynamic": case.dynamic,
        }

    def load(self, written: dict) -> Campaign:
        steps = tuple(
            Step(text, tuple(operands), *others) for text, operands, *others in written["steps"]
        )
        function = Generated(
            _read(written["inputs"]), steps, tuple(written["outputs"]), written["scale"],
            written["coarse"],
        )  # fmt: skip
        given = tuple((_read(inputs), around) for inputs, around in written["given"])
        return Campaign(function, given, written["dynamic"])


def _put(values: tuple, n: int, value: Any) -> tuple:
    return (*values[:n], value, *values[n + 1 :])


def _without(function: Generated, n: int) -> Generated:
    """Without a step; its first operand stands for the value it makes."""
    step, steps = function.steps[n], function.steps
    if not step.makes:
        return replace(function, steps=steps[:n] + steps[n + 1 :])
    made = len(function.given.inputs) + sum(s.makes for s in steps[:n])

    def renumbered(operands: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(step.operands[0] if o == made else o - (o > made) for o in operands)

    later = (replace(s, operands=renumbered(s.operands)) for s in steps[n + 1 :])
    return replace(function, steps=(*steps[:n], *later), outputs=renumbered(function.outputs))


def _plainer(inputs: Inputs) -> Iterator[Inputs]:
    plain = {"layout": "plain", "offset": 0, "bits": "", "grad": "", "dtype": torch.float32}
    for n, i in enumerate(inputs.inputs):
        for name, value in (*plain.items(), ("base", n)):
            if getattr(i, name) != value:
                yield Inputs(_put(inputs.inputs, n, replace(i, **{name: value})))


def _written(inputs: Inputs) -> list[dict]:
    return [vars(i) | {"dtype": str(i.dtype)} for i in inputs.inputs]


def _read(written: list[dict]) -> Inputs:
    return Inputs(
        tuple(
            Input(**w | {"dtype": getattr(torch, w["dtype"][6:]), "shape": tuple(w["shape"])})
            for w in written
        )
    )


KIND = Graphs()
