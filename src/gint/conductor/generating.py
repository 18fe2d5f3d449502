"""A transformers model prepared for `generate`: one graph for prompts, tokens and batches.

Dynamo compiles anew for whatever looks different: a cache that is empty and one that is not, a mask
or none, a size of 1, strides of a tensor with no elements. Here every call is brought into one form
first: keys and values as tensors of any length from 0 on, which tokens count, positions, and the
rows whose logits are wanted. The first graph is made of a call of our own, whose sizes are all
different and none of them 0 or 1.

Knows transformers' caches and attention. Does not know graphs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.fx.experimental import _config as symbolic

from gint.runtime.tensors.layouts import reinterpret

ATTENTION = "gint"
#: Sequences, new tokens and known ones of the call that the graph is made of.
_EXAMPLE = (2, 3, 5)
_LEFT_OUT = ("softcap", "s_aux", "position_bias")


def prepare_generate(
    model: Any,
    *,
    weights: str | Mapping[str, str] | None = None,
    quantize_activations: bool = True,
    backend: str | None = None,
) -> Any:
    """Compile a transformers model for `generate`, in place, and return it.

    One graph serves prompts of any length and single tokens, any number of sequences, padding on
    the left, and transformers' DynamicCache and StaticCache. It is compiled at the first call.

    The options are those of `torch.compile(..., backend="gint")`. `forward` then takes `input_ids`,
    `attention_mask`, `position_ids`, `past_key_values`, `use_cache` and `logits_to_keep`, and
    returns logits and the cache.

    Raises TypeError for what is no causal language model of transformers', ValueError for one with
    layers that do not attend to everything before (sliding windows), or that no StaticCache or
    DynamicCache serves; when called, ValueError for other caches and arguments.
    """
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel) or model.config.is_encoder_decoder:
        raise TypeError(
            f"prepare_generate takes a decoder of transformers', not {type(model).__name__}."
        )
    _refuse_windows(model.config)
    _register_attention()
    options = {"weights": weights, "backend": backend, "quantize_activations": quantize_activations}
    given = {name: value for name, value in options.items() if value is not None}
    model.config._attn_implementation = ATTENTION
    model.forward = _Forward(model, given).__call__
    return model


def _refuse_windows(config: Any) -> None:
    kinds = set(getattr(config, "layer_types", None) or ())
    other = sorted(kinds - {"full_attention"})
    if not kinds and getattr(config, "sliding_window", None):
        other = [f"a window of {config.sliding_window}"]
    if other:
        raise ValueError(
            f"{config.model_type} has layers other than full attention ({', '.join(other)}), whose "
            "caches forget. Compile its forward instead: "
            'torch.compile(model.forward, backend="gint", dynamic=True).'
        )


def _register_attention() -> None:
    """transformers' way to an attention of one's own: no branch asks for a size."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(ATTENTION, _attend)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def _attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor,
    scaling: float | None = None,
    **how: Any,
) -> tuple[torch.Tensor, None]:
    for name in _LEFT_OUT:
        if how.get(name) is not None:
            raise ValueError(f"{type(module).__name__} has {name}, which prepare_generate has not.")
    made = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=True
    )
    return made.transpose(1, 2), None


class _Call(NamedTuple):
    """What the graph is given: tokens (batch, rows), which of the tokens up to the last count
    (batch, known + rows), positions (batch, rows), the rows whose logits are wanted, and of each
    layer keys and values (batch, heads, known, size)."""

    tokens: torch.Tensor
    counting: torch.Tensor
    positions: torch.Tensor
    wanted: torch.Tensor
    keys: list[torch.Tensor]
    values: list[torch.Tensor]


