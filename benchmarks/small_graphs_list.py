"""Graphs of many small steps, batch 1: what is timed is the way from one step to the next; and
three nets of few wide ones (wide_nets.py).

Weights are random. Three are transformers' models of tiny configurations, the others are written
here: a graph network, an MLP-mixer, an LSTM cell unrolled, MobileNet, SqueezeNet, a U-Net, the head
of a detector and a filter that fills a buffer, as small as they can be and still have every kind of
step their originals have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from benchmarks.wide_nets import bottlenecks, joined, normed
from gint.measuring.models import Built

WIDTH, TOKENS, WORDS, LAYERS = 64, 8, 256, 4


def build_bert() -> Built:
    """An encoder of 4 layers, 8 tokens."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=WORDS, hidden_size=WIDTH, intermediate_size=4 * WIDTH,
        num_hidden_layers=LAYERS, num_attention_heads=4, max_position_embeddings=32,
    )  # fmt: skip
    return _of_tokens(BertModel(config))


def build_gpt2() -> Built:
    """A causal LM of 4 layers, 8 tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=WORDS, n_embd=WIDTH, n_layer=LAYERS, n_head=4, n_positions=32,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    return _of_tokens(GPT2LMHeadModel(config), use_cache=False)


def build_t5() -> Built:
    """An encoder with relative positions, 4 layers, 8 tokens."""
    from transformers import T5Config, T5EncoderModel

    config = T5Config(
        vocab_size=WORDS, d_model=WIDTH, d_kv=16, d_ff=4 * WIDTH, num_layers=LAYERS, num_heads=4
    )
    return _of_tokens(T5EncoderModel(config))


def _of_tokens(model: nn.Module, **options: Any) -> Built:
    ids = torch.randint(0, WORDS, (1, TOKENS))
    return Built(model.eval(), (), {"input_ids": ids, **options})


class GraphNetwork(nn.Module):
    """Messages along edges, summed where they arrive, four times."""

    def __init__(self) -> None:
        super().__init__()
        self.messages = nn.ModuleList(nn.Linear(2 * WIDTH, WIDTH) for _ in range(LAYERS))
        self.updates = nn.ModuleList(nn.Linear(2 * WIDTH, WIDTH) for _ in range(LAYERS))
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(LAYERS))

    def forward(self, x: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
        source, target = edges[0], edges[1]
        for message, update, norm in zip(self.messages, self.updates, self.norms, strict=True):
            sent = F.relu(message(torch.cat((x[source], x[target]), -1)))
            arrived = torch.zeros_like(x).index_add(0, target, sent)
            x = norm(x + F.relu(update(torch.cat((x, arrived), -1))))
        return x.mean(0)


class Mixer(nn.Module):
    """Products over tokens and over channels, by turns."""

    def __init__(self, tokens: int = 16) -> None:
        super().__init__()
        two = nn.ModuleList
        self.norms = two(nn.LayerNorm(WIDTH) for _ in range(2 * LAYERS))
        self.across = two(_mlp(tokens, 2 * tokens) for _ in range(LAYERS))
        self.along = two(_mlp(WIDTH, 2 * WIDTH) for _ in range(LAYERS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for i, (across, along) in enumerate(zip(self.across, self.along, strict=True)):
            x = x + across(self.norms[2 * i](x).transpose(1, 2)).transpose(1, 2)
            x = x + along(self.norms[2 * i + 1](x))
        return x.mean(1)


def _mlp(width: int, inner: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width))


class Unrolled(nn.Module):
    """An LSTM cell, 16 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.of_input = nn.Linear(WIDTH, 4 * WIDTH)
        self.of_state = nn.Linear(WIDTH, 4 * WIDTH)

    def forward(self, xs: torch.Tensor) -> torch.Tensor:
        h = c = torch.zeros_like(xs[0])
        for x in xs.unbind(0):
            i, f, g, o = (self.of_input(x) + self.of_state(h)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h


class Inverted(nn.Module):
    """MobileNetV2's block: wider, along each channel, narrower; added where shapes agree."""

    def __init__(self, given: int, made: int, stride: int, wider: int = 4) -> None:
        super().__init__()
        inner = given * wider
        self.added = stride == 1 and given == made
        self.body = nn.Sequential(
            *normed(given, inner, 1), nn.ReLU6(),
            *normed(inner, inner, 3, stride=stride, groups=inner), nn.ReLU6(),
            *normed(inner, made, 1),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        return x + y if self.added else y


def mobilenet() -> nn.Module:
    """Ten inverted blocks and a classifier."""
    shape = ((16, 1), (16, 1), (24, 2), (24, 1), (32, 2), (32, 1), (32, 1), (64, 2), (64, 1))
    layers: list[nn.Module] = [*normed(3, 16, 3, stride=2), nn.ReLU6()]
    given = 16
    for made, stride in shape:
        layers.append(Inverted(given, made, stride))
        given = made
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(given, 10))


class Fire(nn.Module):
    """SqueezeNet's module: squeezed, then expanded by two sizes of windows, joined."""

    def __init__(self, given: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(given, squeezed, 1)
        self.one = nn.Conv2d(squeezed, expanded, 1)
        self.three = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.squeeze(x))
        return torch.cat((F.relu(self.one(x)), F.relu(self.three(x))), 1)


def squeezenet() -> nn.Module:
    """Six fire modules with pooling between."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(16, 8, 16), Fire(32, 8, 16), nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(32, 16, 32), Fire(64, 16, 32), nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(64, 16, 48), Fire(96, 16, 48),
        nn.Conv2d(96, 10, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


class UNet(nn.Module):
    """Three levels down, three up, each joined with what was on its way down."""

    def __init__(self, widths: tuple[int, ...] = (8, 16, 32)) -> None:
        super().__init__()
        given = (3, *widths)
        self.down = nn.ModuleList(_double(a, b) for a, b in zip(given, widths, strict=False))
        self.bottom = _double(widths[-1], widths[-1])
        back = (widths[-1], *widths[::-1])
        self.up = nn.ModuleList(_double(a + b, b) for a, b in zip(back, widths[::-1], strict=False))
        self.last = nn.Conv2d(widths[0], 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        passed = []
        for block in self.down:
            passed.append(block(x))
            x = F.max_pool2d(passed[-1], 2)
        x = self.bottom(x)
        for block in self.up:
            x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = block(torch.cat((x, passed.pop()), 1))
        return self.last(x)


def _double(given: int, made: int) -> nn.Module:
    return nn.Sequential(*normed(given, made, 3), nn.ReLU(), *normed(made, made, 3), nn.ReLU())


class Detector(nn.Module):
    """YOLO's head on three sizes of maps: boxes from cells, scores, all joined."""

    def __init__(self, widths: tuple[int, ...] = (16, 32, 64), classes: int = 8) -> None:
        super().__init__()
        self.stems = nn.ModuleList(nn.Sequential(*normed(w, 16, 1), nn.SiLU()) for w in widths)
        self.mixed = nn.ModuleList(nn.Sequential(*normed(16, 16, 3), nn.SiLU()) for _ in widths)
        self.outs = nn.ModuleList(nn.Conv2d(16, 5 + classes, 1) for _ in widths)

    def forward(self, *maps: torch.Tensor) -> torch.Tensor:
        found = []
        parts = zip(maps, self.stems, self.mixed, self.outs, strict=True)
        for step, (x, stem, mixed, out) in enumerate(parts):
            cells = out(mixed(stem(x))).flatten(2).transpose(1, 2)
            rows, cols = x.shape[2:]
            at = torch.cartesian_prod(torch.arange(rows), torch.arange(cols)).flip(-1)
            centre = (torch.sigmoid(cells[..., :2]) * 2 - 0.5 + at) * (8 << step)
            size = (torch.sigmoid(cells[..., 2:4]) * 2) ** 2 * (16 << step)
            found.append(torch.cat((centre, size, torch.sigmoid(cells[..., 4:])), -1))
        return torch.cat(found, 1)


class RecursiveFilter(nn.Module):
    """Two poles, 64 channels, 32 samples, each written where it belongs."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.zeros_like(x)
        y[:, :2] = x[:, :2]
        for t in range(2, x.size(1)):
            y[:, t] = 0.4 * x[:, t] + 0.9 * y[:, t - 1] - 0.3 * y[:, t - 2]
        return y


def _built(module: nn.Module, *args: torch.Tensor) -> Built:
    return Built(module.eval(), args)


def _graph() -> Built:
    return _built(GraphNetwork(), torch.randn(32, WIDTH), torch.randint(0, 32, (2, 96)))


def _detector() -> Built:
    maps = (torch.randn(1, 16, 16, 16), torch.randn(1, 32, 8, 8), torch.randn(1, 64, 4, 4))
    return _built(Detector(), *maps)


GRAPHS: dict[str, Callable[[], Built]] = {
    "BERT": build_bert,
    "GPT-2": build_gpt2,
    "T5": build_t5,
    "graph network": _graph,
    "MLP-mixer": lambda: _built(Mixer(), torch.randn(1, 16, WIDTH)),
    "LSTM cell": lambda: _built(Unrolled(), torch.randn(16, 1, WIDTH)),
    "MobileNet": lambda: _built(mobilenet(), torch.randn(1, 3, 64, 64)),
    "SqueezeNet": lambda: _built(squeezenet(), torch.randn(1, 3, 64, 64)),
    "U-Net": lambda: _built(UNet(), torch.randn(1, 3, 32, 32)),
    "detector": _detector,
    "recursive filter": lambda: _built(RecursiveFilter(), torch.randn(64, 32)),
    "wide ResNet": lambda: _built(bottlenecks(in_groups=False), torch.randn(2, 3, 96, 96)),
    "wide ResNeXt": lambda: _built(bottlenecks(in_groups=True), torch.randn(2, 3, 96, 96)),
    "wide VoVNet": lambda: _built(joined(), torch.randn(2, 3, 96, 96)),
}
