"""The table itself: names, notation and types are consistent."""

import re

import pytest

from gint.isa import DTYPES, OPCODES, Form, dtype, opcode


def test_names_are_unique_and_numbers_count_up():
    assert len({op.name for op in OPCODES}) == len(OPCODES)
    assert [op.code for op in OPCODES] == list(range(len(OPCODES)))
    assert [t.code for t in DTYPES] == list(range(len(DTYPES)))


@pytest.mark.parametrize("op", OPCODES, ids=lambda op: op.name)
def test_the_meaning_reads_the_registers_the_opcode_declares(op):
    right = op.meaning.split("<-", 1)[1]
    assert set(re.findall(r"r\[([abc])\]", right)) == set("abc"[: op.inputs])
    assert op.meaning.startswith("acc[d]") == (op.form is Form.REDUCE)
    assert ("before[d]" in right) == (op.form is Form.SCAN)
    assert op.types
    assert all(dtype(t).name == t for t in op.types)


def test_unknown_names_are_errors_that_say_what_there_is():
    with pytest.raises(ValueError, match=r"no opcode 'sinus'.*docs/isa.md"):
        opcode("sinus")
    with pytest.raises(ValueError, match=r"no data type 'float'\. Known: bool, u8"):
        dtype("float")


def test_opcodes_keep_their_identity_through_copy_and_pickle():
    import copy
    import pickle

    op = opcode("add")
    assert copy.deepcopy(op) is op
    assert pickle.loads(pickle.dumps(op)) is op


def test_what_is_not_exact_or_divides_integers_is_costly_unless_it_says_otherwise():
    costs = {op.name: op.cost for op in OPCODES}
    assert min(costs.values()) == 1
    assert all(op.cost > 5 for op in OPCODES if not op.exact or op.sets_error)
    assert [costs[name] for name in ("add", "div", "exp", "log", "floor_div")] == [1, 5, 12, 25, 25]


def test_opcodes_on_floats_of_one_or_two_registers_have_links():
    assert opcode("sqrt").links == ("SQRT", "", "")
    assert opcode("mul").links == ("MUL", "MUL", "MUL_SELF")
    assert opcode("div").links == ("DIV", "DIV_REVERSED", "")
    for name in ("fma", "where", "isnan", "shift_left", "remainder", "sum", "load"):
        assert opcode(name).links == ("", "", "")
