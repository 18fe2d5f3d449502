"""Elementwise operators. The tables say which opcode computes an operator; functions follow for
what takes more than one."""

from __future__ import annotations

import math

import torch
from torch._prims_common import ELEMENTWISE_TYPE_PROMOTION_KIND, elementwise_dtypes

from gint.host.frontend import Value
from gint.isa import DType, opcode
from gint.isa.dtypes import Kind
from gint.isa.opcodes import exists_for

from ..graph.dtypes import dtype_of, gint_dtype
from ..graph.nodes import tensor_of
from .create import as_stored, rounded
from .emitter import Context
from .rules import NotLowerableError, lowers

aten = torch.ops.aten

#: One operand, computed in the result's type.
_UNARY = {
    "neg": aten.neg, "abs": aten.abs, "reciprocal": aten.reciprocal,
    "sqrt": aten.sqrt, "rsqrt": aten.rsqrt, "exp": aten.exp, "exp2": aten.exp2,
    "expm1": aten.expm1, "log": aten.log, "log2": aten.log2, "log10": aten.log10,
    "log1p": aten.log1p, "sin": aten.sin, "cos": aten.cos, "tan": aten.tan, "asin": aten.asin,
    "acos": aten.acos, "atan": aten.atan, "sinh": aten.sinh, "cosh": aten.cosh, "tanh": aten.tanh,
    "asinh": aten.asinh, "acosh": aten.acosh, "atanh": aten.atanh, "erf": aten.erf,
    "erfc": aten.erfc, "sigmoid": aten.sigmoid, "bitwise_not": aten.bitwise_not,
}  # fmt: skip
#: One operand; the identity for the types the opcode does not exist for.
_OR_SAME = {
    "floor": aten.floor, "ceil": aten.ceil, "trunc": aten.trunc, "round": aten.round,
    "sign": aten.sign,
}  # fmt: skip
#: Two operands, tensor or number, computed in the result's type.
_BINARY = {
    "div": (aten.div.Tensor, aten.div.Scalar),
    "maximum": (aten.maximum.default,), "minimum": (aten.minimum.default,),
    "remainder": (aten.remainder.Tensor, aten.remainder.Scalar, aten.remainder.Scalar_Tensor),
    "fmod": (aten.fmod.Tensor, aten.fmod.Scalar), "atan2": (aten.atan2.default,),
    "hypot": (aten.hypot.default,),
    "floor_div": (aten.floor_divide.default, aten.floor_divide.Scalar),
    "bitwise_and": (aten.bitwise_and.Tensor, aten.bitwise_and.Scalar,
                    aten.bitwise_and.Scalar_Tensor),
    "bitwise_or": (aten.bitwise_or.Tensor, aten.bitwise_or.Scalar, aten.bitwise_or.Scalar_Tensor),
    "bitwise_xor": (aten.bitwise_xor.Tensor, aten.bitwise_xor.Scalar,
                    aten.bitwise_xor.Scalar_Tensor),
    "shift_left": (aten.bitwise_left_shift.Tensor, aten.bitwise_left_shift.Tensor_Scalar,
                   aten.bitwise_left_shift.Scalar_Tensor, aten.__lshift__.Tensor,
                   aten.__lshift__.Scalar),
    "shift_right": (aten.bitwise_right_shift.Tensor, aten.bitwise_right_shift.Tensor_Scalar,
                    aten.bitwise_right_shift.Scalar_Tensor, aten.__rshift__.Tensor,
                    aten.__rshift__.Scalar),
}  # fmt: skip
#: Two operands compared in the type both promote to.
_COMPARISONS = {
    "eq": aten.eq, "ne": aten.ne, "lt": aten.lt, "le": aten.le, "gt": aten.gt, "ge": aten.ge,
}  # fmt: skip
_LOGICAL = {
    "bitwise_and": aten.logical_and.default, "bitwise_or": aten.logical_or.default,
    "bitwise_xor": aten.logical_xor.default,
}  # fmt: skip
#: Arithmetic of bools is logic.
_OF_BOOL = {"add": "bitwise_or", "mul": "bitwise_and"}


def emit(c: Context, name: str, *operands: Value) -> Value:
    """An opcode on values of one type; arithmetic of bools becomes logic."""
    if operands[0].type.kind is Kind.BOOL:
        name = _OF_BOOL.get(name, name)
    return c.builder.emit(name, *operands)


