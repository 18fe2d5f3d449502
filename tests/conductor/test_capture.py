"""What cannot be saved, in words, with the line of the user's that it comes from."""

from __future__ import annotations

import io
import logging
import sys

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.capture import ExportError, captured, where_written

pytestmark = pytest.mark.torch
X = torch.ones(3)


def capture(model, *args):
    return captured(model, args, {}, None)


def test_functions_and_modules_are_captured():
    assert "torch.ops.aten.add.Tensor" in capture(lambda x: x + 1, X).graph_module.code
    assert capture(torch.nn.Linear(3, 2), X).graph_signature.parameters


def test_what_is_no_function():
    with pytest.raises(TypeError, match=r"a module, a function or what torch.export made: 3"):
        capture(3, X)


def test_values_that_decide(capsys):
    def function(x):
        print("what the user says", file=sys.stderr)
        if x.sum() > 0:
            return x
        return -x

    with pytest.raises(ExportError, match="depends on the values of tensors") as found:
        capture(function, X)
    assert 'test_capture.py", line' in str(found.value)
    assert "if x.sum() > 0" in str(found.value)
    assert capsys.readouterr().err == "what the user says\n"  # and not torch's graph


def test_what_torch_logs_of_a_failure_is_said_once():
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    shown = io.StringIO()

    def function(x):
        logger.warning("of torch's")
        logging.getLogger("mine").warning("the user's")
        return x @ x

    handler = logging.StreamHandler(shown)
    for name in ("torch._subclasses.fake_tensor", "mine"):
        logging.getLogger(name).addHandler(handler)
    try:
        with pytest.raises(ExportError, match="same reduction dim"):
            capture(function, torch.ones(3, 5))
        assert shown.getvalue() == "the user's\n"
        capture(function, torch.ones(3, 3))
    finally:
        for name in ("torch._subclasses.fake_tensor", "mine"):
            logging.getLogger(name).removeHandler(handler)
    assert shown.getvalue() == "the user's\nthe user's\nof torch's\n"
    assert not handler.filters


class Counts(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls, self.seen = 0, []

    def forward(self, x):
        self.calls += 1
        return x * self.calls


def test_python_state_that_changes():
    model = Counts()
    with pytest.raises(ExportError, match="A call changes 'calls' of Counts") as found:
        capture(model, X)
    assert "self.calls += 1" in str(found.value)
    assert "forward" not in vars(model)  # it is as it was


def test_writes_into_a_tensor_that_is_nobodys():
    held = torch.zeros(3)

    def function(x):
        held.add_(x)
        return x + held

    with pytest.raises(ExportError, match="neither an argument nor a buffer"):
        capture(function, X)


def test_errors_of_the_users_own():
    def function(x):
        raise KeyError("nothing there")

    with pytest.raises(ExportError, match=r"torch.export cannot trace it: KeyError") as found:
        capture(function, X)
    assert 'raise KeyError("nothing there")' in str(found.value)


def test_where_a_node_was_written():
    node = torch.fx.Graph().placeholder("x")
    assert where_written(node) == "\nIt is x of the graph."
    node.meta["stack_trace"] = (
        f'  File "{torch.__file__}", line 3, in linear\n    return 1\n'
        '  File "/home/me/model.py", line 7, in forward\n    y = self.up(x)\n'
        f'  File "{torch.__file__}", line 9, in add\n    return 2\n'
    )
    assert where_written(node) == (
        '\nx, written in\n  File "/home/me/model.py", line 7, in forward\n    y = self.up(x)'
    )
    assert where_written(None) == ""
