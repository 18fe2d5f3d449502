"""What generated functions are made of: lines of source on values called x, y and z.

Sizes are asked for and not written down, so that a function is right for inputs of other sizes.
"""

from __future__ import annotations

import torch

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
TYPES = (*FLOATS, *INTEGERS, torch.bool, torch.complex64)

UNARY = (
    "torch.tanh(x)", "torch.sigmoid(x)", "torch.sin(x)", "torch.abs(x)", "torch.relu(x)", "x * -1",
    "torch.nn.functional.gelu(x)", "torch.nn.functional.silu(x)", "torch.log1p(x.abs())",
    "torch.rsqrt(x.abs() + 1)", "torch.exp(x.clamp(-3, 3))", "torch.erf(x)", "torch.square(x)",
    "torch.nn.functional.softplus(x)", "torch.clone(x)", "x * 0.5 + 2", "torch.ones_like(x)",
)  # fmt: skip
BINARY = (
    "torch.add(x, y)", "torch.sub(x, y)", "torch.mul(x, y)", "torch.maximum(x, y)",
    "torch.minimum(x, y)", "x / (y.abs() + 1)", "torch.add(x, y, alpha=3)",
    "torch.atan2(x, y.abs() + 9)", "x + (y - x) * 0.25",
)  # fmt: skip
SELECTING = ("torch.maximum(x, y)", "torch.minimum(x, y)")
JUMPS = (
    "torch.lt(x, y)", "torch.eq(x, y)", "torch.ge(x, y)", "torch.ne(x, y)",
    "torch.remainder(x, y.abs().clamp(max=20) + 2)",
    # Not "floor": torch's fake tensors, which compilers go by, have other strides than eager there.
    'torch.div(x, y.abs().clamp(max=20) + 2, rounding_mode="trunc")',
)  # fmt: skip
REDUCTIONS = {
    "sum": "torch.sum(x, {dims}, keepdim={keepdim})",
    "mean": "torch.mean(x, {dims}, keepdim={keepdim})",
    "amax": "torch.amax(x, {dims}, keepdim={keepdim})",
    "amin": "torch.amin(x, {dims}, keepdim={keepdim})",
    "var": "torch.var(x, {dims}, correction=0, keepdim={keepdim})",
    "logsumexp": "torch.logsumexp(x, {dims}, keepdim={keepdim})",
}
ROWS = ("x.softmax({d})", "x.log_softmax({d})")
#: `{d}` is a dimension.
VIEWS = (
    "x.transpose(0, {d})", "x.unsqueeze({d})", "x.select({d}, -1)",
    "x.narrow({d}, x.shape[{d}] // 2, x.shape[{d}] - x.shape[{d}] // 2)", "x[..., ::2]",
    "x.flatten()", "x.reshape(-1, x.shape[0])", "x.unsqueeze(0).expand(2, *x.shape)",
    "x.chunk(2, {d})[0]", "x.flip({d})", "x.contiguous()", "torch.cat([x, x], {d})",
)  # fmt: skip

# For wide functions alone