def promoted(c: Context, *args: object) -> DType:
    """The type torch computes a comparison of these arguments in."""
    values = [a.meta["val"] if hasattr(a, "meta") else a for a in args]
    kind = ELEMENTWISE_TYPE_PROMOTION_KIND.DEFAULT
    found = gint_dtype(elementwise_dtypes(*values, type_promotion_kind=kind)[1])
    if found is None:
        raise NotLowerableError("operands whose common type has no data type here")
    return found.compute


def _unary(name: str):
    def rule(c: Context) -> Value:
        return emit(c, name, c.operand(c.argument(0, "self")))

    return rule


def _or_same(name: str):
    def rule(c: Context) -> Value:
        x = c.operand(c.argument(0, "self"))
        return emit(c, name, x) if exists_for(opcode(name), x.type) else x

    return rule


def _binary(name: str):
    def rule(c: Context) -> Value:
        return emit(c, name, c.operand(c.argument(0, "self")), c.operand(c.argument(1, "other")))

    return rule


def _comparison(name: str):
    def rule(c: Context) -> Value:
        a, b = c.argument(0, "self"), c.argument(1, "other")
        t = promoted(c, a, b)
        return emit(c, name, as_stored(c, a, t), as_stored(c, b, t))

    return rule


def _logical(name: str):
    def rule(c: Context) -> Value:
        a, b = c.argument(0, "self"), c.argument(1, "other")
        return emit(c, name, as_stored(c, a, "bool"), as_stored(c, b, "bool"))

    return rule


for _name, _packet in _UNARY.items():
    lowers(_packet.default, uses=(_name,))(_unary(_name))
for _name, _packet in _OR_SAME.items():
    lowers(_packet.default, uses=(_name,))(_or_same(_name))
for _name, _overloads in _BINARY.items():
    lowers(*_overloads, uses=(_name,))(_binary(_name))
for _name, _packet in _COMPARISONS.items():
    lowers(_packet.Tensor, _packet.Scalar)(_comparison(_name))
for _name, _overload in _LOGICAL.items():
    lowers(_overload)(_logical(_name))


@lowers(aten.mul.Tensor, aten.mul.Scalar)
def _mul(c: Context) -> Value:
    """A product by the number 1, as decompositions have it, is its operand."""
    x, other = c.operand(c.argument(0, "self")), c.argument(1, "other")
    if isinstance(other, (int, float)) and other == 1 and x.type.kind is not Kind.BOOL:
        return x
    return emit(c, "mul", x, c.operand(other))


@lowers(aten.add.Tensor, aten.add.Scalar)
def _add(c: Context) -> Value:
    return _scaled(c, "add")


@lowers(aten.sub.Tensor, aten.sub.Scalar)
def _sub(c: Context) -> Value:
    return _scaled(c, "sub")


@lowers(aten.rsub.Tensor, aten.rsub.Scalar)
def _rsub(c: Context) -> Value:
    return _scaled(c, "sub", swapped=True)


def _scaled(c: Context, name: str, swapped: bool = False) -> Value:
    """self + alpha * other, and its kin."""
    a, b = c.operand(c.argument(0, "self")), c.operand(c.argument(1, "other"))
    alpha = c.argument(2, "alpha", 1)
    if swapped:
        scaled, other = a, b
        scaled = scaled if alpha == 1 else emit(c, "mul", scaled, c.operand(alpha))
        return emit(c, name, other, scaled)
    return emit(c, name, a, b if alpha == 1 else emit(c, "mul", b, c.operand(alpha)))


@lowers(aten.div.Tensor_mode, aten.div.Scalar_mode, uses=("floor_div", "trunc_div"))
def _div_mode(c: Context) -> Value:
    names = {None: "div", "floor": "floor_div", "trunc": "trunc_div"}
    a, b = c.operand(c.argument(0, "self")), c.operand(c.argument(1, "other"))
    return emit(c, names[c.argument(2, "rounding_mode")], a, b)


@lowers(aten.logical_not.default)
def _logical_not(c: Context) -> Value:
    return emit(c, "bitwise_not", as_stored(c, c.argument(0, "self"), "bool"))


@lowers(aten.isnan.default)
def _isnan(c: Context) -> Value:
    return _float_test(c, "isnan")


@lowers(aten.isinf.default)
def _isinf(c: Context) -> Value:
    return _float_test(c, "isinf")


def _float_test(c: Context, name: str) -> Value:
    source = c.argument(0, "self")
    t = dtype_of(tensor_of(source).dtype).compute
    if t.kind is not Kind.FLOAT:
        return c.builder.const(False, "bool")
    return emit(c, name, as_stored(c, source, t))


