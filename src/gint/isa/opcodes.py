"""The one table of opcodes.

Notation, used here, in the text form, in the verifier's errors and in comments:

    r[d]    register d, written by the instruction      r[a] r[b] r[c]  registers read
    acc[d]  an accumulator: a register that a reduce section folds values into
    before[d]  register d at the position before, along the reduced axis
    s[n]    tensor slot n        p[n]  parameter n       extent(n), index(n)  axis n
    s[n][i] ... at positions i along its indexed axes; `or imm` where one is outside
    imm     the immediate        T     the instruction's type

Each entry states, once: name, form, meaning, the types it exists for, the type of its result, its
meaning in NumPy (`a`, `b`, `c` are arrays, `fn` is gint.kernel.interpreter.numpy.functions, `T` the
NumPy dtype) and in C (`{T}` the C type, `{U}` the unsigned type its arithmetic wraps in, `{t}`
the type's name; `gi_*` functions come from gint/kernel/interpreter/portable). The C header, the
frontend's builders, the text form, the verifier's rules and docs/isa.md are made from this table.
"""

from __future__ import annotations

from dataclasses import field, replace
from enum import Enum
from typing import Any

from gint.dataclass import frozen

from .dtypes import BOOL, COMPUTE, FLOAT, INT, NUMBER, DType, Kind, dtype
from .limits import MAX_INDICES


class Form(Enum):
    """What an instruction's fields mean; the number of registers it reads is `Opcode.inputs`."""

    CONST = "const"  # r[d] <- imm
    PARAM = "param"  # r[d] <- p[n]
    AXIS = "axis"  # r[d] <- extent(n) or index(n)
    LOAD = "load"  # r[d] <- s[n]
    GATHER = "gather"  # r[d] <- s[n][r[a], r[b], r[c]] (or imm)
    STORE = "store"  # s[n] <- r[a]
    POINTWISE = "pointwise"  # r[d] <- f(r[a], r[b], r[c])
    CAST = "cast"  # r[d] <- T(r[a])
    REDUCE = "reduce"  # acc[d] <- fold(acc[d], r[a])
    SCAN = "scan"  # r[d] <- fold(before[d], r[a])


@frozen(eq=False)
class Opcode:
    """One row of the table. `operands` names each register read: "T" is the instruction's type.

    `exact`: every backend gives the same bits. Where it is not, floats may differ in their last
    places (docs/accuracy.md has the bounds).
    `cost`: time of one element in units of a cheap f32 operation in the L1 cache. If not given, 1,
    or 25 for what is not exact or divides integers: a function of some twenty operations.
    `commutative`: the same bits with the operands exchanged.
    `direct`: device interpreters have a form for every place a float operand may be in.
    `fills`: a gather that has a value for positions outside, its immediate.
    `heavy`: they compute it for a few elements at a time, since it needs many temporaries; so they
    do what costs more than 1.
    `carried`: the type in which a scan of f32 goes on from position to position.
    """

    name: str
    form: Form
    meaning: str
    types: tuple[str, ...]
    operands: tuple[str, ...] = ()
    result: str = "T"
    numpy: str | dict[str, str] = ""
    c: str | dict[str, str] = ""
    neutral: str | dict[str, str] = ""
    sets_error: bool = False
    note: str = ""
    exact: bool = True
    cost: int = 0
    commutative: bool = False
    direct: bool = False
    heavy: bool = False
    fills: bool = False
    carried: str = "f32"
    code: int = field(default=-1, compare=False)

    def __reduce__(self) -> tuple:
        """Copies and pickles are the row of the table itself."""
        return opcode, (self.name,)

    @property
    def inputs(self) -> int:
        return len(self.operands)

    @property
    def has_immediate(self) -> bool:
        return self.form is Form.CONST or self.fills

    @property
    def may_chain(self) -> bool:
        """Whether the C++ interpreter may keep its floats in vector registers between instructions.

        It does where the C expression can be computed of vectors (loops/wide.h).
        """
        floats = self.result == "T" and not {"f32", "f64"}.isdisjoint(self.types)
        alike = set(self.operands) == {"T"} and self.inputs <= 2
        return self.form is Form.POINTWISE and floats and alike and not self.sets_error

    @property
    def links(self) -> tuple[str, str, str]:
        """Names of the links of a chain whose accumulator is the first operand, the second, or
        both; "" where there is none."""
        name = self.name.upper()
        if not self.may_chain:
            return "", "", ""
        if self.inputs == 1:
            return name, "", ""
        return (name, name, f"{name}_SELF") if self.commutative else (name, f"{name}_REVERSED", "")

    def operand_types(self, t: DType) -> tuple[DType, ...]:
        return tuple([t if o == "T" else dtype(o) for o in self.operands])

    def result_type(self, t: DType) -> DType:
        return t.compute if self.result == "T" else dtype(self.result)

    def numpy_for(self, t: DType) -> str:
        return _by_kind(self.numpy, t)

    def c_for(self, t: DType) -> str:
        return _by_kind(self.c, t).format(T=t.c, U=t.unsigned, t=t.name)

    def carried_type(self, t: DType) -> DType:
        """What the C++ interpreter carries from one position to the next, for a scan of `t`."""
        return dtype(self.carried) if t.name == "f32" else t

    def neutral_for(self, t: DType) -> str:
        """The C expression an accumulator of this opcode, or a scan, starts from."""
        return _by_kind(self.neutral, t).format(T=t.c, t=t.name)


