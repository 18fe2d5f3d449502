"""What lowering rules say they use is what they emit, and weighs what the table says."""

from __future__ import annotations

from collections import defaultdict
from functools import wraps

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.lowering.rules import _RULES, lowers, opcodes_of, rules
from gint.conductor.partition.cost import weight_of
from gint.host.frontend import Builder
from gint.isa import OPCODES, Form, Opcode, opcode
from tests.conductor.comparing import Traced
from tests.conductor.test_operators import NAMES, samples
from tests.database import DATABASE

pytestmark = pytest.mark.torch
aten = torch.ops.aten


def is_dear(op: Opcode) -> bool:
    return op.form in (Form.REDUCE, Form.SCAN) or op.cost > 5


@pytest.fixture
def emitted(monkeypatch) -> dict:
    """Per operator, the dear opcodes its rule has emitted for the points of an iteration space."""
    found: dict = defaultdict(set)
    running: list = []

    def watch(target, rule):
        @wraps(rule)
        def watched(context):
            running.append(target)
            try:
                return rule(context)
            finally:
                running.pop()

        return watched

    def emit(self, name, *operands):
        value = plain(self, name, *operands)
        reads_points = any(getattr(o, "axes", None) for o in operands)
        if running and reads_points and is_dear(opcode(name)):
            found[running[-1]].add(name)
        return value

    plain = Builder.emit
    monkeypatch.setattr(Builder, "emit", emit)
    for target, rule in rules().items():
        monkeypatch.setitem(_RULES, target, watch(target, rule))
    return found


def test_rules_name_the_dear_opcodes_they_emit(emitted):
    for name in NAMES:
        floats = torch.float32 in DATABASE[name].supported_dtypes("cpu")
        for call in samples(DATABASE[name], torch.float32 if floats else torch.int32, 1):
            Traced(call).compile("python")
    assert emitted
    named = {target: {op.name for op in opcodes_of(target)} for target in emitted}
    missing = {str(t): dear - named[t] for t, dear in emitted.items() if not dear <= named[t]}
    assert not missing, "add them to `uses` of the rule"


#: Packets whose operators are dear, other than those an opcode is named after.
DEAR = """
    max_pool2d_with_indices max_pool3d_with_indices avg_pool2d avg_pool3d
gelu gelu_backward silu silu_backward mean max min any all var var_mean linalg_vector_norm nansum
_softmax _safe_softmax _log_softmax _softmax_backward_data _log_softmax_backward_data
native_layer_norm _fused_rms_norm floor_divide special_entr
"""


def test_the_weight_of_an_operator_follows_from_the_costs_of_opcodes():
    named = {op.name for op in OPCODES if is_dear(op)} | set(DEAR.split())
    for target in rules():
        packet, by_mode = target._schema.name.partition("::")[2], "_mode" in target._overloadname
        dear = packet in named or by_mode
        assert (weight_of(target) > 1) == dear, target


def test_an_opcode_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no opcode 'sinus'"):
        lowers(aten.sin.default, uses=("sinus",))
