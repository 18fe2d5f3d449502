"""Plans with torch's operators in a child made by fork: OpenMP's threads are the parent's alone."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytest.importorskip("torch")
pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]
#: `plain(x)` holds a product and a convolution that torch has several threads for.
_PROGRAM = """
import os, signal, sys, threading, torch
from gint.conductor import export
import gint
torch.set_num_threads(2)
torch.set_grad_enabled(False)
torch.manual_seed(0)
weight, convolution = torch.randn(600, 600), torch.nn.Conv2d(1, 8, 3).requires_grad_(False)
def plain(x):
    return convolution(torch.relu(x @ weight + 1)[None, None]).mean((-1, -2))
x = torch.randn(600, 600)
export(plain, (x,), path=sys.argv[1])
FUNCTIONS = torch.compile(plain, backend="gint"), gint.load(sys.argv[1])
expected = plain(x)
def work(function):
    torch.set_grad_enabled(False)
    while True:
        function(x)
for function in FUNCTIONS:
    function(x)
    threading.Thread(target=work, args=(function,), daemon=True).start()
for function in FUNCTIONS * 2:
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # what waits for threads that are not there ends the child
        os._exit(0 if torch.allclose(function(x), expected, rtol=1e-3, atol=1e-3) else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), torch.get_num_threads(), flush=True)
os._exit(0)
"""


def test_operators_end_in_children_and_the_parent_keeps_its_threads(tmp_path):
    asked = [sys.executable, "-c", _PROGRAM, str(tmp_path / "saved.gint")]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=200)
    assert done.stdout == "0 2\n" * 4, done.stderr
