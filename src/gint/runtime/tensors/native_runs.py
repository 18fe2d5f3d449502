"""Runs of a plan's steps as the native module carries them out: `NativeRun`.

Knows runs, tensors and `RunSteps`. Does not know the rest of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from gint.backend.errors import raise_for
from gint.backend.protocol import BoundLaunch
from gint.plan import (
    Call,
    Expect,
    Launch,
    Operation,
    Release,
    Symbol,
    TensorType,
    Use,
    View,
)
from gint.program import Program

from .addresses import Addresses, is_foreign
from .copies import Copied
from .entry_points import ROW_PRODUCTS
from .layouts import launch_on_copies
from .runs import (
    ATTENTION,
    CONVOLUTION,
    JOIN,
    LINEAR,
    LINEAR_BINARY,
    ONEDNN,
    POINTWISE,
    POINTWISE_BINARY,
    Run,
)

#: A launch of a plan that is bound, and its program.
Bound = tuple[BoundLaunch, Program]


def native_run(
    steps: Callable[..., Any],
    run: Run,
    bound: Mapping[int, Bound],
    fixed: Mapping[int, torch.Tensor],
    types: Mapping[int, TensorType],
    joins: Mapping[int, int],
    packed: Mapping[int, Any],
    copied: Mapping[int, Copied],
    is_compared: bool = False,
) -> Callable[..., Any]:
    """A call of a run: given the tensors `run.inputs` and the numbers `run.sizes`, it returns its
    `outputs`, one alone or as a tuple. `steps` is the native module's `RunSteps`, `bound` has the
    launches by `id`, `fixed` what lies in a frame; `types` is what is known of values, `joins` in
    which dimension some are joined, `packed` are constants without memory of their own, `copied`
    the calls that copy pieces, by `id`. `is_compared`: results are no longer believed to have the
    sizes and elements that the plan says."""
    values = [*run.inputs, *run.fixed, *run.made]
    number = {value: n for n, value in enumerate(values)}
    tensors = [fixed[value] for value in run.fixed]
    made = steps(len(run.inputs), tensors, len(run.made), raise_for, len(run.sizes))
    sizes = {e: (n,) for n, e in enumerate(run.sizes)}
    products = {
        s.value: _product(s, types) for s in run.steps if is_foreign(s) and id(s) not in copied
    }
    addresses = Addresses(run, {value: size for value, (*_, size) in products.items()}, types)
    for step in run.steps:
        if isinstance(step, Call) and id(step) in copied:
            sources, pieces, nbytes, fill = copied[id(step)]
            made.copy(number[step.value], [number[v] for v in sources], nbytes, fill, pieces)
        elif is_foreign(step):
            _add_row_product(made, number, products, addresses, step)
        elif isinstance(step, Call):
            args = [_operand(a, number, packed) for a in step.args]
            _add_call(made, number, types, joins, step, args)
        elif isinstance(step, Launch):
            _add_launch(made, number, bound, step)
        elif isinstance(step, Release):
            made.release([number[value] for value in step.values])
        elif isinstance(step, View) and step.value in addresses.behind:
            made.behind(number[step.value], number[step.of], addresses.behind[step.value])
        elif isinstance(step, View):
            _add_view(made, number, sizes, step)
        elif isinstance(step, Expect) and not addresses.is_expected(step):
            _add_expect(made, number, sizes, step, is_compared)
    return made.finish([number[v] for v in run.outputs])


def _add_launch(made: Any, number: dict, bound: Mapping[int, Bound], step: Launch) -> None:
    launch, program = bound[id(step)]
    again = None
    if step.on_copies:
        written = tuple(n for n, slot in enumerate(program.slots) if slot.access.writes)
        again = partial(_on_copies, launch, written)
    made.launch(launch, [number[slot.value] for slot in step.slots], again)


def _on_copies(launch: BoundLaunch, written: tuple[int, ...], tensors: tuple) -> int:
    return launch_on_copies(launch, tensors, written)


def _add_view(made: Any, number: dict, sizes: Mapping[Any, tuple], step: View) -> None:
    layout = _given(step.size, sizes), _given(step.strides, sizes)
    made.view(number[step.value], number[step.of], *layout, *_given((step.offset,), sizes))


def _add_expect(
    made: Any, number: dict, sizes: Mapping[Any, tuple], step: Expect, is_compared: bool
) -> None:
    kind = step.type
    layout = _given(kind.size, sizes), _given(kind.strides, sizes)
    like = torch.empty(0, dtype=getattr(torch, kind.dtype)) if is_compared else None
    made.expect(number[step.value], *layout, like)


def _given(expressions: tuple, sizes: Mapping[Any, tuple]) -> tuple:
    """Numbers as they are, and of the others which of the run's sizes they are."""
    return tuple([sizes[e] if isinstance(e, (Symbol, Operation)) else e for e in expressions])


