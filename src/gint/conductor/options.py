"""The options of `torch.compile(backend="gint", options={...})`, read into a frozen object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from gint.backend import registry
from gint.dataclass import frozen

if TYPE_CHECKING:
    from gint.quantized import WeightFormats


@frozen
class Options:
    """backend: which interpreter runs CPU tensors (default: cpp); check: re-raise an exception
    inside a lowering instead of leaving the node to eager; max_tensors: most tensors a program may
    touch (default: what the backend can); cuda_graphs: graphs of static shapes on CUDA tensors are
    captured once and replayed; weights: the formats that constant weights are quantised to;
    quantize_activations: products with them may round what they multiply to 8 bits; freeze:
    parameters and buffers are constants from the first call on."""

    backend: str | None = None
    check: bool = False
    max_tensors: int | None = None
    cuda_graphs: bool = False
    weights: WeightFormats | None = None
    quantize_activations: bool = True
    freeze: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any] | None) -> Options:
        """Raises ValueError naming the allowed options, for an unknown one or a wrong value."""
        given = dict(options or {})
        known = [f.name for f in fields(cls)]
        for name in given:
            if name not in known:
                raise ValueError(
                    f"backend='gint' has no option {name!r}. Allowed: {', '.join(known)}."
                )
        if given.get("weights") is not None:
            from gint.quantized import WeightFormats  # which few ask for

            given["weights"] = WeightFormats.of(given["weights"])
        made = cls(**given)
        if made.backend is not None:
            registry.backend(made.backend)
        for name in ("check", "cuda_graphs", "quantize_activations", "freeze"):
            if not isinstance(value := getattr(made, name), bool):
                raise ValueError(f"The option {name!r} is True or False, not {value!r}.")
        most = made.max_tensors
        if most is not None and (not isinstance(most, int) or isinstance(most, bool)):
            raise ValueError(f"The option 'max_tensors' is a whole number, not {most!r}.")
        if most is not None and most < 2:
            raise ValueError(f"The option 'max_tensors' is at least 2, not {most!r}.")
        return made