class _Forward:
    """`forward` of a model, by one compiled function."""

    def __init__(self, model: Any, options: Mapping[str, Any]) -> None:
        config, self._original = model.config, model.forward
        self._layers = config.num_hidden_layers
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // heads
        self._heads = getattr(config, "num_key_value_heads", None) or heads
        self._size, self._dtype = size, model.dtype
        self._compiled = torch.compile(
            self._step, backend="gint", dynamic=True, fullgraph=True, options=dict(options)
        )
        self._is_traced = False

    def _step(
        self,
        tokens: torch.Tensor,
        counting: torch.Tensor,
        positions: torch.Tensor,
        wanted: torch.Tensor,
        keys: list[torch.Tensor],
        values: list[torch.Tensor],
    ) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
        """Logits of the wanted rows, and keys and values with the new ones."""
        total = keys[0].shape[2] + tokens.shape[1]
        torch._check(counting.shape[1] == total)
        at = torch.arange(total)
        mask = (at <= _last(counting, tokens.shape[1])[..., None]) & counting[:, None, :]
        cache = _dynamic_cache(keys, values)
        made = self._original(
            input_ids=tokens, attention_mask=mask[:, None], position_ids=positions,
            past_key_values=cache, use_cache=True, logits_to_keep=wanted,
        )  # fmt: skip
        layers = cache.layers
        return made.logits, [layer.keys for layer in layers], [layer.values for layer in layers]

    def __call__(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Any = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **others: Any,
    ) -> Any:
        """Logits after the tokens, and the cache that then knows them."""
        from transformers import DynamicCache
        from transformers.modeling_outputs import CausalLMOutputWithPast

        _refuse(others)
        batch, rows = input_ids.shape
        cache = DynamicCache() if past_key_values is None else past_key_values
        known = int(cache.get_seq_length())
        total = known + rows
        counting = _counting(attention_mask, batch, total)
        if position_ids is None:
            position_ids = (counting.long().cumsum(-1) - 1).clamp(min=0)[:, known:]
        call = _Call(
            input_ids, counting, position_ids.expand(batch, rows),
            _wanted(logits_to_keep, rows), *self._known(cache, batch, known),
        )  # fmt: skip
        with torch.no_grad():
            if not self._is_traced:
                self._trace()
            logits, keys, values = self._compiled(*map(_plain, call))
            _keep(cache, keys, values, known)
        return CausalLMOutputWithPast(logits=logits, past_key_values=cache if use_cache else None)

    def _trace(self) -> None:
        """Make the graph, of a call whose sizes are of no meaning."""
        batch, rows, known = _EXAMPLE
        cached = [torch.zeros(batch, self._heads, known, self._size, dtype=self._dtype)
                  for _ in range(2 * self._layers)]  # fmt: skip
        call = _Call(
            torch.zeros(batch, rows, dtype=torch.long),
            torch.ones(batch, known + rows, dtype=torch.bool),
            torch.arange(known, known + rows).repeat(batch, 1), torch.arange(1, rows),
            cached[: self._layers], cached[self._layers :],
        )  # fmt: skip
        for tensor in (call.tokens, call.counting, call.positions):
            _free(tensor, 0, 1)
        _free(call.wanted, 0)
        for tensor in cached:
            _free(tensor, 0, 2)
        # Otherwise sizes of 0 and 1 are never those of this graph.
        with symbolic.patch(backed_size_oblivious=True):
            self._compiled(*call)
        self._is_traced = True

    def _known(self, cache: Any, batch: int, known: int) -> tuple[list, list]:
        """Keys and values of each layer, which are none at first."""
        from transformers.cache_utils import DynamicLayer, StaticLayer

        layers = list(cache.layers)
        for layer in layers:
            if type(layer) not in (DynamicLayer, StaticLayer):
                raise ValueError(
                    f"A model prepared for generate keeps keys and values in a DynamicCache or a "
                    f"StaticCache, not in layers of {type(layer).__name__}."
                )
        if known == 0:
            none = torch.zeros(batch, self._heads, 0, self._size, dtype=self._dtype)
            return [none] * self._layers, [none] * self._layers
        return ([layer.keys[:, :, :known] for layer in layers],
                [layer.values[:, :, :known] for layer in layers])  # fmt: skip


def _last(counting: torch.Tensor, rows: int) -> torch.Tensor:
    """The last `rows` places of (batch, total), as (1, rows)."""
    total = counting.shape[1]
    return torch.arange(total - rows, total)[None]


def _dynamic_cache(keys: Sequence[torch.Tensor], values: Sequence[torch.Tensor]) -> Any:
    """A cache that knows these."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    cache = DynamicCache()
    for key, value in zip(keys, values, strict=True):
        layer = DynamicLayer()
        layer.dtype, layer.device, layer.is_initialized = key.dtype, key.device, True
        layer.keys, layer.values = key, value
        cache.layers.append(layer)
    return cache


def _keep(cache: Any, keys: list[torch.Tensor], values: list[torch.Tensor], known: int) -> None:
    """Give a cache what is new."""
    from transformers.cache_utils import StaticLayer

    for n, (key, value) in enumerate(zip(keys, values, strict=True)):
        if len(cache.layers) <= n or not cache.layers[n].is_initialized:
            cache.update(key[:, :, known:], value[:, :, known:], n)
        elif isinstance(cache.layers[n], StaticLayer):
            cache.layers[n].update(key[:, :, known:], value[:, :, known:])
        else:
            cache.layers[n].keys, cache.layers[n].values = key, value


def _counting(
    mask: torch.Tensor | Mapping[str, Any] | None, batch: int, total: int
) -> torch.Tensor:
    """Which of the tokens until now count, (batch, total): by a mask of that shape, or by the row
    of the last token in one (batch, 1, rows, total or more)."""
    found: Any = mask.get("full_attention") if isinstance(mask, Mapping) else mask
    if found is None:
        return torch.ones(batch, total, dtype=torch.bool)
    if found.dim() == 4:
        last = found[:, 0, -1, :total]
        found = last if last.dtype is torch.bool else last == 0
    if found.dim() != 2 or found.shape[1] != total:
        raise ValueError(
            f"attention_mask says of {total} tokens which count, as (batch, {total}); its shape is "
            f"{tuple(found.shape)}."
        )
    return found.bool().expand(batch, total)


def _wanted(keep: int | torch.Tensor, rows: int) -> torch.Tensor:
    """The rows of logits_to_keep: the last ones, of which 0 are all, or those of a tensor."""
    if isinstance(keep, torch.Tensor):
        return keep
    return torch.arange(max(rows - keep, 0) if keep else 0, rows)


def _refuse(others: Mapping[str, Any]) -> None:
    """Arguments that would change what is computed; what says how results are wrapped is let be."""
    for name, value in others.items():
        if value is not None and value is not False and name != "return_dict":
            raise ValueError(
                f"A model prepared for generate does not take {name}: its graph is made for "
                "input_ids, attention_mask, position_ids, past_key_values and logits_to_keep."
            )


def _free(tensor: torch.Tensor, *dimensions: int) -> None:
    for d in dimensions:
        torch._dynamo.mark_dynamic(tensor, d)


def _plain(x: Any) -> Any:
    """The same elements without gaps, in a tensor that is nobody's view and whose strides are those
    of its sizes, also where a size is 0 or 1: guards ask for all of that."""
    if isinstance(x, list):
        return [_plain(t) for t in x]
    x, strides = x.contiguous(), [1]
    for length in x.shape[:0:-1]:
        strides.append(strides[-1] * length)
    return reinterpret(x, tuple(x.shape), tuple(reversed(strides)), 0)
