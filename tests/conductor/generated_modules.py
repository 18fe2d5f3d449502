"""Random modules of layers drawn as source, and what is done with each (module_cases.py)."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.conductor.module_cases import OPTIMISERS, TOKENS, ModuleCase

#: What is done with a module.
WAYS = ("train", "train", "train", "infer", "freeze", "weights", "export")
#: Formats whose blocks are 32 values.
_FORMATS = ("q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl")


def random_module(random: Random, most: int = 6) -> ModuleCase:
    """A module of up to `most` layers, and what is done with it."""
    way = random.choice(WAYS)
    given = random.choice(("tokens", "rows", "rows", "pictures"))
    width = {"pictures": random.choice((4, 6)), "rows": random.choice((8, 12))}.get(given, 0)
    detail = ""
    if way == "weights" or (way == "export" and random.randrange(3) == 0):
        given, width, detail = random.choice(("tokens", "rows")), 32, random.choice(_FORMATS)
    wrapped = random.choice(("named", "two", *[""] * 10)) if way in ("train", "infer") else ""
    written = _Writer(random, given, width, "weights" if detail else way, bool(wrapped))
    for _ in range(random.randint(1, most)):
        written.layer()
    calls = [(random.choice((1, 2, 3)), random.choice((5, 8, 11)))]
    for _ in range(random.randrange(4)):
        same = random.randrange(2) or way == "export"
        calls.append(
            calls[0] if same else (random.choice((1, 2, 3, 5)), random.choice((3, 5, 8, 13)))
        )
    around = random.choice(("", "", "", "autocast"))
    if way == "infer":
        around = random.choice(("no_grad", "inference_mode", "autocast"))
    elif way != "train":
        around = ""
    dtype = random.choice(("float32",) * 4 + ("float64", "bfloat16"))
    if way in ("weights", "export") or around:
        dtype = "float32"
    dynamic = random.choice((None, None, True, False))
    more: dict[str, Any] = {"channels_last": given == "pictures" and random.randrange(3) == 0}
    if way == "train":
        more |= {
            "optimiser": random.choice(list(OPTIMISERS)),
            "steps_too": random.randrange(4) == 0,
        }
    return ModuleCase(
        random.randrange(1000), way, given, width, tuple(written.layers), tuple(calls), dtype,
        around, dynamic, bool(random.randrange(2)),
        bool(random.randrange(2)) if way in ("train", "infer") else False, detail, wrapped=wrapped,
        **more,
    )  # fmt: skip


class _Writer:
    """Layers as source, each for what the one before it makes. What `is_wrapped` in a subclass
    does not choose: torch.cond refuses it. Graphs inside of graphs keep their floats."""

    def __init__(
        self, random: Random, given: str, width: int, way: str, is_wrapped: bool = False
    ) -> None:
        self.random, self.given, self.width, self.way = random, given, width, way
        self.chooses = not is_wrapped and way != "weights"
        self.layers: list[str] = []
        if given == "tokens":
            self.given, self.width = "rows", 32 if way == "weights" else random.choice((8, 12))
            more = random.choice(("", "", ", padding_idx=3"))
            self.layers.append(f"nn.Embedding({TOKENS}, {self.width}{more})")

    def layer(self) -> None:
        if self.given == "pictures" and self.random.randrange(6) == 0:
            self.layers.append("Pooled()")
            self.given = "rows"
            return
        text, self.width = self._drawn(self.width, 2)
        self.layers.append(text)

    def _drawn(self, w: int, depth: int) -> tuple[str, int]:
        """A layer for the width `w`, and the width it makes."""
        choose, is_row = self.random.choice, self.given == "rows"
        if depth and self.random.randrange(3) == 0:
            kept = self._keeping(w, depth)
            if self.random.randrange(3):
                how = choose(_AROUND[self.way == "weights"])
                return f"{how}({kept})", w
            other = self._keeping(w, depth)
            if self.random.randrange(3) == 0 and self.chooses:
                return f"Either(nn.Sequential({kept}), nn.Sequential({other}))", w
            both = f"nn.Sequential({kept}), nn.Sequential({other})"
            return f"Beside({-1 if is_row else 1}, {both})", 2 * w
        widths = (32, 64) if self.way == "weights" else (8, 12) if is_row else (4, 6)
        to = choose(widths)
        if self.random.randrange(3) == 0:
            text = choose(_CHANGING["rows" if is_row else "pictures"])
            return text.format(w=w, to=to, **self._numbers(w, to)), to
        return self._kept(w), w

    def _kept(self, w: int) -> str:
        texts = _KEEPING["any"] + _KEEPING["rows" if self.given == "rows" else "pictures"] * 2
        if self.way == "weights":
            # Of these not every matrix is one that a product reads, torch's attention is one call,
            # and which expert is chosen is decided by rounding.
            texts = tuple(t for t in texts if not t.startswith(_OTHER_MATRICES))
        return self.random.choice(texts).format(w=w, **self._numbers(w, w))

    def _keeping(self, w: int, depth: int) -> str:
        """Layers that end with the width they began with."""
        return (
            ", ".join(self._kept(w) for _ in range(self.random.randint(1, depth)))
            if self.random.randrange(2)
            else self._kept(w)
        )

    def _numbers(self, w: int, to: int) -> dict[str, Any]:
        choose = self.random.choice
        heads = choose([h for h in (1, 2, 4) if w % h == 0 and w // h > 1])
        groups = choose([g for g in (1, 2, 4) if w % g == 0 and to % g == 0])
        return {
            "heads": heads,
            "kv": choose([h for h in (1, 2, 4) if heads % h == 0]),
            "groups": groups,
            "flag": choose((True, False)),
            "attention": choose(("full", "causal", "mask", "bias")),
            "reduce": choose(("put", "add", "set", "sum", "prod", "amax", "amin", "mean")),
            "scan": choose(("cumsum", "cumprod", "cummax", "cummin", "logcumsumexp")),
            "cell": choose(("LSTMCell", "GRUCell", "RNNCell")),
            "mode": choose(("nearest", "bilinear", "bicubic")),
            "padding": choose(("zeros", "zeros", "reflect", "replicate", "circular")),
            "step": choose((1, 1, 2)),
        }


_KEEPING = {
    "any": (
        "nn.ReLU()", "nn.GELU()", "nn.SiLU()", "nn.Sigmoid()", "nn.Tanh()", "nn.Hardswish()",
        "nn.ELU()", "nn.Softplus()", "nn.LeakyReLU(0.1)", "nn.Mish()", "nn.ReLU(inplace=True)",
        "nn.GELU('tanh')", "nn.Softmax(1)", "nn.LogSoftmax(-1)", "nn.Dropout(0.0)", "Written()",
        "nn.Hardtanh(-1, 1, inplace=True)", "nn.Identity()", "nn.LogSigmoid()", "nn.CELU()",
        "Touched()", "OwnGradient()",
    ),
    "rows": (
        "nn.Linear({w}, {w})", "nn.LayerNorm({w})", "nn.RMSNorm({w})", "Gated({w}, 2 * {w})",
        "nn.LayerNorm({w}, bias=False)", "nn.LayerNorm({w}, elementwise_affine={flag})",
        "Attention({w}, {heads}, {kv}, {attention!r}, {flag})", "OfItself({w}, {heads})",
        "Experts({w}, 4)", "Scattered({reduce!r})", "Scattered({reduce!r})", "Running({scan!r})",
        "Running({scan!r})", "Recurrent({w}, {cell!r})", "Remembering({w})", "Windows()",
        "Along(nn.Conv1d({w}, {w}, 3, padding=1, groups={groups}))",
        "Along(nn.BatchNorm1d({w}))", "Along(nn.GroupNorm({groups}, {w}))",
        "Along(nn.InstanceNorm1d({w}, affine={flag}))", "Along(nn.MaxPool1d(3, 1, 1))",
        "Along(nn.AvgPool1d(3, 1, 1))", "Along(nn.ReplicationPad1d((1, -1)))",
        "nn.TransformerEncoderLayer({w}, {heads}, 32, 0.0, batch_first=True, norm_first={flag})",
        "Spectral({w})", "Turned()", "Cached({w}, {heads}, {kv}, {flag})",
        "Cached({w}, {heads}, {kv}, {flag})",
        "First(nn.GRU({w}, {w}, batch_first=True))", "First(nn.LSTM({w}, {w}, batch_first=True))",
        "weight_norm(nn.Linear({w}, {w}))", "spectral_norm(nn.Linear({w}, {w}))",
    ),
    "pictures": (
        "nn.Conv2d({w}, {w}, 3, padding=1, groups={groups}, padding_mode={padding!r})",
        "nn.Conv2d({w}, {w}, 1, bias={flag})", "nn.BatchNorm2d({w})", "nn.GroupNorm({groups}, {w})",
        "nn.BatchNorm2d({w}, affine={flag})", "nn.InstanceNorm2d({w})", "Squeezed({w})",
        "nn.MaxPool2d(3, 1, 1)", "nn.AvgPool2d(3, 1, 1, count_include_pad={flag})",
        "nn.PReLU({w})", "nn.Softmax2d()", "ChannelsLast()", "nn.ChannelShuffle({groups})",
        "nn.Sequential(nn.Conv2d({w}, {w}, 3, padding=1), nn.BatchNorm2d({w}), nn.ReLU())",
        "nn.LocalResponseNorm(3)", "nn.Dropout2d(0.0)",
    ),
}  # fmt: skip
_AROUND = (("Residual", "Residual", "Checkpointed", "Autocast"), ("Residual", "Autocast"))
_OTHER_MATRICES = (
    "First(", "weight_norm(", "spectral_norm(", "Spectral(", "nn.TransformerEncoderLayer(",
    "OfItself(", "Experts(", "Recurrent(",
)  # fmt: skip
_CHANGING = {
    "rows": (
        "nn.Linear({w}, {to})", "nn.Linear({w}, {to}, bias=False)",
        "nn.Sequential(nn.Linear({w}, {to}), nn.GELU(), nn.LayerNorm({to}))",
        "Along(nn.Conv1d({w}, {to}, 3, {step}, 1, bias={flag}))",
        "nn.Sequential(nn.Linear({w}, 2 * {to}), nn.GLU())",
        "Along(nn.ConvTranspose1d({w}, {to}, 2, {step}))",
    ),
    "pictures": (
        "nn.Conv2d({w}, {to}, 3, {step}, 1, bias={flag})", "nn.Conv2d({w}, {to}, (2, 3))",
        "nn.ConvTranspose2d({w}, {to}, 2, {step})",
        "nn.Sequential(nn.Conv2d({w}, {to}, 3, padding='same'), nn.BatchNorm2d({to}), nn.SiLU())",
        "nn.Sequential(nn.Upsample(scale_factor=2, mode={mode!r}), nn.Conv2d({w}, {to}, 1))",
        "nn.Sequential(nn.Conv2d({w}, 4 * {to}, 1), nn.PixelShuffle(2))",
        "nn.Sequential(nn.AdaptiveAvgPool2d((3, 2)), nn.Conv2d({w}, {to}, 1))",
        "nn.Sequential(nn.MaxPool2d(2), nn.Conv2d({w}, {to}, 1))",
        "nn.Sequential(nn.AvgPool2d(2, ceil_mode={flag}), nn.Conv2d({w}, {to}, 1))",
        "nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d({w}, {to}, 3, 2))",
    ),
}  # fmt: skip
