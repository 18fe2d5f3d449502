"""What operators make of what they are given: the sizes of their results, where these are not about
those of an operand.

A rule has the parameters of ATen's schema, and reads the shapes of tensors and the numbers among
the arguments; so it holds for tensors, for arrays, and for whatever has a `shape`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .believed import (
    Shape,
    Shaped,
    attended,
    flash_attended,
    halved,
    real,
    recurrent,
    transformed,
)


def result_of(operator: str, args: Sequence[Any], kwargs: dict[str, Any]) -> Shape | None:
    """The shape of the result of the overload "aten.mm.default", or one of as many elements as all
    its results have; None where they have about as many as its operands.

    Raises ValueError for arguments that it does not take.
    """
    rule = _rule(operator)
    if rule is None:
        return None
    try:
        shape = rule(*args, **kwargs)
        return tuple([max(int(n), 0) for n in shape])
    except (TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"{operator} does not take such arguments: {error}.") from None


def has_rule(operator: str) -> bool:
    """Whether `result_of` asks for the arguments of the overload at all."""
    return _rule(operator) is not None


def is_exact(operator: str) -> bool:
    """Whether a result is asked about at the very sizes: its rule refuses what does not fit, or a
    result may be smaller where an operand is larger."""
    return packet_of(operator) in _EXACT


def packet_of(operator: str) -> str:
    """ "mm" of "aten.mm.default"."""
    return operator.partition(".")[2].rpartition(".")[0]


def _rule(operator: str) -> Callable[..., Sequence[int]] | None:
    return _RULES.get(packet_of(operator))


def _product(a: Shaped, b: Shaped) -> Shape:
    return (*a.shape[:-1], b.shape[-1])


def _outer(self: Shaped, vec1: Shaped, vec2: Shaped, **_: Any) -> Shape:
    return (math.prod(vec1.shape), math.prod(vec2.shape))


def _linear(input: Shaped, weight: Shaped, bias: Any = None) -> Shape:
    return (*input.shape[:-1], *weight.shape[:-1])


def _convolution(
    input: Shaped, weight: Shaped, bias: Any, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int, *_: Any,
) -> Shape:  # fmt: skip
    count = len(weight.shape) - 2
    lists = [_each(n, count) for n in (stride, padding, dilation, output_padding)]
    sizes = zip(input.shape[-count:], weight.shape[2:], *lists, strict=True)
    if transposed:
        channels = weight.shape[1] * groups
        over = [(n - 1) * s - 2 * p + d * (k - 1) + o + 1 for n, k, s, p, d, o in sizes]
    else:
        channels = weight.shape[0]
        over = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d, _ in sizes]
    return (*input.shape[: -count - 1], channels, *over)


def _each(n: Any, count: int) -> list[int]:
    listed = [n] if isinstance(n, int) else list(n)
    return listed * count if len(listed) == 1 else listed


def _padded(self: Shaped, pad: Sequence[int], value: Any = None) -> Shape:
    shape = list(self.shape)
    for n, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        shape[-1 - n] += before + after
    return tuple(shape)


def _resized(input: Shaped, output_size: Any, *rest: Any, **kwargs: Any) -> Shape:
    count = len(input.shape) - 2
    if output_size is None:  # the overload that is given factors, which come last
        factors = kwargs.get("scale_factors") or (rest and rest[-1]) or ()
        output_size = [n * f for n, f in zip(input.shape[2:], factors, strict=True)]
    return (*input.shape[:2], *_each(output_size, count))


def _largest(
    count: int, /, self: Shaped, kernel_size: Any, stride: Any = (), padding: Any = 0,
    dilation: Any = 1, ceil_mode: bool = False,
) -> Shape:  # fmt: skip
    """Of every window of the last `count` dimensions."""
    lists = [_each(n, count) for n in (kernel_size, stride or kernel_size, padding, dilation)]
    sizes = []
    for n, k, s, p, d in zip(self.shape[-count:], *lists, strict=True):
        beyond = n + 2 * p - d * (k - 1) - 1
        found = -(-beyond // s) + 1 if ceil_mode else beyond // s + 1
        sizes.append(found - (ceil_mode and (found - 1) * s >= n + p))
    return (*self.shape[:-count], *sizes)


def _mean(
    count: int, /, self: Shaped, kernel_size: Any, stride: Any = (), padding: Any = 0,
    ceil_mode: bool = False, *_: Any, **__: Any,
) -> Shape:  # fmt: skip
    return _largest(count, self, kernel_size, stride, padding, 1, ceil_mode)


def _pooled(self: Shaped, output_size: Any) -> Shape:
    sizes = list(output_size)
    return (*self.shape[: -len(sizes)], *sizes)


def _sized(size: Sequence[int], *_: Any, **__: Any) -> Shape:
    return tuple(size)


def _strided(size: Sequence[int], stride: Sequence[int], *_: Any, **__: Any) -> Shape:
    """What is reached, or seen where some of it is seen many times."""
    return (max(1 + sum((n - 1) * s for n, s in zip(size, stride, strict=True)), math.prod(size)),)


def _new(self: Shaped, size: Sequence[int], *rest: Any, **_: Any) -> Shape:
    return _strided(size, rest[0]) if rest and isinstance(rest[0], (list, tuple)) else tuple(size)


def _drawn(*numbers: Any, **named: Any) -> Shape:
    """Of `low`, `high`, `mean`, `std` and `size`, in whatever order they come."""
    lists = [n for n in (*numbers, named.get("size")) if isinstance(n, (list, tuple))]
    if lists:
        return tuple(lists[0])
    return together(*[n.shape for n in (*numbers, *named.values()) if hasattr(n, "shape")])


def _permutation(n: int, **_: Any) -> Shape:
    return (n,)


def _samples(self: Shaped, num_samples: int, *_: Any, **__: Any) -> Shape:
    return (*self.shape[:-1], num_samples)


def _rows(weight: Shaped, indices: Shaped, *_: Any, **__: Any) -> Shape:
    return (*indices.shape, *weight.shape[1:])


def _bags(weight: Shaped, indices: Shaped, offsets: Shaped, *_: Any, **__: Any) -> Shape:
    return (math.prod(offsets.shape) + 1, *weight.shape[1:])


def _indexed(self: Shaped, indices: Sequence[Any], *_: Any, **__: Any) -> Shape:
    """What indices are together, and what they leave; a mask gives as many as it has elements."""
    at, given, kept = 0, [], []
    for index in indices:
        if index is None:
            kept.append(self.shape[at])
            at += 1
        elif _is_mask(index):
            given.append((math.prod(index.shape),))
            at += len(index.shape)
        else:
            given.append(tuple(index.shape))
            at += 1
    return (*together(*given), *kept, *self.shape[at:])


def _is_mask(index: Any) -> bool:
    return str(index.dtype).rpartition(".")[2] in ("bool", "uint8")


def together(*shapes: Sequence[int]) -> Shape:
    """What shapes are that are broadcast together, as far as they can be."""
    rank = max([len(s) for s in shapes], default=0)
    filled = [(1,) * (rank - len(s)) + tuple(s) for s in shapes]
    return tuple([0 if 0 in sizes else max(sizes) for sizes in zip(*filled, strict=True)])


def _selected(self: Shaped, dim: int, index: Shaped) -> Shape:
    shape = list(self.shape)
    if shape:
        shape[dim] = math.prod(index.shape)
    return tuple(shape)


def _gathered(self: Shaped, dim: int, index: Shaped, *_: Any, **__: Any) -> Shape:
    return tuple(index.shape)


def _taken(self: Shaped, index: Shaped) -> Shape:
    return tuple(index.shape)


def _sampled(input: Shaped, grid: Shaped, *_: Any) -> Shape:
    return (*input.shape[:2], *grid.shape[1:3])


def _factors(A: Shaped, *_: Any, **__: Any) -> Shape:
    """Both square ones, at most."""
    *lead, rows, columns = A.shape
    return (*lead, rows * rows + columns * columns)


def _solved_with_factors(A: Shaped, B: Shaped, *_: Any, **__: Any) -> Shape:
    return (math.prod(_solved(A, B)) + math.prod(A.shape),)


def _solved(A: Shaped, B: Shaped, *_: Any, **__: Any) -> Shape:
    return (*together(A.shape[:-2], B.shape[:-2]), *B.shape[-2:])


def _expanded(self: Shaped, size: Sequence[int], **_: Any) -> Shape:
    own = (1,) * (len(size) - len(self.shape)) + tuple(self.shape)
    return tuple([o if n == -1 else n for n, o in zip(size, own, strict=True)])


def _shown(self: Shaped, size: Sequence[int], *_: Any, **__: Any) -> Shape:
    return tuple(size)


def _windows(self: Shaped, dimension: int, size: int, step: int) -> Shape:
    shape = list(self.shape)
    if shape:
        shape[dimension] = (shape[dimension] - size) // step + 1
    return (*shape, size)


#: Gates of a cell, and the directions.
_OF_A_CELL = 4 * 2


def _network(input: Shaped, hx: Any, *rest: Any, **_: Any) -> Shape:
    """What all layers of a recurrent network make, with their gates."""
    states = [a for a in (hx, *rest[:1]) if isinstance(a, (list, tuple)) or len(a.shape) > 1]
    state = states[0][0] if isinstance(states[0], (list, tuple)) else states[0]
    return (*input.shape[:-1], _OF_A_CELL, *state.shape[:1], state.shape[-1])


def _joined(tensors: Sequence[Shaped], dim: int = 0) -> Shape:
    """Of tensors, those with no elements and one dimension left out."""
    shapes = [list(t.shape) for t in tensors if tuple(t.shape) != (0,)] or [[0]]
    shapes[0][dim] = sum([shape[dim] for shape in shapes])
    return tuple(shapes[0])


def _stacked(tensors: Sequence[Shaped], dim: int = 0) -> Shape:
    shape = list(tensors[0].shape)
    shape.insert(dim if dim >= 0 else dim + len(shape) + 1, len(tensors))
    return tuple(shape)


def _alike(self: Shaped, *_: Any, **__: Any) -> Shape:
    return tuple(self.shape)


def _gradient_rows(grad_output: Shaped, indices: Shaped, num_weights: int, *_: Any) -> Shape:
    return (num_weights, *grad_output.shape[-1:])


def _positions(self: Shaped) -> Shape:
    return (math.prod(self.shape), len(self.shape))


def _each_once(self: Shaped, *_: Any, **__: Any) -> Shape:
    """What is found, where it is found, how often."""
    return (3, math.prod(self.shape))


#: Of a view and the object it is in.
_ELEMENTS_OF_A_PIECE = 64


def _pieces(self: Shaped, split_size: Any = 1, dim: int = 0) -> Shape:
    """Memory for views, of which there can be many."""
    length = self.shape[dim]
    count = len(split_size) if isinstance(split_size, (list, tuple)) else length // split_size + 1
    return (count, _ELEMENTS_OF_A_PIECE)


def _unbound(self: Shaped, dim: int = 0) -> Shape:
    return (self.shape[dim], _ELEMENTS_OF_A_PIECE)


def _of_blocks(x: Shaped, bias: Any, blocks: Shaped, *_: Any, **__: Any) -> Shape:
    return (*x.shape[:-1], blocks.shape[0])


def _rows_of_blocks(indices: Shaped, blocks: Shaped, *_: Any, **__: Any) -> Shape:
    """A byte holds two values at most."""
    return (*indices.shape, 2 * math.prod(blocks.shape[1:]))


_RULES: dict[str, Callable[..., Sequence[int]]] = {
    "mm": lambda self, mat2, *_, **__: _product(self, mat2),
    "bmm": lambda self, mat2, *_, **__: _product(self, mat2),
    "_int_mm": lambda self, mat2, *_, **__: _product(self, mat2),
    "addmm": lambda self, mat1, mat2, *_, **__: _product(mat1, mat2),
    "_addmm_activation": lambda self, mat1, mat2, *_, **__: _product(mat1, mat2),
    "baddbmm": lambda self, batch1, batch2, *_, **__: _product(batch1, batch2),
    "addbmm": lambda self, batch1, batch2, *_, **__: _product(batch1, batch2)[1:],
    "addr": _outer, "linear": _linear, "convolution": _convolution, "_convolution": _convolution,
    "constant_pad_nd": _padded, "_pad_circular": _padded,
    **dict.fromkeys([f"reflection_pad{n}d" for n in (1, 2, 3)], lambda self, padding: _padded(
        self, padding)),
    **dict.fromkeys([f"replication_pad{n}d" for n in (1, 2, 3)], lambda self, padding: _padded(
        self, padding)),
    "max_pool2d_with_indices": partial(_largest, 2), "avg_pool2d": partial(_mean, 2),
    "max_pool3d_with_indices": partial(_largest, 3), "avg_pool3d": partial(_mean, 3),
    "upsample_nearest2d": _resized, "upsample_bilinear2d": _resized, "upsample_bicubic2d": _resized,
    "_adaptive_avg_pool2d": _pooled, "_adaptive_avg_pool3d": _pooled, "grid_sampler_2d": _sampled,
    "rand": _sized, "randn": _sized, "empty": _sized, "empty_permuted": _sized,
    "empty_strided": _strided, "new_empty": _new, "new_empty_strided": _new,
    "randint": _drawn, "normal": _drawn, "randperm": _permutation, "multinomial": _samples,
    "embedding": _rows, "_embedding_bag": _bags, "_embedding_bag_forward_only": _bags,
    "index": _indexed, "_unsafe_index": _indexed, "index_select": _selected, "gather": _gathered,
    "take": _taken,
    "scaled_dot_product_attention": attended,
    "_scaled_dot_product_flash_attention_for_cpu": flash_attended,
    "mkldnn_rnn_layer": recurrent,
    "_fft_c2c": transformed, "_fft_r2c": halved, "_fft_c2r": real,
    "_linalg_svd": _factors, "linalg_qr": _factors,
    "linalg_solve_triangular": _solved, "_linalg_solve_ex": _solved_with_factors,
    "lstm": _network, "gru": _network, "cat": _joined, "stack": _stacked,
    "embedding_dense_backward": _gradient_rows, "nonzero": _positions, "unique_consecutive":
    _each_once, "_unique2": _each_once,
    **dict.fromkeys((
        "clone", "contiguous", "_to_copy", "lift_fresh_copy", "empty_like", "rand_like",
        "randn_like", "randint_like", "uniform", "exponential", "normal_functional", "index_put",
        "_unsafe_index_put", "scatter", "scatter_add", "scatter_reduce", "index_add", "index_copy",
        "index_fill", "slice_scatter", "select_scatter", "masked_scatter",
        "logcumsumexp", "argsort",
    ), _alike),
    "copy_": lambda self, src, non_blocking=False: (),
    "expand": _expanded, "as_strided": _shown, "unfold": _windows, "split": _pieces,
    "split_with_sizes": _pieces, "unbind": _unbound,
    "quantized_linear": _of_blocks, "quantized_embedding": _rows_of_blocks,
}  # fmt: skip
#: See `is_exact`. What is written into memory that it is given is exact everywhere.
_EXACT = (
    "convolution",
    "_convolution",
    "split",
    "split_with_sizes",
    "unbind",
    "mkldnn_rnn_layer",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_fft_c2c",
    "_fft_r2c",
    "_fft_c2r",
    "_pad_circular",
    "max_pool2d_with_indices",
    "max_pool3d_with_indices",
    "avg_pool2d",
    "avg_pool3d",
)
