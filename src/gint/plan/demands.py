"""What a call of an operator takes of memory: for its results, and while it works.

Results are those of results.py; where it has no rule they are about the operands, as broadcasting
makes one of them. What an operator holds meanwhile (copies in another order or type, positions,
windows of images) is a multiple of the elements it is given and makes, measured for ATen's kernels
and for gint.operators alike: tests/plan/test_demands.py calls each of them and looks at the
process. So a bound here is about kernels that others write, with a margin; it is for large calls,
since what every call may take (`SCRATCH`) is not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .dtypes import ELEMENT_TYPES
from .model import Named
from .operators import VIEWS
from .results import has_rule, packet_of, result_of, together

#: What oneDNN or a thread may hold whatever the sizes are.
SCRATCH = 40 << 20
#: Of an element whose type is not said: of random numbers, positions.
_ELEMENT_BYTES = 8
#: Bytes that an operator may hold for every element that it is given or makes: three of the
#: largest type. And those that hold more.
_WORK, _MORE_WORK = 3 * 8, 6 * 8


@dataclass(slots=True)
class Typed:
    """A value as operators' rules see it, which ask what they would ask a tensor."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: str

    @property
    def itemsize(self) -> int:
        return ELEMENT_TYPES[self.dtype].nbytes

    def stride(self, dim: int | None = None) -> Any:
        return self.strides if dim is None else self.strides[dim]


class Demand(NamedTuple):
    """Bytes: `made` of results, which stay; `taken` while they are made, with them, at most."""

    made: int
    taken: int


NOTHING = Demand(0, 0)


class _Call(NamedTuple):
    """What a rule of work is told. `elements`: those of the results, of `itemsize` bytes."""

    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    given: list[Any]
    elements: int
    itemsize: int


