"""`gint demo`: the main job, measured beside eager, aot_eager and Inductor.

Knows the models it runs and how a first call is measured in a fresh process. Does not know
programs, opcodes or backends' insides: everything goes through `torch.compile(backend=...)` and
`gint.conductor.statistics()`. Importing it imports neither torch nor transformers; `main` does,
in processes of their own.
"""

from gint.demo.command import main

__all__ = ["main"]