def _by_kind(text: str | dict[str, str], t: DType) -> str:
    if isinstance(text, str):
        return text
    return text[t.kind.value]


def _unary(
    name: str, expr: str, types: tuple[str, ...], numpy, c, note="", result="T", **columns: Any
) -> Opcode:
    meaning = f"r[d] <- {expr}"
    return Opcode(name, Form.POINTWISE, meaning, types, ("T",), result, numpy, c, note=note,
                  **columns)  # fmt: skip


def _binary(
    name: str, expr: str, types: tuple[str, ...], numpy, c, note="", result="T", **columns: Any
) -> Opcode:
    meaning = f"r[d] <- {expr}"
    return Opcode(name, Form.POINTWISE, meaning, types, ("T", "T"), result, numpy, c, note=note,
                  **columns)  # fmt: skip


def _math(
    name: str, numpy: str = "", note: str = "", exact: bool = False, **columns: Any
) -> Opcode:
    """A function of one float, `gi_NAME_f32` / `gi_NAME_f64` in C."""
    c = f"gi_{name}_{{t}}(a)"
    numpy = numpy or f"np.{name}(a)"
    return _unary(name, f"{name}(r[a])", FLOAT, numpy, c, note, exact=exact, **columns)


def _compare(name: str, sign: str) -> Opcode:
    return _binary(name, f"r[a] {sign} r[b]", COMPUTE, f"a {sign} b", f"a {sign} b", result="bool")


def _divide(name: str, expr: str, numpy: dict[str, str], note: str) -> Opcode:
    """A division with a remainder: floats as IEEE says, integers through the error flag."""
    c = {"float": f"gi_{name}_{{t}}(a, b)", "int": f"gi_{name}_{{t}}(a, b, error)"}
    return _binary(name, expr, NUMBER, numpy, c, note, sets_error=True)


def _reduce(
    name: str, expr: str, types: tuple[str, ...], numpy, c, neutral, note="", operands=("T",),
    result="T", **columns: Any,
) -> Opcode:  # fmt: skip
    """A fold by an associative function. Device interpreters fold floats where they are."""
    meaning = f"acc[d] <- {expr}"
    return Opcode(name, Form.REDUCE, meaning, types, operands, result, numpy, c, neutral, note=note,
                  direct=len(operands) == 1, **columns)  # fmt: skip


def _scan(
    name: str, expr: str, types: tuple[str, ...], c, neutral, note="", **columns: Any
) -> Opcode:
    """A fold by an associative function whose value so far is wanted at every position."""
    meaning = f"r[d] <- {expr}"
    return Opcode(name, Form.SCAN, meaning, types, ("T",), "T", f"fn.{name}(a, axis)", c, neutral,
                  note=note, **columns)  # fmt: skip


def _gathers() -> tuple[Opcode, ...]:
    """Loads at positions that registers give, for slots of one to three indexed axes."""
    outside = "A position outside its axis sets the error flag, and the element is 0. "
    rounded = " The immediate is rounded to the slot's type."
    found = []
    for fills in (False, True):
        for count in range(1, MAX_INDICES + 1):
            name = ("gather_or" if fills else "gather") + (str(count) if count > 1 else "")
            positions = ", ".join(f"r[{letter}]" for letter in "abc"[:count])
            meaning = f"r[d] <- s[n][{positions}]" + (" or imm" if fills else "")
            note = ("" if fills else outside) + "Types as load has them." + rounded * fills
            found.append(
                Opcode(name, Form.GATHER, meaning, (*COMPUTE, "f16", "bf16"), ("i64",) * count,
                       note=note, cost=5, fills=fills)
            )  # fmt: skip
    return tuple(found)