@lowers(aten.where.self, aten.where.ScalarSelf, aten.where.ScalarOther)
def _where(c: Context) -> Value:
    condition, a, b = (c.argument(i, n) for i, n in enumerate(("condition", "self", "other")))
    return c.builder.emit("where", c.operand(condition, "bool"), c.operand(a), c.operand(b))


@lowers(aten.clamp.default, aten.clamp.Tensor)
def _clamp(c: Context) -> Value:
    x = c.operand(c.argument(0, "self"))
    low, high = c.argument(1, "min"), c.argument(2, "max")
    x = x if low is None else emit(c, "maximum", x, c.operand(low))
    return x if high is None else emit(c, "minimum", x, c.operand(high))


@lowers(aten.nan_to_num.default, uses=("nan_to_zero",))
def _nan_to_num(c: Context) -> Value:
    """Infinities that become the largest and smallest numbers of the type are what a clamp does,
    which leaves NaN as it is."""
    x, source = as_stored(c, c.argument(0, "self"), c.dtype), c.tensor.dtype
    if x.type.kind is not Kind.FLOAT:
        return x
    nan, high, low = (c.argument(n, name) for n, name in enumerate(("nan", "posinf", "neginf"), 1))
    b, limits = c.builder, torch.finfo(source)
    plain = (nan is None or str(nan) in ("0", "0.0")) and high is None and low is None
    if plain:
        x = b.nan_to_zero(x)
    if low is None:
        value = emit(c, "maximum", x, c.operand(limits.min))
    else:
        value = b.where(x == -math.inf, c.operand(low), x)
    if high is None:
        value = emit(c, "minimum", value, c.operand(limits.max))
    else:
        value = b.where(x == math.inf, c.operand(high), value)
    if plain:
        return value
    return b.where(b.isnan(x), c.operand(0.0 if nan is None else nan), value)


@lowers(aten.clamp_min.default, aten.clamp_min.Tensor)
def _clamp_min(c: Context) -> Value:
    return emit(c, "maximum", c.operand(c.argument(0, "self")), c.operand(c.argument(1, "min")))


@lowers(aten.clamp_max.default, aten.clamp_max.Tensor)
def _clamp_max(c: Context) -> Value:
    return emit(c, "minimum", c.operand(c.argument(0, "self")), c.operand(c.argument(1, "max")))


@lowers(aten.relu.default)
def _relu(c: Context) -> Value:
    return emit(c, "maximum", c.operand(c.argument(0, "self")), c.operand(0))


@lowers(aten.leaky_relu.default)
def _leaky_relu(c: Context) -> Value:
    """The larger of both sides, which is cheaper than a choice, where the slope allows it: at 0,
    infinity times the slope would be NaN."""
    x, slope = c.operand(c.argument(0, "self")), c.argument(1, "negative_slope", 0.01)
    below = emit(c, "mul", x, c.operand(slope))
    if isinstance(slope, (int, float)) and 0 < slope <= 1:
        return emit(c, "maximum", x, below)
    return c.builder.where(x > 0.0, x, below)


@lowers(aten.pow.Tensor_Tensor, aten.pow.Scalar, uses=("pow", "exp2"))
def _pow(c: Context) -> Value:
    base, exponent = c.argument(0, "self"), c.operand(c.argument(1, "exponent"))
    if isinstance(base, (int, float)) and base == 2 and exponent.type.kind is Kind.FLOAT:
        return emit(c, "exp2", exponent)
    return emit(c, "pow", c.operand(base), exponent)


@lowers(aten.pow.Tensor_Scalar, uses=("pow", "rsqrt"))
def _pow_scalar(c: Context) -> Value:
    """As eager: small exponents become products, roots and reciprocals."""
    x, exponent = c.operand(c.argument(0, "self")), c.argument(1, "exponent")
    is_float = x.type.kind is Kind.FLOAT
    if exponent == 1:  # in the gradient of a square
        return x
    if exponent == 2:
        return emit(c, "mul", x, x)
    if exponent == 3:
        return emit(c, "mul", emit(c, "mul", x, x), x)
    if is_float and exponent == 0.5:
        return emit(c, "sqrt", x)
    if is_float and exponent == -0.5:
        return emit(c, "rsqrt", x)
    if is_float and exponent == -1:
        return emit(c, "reciprocal", x)
    if is_float and exponent == -2:
        return emit(c, "reciprocal", emit(c, "mul", x, x))
    return emit(c, "pow", x, c.operand(exponent))


