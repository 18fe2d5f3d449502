"""Functions of torch as people call them: several ATen operators, or one in another memory format.

The table of operators has each once, on contiguous memory; what a function is traced as may be
slow where none of its operators is. Knows calls as text. Does not know what gint makes of them.
"""

from __future__ import annotations

from benchmarks.operators_arguments import SHORT

#: What goes along the last dimension, of lines of n elements.
_ALONG_LINES = {
    **{
        fold: f"torch.{fold}(short_of_{{n}}, -1)"
        for fold in ("sum", "mean", "amax", "argmax", "var", "logsumexp", "softmax", "cumsum")
    },
    "layer_norm": "torch.nn.functional.layer_norm(short_of_{n}, ({n},), row_of_{n}, row_of_{n})",
    "normalize": "torch.nn.functional.normalize(short_of_{n}, dim=-1)",
    "inner": "torch.linalg.vecdot(short_of_{n}, other_of_{n})",
    "distance": "torch.linalg.vector_norm(short_of_{n} - other_of_{n}, dim=-1)",
}

#: What a row is called by, and the call: Python over torch and benchmarks/operators_arguments.py.
FUNCTIONS: dict[str, str] = {
    **{
        f"pad {mode} {dims}": f"torch.nn.functional.pad({source}, {sizes}, mode='{mode}')"
        for mode in ("constant", "reflect", "replicate", "circular")
        for dims, source, sizes in (
            ("1d", "batch", "(1, 2)"),
            ("2d", "image", "(1, 1, 1, 1)"),
            ("2d channels-last", "image_last", "(1, 1, 1, 1)"),
        )
    },
    **{
        f"{name}{form}": f"torch.nn.functional.{call.format(source)}"
        for name, call in (
            ("avg_pool2d", "avg_pool2d({}, 3, 2, 1)"),
            ("max_pool2d", "max_pool2d({}, 3, 2, 1)"),
            ("lp_pool2d", "lp_pool2d({}, 2.0, 2)"),
            ("adaptive_avg_pool2d to 1", "adaptive_avg_pool2d({}, 1)"),
            ("adaptive_avg_pool2d to 7", "adaptive_avg_pool2d({}, 7)"),
            ("adaptive_max_pool2d to 7", "adaptive_max_pool2d({}, 7)"),
        )
        for form, source in (("", "image"), (" channels-last", "image_last"))
    },
    "avg_pool1d": "torch.nn.functional.avg_pool1d(batch, 3, 2)",
    "max_pool1d": "torch.nn.functional.max_pool1d(batch, 3, 3)",
    **{
        f"interpolate {mode} {form}": f"torch.nn.functional.interpolate({source},"
        f" scale_factor=2.0, mode='{mode}')"
        for mode in ("nearest", "bilinear", "bicubic")
        for form, source in (("2d", "image_quarter"), ("2d channels-last", "image_quarter_last"))
    },
    "interpolate linear": "torch.nn.functional.interpolate(batch, scale_factor=2.0, mode='linear')",
    "unfold 3": "torch.nn.functional.unfold(image_quarter, 3, padding=1)",
    **{f"cat {d}": f"torch.cat([x, y], {d})" for d in (0, -1)},
    **{f"cat of 4 {d}": f"torch.cat([x, y, z, w], {d})" for d in (0, -1)},
    **{f"stack {d}": f"torch.stack([x, y], {d})" for d in (0, 1, -1)},
    **{f"diff {d}": f"torch.diff(x, dim={d})" for d in (0, -1)},
    **{f"roll {d}": f"torch.roll(x, 3, {d})" for d in (0, -1)},
    **{f"flip {d}": f"torch.flip(x, [{d}])" for d in (0, -1)},
    "repeat_interleave": "torch.repeat_interleave(x, 2, -1)",
    "tile": "torch.tile(x, (2, 1))",
    "index_select -1": "torch.index_select(x, -1, columns)",
    "gather 0": "torch.gather(x, 0, places_above)",
    "take_along_dim": "torch.take_along_dim(x, places, -1)",
    "embedding": "torch.nn.functional.embedding(rows, x)",
    "scatter_add 0": "torch.scatter_add(x, 0, places_above, y)",
    "scatter_reduce mean": "torch.scatter_reduce(x, -1, places, y, 'mean')",
    "one_hot": "torch.nn.functional.one_hot(classes, len(row))",
    **{
        f"{fold} {d}": f"torch.{fold}(x, {d})"
        for fold in ("sum", "mean", "amax", "argmax", "prod", "var", "logsumexp")
        for d in (0, -1)
    },
    **{f"{scan} {d}": f"torch.{scan}(x, {d})" for scan in ("cumsum", "cumprod") for d in (0, -1)},
    "softmax 0": "torch.softmax(x, 0)",
    "log_softmax 0": "torch.log_softmax(x, 0)",
    "softmax gradient 0": "aten._softmax_backward_data.default(x, y, 0, x.dtype)",
    "log_softmax gradient 0": "aten._log_softmax_backward_data.default(x, y, 0, x.dtype)",
    "normalize": "torch.nn.functional.normalize(x, dim=-1)",
    "cosine_similarity": "torch.nn.functional.cosine_similarity(x, y)",
    "cross_entropy": "torch.nn.functional.cross_entropy(x, classes)",
    "kl_div": "torch.nn.functional.kl_div(x, y, reduction='batchmean')",
    "batch_norm training": "torch.nn.functional.batch_norm(image, None, None, channel, channel,"
    " True)",
    "batch_norm training channels-last": "torch.nn.functional.batch_norm(image_last, None, None,"
    " channel, channel, True)",
    "instance_norm": "torch.nn.functional.instance_norm(image)",
    "local_response_norm": "torch.nn.functional.local_response_norm(image, 3)",
    **{f"{name} of {n}": call.format(n=n) for name, call in _ALONG_LINES.items() for n in SHORT},
}
