"""Modules as users train them: the loss and every gradient as in eager, at fixed and free sizes."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

pytestmark = pytest.mark.torch

_SMALL = {"vocab_size": 50, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
          "num_attention_heads": 4}  # fmt: skip


class Attention(nn.Module):
    def __init__(self, **how) -> None:
        super().__init__()
        self.project, self.how = nn.Linear(32, 96), how

    def forward(self, x):
        b, t, _ = x.shape
        heads = [y.view(b, t, 4, 8).transpose(1, 2) for y in self.project(x).chunk(3, -1)]
        return functional.scaled_dot_product_attention(*heads, **self.how)


class OfTokens(nn.Module):
    """A transformers model from embeddings on."""

    def __init__(self, kind: str, **config) -> None:
        super().__init__()
        made = getattr(transformers, f"{kind}Config")(**config)
        self.model = getattr(transformers, f"{kind}Model")(made)

    def forward(self, x):
        return self.model(inputs_embeds=x).last_hidden_state


class OfItself(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(32, 4, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


class Checkpointed(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return checkpoint(self.layer, x, use_reentrant=False)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(32, 32)

    def forward(self, x):
        state = None
        for step in range(3):
            state = self.cell(x[:, step], state)
        return state[0]


class OfPictures(nn.Module):
    """Convolutions and what surrounds them, of (batch, tokens, 32) as (batch, 8, tokens, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1, groups=4), nn.GroupNorm(4, 16), nn.SiLU(),
            nn.Upsample(scale_factor=2, mode="bilinear"), nn.ConvTranspose2d(16, 8, 2, 2),
            nn.AdaptiveAvgPool2d(1),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x.unflatten(-1, (8, 4)).transpose(1, 2))


MODULES = {
    "attention": Attention,
    "causal attention": lambda: Attention(is_causal=True),
    "multi-head attention": OfItself,
    "encoder": lambda: nn.TransformerEncoderLayer(32, 4, 64, dropout=0, batch_first=True),
    "Llama": lambda: OfTokens("Llama", num_key_value_heads=2, **_SMALL),
    "BERT": lambda: OfTokens(
        "Bert", hidden_dropout_prob=0, attention_probs_dropout_prob=0, **_SMALL
    ),
    "checkpoints": lambda: nn.Sequential(Checkpointed(OfItself()), Checkpointed(OfItself())),
    "recurrent": Recurrent,
    "pictures": OfPictures,
}


def gradients(module: nn.Module, function, x: torch.Tensor) -> list[torch.Tensor]:
    module.zero_grad()
    x = x.clone().requires_grad_()
    y = function(x)
    y.backward(torch.linspace(-1, 1, y.numel()).view_as(y))
    return [y.detach(), x.grad, *[p.grad.clone() for p in module.parameters() if p.requires_grad
                                  and p.grad is not None]]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "dynamic"),
    [
        *[(name, False) for name in MODULES],
        ("encoder", True),
        ("Llama", True),
        ("checkpoints", True),
    ],
)
def test_gradients_are_eagers(name: str, dynamic: bool, fresh_dynamo) -> None:
    torch.manual_seed(0)
    module = MODULES[name]()
    compiled = torch.compile(module, backend="gint", dynamic=dynamic, options={"check": True})
    for batch, tokens in [(2, 6), (3, 10)] if dynamic else [(2, 6)]:
        x = torch.randn(batch, tokens, 32)
        expected = gradients(module, module, x)
        for _ in range(2):
            found = gradients(module, compiled, x)
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=2e-5)