def _operand(a: Any, number: dict, packed: Mapping[int, Any]) -> Any:
    """An argument as the native module takes it: a value's number, a packed weight, or itself."""
    if not isinstance(a, Use):
        return a
    return packed[a.value] if a.value in packed else number[a.value]


def _add_call(
    made: Any,
    number: dict,
    types: Mapping[int, TensorType],
    joins: Mapping[int, int],
    step: Call,
    args: list,
) -> None:
    if step.operator == ATTENTION:
        _add_attention(made, number, step, args)
    elif step.operator == JOIN:
        made.join(number[step.value], [number[a.value] for a in step.args[0]], joins[step.value])
    elif step.operator == CONVOLUTION:
        made.convolution(number[step.value], *args)
    elif step.operator in ONEDNN:
        _ONEDNN[step.operator](made, number[step.value], *args)
    else:
        is_batched = "bmm" in str(step.operator)
        added = args.pop(0) if len(args) == 3 else None
        rows = (0, 0) if is_batched or added is None else _rows(step, types)
        made.product(is_batched, number[step.value], added, *args, 1.0, 1.0, *rows)


def _product(step: Call, types: Mapping[int, TensorType]) -> tuple[Any, Any, tuple[int, ...]]:
    """A row product's native product and weights, and the size of its result."""
    x, _, *which = step.args
    product, weights = ROW_PRODUCTS[step.operator.value](*which)  # type: ignore[misc, union-attr]
    return product, weights, (*types[x.value].size[:-1], weights.shape[0])


def _add_row_product(
    made: Any, number: dict, products: Mapping[int, tuple], addresses: Addresses, step: Call
) -> None:
    x, bias, *_ = step.args
    added = None if bias is None else number[bias.value]
    offset = addresses.offsets.get(step.value)
    made.row_product(
        number[step.value], number[x.value], added, *products[step.value], offset=offset
    )


def _rows(step: Call, types: Mapping[int, TensorType]) -> tuple[int, int]:
    """The rows of an `addmm`, and the bytes of one, where what is added is one row of the result's
    type for all of them, as biases are; otherwise zeros."""
    out, added = types.get(step.value), types.get(step.args[0].value)
    if out is None or added is None or out.dtype != added.dtype:
        return 0, 0
    rows, columns = out.size
    if (out.strides, added.size, added.strides) != ((columns, 1), (columns,), (1,)):
        return 0, 0
    return rows, columns * getattr(torch, out.dtype).itemsize  # type: ignore[return-value]


def _add_attention(made: Any, number: dict, step: Call, args: list) -> None:
    how = dict(step.kwargs)
    mask = how.get("attn_mask")
    is_causal = bool(args[4]) if len(args) > 4 else False
    made.attention(
        number[step.value], *args[:3], number[mask.value] if isinstance(mask, Use) else None,
        is_causal, how.get("scale"),
    )  # fmt: skip


# Arguments in the order of torch's operators.


def _add_linear(
    made: Any, value: int, x: int, weight: Any, bias: Any, attr: str, scalars: Any, algorithm: Any
) -> None:
    made.linear(value, x, weight, bias, None, "", (attr, list(scalars), algorithm))


def _add_linear_binary(
    made: Any, value: int, x: int, other: int, weight: Any, bias: Any, attr: str
) -> None:
    made.linear(value, x, weight, bias, other, attr, ("", [], None))


def _add_pointwise(
    made: Any, value: int, x: int, weight: Any, bias: Any, padding: list, stride: list,
    dilation: list, groups: int, attr: str, scalars: Any, algorithm: Any,
) -> None:  # fmt: skip
    after = (attr, list(scalars), algorithm)
    where = (padding, stride, dilation, groups)
    made.pointwise_convolution(value, x, weight, bias, None, "", after, *where)


def _add_pointwise_binary(
    made: Any, value: int, x: int, other: int, weight: Any, bias: Any, padding: list, stride: list,
    dilation: list, groups: int, combined: str, alpha: Any, attr: Any, scalars: Any, algorithm: Any,
) -> None:  # fmt: skip
    after = (attr or "", list(scalars), algorithm)
    where = (padding, stride, dilation, groups)
    made.pointwise_convolution(value, x, weight, bias, other, combined, after, *where)


_ONEDNN: dict[Any, Callable[..., None]] = {
    LINEAR: _add_linear, LINEAR_BINARY: _add_linear_binary,
    POINTWISE: _add_pointwise, POINTWISE_BINARY: _add_pointwise_binary,
}  # fmt: skip
