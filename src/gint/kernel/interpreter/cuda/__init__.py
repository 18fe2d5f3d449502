"""The CUDA interpreter: the portable body as CUDA C++, through NVIDIA's own Python bindings."""
