"""Operators of the table on shapes, layouts and types that nobody listed, drawn at random.

`operators` measures every operator at three shapes, contiguous. What users have is of other ranks,
permuted, padded, broadcast; this looks there. The rows are the same table's, those whose arguments
fit any shape, one or several together, each on what the one before made, here and there turned; a
seed makes the same draws again. A call through Dynamo costs 10 us, and up to 80
where the tensors have driven its guards out of the caches, whatever the backend. So gint is
compared with the backend "eager", which is Dynamo and eager's operators. Whether operators alone
are right is compared on the way; of several together, where one may jump at what another rounds,
tests/conductor/generated.py takes care.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from typing import Any

import torch

from benchmarks.operators import QUICK, compare, compiled
from benchmarks.operators_arguments import SOURCES, Call, said
from benchmarks.operators_list import TORCH, Case, cases
from benchmarks.operators_report import DYNAMO
from benchmarks.report import Report, Table, divide, micros, ratio
from benchmarks.settings import SUBJECT, Settings
from gint.measuring.clock import geomean, medians, take_turns
from gint.measuring.progress import progress

#: Extents to draw from: small, prime, powers of two and their neighbours.
EXTENTS = (1, 2, 3, 4, 5, 7, 8, 13, 16, 17, 31, 32, 48, 64, 77, 100, 127, 128, 197, 256, 300, 768)
#: Elements of a tensor, powers of ten.
MAGNITUDES = (4.7, 6.3)
#: Types are drawn evenly from these, so that half of all draws are float32.
TYPES = ("f32",) * 5 + ("bf16", "f16", "f64", "i64", "i32")
#: What a text may name to fit any shape: tensors as large as x.
ANY_SHAPE = frozenset(("x", "y", "z", "w", "u", "v", "mask", "fraction"))
SHOWN, FLOOR = 40, 0.8
#: What eager raises at tensors that an operator is not for, and at what is no tensor.
NOT_TAKEN = (
    RuntimeError, TypeError, ValueError, IndexError, NotImplementedError, AttributeError,
)  # fmt: skip


@dataclass(frozen=True)
class Draw:
    """Rows of the table on drawn tensors. `text` names shapes and layouts."""

    cases: tuple[Case, ...]
    call: Call
    text: str


def run(settings: Settings) -> Report:
    """Measure as many draws as were asked for. Ctrl-C ends it earlier."""
    rows: list[dict[str, Any]] = []
    found = islice(draws(random.Random(settings.seed), settings), settings.draws)
    with suppress(KeyboardInterrupt), torch.no_grad(), progress("sampled", settings.draws) as step:
        for draw in found:
            step(draw.text)
            rows.append(measure(draw))
    return report_of(rows, settings.seed)


def draws(chance: random.Random, settings: Settings) -> Iterator[Draw]:
    """Calls that eager takes, without end; the same for the same seed."""
    found = [case for case in cases() if fits_any_shape(case) and settings.wants(case.name)]
    if settings.together > 1:
        found = [case for case in found if not _is_gradient(case)]
    if not found:
        alone = "; gradients are drawn without --together" if settings.together > 1 else ""
        raise SystemExit(
            f"gint bench sampled: no such row fits any shape. --only takes names{alone}."
        )
    types = settings.types or TYPES
    while True:
        dtype = chance.choice(types)
        chosen = tuple(replace(chance.choice(found), type=dtype) for _ in range(settings.together))
        torch.manual_seed(chance.getrandbits(32))
        text = _together(
            chance, [f"{c.target or ''}{c.arguments or said(c.target)}" for c in chosen]
        )
        named = [n for n in compile(text, "<call>", "eval").co_names if n in ANY_SHAPE]
        shape = _shape(chance)
        alike = any(_is_gradient(case) for case in chosen)
        made = {
            name: _tensor(chance, dtype, shape, name, is_whole=name == "x" or alike)
            for name in dict.fromkeys(named)
        }
        call = Call(text, {name: tensor for name, (tensor, _) in made.items()})
        try:
            call.run()
        except NOT_TAKEN:
            continue
        layouts = ", ".join(f"{name} {layout}" for name, (_, layout) in made.items())
        shown = text.replace("aten.", "").replace(".default", "")
        yield Draw(chosen, call, f"{shown} of {dtype} {shape}: {layouts}")


def _is_gradient(case: Case) -> bool:
    """Whether it takes for granted, and reads, what another operator made of as large tensors."""
    return "backward" in case.name


def _together(chance: random.Random, texts: Sequence[str]) -> str:
    """One expression, in which each text has as x what the one before made."""
    steps = []
    for text in texts[:-1]:
        steps.append(f"x := {text}")
        if chance.random() < 0.25:
            steps.append("x := x.transpose(0, -1)")
    return f"({', '.join(steps)}, {texts[-1]})[-1]" if steps else texts[-1]


def fits_any_shape(case: Case) -> bool:
    """Whether a row's arguments are tensors as large as its first, and numbers."""
    if case.program is not None:
        return False
    try:
        text = f"f{case.arguments or said(case.target)}"
    except LookupError:
        return False
    names = set(compile(text, "<call>", "eval").co_names) if "{" not in text else {"rows"}
    return "x" in names and names <= {"f", "torch", "dtype", *ANY_SHAPE, *TORCH, *_torch_types()}


