"""Recording programs: what operators and methods emit, what is recorded once, and errors."""

import math

import pytest

from gint.host.frontend import Builder, bytecode
from gint.program import VerificationError, disassemble


@pytest.fixture
def b():
    builder = Builder("p")
    builder.parallel("n")
    return builder


def _code(b: Builder, value, type_name="f32") -> list[str]:
    """The instructions of a program that stores `value`."""
    b.output("out", type_name, (0,), value)
    return [line.strip() for line in disassemble(b.build().program).splitlines() if "<-" in line]


def test_the_decorator_gives_a_verified_program():
    @bytecode
    def double(b):
        n = b.parallel("n")
        x = b.input("x", "f32", n)
        b.output("y", "f32", (n,), x + x)

    assert disassemble(double.program).splitlines() == [
        "program double",
        "axis n parallel",
        "slot x f32 in (n)",
        "slot y f32 out (n)",
        "map",
        "  load.f32 r[0] <- s[x]",
        "  add.f32 r[1] <- r[0] + r[0]",
        "  store.f32 s[y] <- r[1]",
    ]


@pytest.mark.parametrize(
    ("write", "wanted"),
    [
        (lambda x, y: x + y, "add.f32 r[2] <- r[0] + r[1]"),
        (lambda x, y: x - y, "sub.f32 r[2] <- r[0] - r[1]"),
        (lambda x, y: x * y, "mul.f32 r[2] <- r[0] * r[1]"),
        (lambda x, y: x / y, "div.f32 r[2] <- r[0] / r[1]"),
        (lambda x, y: x // y, "floor_div.f32 r[2] <- floor(r[0] / r[1])"),
        (lambda x, y: x % y, "remainder.f32 r[2] <- r[0] - r[1] * floor(r[0] / r[1])"),
        (lambda x, y: x**y, "pow.f32 r[2] <- pow(r[0], r[1])"),
        (lambda x, y: abs(-(x + y)), "abs.f32 r[4] <- |r[3]|"),
        (lambda x, y: x.builder.where(x < y, x, y), "where.f32 r[3] <- r[2] ? r[0] : r[1]"),
        (lambda x, y: x.builder.fma(x, y, x), "fma.f32 r[2] <- fma(r[0], r[1], r[0])"),
    ],
    ids=range(10),
)
def test_operators_and_methods(b, write, wanted):
    assert wanted in _code(b, write(b.input("x", "f32", 0), b.input("y", "f32", 0)))


def test_operators_of_integers_and_bools(b):
    x = b.input("x", "i32", 0)
    value = (((x & 3) | 4) ^ x) << 1 >> 2
    code = "\n".join(_code(b, ~value, "i32"))
    for name in ("and", "or", "xor", "not"):
        assert f"bitwise_{name}.i32" in code
    assert "shift_left.i32" in code
    assert "shift_right.i32" in code


def test_comparisons_give_bools_and_have_no_truth_value_of_their_own(b):
    x = b.input("x", "f32", 0)
    for value in (x == 1, x != 1, x < 1, x <= 1, x > 1, x >= 1):
        assert value.type.name == "bool"
    with pytest.raises(TypeError, match="no truth value"):
        assert x == 1
    with pytest.raises(TypeError, match="no truth value"):
        _ = x < 1 and x > 0


def test_numbers_become_constants_of_the_other_type_on_either_side(b):
    x = b.input("x", "f32", 0)
    code = _code(b, 1 - x * 2)
    assert "const.f32 r[1] <- 2.0" in code
    assert "const.f32 r[3] <- 1.0" in code
    assert "sub.f32 r[4] <- r[3] - r[2]" in code


def test_equal_values_are_recorded_once(b):
    x = b.input("x", "f32", 0)
    code = _code(b, b.exp(x * 2) + b.exp(x * 2.0) + b.exp(x * True * 2))
    assert sum("exp.f32" in line for line in code) == 2  # x * 1 * 2 is another value
    assert sum("const.f32" in line for line in code) == 2


def test_constants_that_differ_in_sign_of_zero_stay_apart_and_nan_is_one(b):
    x = b.input("x", "f64", 0)
    assert (x * 0.0).node is not (x * -0.0).node
    assert (x * math.nan).node is (x * -math.nan).node
    assert (x * 1).node is (x * True).node


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda b, x, i: x + i, r"add takes f32 here, not i32. Use cast\(value, 'f32'\)"),
        (lambda b, x, i: b.exp(i), "exp does not exist for i32; it does for f32, f64"),
        (lambda b, x, i: b.exp(x, x), "exp takes 1 operands, not 2"),
        (lambda b, x, i: b.add(1, 2), "add needs at least one recorded value"),
        (lambda b, x, i: i + 1.5, "The immediate 1.5 is no i32"),
        (lambda b, x, i: i + 2**31, "does not fit i32"),
        (lambda b, x, i: x + "1", "'1' is no f32"),
        (lambda b, x, i: b.cast(x, "f16"), r"f16 is a type of slots; values are f32"),
        (lambda b, x, i: b.const(1, "bf16"), r"Use round_bf16\(value\)"),
        (lambda b, x, i: b.emit("load", x), "load is not an operation on values"),
        (lambda b, x, i: b.emit("sinus", x), "no opcode 'sinus'"),
        (lambda b, x, i: b.output("y", "i32", (0,), x), "Slot 'y' is i32 and takes i32, not f32"),
        (lambda b, x, i: b.store("z", x), "no slot 'z'; declared: x, i"),
        (lambda b, x, i: x + Builder("q").param("p", "f64"), "belongs to another program, 'q'"),
        (lambda b, x, i: b.input("w", "f33", 0), "no data type 'f33'"),
    ],
    ids=range(15),
)
def test_errors_are_sentences(b, write, message):
    x, i = b.input("x", "f32", 0), b.input("i", "i32", 0)
    with pytest.raises(ValueError, match=message):
        write(b, x, i)


