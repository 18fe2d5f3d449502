"""A transformers model prepared for `generate`: one graph for prompts, tokens and batches.

Dynamo compiles anew for whatever looks different: a cache that is empty and one that is not, a mask
or none, a size of 1, strides of a tensor with no elements. Here every call is brought into one form
first: keys and values as tensors of any length from 0 on, which tokens count, positions, and the
rows whose logits are wanted. Layers with a window are given what their caches still know, and have
a mask of their own. The first graph is made of a call of our own, whose sizes are all different and
none of them 0 or 1.

Knows transformers' caches and attention. Does not know graphs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch.fx.experimental import _config as symbolic

from gint.runtime.tensors.layouts import reinterpret

from .options import Options

ATTENTION = "gint"
#: Sequences, new tokens, known ones, and those in windows, of the call that the graph is made of.
_EXAMPLE = (2, 3, 6, 4)
_LEFT_OUT = ("s_aux", "position_bias")
_FULL, _SLIDING = "full_attention", "sliding_attention"


def prepare_generate(
    model: Any,
    *,
    weights: str | Mapping[str, str] | None = None,
    quantize_activations: bool = True,
    backend: str | None = None,
) -> Any:
    """Compile a transformers model for `generate`, in place, and return it.

    One graph serves prompts of any length and single tokens, any number of sequences, padding on
    the left, windows, and transformers' DynamicCache and StaticCache. It is compiled at the first
    call.

    The options are those of `torch.compile(..., backend="gint")`. `forward` then takes `input_ids`,
    `attention_mask`, `position_ids`, `past_key_values`, `use_cache` and `logits_to_keep`, and
    returns logits and the cache.

    Raises TypeError for what is no causal language model of transformers', ValueError for one with
    layers other than full attention and sliding windows, and for wrong options; when called,
    ValueError for other caches and arguments, RuntimeError in training mode.
    """
    from transformers import PreTrainedModel

    if not isinstance(model, PreTrainedModel) or model.config.is_encoder_decoder:
        raise TypeError(
            f"prepare_generate takes a decoder of transformers', not {type(model).__name__}."
        )
    windows = _windows(model.config)
    options = {"weights": weights, "backend": backend, "quantize_activations": quantize_activations}
    given = {name: value for name, value in options.items() if value is not None}
    Options.of(given)  # tells what is wrong with them before the first call
    _register_attention()
    model.config._attn_implementation = ATTENTION
    model.forward = _Forward(model, windows, given).__call__
    return model


def _windows(config: Any) -> list[int | None]:
    """How many tokens each layer looks back at, itself included; None: all of them."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if not kinds:
        return [window] * config.num_hidden_layers
    if other := sorted(set(kinds) - {_FULL, _SLIDING}):
        raise ValueError(
            f"{config.model_type} has layers other than attention ({', '.join(other)}). Compile "
            'its forward instead: torch.compile(model.forward, backend="gint", dynamic=True).'
        )
    return [window if kind == _SLIDING else None for kind in kinds]


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
    softcap: float | None = None,
    **how: Any,
) -> tuple[torch.Tensor, None]:
    for name in _LEFT_OUT:
        if how.get(name) is not None:
            raise ValueError(f"{type(module).__name__} has {name}, which prepare_generate has not.")
    if softcap is not None:
        return _attend_capped(query, key, value, attention_mask, scaling, softcap), None
    made = torch.nn.functional.scaled_dot_product_attention(
        query, key, value, attn_mask=attention_mask, scale=scaling, enable_gqa=True
    )
    return made.transpose(1, 2), None


