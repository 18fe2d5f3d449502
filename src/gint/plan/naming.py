"""A plan whose sizes have other names. Knows where symbols are written in a plan, nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from .expressions import Symbol
from .model import Check, Constant, Define, Foreign, Plan


def renamed(plan: Plan, names: Mapping[str, str]) -> Plan:
    """The plan with symbol -> name, in sizes, checks and their messages alike."""
    if not names:
        return plan
    written = re.compile(rf"\b({'|'.join(map(re.escape, names))})\b")

    def of(x: Any) -> Any:
        if isinstance(x, Symbol):
            return Symbol(names.get(x.name, x.name))
        if isinstance(x, Define):
            return replace(x, symbol=names.get(x.symbol, x.symbol))
        if isinstance(x, Check):
            said = written.sub(lambda found: names[found[0]], x.message)
            return Check(of(x.condition), said)
        if isinstance(x, (list, tuple)):
            return type(x)([of(y) for y in x])
        if isinstance(x, dict):
            return {k: of(y) for k, y in x.items()}
        if isinstance(x, slice):
            return slice(of(x.start), of(x.stop), of(x.step))
        if is_dataclass(x) and not isinstance(x, (type, Constant, Foreign)):
            return replace(x, **{f.name: of(getattr(x, f.name)) for f in fields(x)})
        return x

    return replace(plan, inputs=of(plan.inputs), steps=of(plan.steps), result=of(plan.result))
