"""Operators on arrays beside ATen's on tensors: the same calls, the same results."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gint.operators import OPERATORS
from gint.operators.random_numbers import RANDOM
from gint.plan.demands import demand_of
from gint.plan.operators import COMPLEX
from gint.plan.results import result_of

#: Whose results are of a shape and type, and of no certain values.
WITHOUT_VALUES = {
    *RANDOM, "aten.empty.memory_format", "aten.empty_like.default", "aten.empty_strided.default",
    "aten.empty_permuted.default", "aten.new_empty.default", "aten.new_empty_strided.default",
}  # fmt: skip

#: By type: how far results may be apart, by the value and by the largest one. Sums are made in
#: another order than ATen's, which a unit in the last place per doubling of the terms covers.
TOLERANCE = {
    torch.float16: (2e-3, 1e-3), torch.bfloat16: (2e-2, 8e-3), torch.float32: (1e-5, 4e-6),
    torch.float64: (1e-10, 1e-11), torch.complex64: (1e-5, 4e-6), torch.complex128: (1e-10, 1e-11),
}  # fmt: skip
#: Results that ATen leaves undefined, or that only gradients need: (operator, item).
UNDEFINED = {
    ("aten._scaled_dot_product_flash_attention_for_cpu.default", 1),
    *(("aten._embedding_bag_forward_only.default", n) for n in (1, 2, 3)),
    ("aten._linalg_svd.default", 0), ("aten._linalg_svd.default", 2),  # but for signs
    ("aten._linalg_eigh.default", 1), ("aten.linalg_qr.default", 0),
    ("aten.nll_loss_forward.default", 1), ("aten.nll_loss2d_forward.default", 1),
}  # fmt: skip


def array(value: Any) -> Any:
    """An argument of ATen's as the operators take it; a tensor is seen, not copied."""
    if isinstance(value, torch.Tensor):
        t = value.detach().resolve_conj().resolve_neg()
        if t.dtype is torch.bfloat16:
            import ml_dtypes

            return t.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
        return t.numpy()
    if isinstance(value, torch.dtype):
        if value is torch.bfloat16:
            import ml_dtypes

            return np.dtype(ml_dtypes.bfloat16)
        return np.dtype(str(value).removeprefix("torch."))
    if isinstance(value, torch.memory_format):
        return str(value)
    if isinstance(value, (torch.device, torch.layout)):
        return None
    if isinstance(value, (list, tuple)):
        return type(value)(map(array, value))
    if isinstance(value, dict):
        return {k: array(v) for k, v in value.items() if k != "pin_memory"}
    return value


def tensor(value: np.ndarray) -> torch.Tensor:
    """An array as a tensor."""
    if value.dtype.name == "bfloat16":
        bits = torch.from_numpy(np.ascontiguousarray(value).view(np.int16))
        return bits.view(torch.bfloat16).reshape(value.shape)
    return torch.from_numpy(np.ascontiguousarray(value)).reshape(value.shape)


def compare(name: str, found: Any, wanted: Any, item: int | None = None) -> None:
    """Raises AssertionError where a result is not ATen's, in shape, type or values."""
    if isinstance(wanted, (list, tuple)):
        assert isinstance(found, (list, tuple)), f"{name}: {type(found)}"
        assert len(found) == len(wanted), f"{name}: {len(found)} results, not {len(wanted)}"
        for n, (f, w) in enumerate(zip(found, wanted, strict=True)):
            compare(name, f, w, n)
        return
    if (name, item) in UNDEFINED:
        return
    if not isinstance(wanted, torch.Tensor):
        assert found == wanted or (found != found and wanted != wanted), f"{name}: {found} {wanted}"
        return
    assert isinstance(found, np.ndarray), f"{name}: {type(found)} is no array"
    assert found.shape == tuple(wanted.shape), f"{name}: {found.shape} {tuple(wanted.shape)}"
    assert found.dtype == array(wanted.dtype), f"{name}: {found.dtype} {wanted.dtype}"
    if name in WITHOUT_VALUES:
        return
    relative, of_largest = TOLERANCE.get(wanted.dtype, (0.0, 0.0))
    finite = wanted[torch.isfinite(wanted)] if wanted.dtype.is_floating_point else wanted
    largest = float(finite.abs().max()) if of_largest and finite.numel() else 0.0
    torch.testing.assert_close(
        tensor(found), wanted.detach().resolve_conj().resolve_neg().contiguous(), equal_nan=True,
        rtol=relative, atol=of_largest * (largest if math.isfinite(largest) else 1.0),
        msg=lambda m: f"{name} {item}: {m}",
    )  # fmt: skip


