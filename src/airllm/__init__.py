"""airllm: LLM operations on NumPy arrays, run by gint's interpreters."""