def test_a_program_that_stores_nothing_is_an_error(b):
    b.input("x", "f32", 0)
    with pytest.raises(ValueError, match="'p' stores nothing; declare an output"):
        b.build()


def test_a_reduction_without_reduced_axes_is_refused(b):
    with pytest.raises(ValueError, match=r"sum folds over the reduced axes; declare one"):
        b.sum(b.input("x", "f32", 0))


def test_a_lambda_needs_a_name():
    with pytest.raises(VerificationError, match="'<lambda>' is no name"):
        bytecode(lambda b: b.output("y", "f32", (), 1.0))


def test_a_number_can_be_stored(b):
    assert _code(b, 1.5, "bf16") == ["const.f32 r[0] <- 1.5", "store.bf16 s[out] <- r[0]"]


def test_a_store_rounds_by_itself():
    b = Builder("round")
    i = b.parallel("i")
    x = b.input("x", "f32", i)
    b.output("y", "f16", (i,), b.round_f16(x))
    b.output("z", "bf16", (i,), b.round_f16(x))
    text = disassemble(b.build().program)
    assert text.count("round_f16") == 1  # z's: another type is another rounding


def test_a_gather_reads_a_table_at_recorded_positions(b):
    rows, cols, words = b.parallel("rows"), b.parallel("cols"), b.indexed("words")
    table = b.table("table", "bf16", words, cols)
    found = b.gather(table, b.input("ids", "i64", rows))
    assert (found.type.name, found.axes) == ("f32", {rows, cols})
    assert b.gather(table, 3).axes == {cols}
    with pytest.raises(ValueError, match="'table' has 1 indexed axes; 2 positions are given"):
        b.gather(table, 1, 2)
    with pytest.raises(ValueError, match="gather takes i64 here, not f32"):
        b.gather(table, b.cast(found, "f32"))
