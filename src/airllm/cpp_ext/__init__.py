"""Building and configuring the backends of airllm.tensor_ops. Standard library only."""
