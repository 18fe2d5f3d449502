"""What torch keeps of a compiled graph: `save_compiled_function`, and its precompile cache.

torch pickles an envelope of its own. What gint puts into it is bytes, in the form of a saved plan
(gint.plan.file): they are checked and verified when they are read. Names of this package stand in
files that others keep.

Knows saved plans, how they run on tensors, and torch's contracts. Does not know how a plan is made:
a process that only loads what another one saved imports no compiler of gint's.
"""
