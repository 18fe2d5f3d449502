"""A program that runs a model while its address space is limited: see test_streamed.py.

    python limited.py FOLDER BUDGET SLACK FORMAT CACHE_DIR

prints the tokens that follow on 3, 4, 5, after it has allowed itself BUDGET + SLACK bytes more than
it has when the libraries are loaded. BUDGET 0: all weights are to be in memory.
"""

import resource
import sys

import numpy as np

from airllm import AutoModel, tensor_ops


def address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def main(folder, budget, slack, weights, cache_dir):
    import gguf  # noqa: F401

    x = np.ones((512, 512), np.float32)
    tensor_ops.matmul_f32(x, x)
    x @ x  # a BLAS takes memory of its own at its first product that is not small
    limit = address_space() + int(budget) + int(slack)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    model = AutoModel.from_pretrained(
        folder,
        memory_budget=int(budget) or None,
        weights=weights,
        cache_dir=cache_dir,
        dtype="stored",
    )
    print(model.generate([3, 4, 5], 4, end_tokens=()))


if __name__ == "__main__":
    main(*sys.argv[1:])