def _torch_types() -> Iterator[str]:
    return (str(t).removeprefix("torch.") for t in TORCH.values())


def _shape(chance: random.Random) -> list[int]:
    """One to five extents, of which one is what makes the magnitude."""
    total = int(10 ** chance.uniform(*MAGNITUDES))
    shape: list[int] = []
    for _ in range(chance.choice((0, 1, 1, 2, 2, 3, 4))):
        extent = chance.choice(EXTENTS)
        if total // extent:
            shape.append(extent)
            total //= extent
    shape.insert(chance.randrange(len(shape) + 1), total)
    return shape


def _tensor(
    chance: random.Random, type: str, shape: Sequence[int], name: str, is_whole: bool
) -> tuple[torch.Tensor, str]:
    """A tensor of a shape, or one that is broadcast to it if it need not be `is_whole`, and what
    its layout is called."""
    size, layout = list(shape), "contiguous"
    if not is_whole and chance.random() < 0.2:
        size = [n if chance.random() < 0.5 else 1 for n in shape]
        layout = f"broadcast from {size}"
    order = list(range(len(size)))
    kind = chance.choice(("contiguous",) * 4 + ("permuted", "padded", "stepping"))
    if kind == "permuted":
        chance.shuffle(order)
    large = [size[d] for d in order]
    at = [slice(None)] * len(large)
    if kind == "padded":
        large[-1] += 5
        at[-1] = slice(2, -3)
    elif kind == "stepping":
        d = chance.randrange(len(large))
        large[d] *= 2
        at[d] = slice(None, None, 2)
    made = _values(TORCH[type], large, name)[tuple(at)].permute(
        [order.index(d) for d in range(len(size))]
    )
    if kind != "contiguous":
        layout = f"{layout}, {kind}" if "broadcast" in layout else kind
    return made, f"{layout} {order}" if kind == "permuted" else layout


def _values(dtype: torch.dtype, size: Sequence[int], name: str) -> torch.Tensor:
    if name == "mask" or dtype is torch.bool:
        return torch.rand(size) < 0.5
    if name == "fraction":
        return torch.rand(size).to(dtype)
    if dtype.is_floating_point:
        return SOURCES[0](size).to(dtype)
    return torch.randint(1, 100 if name == "x" else 7, size).to(dtype)


def measure(draw: Draw) -> dict[str, Any]:
    """Seconds of eager, of Dynamo with eager's operators, and of gint; or what was wrong."""
    row: dict[str, Any] = {"call": draw.text, "medians_s": {}, "ratio": None, "error": ""}
    tensors = tuple(draw.call.tensors.values())
    function = draw.call.function()
    calls: dict[str, Callable[[], Any]] = {"eager": partial(function, *tensors)}
    try:
        for name in (DYNAMO, SUBJECT):
            calls[name] = partial(compiled(draw.call.function(), name, dynamic=False), *tensors)
        if len(draw.cases) == 1:
            compare(draw.cases[0], {name: calls[name] for name in ("eager", SUBJECT)})
        row["medians_s"] = medians(take_turns(calls, QUICK))
        row["ratio"] = divide(row["medians_s"][DYNAMO], row["medians_s"][SUBJECT])
    except Exception as error:  # the other draws are not thrown away for this one
        row["error"] = f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        torch._dynamo.reset()
    return row


def report_of(rows: Sequence[dict[str, Any]], seed: int) -> Report:
    """The slowest draws first, how many are below the floor, and what failed."""
    measured = sorted((r for r in rows if not r["error"]), key=lambda r: r["ratio"])
    cells = [
        [r["call"], *(micros(r["medians_s"][c]) for c in ("eager", DYNAMO, SUBJECT)),
         ratio(r["ratio"])]
        for r in measured[:SHOWN]
    ]  # fmt: skip
    title = f"microseconds (median), slowest first; {min(SHOWN, len(measured))} of {len(measured)}"
    headers = ["", "eager", "Dynamo, eager", SUBJECT, "ratio"]
    below = sum(r["ratio"] < FLOOR for r in measured)
    mean = geomean([r["ratio"] for r in measured])
    notes = (
        f"{len(measured)} draws of seed {seed}: Dynamo with eager's operators over gint, geometric "
        f"mean {ratio(mean)}; {below} below {FLOOR}.",
        *(f"{r['call']} failed: {r['error']}" for r in rows if r["error"]),
    )
    return Report("sampled", (Table(title, headers, cells),), {"seed": seed, "rows": rows}, notes)
