"""Layers that models are made of and torch has no class for, small, for generated modules."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

__all__ = ["spectral_norm", "weight_norm"]


class Named(torch.Tensor):
    """A subclass that means nothing."""


class Residual(nn.Module):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.layers(x)


class Attention(nn.Module):
    """`how`: "full", "causal", "mask" or "bias"; `kv`: heads of keys and values."""

    def __init__(self, width: int, heads: int, kv: int, how: str, rotates: bool) -> None:
        super().__init__()
        self.heads, self.kv, self.how, self.rotates = heads, kv, how, rotates
        self.size = width // heads
        self.project = nn.Linear(width, self.size * (heads + 2 * kv))
        self.out = nn.Linear(width, width, bias=False)

    def _rotated(self, x):
        half = self.size // 2
        speed = 1e4 ** -(torch.arange(half, device=x.device) / half)
        angle = torch.arange(x.shape[2], device=x.device)[:, None] * speed
        cos, sin = angle.cos().repeat(1, 2).to(x.dtype), angle.sin().repeat(1, 2).to(x.dtype)
        turned = torch.cat([-x[..., half : 2 * half], x[..., :half]], -1)
        return x[..., : 2 * half] * cos + turned * sin

    def forward(self, x):
        b, t, _ = x.shape
        sizes = [self.size * n for n in (self.heads, self.kv, self.kv)]
        q, k, v = (
            y.view(b, t, -1, self.size).transpose(1, 2) for y in self.project(x).split(sizes, -1)
        )
        if self.rotates:
            q, k = self._rotated(q), self._rotated(k)
        places = torch.arange(t, device=x.device)
        mask = None
        if self.how == "mask":
            mask = (places[:, None] - places).abs() < 3
        elif self.how == "bias":
            mask = ((places[:, None] - places).abs() * -0.5).to(q.dtype)
        y = functional.scaled_dot_product_attention(
            q, k, v, mask, is_causal=self.how == "causal", enable_gqa=self.kv < self.heads
        )
        return self.out(y.transpose(1, 2).reshape(b, t, -1))


class OfItself(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Gated(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down(functional.silu(self.gate(x)) * self.up(x))


class Experts(nn.Module):
    """Each row goes to the best of several experts, and comes back by index_add."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.router = nn.Linear(width, count)
        self.experts = nn.Parameter(torch.randn(count, width, width) * 0.2)

    def forward(self, x):
        rows = x.reshape(-1, x.shape[-1])
        scores, chosen = self.router(rows).softmax(-1).topk(2, -1)
        made = torch.einsum("nd,nkde->nke", rows, self.experts[chosen]) * scores[..., None]
        where = torch.arange(rows.shape[0], device=x.device).repeat_interleave(2)
        added = torch.zeros_like(rows).index_add(0, where, made.flatten(0, 1).to(rows.dtype))
        return added.view_as(x)


class Scattered(nn.Module):
    """Rows meet at every third position: by `how`, then read back from there."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x):
        where = torch.arange(x.shape[1], device=x.device) % 3
        where = where[None, :, None].expand(x.shape)
        met = torch.zeros_like(x)
        if self.how == "put":
            first = torch.arange(x.shape[0], device=x.device)[:, None]
            met = met.index_put((first, where[:, :, 0]), x, accumulate=True)
        elif self.how == "add":
            met = met.scatter_add(1, where, x)
        elif self.how == "set":
            met = met.scatter(1, x.shape[1] - 1 - where.sort(1).indices, x)
        else:
            met = met.scatter_reduce(1, where, x, self.how, include_self=False)
        return x + met.gather(1, where)


class Running(nn.Module):
    """A scan along the rows."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def forward(self, x):
        if self.how == "cumprod":
            return (x.tanh() * 0.2 + 1).cumprod(1)
        if self.how in ("cummax", "cummin"):
            return getattr(x, self.how)(1).values
        return getattr(x, self.how)(1) / 4


class Recurrent(nn.Module):
    def __init__(self, width: int, kind: str) -> None:
        super().__init__()
        self.cell = getattr(nn, kind)(width, width)

    def forward(self, x):
        state, seen = None, []
        for part in x[:, :2].unbind(1):
            state = self.cell(part, state)
            seen.append(state[0] if isinstance(state, tuple) else state)
        return x + torch.stack(seen, 1).mean(1, keepdim=True)


class Remembering(nn.Module):
    """Writes what it sees into buffers, through views of them, and reads them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(2, width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("cache", torch.zeros(8, width))

    def forward(self, x):
        row = x.detach().mean((0, 1)).to(self.mean.dtype)
        self.mean[0].mul_(0.9).add_(row, alpha=0.1)
        self.mean.select(0, 1)[1:].copy_(row[1:])
        self.seen += 1
        self.cache.index_copy_(0, self.seen[None] % 8, row[None])
        self.cache[:, ::2].mul_(0.5)
        return x + (self.mean.sum(0) + self.cache[3]).to(x.dtype)


class Along(nn.Module):
    """A layer that wants the width before the rows."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x.transpose(1, 2)).transpose(1, 2)


class Windows(nn.Module):
    """The mean and the largest of neighbours, by unfold of padded rows."""

    def forward(self, x):
        near = functional.pad(x, (0, 0, 1, 1)).unfold(1, 3, 1)
        return near.mean(-1) + near.amax(-1) * 0.5