def demand_of(operator: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Demand:
    """What an operator takes that is given tensors, arrays or `Typed`. Raises ValueError for
    arguments that it does not take; `out` among them is of the shape of the result."""
    if not is_asked(operator):
        return NOTHING
    named, packet = dict(kwargs), packet_of(operator)
    into = named.pop("out", None)
    shape = result_of(operator, args, named)
    if shape is not None and into is not None and shape != tuple(into.shape):
        raise ValueError(f"{operator} makes {shape}, and is given memory for {tuple(into.shape)}.")
    everything = list(_flat((args, named)))
    given = [a for a in everything if hasattr(a, "dtype")]
    # Of none of something, too, an operator may list the positions in all other dimensions.
    count = _broadcast(given) if shape is None else math.prod([max(n, 1) for n in shape])
    itemsize = _itemsize(packet, given, _declared(everything), shape is not None)
    made = count * itemsize
    if packet in _WITH_SUMS and shape is not None:
        made += _ELEMENT_BYTES * math.prod(shape[:-1])
    work = _RULES_OF_WORK.get(packet, _work)(_Call(args, named, given, count, itemsize))
    return Demand(made, made + work)


def is_asked(operator: str) -> bool:
    """Whether a call takes memory: no view does, unless a rule says more."""
    return has_rule(operator) or packet_of(operator) not in VIEWS


def _flat(a: Any) -> Iterator[Any]:
    if isinstance(a, (list, tuple)):
        for x in a:
            yield from _flat(x)
    elif isinstance(a, dict):
        yield from _flat(list(a.values()))
    else:
        yield a


def _count(a: Any) -> int:
    return math.prod(a.shape)


def _broadcast(given: list[Any]) -> int:
    """Elements of a result that is about the operands: of all in a list, or each with each."""
    return max(sum(map(_count, given)), math.prod(together(*[a.shape for a in given])))


# Elements of results


def _declared(everything: list[Any]) -> int:
    """The bytes of an element type among the arguments; 0 where there is none."""
    for a in everything:
        if isinstance(a, Named) and a.kind == "dtype":
            return ELEMENT_TYPES[a.name].nbytes if a.name in ELEMENT_TYPES else 16
        if hasattr(a, "itemsize") and not hasattr(a, "dtype"):
            return a.itemsize
    return 0


#: Results of which every element is a position, or that stand beside a second one of positions.
_POSITIONS = ("nonzero", "argsort", "_unique2", "unique_consecutive", "randperm", "randint")
_WITH_POSITIONS = ("max_pool2d_with_indices", "max_pool3d_with_indices")
#: Beside whose result there is one of a number per row.
_WITH_SUMS = ("_scaled_dot_product_flash_attention_for_cpu",)
#: Of the widest of the operands' types; others are of the first one's.
_OF_ALL = ("cat", "stack")
#: Elements of results, in those of the first operand.
_WIDER = {"_fft_r2c": 2, "_int_mm": 4}


def _itemsize(packet: str, given: list[Any], declared: int, is_ruled: bool) -> int:
    if declared:
        return declared
    if packet in _POSITIONS:
        return max([_ELEMENT_BYTES, *[a.itemsize for a in given]])
    if not is_ruled:  # of the widest, complex where two make one; positions beside them
        return max([a.itemsize for a in given], default=_ELEMENT_BYTES) + _ELEMENT_BYTES
    if packet in _OF_ALL:
        return max([a.itemsize for a in given], default=0)
    size = given[0].itemsize * _WIDER.get(packet, 1) if given else _ELEMENT_BYTES
    return size + _ELEMENT_BYTES * (packet in _WITH_POSITIONS)


# Work


def _work(call: _Call) -> int:
    return _WORK * (sum(map(_count, call.given)) + call.elements)


def _more_work(call: _Call) -> int:
    return _MORE_WORK * (sum(map(_count, call.given)) + call.elements)


def _no_work(call: _Call) -> int:
    return 0


def _moves(call: _Call) -> int:
    """Of elements as they are: a copy of each operand that does not lie in order."""
    return sum([_count(a) * a.itemsize for a in call.given if not _is_dense(a)])


def _products(call: _Call) -> int:
    """Operands that a BLAS reads are read where they lie; others are copied. Halves are computed
    with, and sums of theirs kept, in float32."""
    copied = [a for a in call.given if not _is_read_by_blas(a)]
    result = 4 * call.elements if call.itemsize < 4 else 0
    return result + sum([_count(a) * max(4, a.itemsize) for a in copied])


def _convolution(call: _Call) -> int:
    """Images that oneDNN convolves, or we, are brought into another order, as results are; ATen's
    own kernels, for other types and volumes, copy every window."""
    image, weight = call.given[:2]
    moved = 12 * (sum(map(_count, call.given)) + call.elements)
    if len(weight.shape) < 5 and image.itemsize <= 4 and _is_floating(image):
        return moved
    places = max(call.elements // max(weight.shape[0], 1), 1)
    if len(call.args) > 6 and call.args[6]:  # transposed: of the image's positions
        places = _count(image) // max(image.shape[1] if len(image.shape) > 2 else 1, 1)
    return moved + places * max(_count(weight), call.elements // places) * image.itemsize


#: Scores that gint.operators holds at a time, of heads that share their keys.
_SCORES = 1 << 18


def _attention(call: _Call) -> int:
    """Blocks of scores, or those of one query; halves are computed with in float32."""
    query, key = call.given[:2]
    shared = query.shape[-3] // max(key.shape[-3], 1)
    scores = min(math.prod(query.shape[:-1]) * key.shape[-2], shared * max(_SCORES, key.shape[-2]))
    return _products(call) + 4 * sum(map(_count, call.given[3:])) + 8 * scores


def _composed_attention(call: _Call) -> int:
    """As above where ATen has a kernel for the operands; all scores, several times, elsewhere."""
    query, key, value = call.given[:3]
    dropout = call.kwargs.get("dropout_p", call.args[4] if len(call.args) > 4 else 0.0)
    masks = [len(a.shape) for a in call.given[3:]]
    is_flash = (
        [len(a.shape) for a in (query, key, value)] == [4, 4, 4]
        and query.shape[-1] == value.shape[-1]
        and not dropout
        and all(rank in (2, 4) for rank in masks)
    )
    if is_flash:
        return _attention(call)
    batch = math.prod(together(*[a.shape[:-2] for a in call.given[:3]]))
    scores = batch * math.prod(query.shape[-2:-1]) * math.prod(key.shape[-2:-1])
    return _work(call) + 4 * 8 * scores


def _quantized_linear(call: _Call) -> int:
    """x in float32 and in 8 bits; blocks in another order."""
    x, *_, blocks = call.given
    return 8 * (_count(x) + call.elements) + 2 * _count(blocks)


def _quantized_embedding(call: _Call) -> int:
    return _WORK * call.elements


def _is_floating(a: Any) -> bool:
    return "float" in str(a.dtype)


def _strides(a: Any) -> Sequence[int]:
    return a.stride() if hasattr(a, "stride") else [n // a.itemsize for n in a.strides]


def _is_dense(a: Any) -> bool:
    """Whether elements lie side by side, the last dimension's closest."""
    expected = 1
    for length, stride in zip(reversed(a.shape), reversed(_strides(a)), strict=True):
        if length != 1 and stride != expected:
            return False
        expected *= length
    return True


def _is_read_by_blas(a: Any) -> bool:
    """Whether the last two dimensions are rows, or columns, with elements side by side."""
    if a.itemsize < 4 or not _is_floating(a):
        return False
    strides = _strides(a)[-2:]
    if 0 in strides:
        return all(n <= 1 for s, n in zip(strides, a.shape[-2:], strict=True) if not s)
    return 1 in strides or 1 in a.shape[-2:]


_RULES_OF_WORK: dict[str, Callable[[_Call], int]] = {
    **dict.fromkeys(
        ("mm", "bmm", "addmm", "_addmm_activation", "baddbmm", "addmv", "mv", "linear", "_int_mm"),
        _products,
    ),
    **dict.fromkeys(("convolution", "_convolution"), _convolution),
    "_scaled_dot_product_flash_attention_for_cpu": _attention,
    "scaled_dot_product_attention": _composed_attention,
    **dict.fromkeys(
        (
            "embedding", "index_select", "take", "cat", "stack", "clone", "contiguous", "copy_",
            "_to_copy", "lift_fresh_copy", "slice_scatter", "select_scatter", "constant_pad_nd",
        ),
        _moves,
    ),
    **dict.fromkeys(
        (
            "empty", "empty_like", "empty_strided", "empty_permuted", "new_empty",
            "new_empty_strided", "dot", "vdot", "_local_scalar_dense", "expand", "as_strided",
            "unfold", "split", "split_with_sizes", "unbind",
        ),
        _no_work,
    ),
    **dict.fromkeys(
        (
            "upsample_bilinear2d", "upsample_bicubic2d", "_unique2", "unique_consecutive",
            "_linalg_svd", "_linalg_eigh", "multinomial",
        ),
        _more_work,
    ),
    "quantized_linear": _quantized_linear, "quantized_embedding": _quantized_embedding,
}  # fmt: skip
