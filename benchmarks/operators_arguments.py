"""Arguments for ATen operators, made from their schemas: text to call them with, and tensors.

A call is text over a small vocabulary of tensors, `aten.gather.default(x, -1, places)`; an
argument is named by its type and its name in the schema. What a schema does not tell (that
matrices are to fit, that an image has four dimensions) is in `SAID`, as such text.

Knows schemas, shapes and types. Does not know what gint makes of an operator.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch

#: Numbers and lists by an argument's name, for those that are required or had better be given.
NUMBERS: dict[str, str] = {
    "dim": "-1", "dims": "-1", "axis": "-1", "ord": "2", "exponent": "2.5", "min": "-1",
    "max": "1", "eps": "1e-5", "shifts": "3", "kernel_size": "3", "decimals": "2", "k": "4",
    "lambd": "0.5", "threshold": "0.5", "approximate": "'tanh'", "upscale_factor": "2",
    "downscale_factor": "2", "groups": "2", "steps": "{rows}", "start": "2", "end": "{cols}",
    "n": "{rows}", "repeats": "[1, 2]", "size": "{size}", "normalized_shape": "[{cols}]",
    "step": "2", "negative_slope": "0.01", "value": "1", "fill_value": "2", "other": "3",
    "beta": "1.0", "delta": "1.0", "half_to_float": "False", "dtype": "x.dtype",
    "input_dtype": "x.dtype", "s": "2", "end_size": "{cols}",
}  # fmt: skip
#: Numbers of other names, by type.
_BY_TYPE = {"bool": "False", "int": "1", "number": "1", "float": "1.0"}
#: Arguments that are left at their defaults although NUMBERS has their names.
_DEFAULTED = {"dtype", "approximate", "ord", "value", "other", "eps", "k", "size"}
#: Tensors by an argument's name; others are x, y, z, w in their order.
_TENSORS = {"mask": "mask", "condition": "mask", "weight": "row", "bias": "row", "index": "places"}
_IMAGE = "(image, {})"

#: Arguments of operators whose schema does not tell enough, by name.
SAID: dict[str, str] = {
    **dict.fromkeys(("mm",), "(x, wide)"),
    **dict.fromkeys(("bmm",), "(batch, batch_wide)"),
    **dict.fromkeys(("addmm", "_addmm_activation"), "(row, x, wide)"),
    **dict.fromkeys(("baddbmm",), "(batch, batch, batch_wide)"),
    **dict.fromkeys(("addbmm",), "(batch[0], batch, batch_wide)"),
    "addmv": "(column[:, 0], x, row)", "mv": "(x, row)", "dot": "(row, row)", "vdot": "(row, row)",
    "addr": "(x, column[:, 0], row)", "linear": "(x, wide)",
    "_int_mm": "(bytes_, bytes_.t())",
    "convolution": "(image, filters, channel, [1, 1], [1, 1], [1, 1], False, [0, 0], 1)",
    "_convolution": "(image, filters, channel, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, False,"
                    " False, True, True)",
    "convolution_backward": "(image, image, filters, [8], [1, 1], [1, 1], [1, 1], False, [0, 0],"
                            " 1, [True, True, True])",
    **dict.fromkeys(("max_pool2d_with_indices", "avg_pool2d"), "(image, [2, 2], [2, 2])"),
    **dict.fromkeys(("max_pool3d_with_indices", "avg_pool3d"), "(image, [1, 2, 2], [1, 2, 2])"),
    "avg_pool2d_backward": "(image[:, :, ::2, ::2].contiguous(), image, [2, 2], [2, 2], [0, 0],"
                           " False, True, None)",
    **dict.fromkeys(("_adaptive_avg_pool2d", "adaptive_max_pool2d"), "(image, [2, 4])"),
    "_adaptive_avg_pool2d_backward": "(image[:, :, :2, :4].contiguous(), image)",
    "_adaptive_avg_pool3d": "(image, [8, 2, 4])",
    "upsample_nearest2d": "(image, [{height2}, {width2}])",
    "upsample_bilinear2d": "(image, [{height2}, {width2}], False)",
    "upsample_bicubic2d": "(image, [{height2}, {width2}], False)",
    "grid_sampler_2d": "(image, grid, 0, 0, False)",
    "pixel_shuffle": _IMAGE.format(2), "channel_shuffle": _IMAGE.format(2),
    "pixel_unshuffle": _IMAGE.format(2),
    "constant_pad_nd": "(x, [1, 2])", "reflection_pad1d": "(x, [1, 2])",
    "replication_pad1d": "(x, [1, 2])",
    **dict.fromkeys(
        ("reflection_pad2d", "replication_pad2d", "_pad_circular"), "(image, [1, 2, 1, 2])"
    ),
    **dict.fromkeys(("reflection_pad3d", "replication_pad3d"), "(image, [1, 2, 1, 2, 0, 0])"),
    "_scaled_dot_product_flash_attention_for_cpu": "(heads, heads, heads)",
    "scaled_dot_product_attention": "(heads, heads, heads)",
    "embedding": "(x, rows)", "embedding_dense_backward": "(x, rows, {rows}, -1, False)",
    "index": "(x, [rows])", "_unsafe_index": "(x, [rows])", "index_select": "(x, 0, rows)",
    "index_add": "(x, 0, rows, y)", "index_copy": "(x, 0, shuffled, y)",
    "index_fill": "(x, 0, rows, 2)", "index_put": "(x, [shuffled], y)",
    "_unsafe_index_put": "(x, [shuffled], y)", "gather": "(x, -1, places)",
    "scatter": "(x, -1, columns_shuffled, y)", "scatter_add": "(x, -1, places, y)",
    "scatter_reduce": "(x, -1, places, y, 'amax')", "take": "(x, places)",
    "masked_scatter": "(x, mask, y)", "masked_select": "(x, mask)",
    "slice_scatter": "(x, y[1:], 0, 1)", "select_scatter": "(x, row, 0, 1)",
    "_embedding_bag": "(x, rows, bags)", "_embedding_bag_forward_only": "(x, rows, bags)",
    "nll_loss_forward": "(x, classes, None, 1, -100)", "searchsorted": "(sorted_row, x)",
    "bucketize": "(x, sorted_row)", "cat": "([x, y], -1)", "stack": "([x, y], -1)",
    "block_diag": "([x, y],)", "multinomial": "(positive, 2)", "kthvalue": "(x, 3)",
    "randint": "(9, {size})", "randint_like": "(x, 9)", "randperm": "({rows},)",
    "normal_functional": "(x,)", "normal": "(0.0, 1.0, {size})",
    "empty_strided": "({size}, [{cols}, 1])", "empty_permuted": "({size}, [1, 0])",
    "new_empty_strided": "(x, {size}, [{cols}, 1])", "_local_scalar_dense": "(x[0, 0],)",
    "_fft_c2c": "(torch.complex(x, y), [1], 0, True)", "_fft_r2c": "(x, [1], 0, True)",
    "_fft_c2r": "(torch.complex(x, y), [1], 2, {cols})",
    **dict.fromkeys(("_linalg_svd", "linalg_qr"), "(small,)"),
    **dict.fromkeys(("_linalg_eigh", "linalg_inv_ex", "linalg_lu_factor_ex"), "(spd,)"),
    "linalg_cholesky_ex": "(spd,)", "_linalg_solve_ex": "(spd, small)",
    "linalg_solve_triangular": "(spd.tril(), small, upper=False)",
    "_softmax": "(x, -1, False)", "_log_softmax": "(x, -1, False)",
    "_softmax_backward_data": "(x, y, -1, x.dtype)",
    "_log_softmax_backward_data": "(x, y, -1, x.dtype)",
    "native_layer_norm": "(x, [{cols}], row, row, 1e-5)",
    "_weight_norm_interface": "(x, column, 0)",
    "native_layer_norm_backward": "(x, y, [{cols}], column, column, row, row, [True, True, True])",
    "_fused_rms_norm": "(x, [{cols}], row, 1e-5)",
    "_fused_rms_norm_backward": "(x, y, [{cols}], column, row, [True, True])",
    "native_group_norm": "(image, channel, channel, 2, 8, {pixels}, 2, 1e-5)",
    "native_batch_norm": "(image, channel, channel, channel, channel_squared, False, 0.1, 1e-5)",
    "_native_batch_norm_legit_functional":
        "(image, channel, channel, channel, channel_squared, True, 0.1, 1e-5)",
    "_native_batch_norm_legit_no_training":
        "(image, channel, channel, channel, channel_squared, 0.1, 1e-5)",
    "native_batch_norm_backward": "(image, image, channel, channel, channel, channel,"
                                  " channel_squared, True, 1e-5, [True, True, True])",
    "_native_batch_norm_legit": "(image, channel, channel, True, 0.1, 1e-5)",
    "im2col": "(image, [3, 3], [1, 1], [1, 1], [1, 1])",
    "roll": "(x, [3], [1])", "flip": "(x, [1])", "rot90": "(x, 1, [0, 1])",
    "diag_embed": "(small_row,)", "pow.Scalar": "(1.5, fraction)",
    "log_sigmoid_backward": "(x, y, (-y.abs()).exp())",
    "slice_backward": "(x[1:], {size}, 0, 1, {rows}, 1)",
    "select_backward": "(row, {size}, 0, 1)", "diagonal_backward": "(small_row, {size}, 0, 0, 1)",
    "trace": "(small,)", "native_dropout": "(x, 0.5, True)",
    "native_dropout_backward": "(x, mask, 2.0)", "linspace": "(0.0, 7.0, {rows})",
    "logspace": "(0.0, 1.0, {rows})", "clamp.default": "(x, -1, 1)",
    "where.self": "(mask, x, y)", "where.ScalarSelf": "(mask, 2, y)",
    "where.ScalarOther": "(mask, x, 2)", "div.Tensor_mode": "(x, y, rounding_mode='trunc')",
    "div.Scalar_mode": "(x, 3, rounding_mode='floor')", "bernoulli": "(fraction,)",
    "nll_loss_backward": "(x[0, 0], x, classes, None, 1, -100, x[0, 0])",
    "native_group_norm_backward": "(image, image, groups, groups, channel, 2, 8, {pixels}, 2,"
                                  " [True, True, True])",
    "max_pool2d_with_indices_backward": "(image[:, :, ::2, ::2].contiguous(), image, [2, 2],"
                                        " [2, 2], [0, 0], [1, 1], False, pooled_at)",
    "iota":
        "({rows}, start=2, step=3, dtype=torch.int64, device=x.device, requires_grad=False)",
    "convert_element_type": "(x, torch.float32)", "_to_copy": "(x, dtype=torch.float32)",
    "scalar_tensor": "(2,)", "arange": "({cols},)",
    "lift_fresh_copy": "(x,)", "_reshape_alias": "(x, {size}, [{cols}, 1])",
    "binary_cross_entropy": "(fraction, mask.to(x.dtype))",
    "binary_cross_entropy_backward": "(x, fraction, mask.to(x.dtype))",
    "prelu": "(x, row)", "_prelu_kernel": "(x, row)", "unsafe_split": "(x, 2, -1)",
    "unsafe_chunk": "(x, 2, -1)",
}  # fmt: skip
#: Kinds of floats to try until eager's result has no NaN: of any sign, fractions, above one.
SOURCES: tuple[Callable[..., torch.Tensor], ...] = (
    torch.randn, torch.rand, lambda *size, dtype: 1.1 + torch.rand(*size, dtype=dtype),
)  # fmt: skip
_POINTS = 64  # linear algebra: matrices no larger than this


@dataclass(frozen=True)
class Call:
    """An operator with arguments: `text` is Python over torch and the names of `tensors`."""

    text: str
    tensors: dict[str, torch.Tensor]

    def function(self) -> Callable[..., Any]:
        """A function of the tensors, with a code object of its own."""
        space: dict[str, Any] = {"torch": torch, "aten": torch.ops.aten, "prims": torch.ops.prims}
        exec(f"def call({', '.join(self.tensors)}):\n    return {self.text}", space)
        return space["call"]

    def run(self) -> Any:
        """What eager makes of it."""
        return self.function()(*self.tensors.values())


def call_of(
    target: Any, shape: tuple[int, int], dtype: torch.dtype, arguments: str = ""
) -> Call | None:
    """A call of an operator on tensors of about `shape`, or None where eager takes none such."""
    try:
        text = f"{target or ''}{arguments or said(target).format(**_sizes(shape))}"
    except LookupError:
        return None
    best = None
    for source in SOURCES if dtype.is_floating_point else SOURCES[:1]:
        try:
            call = Call(text, tensors_of(text, shape, dtype, source))
            result = call.run()
        except (RuntimeError, TypeError, ValueError, IndexError, NotImplementedError):
            return None
        best = best or call
        if not _has_nan(result):
            return call
    return best


@cache
def said(target: Any) -> str:
    """The arguments of an operator, sizes still open. Raises LookupError for one not known."""
    name = target._schema.name.split("::")[1]
    for known in (f"{name}.{target._overloadname}", name):
        if known in SAID:
            return SAID[known]
    taken: list[str] = []
    parts = [part for a in target._schema.arguments if (part := _argument(a, taken))]
    return f"({', '.join(parts)}{',' * (len(parts) == 1 and '=' not in parts[0])})"


def _argument(argument: Any, taken: list[str]) -> str:
    """One argument as text; nothing for one left at its default."""
    name, type = argument.name, str(argument.real_type)
    has_default = argument.has_default_value()
    if "Tensor" in type:
        return "" if has_default or "List" in type else _tensor(name, taken)
    if has_default and (name in _DEFAULTED or name not in NUMBERS):
        return ""
    text = NUMBERS[name] if name in NUMBERS else _BY_TYPE[type]
    if "List" in type and not text.startswith(("[", "{")):
        text = f"[{text}]"
    return f"{name}={text}" if argument.kwarg_only or has_default else text


def _tensor(name: str, taken: list[str]) -> str:
    """The tensor for an argument of this name; none has been taken twice but those of _TENSORS."""
    other = next((n for n in "xyzwuv" if n not in taken), None)
    if other is None:
        raise LookupError(f"{name}: more tensors than there are names")
    taken.append(_TENSORS.get(name, other))
    return taken[-1]


def _sizes(shape: tuple[int, int]) -> dict[str, Any]:
    rows, cols = shape
    height, width = _image(shape)
    return {
        "rows": rows, "cols": cols, "size": [rows, cols], "height2": 2 * height,
        "width2": 2 * width, "pixels": height * width,
    }  # fmt: skip


def _image(shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of (2, 8, height, width), both even, of about as many elements."""
    rows, cols = shape
    return max(4, rows // 16 // 2 * 2), max(4, cols // 2 * 2)


def tensors_of(
    text: str, shape: tuple[int, int], dtype: torch.dtype, source: Callable[..., torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The tensors that a text names, by name."""
    torch.default_generator.manual_seed(0)  # torch.manual_seed reads the stack for every device
    made = {}
    for name in _names(text):
        first = name in ("x", "small", "batch") or name.startswith("image")
        made[name] = _VOCABULARY[name](shape, _values(dtype, source, first))
    return made


def _names(text: str) -> list[str]:
    names = compile(text, "<call>", "eval").co_names
    return [name for name in dict.fromkeys(names) if name in _VOCABULARY]


def _values(
    dtype: torch.dtype, source: Callable[..., torch.Tensor], first: bool
) -> Callable[..., torch.Tensor]:
    """What makes a tensor of a size. Integers are no zeros; small counts but for the first."""

    def make(*size: int) -> torch.Tensor:
        if dtype is torch.bool:
            return torch.rand(size) < 0.5
        if dtype.is_floating_point:
            exact = dtype if dtype.itemsize > 2 else torch.float32
            return source(*size, dtype=exact).to(dtype)
        made = torch.randint(1, 100 if first else 7, size).to(dtype)
        if first and dtype.is_signed:
            made *= 1 - 2 * torch.randint(0, 2, size).to(dtype)
        return made

    return make


def _has_nan(value: Any) -> bool:
    if isinstance(value, torch.Tensor):
        return value.is_floating_point() and bool(value.isnan().any())
    return isinstance(value, (tuple, list)) and any(map(_has_nan, value))


def _spd(shape: tuple[int, int], make: Callable[..., torch.Tensor]) -> torch.Tensor:
    half = _small(shape, make)
    return half @ half.t() + len(half) * torch.eye(len(half), dtype=half.dtype)


def _small(shape: tuple[int, int], make: Callable[..., torch.Tensor]) -> torch.Tensor:
    points = min(*shape, _POINTS)
    return make(points, points)


def _pooled_at(image: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.max_pool2d(image, 2, return_indices=True)[1]


def _last(image: torch.Tensor) -> torch.Tensor:
    return image.contiguous(memory_format=torch.channels_last)


def _quarter(image: torch.Tensor) -> torch.Tensor:
    """Of half the height and width: what is resized to twice both is as large as an image."""
    return image[:, :, ::2, ::2].contiguous()


def _short(n: int) -> Maker:
    """Lines of n elements, about as many elements in all."""
    return lambda s, make: make(max(1, s[0] * s[1] // n), n)


Maker = Callable[[tuple[int, int], Callable[..., torch.Tensor]], torch.Tensor]
#: Last dimensions that are shorter than what a loop over one line is good for.
SHORT = (3, 5, 16, 32, 100, 255)
#: What texts may name: x, y ... are (rows, cols).
_VOCABULARY: dict[str, Maker] = {
    **dict.fromkeys("xyzwuv", lambda s, make: make(*s)),
    "row": lambda s, make: make(s[1]),
    "small_row": lambda s, make: make(min(s)),
    "column": lambda s, make: make(s[0], 1),
    "sorted_row": lambda s, make: make(s[1]).sort().values,
    "positive": lambda s, make: make(*s).abs() + 1,
    "fraction": lambda s, make: torch.rand(s).to(make(1).dtype),
    "mask": lambda s, make: torch.rand(s) < 0.5,
    "rows": lambda s, make: torch.randint(0, s[0], (s[0],)),
    "shuffled": lambda s, make: torch.randperm(s[0]),
    "columns": lambda s, make: torch.randint(0, s[1], (s[1],)),
    "places": lambda s, make: torch.randint(0, s[1], s),
    "places_above": lambda s, make: torch.randint(0, s[0], s),
    "columns_shuffled": lambda s, make: torch.rand(s).argsort(-1),
    "classes": lambda s, make: torch.randint(0, s[1], (s[0],)),
    "bags": lambda s, make: torch.arange(0, s[0], 4),
    "wide": lambda s, make: make(s[1], s[1]),
    "bytes_": lambda s, make: torch.randint(-9, 9, (s[0] // 8 * 8, s[1] // 8 * 8)).to(torch.int8),
    "batch": lambda s, make: make(4, max(1, s[0] // 4), s[1]),
    "batch_wide": lambda s, make: make(4, s[1], s[1]),
    "heads": lambda s, make: make(1, 8, max(1, s[0] // 4), max(1, s[1] // 16)),
    "image": lambda s, make: make(2, 8, *_image(s)),
    "image_last": lambda s, make: _last(make(2, 8, *_image(s))),
    "image_quarter": lambda s, make: _quarter(make(2, 8, *_image(s))),
    "image_quarter_last": lambda s, make: _last(_quarter(make(2, 8, *_image(s)))),
    "groups": lambda s, make: make(2, 2),
    "pooled_at": lambda s, make: _pooled_at(make(2, 8, *_image(s))),
    "grid": lambda s, make: make(2, *_image(s), 2),
    "filters": lambda s, make: make(8, 8, 3, 3),
    "channel": lambda s, make: make(8),
    "channel_squared": lambda s, make: make(8).square() + 1,
    "small": _small,
    "spd": _spd,
    **{f"{name}_of_{n}": _short(n) for name in ("short", "other") for n in SHORT},
    **{f"row_of_{n}": partial(lambda n, s, make: make(n), n) for n in SHORT},
}
