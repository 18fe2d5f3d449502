"""LLM operations on NumPy arrays, and on whatever speaks DLPack.

Importing this chooses the backend, as the configuration says; it raises ImportError where one is
forced that is not usable.
"""

from .activations import gelu, silu
from .attention import multi_head_attention
from .backend import get_backend, get_backend_info, use_backend
from .linear import feed_forward, matmul_f32
from .norms import layer_norm, rms_norm, softmax
from .quantized import (
    dequantize,
    dequantize_q40,
    dequantize_q80,
    dequantize_rows,
    matmul_quantized,
    prepare,
    prepare_q40,
    prepare_q80,
    quantize,
    quantize_q40,
    quantize_q80,
)
from .rope import apply_rope

__all__ = [
    "apply_rope",
    "dequantize",
    "dequantize_q40",
    "dequantize_q80",
    "dequantize_rows",
    "feed_forward",
    "gelu",
    "get_backend",
    "get_backend_info",
    "layer_norm",
    "matmul_f32",
    "matmul_quantized",
    "multi_head_attention",
    "prepare",
    "prepare_q40",
    "prepare_q80",
    "quantize",
    "quantize_q40",
    "quantize_q80",
    "rms_norm",
    "silu",
    "softmax",
    "use_backend",
]
