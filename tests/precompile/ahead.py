"""Functions compiled by `aot_compile`, and gint's part of what torch keeps of them."""

import pytest
import torch

#: Of files of tests that compile ahead.
MARKS = [
    pytest.mark.torch,
    pytest.mark.skipif(
        not torch._dynamo.config.enable_aot_compile,
        reason=f"torch {torch.__version__} has aot_compile switched off",
    ),
]
#: torch guards a module's code by identity, which no file can say.
PORTABLE = {"guard_filter_fn": torch.compiler.keep_portable_guards_unsafe}


def ahead(function, *args, dynamic=None, **options):
    compiled = torch.compile(
        function, backend="gint", fullgraph=True, dynamic=dynamic, options=options
    )
    return compiled.aot_compile((args, {}))


def bytes_of(compiled):
    """gint's own bytes of a compiled function, and what makes a function of them."""
    kept = compiled._artifacts.compiled_fn
    return type(kept).serialize_compile_artifacts(kept), type(kept).deserialize_compile_artifacts
