"""A small program, and programs loaded into the backend."""

from gint.backend import registry
from gint.backend.protocol import Kernel
from gint.program import assemble, verify

SQUARE = """
axis n parallel
slot x f32 in (n)
slot y f32 out (n)
map
  load.f32 r[0] <- s[x]
  mul.f32 r[1] <- r[0] * r[0]
  store.f32 s[y] <- r[1]
"""


def kernel(text: str) -> Kernel:
    return registry.backend("opencl").load(verify(assemble(text)))
