"""What becomes of ATen's operators, counted, and why some are left whole: a part of
`docs/conductor.md`.

python -m gint.conductor.coverage docs/conductor.md

Two sets are counted: torch's core operators, overload by overload, as torch tags them; and the
operators of ATen that torch's own tests have samples of, by name. What writes into its arguments is
left out, since tracing leaves none of it. Needs what the extra `test` installs.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch

from gint.plan.operators import EXTERNS

from .graph.externs import is_extern
from .graph.views import is_view
from .lowering import rules
from .trace.decompositions import decompositions

aten = torch.ops.aten

#: What may become of an operator, the best first.
KINDS = {
    "program": "part of a program",
    "sometimes": "part of a program where it is said below, otherwise one call of ATen's",
    "view": "a view",
    "traced apart": "taken apart while tracing, by torch or by gint",
    "extern": "one call of ATen's, on purpose",
    "eager": "one call of ATen's, since no rule is written",
}

#: Names of operators that no rule is written for, by the reason. Those that torch's core and its
#: tests have; the rest of ATen is left for the same reasons.
LEFT: dict[str, tuple[str, ...]] = {
    "a special function that models do not compute; a rule needs a kernel with an error bound": (
        "digamma", "erfinv", "i0", "igamma", "igammac", "lgamma", "mvlgamma", "polygamma",
        "special_erfcx", "special_i0e", "special_i1", "special_i1e", "special_log_ndtr",
        "special_ndtri", "special_zeta",
    ),
    "rare arithmetic, on bits and digits": (
        "copysign", "frexp", "gcd", "lcm", "ldexp", "nextafter", "signbit",
    ),
    "complex numbers, which programs do not have": (
        "angle", "complex", "polar", "view_as_complex",
    ),
    "linear algebra (LAPACK)": (
        "cholesky", "cholesky_inverse", "cholesky_solve", "geqrf", "linalg_cross", "linalg_eig",
        "linalg_householder_product", "linalg_ldl_factor_ex", "linalg_ldl_solve", "linalg_lstsq",
        "linalg_lu", "linalg_lu_solve", "lu_unpack", "ormqr", "triangular_solve",
    ),
    "the values decide the size of the result, or the result is a number for the host": (
        "allclose", "bincount", "equal", "nonzero_static",
    ),
    "counting and selecting by value, which is no loop over tiles": (
        "hash_tensor", "histc", "histogram", "isin", "nanmedian", "segment_reduce",
    ),
    "rare ways of writing where positions say": (
        "_unsafe_masked_index", "_unsafe_masked_index_put_accumulate", "as_strided_scatter",
        "diagonal_scatter", "index_reduce", "put",
    ),
    "rare distances and windows": (
        "_cdist_forward", "_pdist_forward", "col2im", "grid_sampler_3d", "max_unpool2d",
        "max_unpool3d", "renorm",
    ),
    "a copy of a view, where a trace has the view and `clone`": (
        "_chunk_cat", "alias_copy", "as_strided_copy", "expand_copy", "narrow_copy",
        "permute_copy", "split_with_sizes_copy", "squeeze_copy", "t_copy", "transpose_copy",
        "unbind_copy", "unfold_copy", "unsqueeze_copy", "view_copy",
    ),
    "random numbers (the generator's own sequence)": ("cauchy", "geometric", "log_normal"),
    "positions of a triangle, made once": ("tril_indices", "triu_indices"),
}  # fmt: skip
_BEGIN = "<!-- begin: python -m gint.conductor.coverage docs/conductor.md -->\n"
_END = "<!-- end: gint.conductor.coverage -->\n"


def kind(target: torch._ops.OpOverload) -> str:
    """What becomes of an overload: a key of KINDS."""
    if target in decompositions() and not is_extern(target):
        return "traced apart"
    if is_view(target):
        return "view"
    if rules.has_rule(target):
        return "sometimes" if is_extern(target) else "program"
    if is_extern(target):
        return "extern"
    is_composite = torch._C._dispatch_has_kernel_for_dispatch_key(
        target.name(), "CompositeImplicitAutograd"
    )
    return "traced apart" if is_composite else "eager"


@cache
def _dispatched() -> frozenset[str]:
    return frozenset(n for n in torch._C._dispatch_get_all_op_names() if n.startswith("aten::"))


@cache
def _packets() -> frozenset[str]:
    return frozenset(n.removeprefix("aten::").partition(".")[0] for n in _dispatched())


def _overloads(name: str) -> Iterator[torch._ops.OpOverload]:
    """The overloads of an operator that write into nothing; TorchScript's own are none."""
    if name not in _packets():
        return
    packet = getattr(aten, name)
    for overload in packet.overloads():
        target = getattr(packet, overload)
        if target.name() not in _dispatched():
            continue
        is_of_names = any("Dimname" in str(a.type) for a in target._schema.arguments)
        if not target._schema.is_mutable and not is_of_names:
            yield target


@cache
def core() -> dict[str, str]:
    """torch's core operators, "relu.default" -> what becomes of them."""
    found = [o for name in _packets() for o in _overloads(name) if torch.Tag.core in o.tags]
    return {str(o).removeprefix("aten."): kind(o) for o in sorted(found, key=str)}


@cache
def sampled() -> dict[str, str]:
    """The operators that torch's tests have samples of, "relu" -> the best that becomes of an
    overload."""
    from torch.testing._internal.common_methods_invocations import op_db

    order = list(KINDS)
    found: dict[str, str] = {}
    for name in sorted({op.aten_name for op in op_db}):
        kinds = [kind(o) for o in _overloads(name)]
        if kinds:
            found[name] = min(kinds, key=order.index)
    return found


def left() -> list[str]:
    """The names of both sets that no rule is written for."""
    names = [name.partition(".")[0] for name, k in core().items() if k == "eager"]
    return sorted({*names, *(name for name, k in sampled().items() if k == "eager")})


def section() -> str:
    """The part of the page, from its first line to its last."""
    counts = Counter(core().values()), Counter(sampled().values())
    lines = [
        "", "| what becomes of an operator | torch's core | torch's tests |",
        "| --- | ---: | ---: |",
        *(f"| {words} | {counts[0][k]} | {counts[1][k]} |" for k, words in KINDS.items()),
        f"| together | {len(core())} | {len(sampled())} |",
        "", "One call of ATen's, on purpose; those in italics are part of a program in some cases:",
        "", "| because | operators |", "| --- | --- |",
    ]  # fmt: skip
    for reason, names in EXTERNS.items():
        lines.append(f"| {reason} | {', '.join(_marked(n) for n in sorted(names))} |")
    lines += ["", "One call of ATen's, since no rule is written:", ""]
    lines += ["| because | operators |", "| --- | --- |"]
    missing = set(left())
    for reason, names in LEFT.items():
        here = [f"`{n}`" for n in sorted(names) if n in missing]
        if here:
            lines.append(f"| {reason} | {', '.join(here)} |")
    return _BEGIN + "\n".join(lines) + "\n\n" + _END


def _marked(name: str) -> str:
    is_ruled = any(rules.has_rule(o) for o in _overloads(name))
    return f"*`{name}`*" if is_ruled else f"`{name}`"


def page(text: str) -> str:
    """A page with its part made anew. Raises ValueError where it has no marks."""
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"The page lacks the lines {_BEGIN.strip()} and {_END.strip()}.")
    return before + section() + after


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(page(path.read_text(encoding="utf-8")), encoding="utf-8")