@lowers(aten.fmax.default)
def _fmax(c: Context) -> Value:
    return _number_of(c, "maximum")


@lowers(aten.fmin.default)
def _fmin(c: Context) -> Value:
    return _number_of(c, "minimum")


def _number_of(c: Context, name: str) -> Value:
    """The larger or smaller of two; of a NaN and a number, the number."""
    a, b = c.operand(c.argument(0, "self")), c.operand(c.argument(1, "other"))
    chosen = emit(c, name, a, b)
    if a.type.kind is not Kind.FLOAT:
        return chosen
    chosen = c.builder.where(c.builder.isnan(b), a, chosen)
    return c.builder.where(c.builder.isnan(a), b, chosen)


@lowers(aten.round.decimals)
def _round_decimals(c: Context) -> Value:
    """As eager: scaled, rounded and scaled back, each operation in the type of the tensor."""
    x, decimals = c.operand(c.argument(0, "self")), c.argument(1, "decimals", 0)
    if decimals == 0:
        return c.builder.round(x)
    power = rounded(c, c.operand(10.0 ** abs(decimals)))
    there, back = ("mul", "div") if decimals > 0 else ("div", "mul")
    scaled = c.builder.round(rounded(c, emit(c, there, x, power)))
    return emit(c, back, rounded(c, scaled), power)


@lowers(aten.special_entr.default, uses=("log",))
def _entr(c: Context) -> Value:
    x = c.operand(c.argument(0, "self"))
    inside = c.builder.where(x == 0.0, c.operand(0.0), c.operand(-math.inf))
    entropy = c.builder.where(x > 0.0, -x * c.builder.log(x), inside)
    return c.builder.where(c.builder.isnan(x), x, entropy)


@lowers(aten.silu.default, uses=("exp",))
def _silu(c: Context) -> Value:
    x = c.operand(c.argument(0, "self"))
    return x / (1 + c.builder.exp(-x))


@lowers(aten.silu_backward.default, uses=("sigmoid",))
def _silu_backward(c: Context) -> Value:
    grad, x = c.operand(c.argument(0, "grad_output")), c.operand(c.argument(1, "self"))
    s = c.builder.sigmoid(x)
    return ((1 - s) * x + 1) * s * grad


_TANH_SCALE = math.sqrt(2 / math.pi)
_TANH_CUBE = 0.044715


@lowers(aten.gelu.default, uses=("erf", "tanh"))
def _gelu(c: Context) -> Value:
    x = c.operand(c.argument(0, "self"))
    # The half is taken of the sum, which loses nothing: then all of it is one chain.
    if c.argument(1, "approximate", "none") == "tanh":
        inner = (x * x * x * _TANH_CUBE + x) * _TANH_SCALE
        return x * ((1 + c.builder.tanh(inner)) * 0.5)
    return x * ((1 + c.builder.erf(x * math.sqrt(0.5))) * 0.5)


@lowers(aten.gelu_backward.default, uses=("erf", "exp", "tanh"))
def _gelu_backward(c: Context) -> Value:
    grad, x = c.operand(c.argument(0, "grad_output")), c.operand(c.argument(1, "self"))
    if c.argument(2, "approximate", "none") == "tanh":
        squared = x * x
        t = c.builder.tanh((x + x * squared * _TANH_CUBE) * _TANH_SCALE)
        inner = _TANH_SCALE * (1 + 3 * _TANH_CUBE * squared)
        return grad * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * inner)
    cdf = 0.5 * (1 + c.builder.erf(x * math.sqrt(0.5)))
    pdf = c.builder.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return grad * (cdf + x * pdf)


@lowers(aten.sigmoid_backward.default)
def _sigmoid_backward(c: Context) -> Value:
    grad, y = c.operand(c.argument(0, "grad_output")), c.operand(c.argument(1, "output"))
    return (1 - y) * grad * y


@lowers(aten.tanh_backward.default)
def _tanh_backward(c: Context) -> Value:
    grad, y = c.operand(c.argument(0, "grad_output")), c.operand(c.argument(1, "output"))
    return grad * (1 - y * y)


@lowers(aten.threshold_backward.default)
def _threshold_backward(c: Context) -> Value:
    grad, x = c.operand(c.argument(0, "grad_output")), c.operand(c.argument(1, "self"))
    threshold = c.operand(c.argument(2, "threshold"))
    return c.builder.where(x <= threshold, c.operand(0), grad)
