"""Operators that nothing stands for where there is no torch, and why: an export says so.

Names of overload packets, as `gint.conductor.graph.externs` has them.
"""

from __future__ import annotations

_GRADIENT = "it belongs to a backward graph; export the model for inference"
_GPU = "it is an operator of GPUs; export the model on the CPU"
_FACTORS = "NumPy has no LU factors; multiply by torch.linalg.inv, or run the plan with torch"
_RNN = "it is a whole network; torch takes it apart where it traces on the CPU"

REFUSED: dict[str, str] = {
    "convolution_backward": _GRADIENT,
    "max_pool2d_with_indices_backward": _GRADIENT,
    "avg_pool2d_backward": _GRADIENT,
    "_adaptive_avg_pool2d_backward": _GRADIENT,
    "_scaled_dot_product_flash_attention_for_cpu_backward": _GRADIENT,
    "_scaled_dot_product_flash_attention_backward": _GRADIENT,
    "_scaled_dot_product_efficient_attention_backward": _GRADIENT,
    "_scaled_dot_product_cudnn_attention_backward": _GRADIENT,
    "embedding_dense_backward": _GRADIENT,
    "nll_loss_backward": _GRADIENT,
    "nll_loss2d_backward": _GRADIENT,
    "_scaled_dot_product_flash_attention": _GPU,
    "_scaled_dot_product_efficient_attention": _GPU,
    "_scaled_dot_product_cudnn_attention": _GPU,
    "_scaled_dot_product_fused_attention_overrideable": _GPU,
    "_linalg_solve_ex": _FACTORS,
    "linalg_lu_factor_ex": _FACTORS,
    "lstm": _RNN,
    "gru": _RNN,
}
