"""What a script on the rehearsal driver begins with: two programs, and what a call said."""

START = """
import numpy as np
from gint.backend import registry
from gint.host import executor
from gint.kernel.interpreter.cuda import driver
from gint.kernel.interpreter.cuda.backend import BACKEND
from gint.program import assemble
from tests.programs import DIVIDE, DOUBLE

SCALE, DIVIDE = assemble(DOUBLE), assemble(DIVIDE)

def said(call):
    try:
        call()
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
    else:
        print("nothing")

def double(n=4):
    (y,) = executor.run(SCALE, backend="cuda", x=np.arange(n, dtype=np.float32))
    return y
"""
