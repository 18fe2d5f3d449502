"""A whole model's weights, ahead of the first call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from torch import nn

from gint.host.selection import choose_for_torch, products_for
from gint.quantized import QuantizedProducts, WeightFormats

from .matrix import QuantizedMatrix
from .modules import is_quantizable, put_in_place
from .rewrite import matrix_of_tensor


class Progress(Protocol):
    def __call__(self, name: str, nbytes: int) -> None: ...


def quantize(
    model: nn.Module,
    weights: str | Mapping[str, str] = "q8_0",
    *,
    quantize_activations: bool = True,
    release: bool = False,
    progress: bool = False,
    backend: str | None = None,
) -> nn.Module:
    """Quantise the weights of a model's linear layers and embeddings now, and return the model.

    weights   as the option of torch.compile: a format, or a dict of patterns to formats
    release   False: the model stays as it is, and torch.compile with the same `weights` finds the
              work done. True: quantised modules take the layers' places, the floats are let go of,
              and gradients are turned off; the model then runs in eager torch too, and is compiled
              without the option
    quantize_activations
              with `release`: as the option of torch.compile
    progress  a bar on the terminal, where the package rich is installed
    backend   whose products, as the option of torch.compile

    Modules that are exactly torch's Linear and Embedding are taken, and weights whose rows are
    whole blocks; a RuntimeWarning tells of others that were chosen, and of patterns that no
    parameter matches. Raises ValueError for a choice
    that is none, TypeError for what is no module, RuntimeError where CPU tensors have no backend.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"quantize takes a torch.nn.Module, not {type(model).__name__}.")
    formats, products = WeightFormats.of(weights), cpu_products(backend)
    names = {id(p): name for name, p in model.named_parameters()}
    formats.warn_of_unmatched(names.values())
    total = {id(m.weight): m.weight.numel() for _, m in _modules(model)}
    made: dict[int, QuantizedMatrix | None] = {}
    with bar(progress, sum(total.values())) as step:
        for name, module in _modules(model):
            weight = module.weight
            if id(weight) not in made:
                made[id(weight)] = matrix_of_tensor(names[id(weight)], weight, formats, products)
                step(name, weight.numel())
            found = made[id(weight)]
            if found is not None and release:
                put_in_place(model, name, found, quantize_activations)
            elif found is not None:
                found.for_rows() if isinstance(module, nn.Embedding) else found.for_products()
    return model.requires_grad_(False) if release else model


def cpu_products(wanted: str | None) -> QuantizedProducts:
    """The products of the backend that CPU tensors run on. Raises RuntimeError if there is none."""
    choice = choose_for_torch("cpu", wanted)
    if choice.backend is None:
        because = "; ".join(f"the backend {n!r} is {why}" for n, why in choice.reasons.items())
        raise RuntimeError(f"Weights cannot be quantised here: {because}.")
    return products_for(choice.backend)


def _modules(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Those that are taken; embeddings first, since their bytes are kept for rows."""
    found = [(n, m) for n, m in model.named_modules(remove_duplicate=False) if is_quantizable(m)]
    return iter(sorted(found, key=lambda item: isinstance(item[1], nn.Linear)))


@contextmanager
def bar(shown: bool, total: int) -> Iterator[Progress]:
    """A function to call with a name and an amount as work is done; it draws a bar if that is
    wanted and can be done."""
    try:
        if not shown:
            raise ImportError
        from rich.progress import Progress as Bar
    except ImportError:
        yield lambda name, nbytes: None
        return
    with Bar(transient=True) as drawn:
        task = drawn.add_task("quantising", total=total)
        yield lambda name, nbytes: drawn.update(task, advance=nbytes, description=name)