class Written(nn.Module):
    """In place, under views of what it makes."""

    def forward(self, x):
        y = (x * 1).contiguous()
        y[..., ::2].mul_(2)
        y[:, 0] = x[:, -1]
        y.transpose(0, 1)[-1].add_(1)
        y.view(-1)[:1].zero_()
        return y


class Squeezed(nn.Module):
    """Channels weighed by what all of each are together."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 3, 1), nn.Conv2d(3, channels, 1)

    def forward(self, x):
        return x * self.up(functional.relu(self.down(x.mean((2, 3), keepdim=True)))).sigmoid()


class Beside(nn.Module):
    """Of several layers, what each makes of the same, joined along a dimension."""

    def __init__(self, dim: int, *layers: nn.Module) -> None:
        super().__init__()
        self.dim, self.layers = dim, nn.ModuleList(layers)

    def forward(self, x):
        return torch.cat([layer(x) for layer in self.layers], self.dim)


class Checkpointed(nn.Module):
    """Not kept for the backward pass, but computed again."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        return torch.utils.checkpoint.checkpoint(self.layers, x, use_reentrant=False)


class ChannelsLast(nn.Module):
    def forward(self, x):
        return x.contiguous(memory_format=torch.channels_last)


class Pooled(nn.Module):
    """Pictures as rows: (batch, channels, height, width) -> (batch, height * width, channels)."""

    def forward(self, x):
        return x.flatten(2).transpose(1, 2)


class Either(nn.Module):
    """One of two, as the numbers say."""

    def __init__(self, positive: nn.Module, negative: nn.Module) -> None:
        super().__init__()
        self.positive, self.negative = positive, negative

    def forward(self, x):
        return torch.cond(
            x.sum() > 0,
            lambda x: (self.positive(x) * 1).contiguous(),
            lambda x: (self.negative(x) * 1).contiguous(),
            (x,),
        )


class Autocast(nn.Module):
    """Computed in bfloat16, where torch thinks it may be."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            y = self.layers(x)
        return y.to(x.dtype)


class Touched(nn.Module):
    """Writes into what it is given, where no gradient sees it."""

    def forward(self, x):
        with torch.no_grad():
            x[:, :1].mul_(0.5)
        return x * 1


class _Halved(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x)
        ctx.factor = factor
        return x * 0.5

    @staticmethod
    def backward(ctx, gradient):
        (x,) = ctx.saved_tensors
        return gradient * x.cos() * ctx.factor, None


class OwnGradient(nn.Module):
    """A gradient that somebody wrote."""

    def forward(self, x):
        return _Halved.apply(x, 3.0)


class Spectral(nn.Module):
    """A filter over the rows, by their frequencies."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.filter = nn.Parameter(torch.randn(width, 2))

    def forward(self, x):
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        parts = torch.fft.rfft(wide, dim=1)
        parts = parts * torch.view_as_complex(self.filter.to(wide.dtype))
        return torch.fft.irfft(parts, n=x.shape[1], dim=1).to(x.dtype)


class Turned(nn.Module):
    """Positions as angles, on pairs as complex numbers."""

    def forward(self, x):
        wide = x if x.dtype in (torch.float32, torch.float64) else x.float()
        pairs = torch.view_as_complex(wide.contiguous().view(*x.shape[:-1], -1, 2))
        places = torch.arange(x.shape[1], device=x.device, dtype=wide.dtype)
        turns = torch.polar(torch.ones_like(places), places)[:, None]
        return torch.view_as_real(pairs * turns).flatten(-2).to(x.dtype)


class Cached(nn.Module):
    """Attention over what was seen before, in buffers that are written where a position says.

    `kv`: heads of keys and values, repeated as transformers does; 0: as many as of queries. With a
    `window` the mask leaves out keys at both ends, without one those not written yet.
    """

    ROWS = 16

    def __init__(self, width: int, heads: int, kv: int = 0, window: bool = False) -> None:
        super().__init__()
        self.heads, self.kv, self.size = heads, kv or heads, width // heads
        self.window = 3 if window else self.ROWS
        self.project = nn.Linear(width, self.size * (heads + 2 * self.kv))
        self.out = nn.Linear(width, width)
        for name in ("keys", "values"):
            self.register_buffer(name, torch.zeros(8, self.kv, self.ROWS, self.size))
        self.register_buffer("place", torch.zeros((), dtype=torch.int64))

    def _repeated(self, kept):
        b, kv, rows, size = kept.shape
        shared = kept[:, :, None].expand(b, kv, self.heads // kv, rows, size)
        return shared.reshape(b, self.heads, rows, size)

    def forward(self, x):
        b, t, w = x.shape
        sizes = [self.size * n for n in (self.heads, self.kv, self.kv)]
        q, k, v = (
            y.view(b, t, -1, self.size).transpose(1, 2) for y in self.project(x).split(sizes, -1)
        )
        where = (self.place + torch.arange(t, device=x.device)) % self.ROWS
        keys, values = self.keys[:b], self.values[:b]
        keys.index_copy_(2, where, k.detach().to(keys.dtype))
        values.index_copy_(2, where, v.detach().to(keys.dtype))
        self.place += t
        rows = torch.arange(self.ROWS, device=x.device)
        seen = (rows <= where[:, None]) & (rows > where[:, None] - self.window)
        keys, values = (self._repeated(y.clone().to(q.dtype)) for y in (keys, values))
        y = functional.scaled_dot_product_attention(q, keys, values, seen)
        return self.out(y.transpose(1, 2).reshape(b, t, w))


class First(nn.Module):
    """The first of several results."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]