WIDE_VIEWS = (
    "x.detach()", "x.as_strided((2,), (1,))", "x.as_strided((2,), (1,), 3)",
    "x.as_strided((2, 2), (1, 2), x.storage_offset())", "x.view(-1)", "x.T", "x.mT",
    "x.unfold({d}, 2, 1)", "x.diagonal()", "x.unbind({d})[-1]", "x.split(2, {d})[-1]",
    "x.roll(1, {d})", "x.repeat_interleave(2, {d})", "x.squeeze()", "x.view(torch.int32)",
    "x.view(torch.float32)", "x.view(torch.int16)", "x.expand_as(x)", "x.view_as(x)",
    "torch.stack([x, x], {d})", "x.movedim({d}, 0)", "x.tril()", "x[None]", "x.real",
    "torch.nn.functional.pad(x, (1, 0))", "x.new_zeros(x.shape)", "x.to(x.dtype)", "x.alias_copy()"
    if hasattr(torch.Tensor, "alias_copy") else "x.clone()", "torch._neg_view(x)",
    "x.index_select({d}, torch.arange(x.shape[{d}] - 1, -1, -1))", "x[..., [0, -1]]", "x.imag",
    "x.conj()", "torch.view_as_real(x)", "torch.view_as_complex(torch.stack([x, x], -1))",
    "x.contiguous(memory_format=torch.channels_last)", "x.resolve_conj()", "x.swapaxes(0, {d})",
    "x.clone(memory_format=torch.preserve_format)", "x.as_strided(x.shape, x.stride())",
)  # fmt: skip
MIXED = (
    "x @ y", "x @ y.mT", "x.mT @ x", "x * x.shape[0]", "torch.stack([x, y])", "torch.cat([x, y])",
    "x.cumsum(0)", "torch.nn.functional.layer_norm(x, x.shape[-1:])", "torch.outer(x, y)",
    "x.clone().add_(y)", "torch.zeros(x.shape).copy_(y)", "x.masked_fill(y > 0, 1)",
    "torch.nn.functional.linear(x, y)", "x.expand_as(y)", "x.reshape(y.shape)", "x[: y.shape[0]]",
    "x.type_as(y)", "torch.complex(x, y).conj().imag", "torch.view_as_real(torch.complex(x, y))",
    "x.index_add(0, torch.zeros(y.shape[0], dtype=torch.int64), y)", "x.scatter_add(0, y, x)",
    "torch.nn.functional.dropout(x, 0.5, False)", "torch.addcmul(x, y, y)", "x.detach() * y",
    "x.to(torch.complex64) * 1j + y", "torch.fft.fft(x)", "(x * x.conj()).real", "x * x.conj() / 9",
    "torch.fft.irfft(torch.fft.rfft(x.float()), n=x.shape[-1])", "torch.view_as_real(x.conj() * y)",
    "torch._foreach_mul([x, y], 2)[1]", "torch._foreach_add([x, x.detach()], y)[0]",
    "torch._foreach_addcmul([y, x], [x, y], [x, y], 0.5)[1]", "torch._foreach_norm([x, y])[1]",
    "torch._foreach_maximum([x, y], [y, x])[0]", "torch._foreach_lerp([x], [y], 0.25)[0]",
    "torch.einsum('...i,...i->...', x, y)", "x.addmm(y, y.mT)", "torch.bmm(x, y.mT)",
)  # fmt: skip
#: Positions along a dimension, of x's shape and in any number; the values of y are exact.
_EACH = "(x.detach().mul(0).long() + y.long()) % x.shape[{d}]"
_SOME = "(y.detach().flatten()[:6].long() % x.shape[{d}])"
#: What reads and writes where positions say: none of them twice where that would be a race.
INDEXED = (
    f"x.scatter_add({{d}}, {_EACH}, x * 2)", f"x.gather({{d}}, {_EACH})",
    *(f'x.scatter_reduce({{d}}, {_EACH}, x - 1, "{how}", include_self={own})'
      for how in ("sum", "prod", "mean", "amax", "amin") for own in (True, False)),
    f"x.index_add({{d}}, {_SOME}, x.index_select({{d}}, {_SOME}), alpha=2)",
    f"x.index_copy({{d}}, {_SOME}.unique(), x.index_select({{d}}, {_SOME}.unique()) + 1)",
    f"x.index_fill({{d}}, {_SOME}, 3)", f"x.index_select({{d}}, {_SOME})",
    f"x.index_put((({_SOME}).remainder(x.shape[0]),), x[0] * 2, accumulate=True)",
    f"torch.nn.functional.embedding({_SOME.replace('{d}', '0')}, x)",
    "x.scatter({d}, x.detach().mul(0).long() + x.shape[{d}] // 2, 1.5)",
    "x.take_along_dim(y.long() % x.shape[{d}], {d})", "x[y.long() % x.shape[0]]",
    f"x.clone().index_add_({{d}}, {_SOME}, x.index_select({{d}}, {_SOME}))",
    "torch.cond(y.long().sum() > 0, lambda t: t.sin() * 2, lambda t: t.cos() - 1, (x,))",
)  # fmt: skip
SCANS = (
    "x.cumsum({d})", "(x.tanh() * 0.3 + 1).cumprod({d})", "x.logcumsumexp({d})",
    "x.flip({d}).cumsum({d}).flip({d})", "x.diff(dim={d})",
)  # fmt: skip
#: Scans that jump.
EXACT_SCANS = (
    "x.cummax({d})[0]",
    "x.cummin({d})[1]",
    "x.sort({d})[0]",
    "x.argsort({d}, stable=True)",
)
WINDOWS = (
    "torch.nn.functional.avg_pool1d(x.flatten(1)[None] if x.dim() > 2 else x[None], 2, 1)",
    "torch.nn.functional.avg_pool2d(x.reshape(1, 1, -1, x.shape[-1]), (1, 2), ceil_mode=True)",
    "torch.nn.functional.pad(x, (1, 1)).unfold(-1, 2, 1).mean(-1)", "x.unfold(-1, 3, 2).sum(-1)",
)  # fmt: skip
#: What leaves numbers exact, if those it reads are.
WRITES_EXACTLY = (
    "x.copy_(y)", "x.zero_()", "x.fill_(2)", "x[..., 0] = 1", "x[0] = y", "x[1:] = y[:-1]",
    "x.relu_()", "x.clamp_(-1, 1)", "x.masked_fill_(y > 0, 3)", "x.t_()", "x.unsqueeze_(0)",
    "x.transpose_(0, {d})", "x.squeeze_()", "x.neg_()", "x.data.copy_(y)", "x.T.copy_(y)",
    "x.view(-1)[:2].zero_()", "x.as_strided((2,), (1,), 1).fill_(3)", "x.index_fill_({d}, torch."
    "zeros(1, dtype=torch.int64), 4)", "x.requires_grad_(False)", "torch._foreach_zero_([x, x])",
    "torch._foreach_copy_([x], [y])", "torch._foreach_neg_([x.detach()])",
)  # fmt: skip
WRITES = (
    "x.add_(y)", "x.mul_(y)", "x.sub_(1)", "x.div_(3)", "x.sin_()", "torch.mul(y, y, out=x)",
    "x.select(0, 0).add_(y)", "x.T.mul_(2)", "x.detach().add_(1)", "x.addcmul_(y, y)",
    "x.lerp_(y, 0.5)", "x.sigmoid_()", "x += y.sum()", "x[..., ::2].mul_(y)",
    "torch._foreach_mul_([x, x], 2)", "torch._foreach_add_([x, y], [y, x])",
    "torch._foreach_mul_([x, x.T], 0.5)", "torch._foreach_sin_([x.T])",
    "torch._foreach_add_([x], [y], alpha=2)",
    "torch._foreach_addcdiv_([x], [y], [y.abs() + 1], 0.5)",
    "x.flatten().add_(1)", "x.index_add_(0, torch.zeros(y.shape[0], dtype=torch.int64), y)",
)  # fmt: skip
SURROUNDINGS = (
    *[""] * 14, "torch.no_grad()", 'torch.autocast("cpu", torch.bfloat16)', "torch.enable_grad()",
)  # fmt: skip