def _attend_capped(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor,
    scaling: float | None, cap: float,
) -> torch.Tensor:  # fmt: skip
    """(batch, rows, heads, d): scores stay between -cap and cap, as Gemma 2 has it."""
    batch, heads, _, size = query.shape
    groups = heads // key.shape[1]
    # Products of matrices one by one: what stands above them asks whether a size is 1.
    query, key, value = (
        x.repeat_interleave(n, 1).flatten(0, 1)
        for x, n in ((query, 1), (key, groups), (value, groups))
    )
    scale = size**-0.5 if scaling is None else scaling
    scores = torch.tanh(torch.bmm(query, key.transpose(1, 2)) * (scale / cap)) * cap
    scores = scores.unflatten(0, (batch, heads))
    # (A row that looks at nothing, as of padding, must not become NaN.)
    scores = scores.float().masked_fill(~mask, torch.finfo(torch.float32).min)
    shares = scores.softmax(-1).to(query.dtype).flatten(0, 1)
    made = torch.bmm(shares, value).unflatten(0, (batch, heads)).transpose(1, 2)
    return made.clone(memory_format=torch.contiguous_format)


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

    def __init__(
        self, model: Any, windows: Sequence[int | None], options: Mapping[str, Any]
    ) -> None:
        config, self._model, self._original = model.config, model, model.forward
        self._windows = windows
        self._window = next((w for w in windows if w is not None), None)
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
        masks = {
            window: _mask(counting, tokens.shape[1], keys[self._windows.index(window)], window)
            for window in set(self._windows)
        }
        # A dict is taken by models of both kinds alone.
        named = {_FULL if window is None else _SLIDING: mask for window, mask in masks.items()}
        cache = _dynamic_cache(keys, values)
        made = self._original(
            input_ids=tokens, position_ids=positions,
            attention_mask=named if len(named) > 1 else next(iter(named.values())),
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

        if self._model.training:
            raise RuntimeError(
                "A model prepared for generate is for inference, and this one is in training mode. "
                "Call its eval() first."
            )
        _refuse(others)
        batch, rows = input_ids.shape
        cache = past_key_values
        if cache is None:
            cache = DynamicCache(config=self._model.config)
        known = int(cache.get_seq_length())
        counting = _counting(attention_mask, batch, known, rows, self._window)
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
            _keep(cache, keys, values, rows)
        return CausalLMOutputWithPast(logits=logits, past_key_values=cache if use_cache else None)

    def _trace(self) -> None:
        """Make the graph, of a call whose sizes are of no meaning."""
        batch, rows, known, in_window = _EXAMPLE
        lengths = [known if w is None else in_window for w in self._windows]
        keys, values = ([torch.zeros(batch, self._heads, length, self._size, dtype=self._dtype)
                         for length in lengths] for _ in range(2))  # fmt: skip
        call = _Call(
            torch.zeros(batch, rows, dtype=torch.long),
            torch.ones(batch, known + rows, dtype=torch.bool),
            torch.arange(known, known + rows).repeat(batch, 1), torch.arange(1, rows), keys, values,
        )  # fmt: skip
        for tensor in (call.tokens, call.counting, call.positions):
            _free(tensor, 0, 1)
        _free(call.wanted, 0)
        for tensor in (*keys, *values):
            _free(tensor, 0, 2)
        # Otherwise sizes of 0 and 1 are never those of this graph.
        with symbolic.patch(backed_size_oblivious=True):
            self._compiled(*call)
        self._is_traced = True

    def _known(self, cache: Any, batch: int, known: int) -> tuple[list, list]:
        """Keys and values of each layer, which are none at first."""
        layers = list(cache.layers)
        for layer in layers:
            _check(layer)
        if known == 0:
            none = torch.zeros(batch, self._heads, 0, self._size, dtype=self._dtype)
            return [none] * len(self._windows), [none] * len(self._windows)
        held = [_held(layer, known) for layer in layers]
        return [k for k, _ in held], [v for _, v in held]


def _check(layer: Any) -> None:
    """Raises ValueError for a cache's layer of another kind."""
    from transformers.cache_utils import (
        DynamicLayer,
        DynamicSlidingWindowLayer,
        StaticLayer,
        StaticSlidingWindowLayer,
    )

    sliding = (DynamicSlidingWindowLayer, StaticSlidingWindowLayer)
    if type(layer) not in (DynamicLayer, StaticLayer, *sliding):
        raise ValueError(
            f"A model prepared for generate keeps keys and values in a DynamicCache or a "
            f"StaticCache, not in layers of {type(layer).__name__}."
        )
    if getattr(layer, "record_past", False):
        raise ValueError("A model prepared for generate keeps no more of a window than it needs.")


def _held(layer: Any, known: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The keys and values that the next tokens may look at."""
    from transformers.cache_utils import DynamicSlidingWindowLayer, StaticSlidingWindowLayer

    if isinstance(layer, DynamicSlidingWindowLayer):
        return layer.keys, layer.values
    first = 0
    if isinstance(layer, StaticSlidingWindowLayer) and known >= layer.max_cache_len:
        first, known = 1, layer.max_cache_len  # full: the oldest is out of the window
    return layer.keys[:, :, first:known], layer.values[:, :, first:known]


def _mask(
    counting: torch.Tensor, rows: int, keys: torch.Tensor, window: int | None
) -> torch.Tensor:
    """Which keys, known and new, each of the last rows looks at: (batch, 1, rows, keys)."""
    total, seen = counting.shape[1], keys.shape[2] + rows
    if window is None:
        torch._check(total == seen)
    torch._check(seen <= total)
    at, row = torch.arange(total - seen, total), torch.arange(total - rows, total)[:, None]
    mask = at <= row
    if window is not None:
        mask = mask & (at > row - window)
    return (mask & counting[:, None, total - seen :])[:, None]


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


def _keep(cache: Any, keys: list[torch.Tensor], values: list[torch.Tensor], rows: int) -> None:
    """Give a cache what is new."""
    from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

    for n, (key, value) in enumerate(zip(keys, values, strict=True)):
        layer = cache.layers[n] if len(cache.layers) > n else None
        first = key.shape[2] - rows
        if layer is None or not layer.is_initialized or not isinstance(layer, DynamicLayer):
            cache.update(key[:, :, first:], value[:, :, first:], n)
            continue
        if isinstance(layer, DynamicSlidingWindowLayer):
            layer.cumulative_length += rows
            key, value = (x[:, :, 1 - layer.sliding_window :] for x in (key, value))
        layer.keys, layer.values = key, value


def _counting(
    mask: torch.Tensor | Mapping[str, Any] | None, batch: int, known: int, rows: int,
    window: int | None,
) -> torch.Tensor:  # fmt: skip
    """Which of the tokens until now count, (batch, known + rows): by a mask of that shape, or by
    one (batch, 1, rows, as many or more), of a window's tokens where there is no other."""
    total, first, found = known + rows, 0, mask
    if isinstance(found, Mapping):
        found = found.get(_SLIDING) if found.get(_FULL) is None else found[_FULL]
    if found is None:
        return torch.ones(batch, total, dtype=torch.bool)
    if found.dim() == 4:
        if window is not None and not (isinstance(mask, Mapping) and _FULL in mask):
            first = max(known - window + 1, 0)
        looked_at = found if found.dtype is torch.bool else found == 0
        found = looked_at[:, 0].any(1)[:, : total - first]
    if found.dim() != 2 or found.shape[1] != total - first:
        raise ValueError(
            f"attention_mask says of {total} tokens which count, as (batch, {total}); its shape is "
            f"{tuple(found.shape)}."
        )
    unseen = torch.ones(batch, first, dtype=torch.bool)
    return torch.cat([unseen, found.bool().expand(batch, -1)], 1)


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