_WRAPS = "Integers wrap."
_LOWEST = {"float": "-gi_inf_{t}()", "int": "gi_lowest_{t}()", "bool": "false"}
_HIGHEST = {"float": "gi_inf_{t}()", "int": "gi_highest_{t}()", "bool": "true"}
_INT_DIV = "Integers: division by zero sets the error flag and gives 0; INT_MIN / -1 wraps. "


def _wrap(sign: str) -> dict[str, str]:
    return {"float": f"a {sign} b", "int": f"({{T}})(({{U}})a {sign} ({{U}})b)"}


_TABLE: tuple[Opcode, ...] = (
    # Where values come from and go to
    Opcode("const", Form.CONST, "r[d] <- imm", COMPUTE),
    Opcode("param", Form.PARAM, "r[d] <- p[n]", ("i64", "f64")),
    Opcode("extent", Form.AXIS, "r[d] <- extent(n)", ("i64",)),
    Opcode("index", Form.AXIS, "r[d] <- index(n)", ("i64",), note="The position along the axis."),
    Opcode("load", Form.LOAD, "r[d] <- s[n]", (*COMPUTE, "f16", "bf16"),
           note="f16 and bf16 widen to f32; a bool is true for every byte other than 0."),
    *_gathers(),
    Opcode("store", Form.STORE, "s[n] <- r[a]", (*COMPUTE, "f16", "bf16"), ("T",),
           note="f32 rounds to nearest even for f16 and bf16."),
    Opcode("cast", Form.CAST, "r[d] <- T(r[a])", COMPUTE, ("any",),
           note="Float to integer truncates; what does not fit is as the C++ interpreter's CPU "
                "has it. To bool: is it other than zero."),
    _unary("round_f16", "f32(f16(r[a]))", ("f32",), "fn.round_f16(a)", "gi_round_f16(a)",
           heavy=True),
    _unary("round_bf16", "f32(bf16(r[a]))", ("f32",), "fn.round_bf16(a)", "gi_round_bf16(a)"),
    # Arithmetic
    _binary("add", "r[a] + r[b]", NUMBER, "a + b", _wrap("+"), _WRAPS, commutative=True,
            direct=True),
    _binary("sub", "r[a] - r[b]", NUMBER, "a - b", _wrap("-"), _WRAPS, direct=True),
    _binary("mul", "r[a] * r[b]", NUMBER, "a * b", _wrap("*"), _WRAPS, commutative=True,
            direct=True),
    _binary("div", "r[a] / r[b]", FLOAT, "a / b", "a / b", cost=5),
    Opcode("fma", Form.POINTWISE, "r[d] <- fma(r[a], r[b], r[c])", FLOAT, ("T", "T", "T"), "T",
           "fn.fma(a, b, c)", "gi_fma_{t}(a, b, c)",
           note="One rounding. Only where a program asks for it: nothing contracts by itself."),
    _divide("floor_div", "floor(r[a] / r[b])",
            {"float": "fn.floor_div_float(a, b)", "int": "fn.floor_div_int(a, b)"},
            _INT_DIV + "As torch.div(rounding_mode='floor')."),
    _divide("trunc_div", "trunc(r[a] / r[b])",
            {"float": "np.trunc(a / b)", "int": "fn.trunc_div_int(a, b)"},
            _INT_DIV + "As torch.div(rounding_mode='trunc')."),
    _divide("remainder", "r[a] - r[b] * floor(r[a] / r[b])",
            {"float": "fn.remainder_float(a, b)", "int": "fn.remainder_int(a, b)"},
            _INT_DIV + "The sign of the divisor, as torch.remainder."),
    _divide("fmod", "r[a] - r[b] * trunc(r[a] / r[b])",
            {"float": "np.fmod(a, b)", "int": "fn.fmod_int(a, b)"},
            _INT_DIV + "The sign of the dividend, as torch.fmod."),
    _binary("pow", "pow(r[a], r[b])", NUMBER,
            {"float": "np.power(a, b)", "int": "fn.pow_int(a, b)"}, "gi_pow_{t}(a, b)",
            "Integers wrap; a negative exponent gives 0, but for the bases 1 and -1.", exact=False),
    _binary("maximum", "max(r[a], r[b])", COMPUTE, "fn.maximum(a, b)",
            {"float": "gi_maximum_{t}(a, b)", "int": "a > b ? a : b", "bool": "a || b"},
            "NaN if either is NaN; of two zeros the second.", direct=True),
    _binary("minimum", "min(r[a], r[b])", COMPUTE, "fn.minimum(a, b)",
            {"float": "gi_minimum_{t}(a, b)", "int": "a < b ? a : b", "bool": "a && b"},
            "NaN if either is NaN; of two zeros the second.", direct=True),
    _unary("neg", "-r[a]", NUMBER, "-a", {"float": "-a", "int": "({T})(0 - ({U})a)"}, _WRAPS),
    _unary("abs", "|r[a]|", NUMBER, "np.abs(a)", "gi_abs_{t}(a)", _WRAPS),
    _unary("sign", "sign(r[a])", NUMBER, "fn.sign(a)", "({T})((a > 0) - (a < 0))", "0 for NaN."),
    _binary("copysign", "copysign(r[a], r[b])", FLOAT, "np.copysign(a, b)",
            "gi_copysign_{t}(a, b)", "The magnitude of r[a], the sign bit of r[b]."),
    _unary("reciprocal", "1 / r[a]", FLOAT, "T(1) / a", "({T})1 / a", cost=5),
    # Roots, powers, logarithms
    _math("sqrt", exact=True, cost=5),
    _math("rsqrt", "T(1) / np.sqrt(a)", "1 / sqrt(r[a]), both operations rounded.", exact=True,
          cost=12),
    _binary("hypot", "hypot(r[a], r[b])", FLOAT, "np.hypot(a, b)", "gi_hypot_{t}(a, b)",
            "sqrt(r[a]**2 + r[b]**2) without overflow on the way; an infinity beats NaN.",
            exact=False, cost=12),
    _math("exp", cost=12), _math("exp2", cost=12), _math("expm1"),
    _math("log"), _math("log2"), _math("log10"), _math("log1p"),
    # Trigonometric and hyperbolic functions, in radians
    _math("sin"), _math("cos"), _math("tan"),
    _math("asin", "np.arcsin(a)"), _math("acos", "np.arccos(a)"), _math("atan", "np.arctan(a)"),
    _binary("atan2", "atan2(r[a], r[b])", FLOAT, "np.arctan2(a, b)", "gi_atan2_{t}(a, b)",
            exact=False),
    _math("sinh"), _math("cosh"), _math("tanh", cost=12),
    _math("asinh", "np.arcsinh(a)"), _math("acosh", "np.arccosh(a)"),
    _math("atanh", "np.arctanh(a)"),
    # Error function and sigmoid
    _math("erf", "fn.erf(a)"), _math("erfc", "fn.erfc(a)"),
    _math("sigmoid", "fn.sigmoid(a)", "1 / (1 + exp(-r[a])).", cost=12),
    # Rounding to integral values
    _math("floor", exact=True), _math("ceil", exact=True), _math("trunc", exact=True),
    _math("round", "np.rint(a)", "Halves go to the even neighbour.", exact=True),
    # Comparisons and choice
    _compare("eq", "=="), _compare("ne", "!="), _compare("lt", "<"), _compare("le", "<="),
    _compare("gt", ">"), _compare("ge", ">="),
    _unary("isnan", "isnan(r[a])", FLOAT, "np.isnan(a)", "a != a", result="bool"),
    _unary("isinf", "isinf(r[a])", FLOAT, "np.isinf(a)", "gi_abs_{t}(a) == gi_inf_{t}()",
           result="bool"),
    _unary("nan_to_zero", "isnan(r[a]) ? 0 : r[a]", FLOAT, "np.where(np.isnan(a), T(0), a)",
           "gi_nan_to_zero_{t}(a)"),
    Opcode("where", Form.POINTWISE, "r[d] <- r[a] ? r[b] : r[c]", COMPUTE, ("bool", "T", "T"), "T",
           "np.where(a, b, c)",
           {"float": "a ? b : c", "int": "a ? b : c", "bool": "(a & b) | (!a & c)"}),
    # Bits
    _binary("bitwise_and", "r[a] & r[b]", BOOL + INT, "a & b", "({T})(a & b)"),
    _binary("bitwise_or", "r[a] | r[b]", BOOL + INT, "a | b", "({T})(a | b)"),
    _binary("bitwise_xor", "r[a] ^ r[b]", BOOL + INT, "a ^ b", "({T})(a ^ b)"),
    _unary("bitwise_not", "~r[a]", BOOL + INT, "~a", {"int": "({T})~a", "bool": "!a"},
           "Of a bool: logical not."),
    _binary("shift_left", "r[a] << r[b]", INT, "fn.shift_left(a, b)", "gi_shift_left_{t}(a, b)",
            "A count below 0 or of the width and more gives 0."),
    _binary("shift_right", "r[a] >> r[b]", INT, "fn.shift_right(a, b)", "gi_shift_right_{t}(a, b)",
            "Arithmetic; a count below 0 or of the width and more gives the sign."),
    # Reductions over all reduced axes
    _reduce("sum", "acc[d] + r[a]", NUMBER, "fn.sum(a, axes)", _wrap("+"), "0", _WRAPS),
    _reduce("prod", "acc[d] * r[a]", NUMBER, "fn.prod(a, axes)", _wrap("*"), "1", _WRAPS),
    _reduce("amax", "max(acc[d], r[a])", COMPUTE, "fn.amax(a, axes)",
            {"float": "gi_maximum_{t}(a, b)", "int": "a > b ? a : b", "bool": "a || b"}, _LOWEST,
            "NaN if any is NaN."),
    _reduce("amin", "min(acc[d], r[a])", COMPUTE, "fn.amin(a, axes)",
            {"float": "gi_minimum_{t}(a, b)", "int": "a < b ? a : b", "bool": "a && b"}, _HIGHEST,
            "NaN if any is NaN."),
    _reduce("argmax", "(r[a], r[b]) if r[a] > acc[d]", COMPUTE, "fn.argmax(a, b, axes)",
            "gi_argmax_better_{t}(a, b)", _LOWEST, operands=("T", "i64"), result="i64", cost=5,
            note="acc[d] is the index r[b] of the largest r[a]; NaN counts as largest; of equal "
                 "values the smallest index; of nothing the largest i64."),
    _reduce("argmin", "(r[a], r[b]) if r[a] < acc[d]", COMPUTE, "fn.argmin(a, b, axes)",
            "gi_argmin_better_{t}(a, b)", _HIGHEST, operands=("T", "i64"), result="i64", cost=5,
            note="acc[d] is the index r[b] of the smallest r[a]; NaN counts as smallest; of equal "
                 "values the smallest index; of nothing the largest i64."),
    # Scans along the one reduced axis, inclusive
    _scan("cumsum", "before[d] + r[a]", NUMBER, _wrap("+"), "0", _WRAPS, cost=5,
          carried="f64"),
    _scan("cumprod", "before[d] * r[a]", NUMBER, _wrap("*"), "1", _WRAPS, cost=5,
          carried="f64"),
    _scan("cummax", "max(before[d], r[a])", COMPUTE,
          {"float": "gi_maximum_{t}(a, b)", "int": "a > b ? a : b", "bool": "a || b"}, _LOWEST,
          "NaN from the first NaN on; of two zeros the later.", cost=5),
    _scan("cummin", "min(before[d], r[a])", COMPUTE,
          {"float": "gi_minimum_{t}(a, b)", "int": "a < b ? a : b", "bool": "a && b"}, _HIGHEST,
          "NaN from the first NaN on; of two zeros the later.", cost=5),
    _scan("logcumsumexp", "log(exp(before[d]) + exp(r[a]))", FLOAT, "gi_logaddexp_{t}(a, b)",
          "-gi_inf_{t}()", "Without overflow on the way.", exact=False, cost=50, carried="f64"),
)  # fmt: skip


def _complete(op: Opcode, code: int) -> Opcode:
    cost = op.cost or (25 if op.sets_error or not op.exact else 1)
    return replace(op, code=code, cost=cost, heavy=op.heavy or cost > 1)


OPCODES: tuple[Opcode, ...] = tuple(_complete(op, code) for code, op in enumerate(_TABLE))
_BY_NAME = {op.name: op for op in OPCODES}


def opcode(name: str) -> Opcode:
    """The opcode called `name`. Raises ValueError for a name that is not in the table."""
    try:
        return _BY_NAME[name]
    except KeyError:
        raise ValueError(f"There is no opcode {name!r}. See docs/isa.md for the table.") from None


def exists_for(op: Opcode, t: DType) -> bool:
    return t.name in op.types


__all__ = ["OPCODES", "Form", "Kind", "Opcode", "exists_for", "opcode"]
