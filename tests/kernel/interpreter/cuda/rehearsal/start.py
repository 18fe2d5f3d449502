"""What a script on the rehearsal driver begins with: two programs, and what a call said."""

START = """
import numpy as np
from gint.backend import registry
from gint.host import executor
from gint.kernel.interpreter.cuda import driver
from gint.kernel.interpreter.cuda.backend import BACKEND
from gint.program import assemble

SCALE = assemble('''
axis n parallel
slot x f32 in (n)
slot y f32 out (n)
map
  load.f32 r[0] <- s[x]
  add.f32 r[1] <- r[0] + r[0]
  store.f32 s[y] <- r[1]
''')
DIVIDE = assemble('''
axis n parallel
slot x i32 in (n)
slot y i32 out (n)
map
  load.i32 r[0] <- s[x]
  floor_div.i32 r[1] <- floor(r[0] / r[0])
  store.i32 s[y] <- r[1]
''')

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