#: Operators whose positions are those of one of several equal elements: where `dim` stands.
TIED = {
    "aten.sort.default": lambda a: a[1] if len(a) > 1 else -1,
    "aten.sort.stable": lambda a: -1,
    "aten.topk.default": lambda a: a[2] if len(a) > 2 else -1,
    "aten.kthvalue.default": lambda a: a[2] if len(a) > 2 else -1,
    "aten.median.dim": lambda a: a[1],
}


def _check_tied(name: str, x: np.ndarray, values: np.ndarray, at: np.ndarray, dim: int) -> None:
    """The elements at the positions are the values, wherever equal ones stand."""
    if x.ndim:
        keeps = values.ndim == x.ndim
        places = at if keeps else np.expand_dims(at, dim)
        picked = np.take_along_axis(x, places, dim)
        np.testing.assert_array_equal(picked if keeps else picked.squeeze(dim), values, name)


#: Whose results have at most as many elements as their rule says.
AT_MOST = {
    "aten._linalg_svd.default", "aten.linalg_qr.default", "aten.index.Tensor",
    "aten._embedding_bag.default", "aten._embedding_bag_forward_only.default",
    "aten.split.Tensor", "aten.split_with_sizes.default", "aten.unbind.int",
    "aten.empty_strided.default", "aten.new_empty_strided.default", "aten.nonzero.default",
    "aten.unique_consecutive.default", "aten._unique2.default", "aten.copy_.default",
    "aten.copy_.Tensor",
}  # fmt: skip
#: Bytes of results that are small whatever is given: counts, flags.
SCALARS = 128


def check_memory(name: str, args: Any, kwargs: Any, wanted: Any) -> None:
    """What a plan counts for a call is no less than what ATen makes."""
    first = wanted if isinstance(wanted, torch.Tensor) else next(iter(_tensors(wanted)), None)
    shape = result_of(name, args, kwargs)
    if shape is not None and first is not None and name not in AT_MOST:
        assert shape == tuple(first.shape), f"{name}: {shape}, not {tuple(first.shape)}"
    shown = {t.untyped_storage()._cdata for t in _tensors((args, kwargs))}
    results = [t for t in _tensors(wanted) if t.untyped_storage()._cdata not in shown]
    made, counted = sum(t.numel() * t.itemsize for t in results), demand_of(name, args, kwargs)
    assert made <= counted.made + SCALARS, f"{name}: {made} bytes, {counted.made} counted"


def _tensors(a: Any) -> list[torch.Tensor]:
    if isinstance(a, torch.Tensor):
        return [a]
    if isinstance(a, dict):
        return _tensors(list(a.values()))
    return [t for x in a for t in _tensors(x)] if isinstance(a, (list, tuple)) else []


def _is_left_to_programs(name: str, args: Any) -> bool:
    """Whether an operator of complex numbers is given none."""
    packet = name.partition(".")[2].rpartition(".")[0]
    made_of_reals = ("complex", "polar", "view_as_complex")
    return (
        packet in COMPLEX
        and packet not in made_of_reals
        and not any(t.is_complex() for t in _tensors(args))
    )


class Beside(TorchDispatchMode):
    """While it is entered, every call of ATen's that is in the table is made on arrays, too."""

    def __init__(self, skip: Sequence[str] = ()) -> None:
        super().__init__()
        self.seen: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.skip = skip

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = str(func)
        operator = OPERATORS.get(name)
        if operator is None or name in self.skip or _is_left_to_programs(name, args):
            self.missing[name] += 1
            return func(*args, **kwargs)
        arrays, named = array(list(args)), array(kwargs)
        if func._schema.is_mutable:
            arrays[0] = arrays[0].copy()
        try:
            wanted = func(*args, **kwargs)
        except Exception:
            # What ATen refuses, nobody asks of the table: plans are traced with ATen.
            raise
        check_memory(name, args, kwargs, wanted)
        found = operator(*arrays, **named)
        self.seen[name] += 1
        if name in TIED:
            _check_tied(name, arrays[0], *found, named.get("dim", TIED[name](arrays)))
            found, wanted_tied = found[:1], wanted[:1]
            compare(name, found, wanted_tied)
            return wanted
        compare(name, found, wanted)
        return wanted


def beside(call: Callable[..., Any], *tensors: torch.Tensor) -> None:
    """Make a call of ATen's, and compare those of its operators that are in the table: some."""
    mode = Beside()
    with torch.no_grad(), mode:
        call(*tensors)
    assert mode.seen
