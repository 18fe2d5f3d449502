"""A program that says how much memory a model takes beside the process: see test_resident.py.

    python resident_bytes.py FILE

prints the bytes that became resident from before FILE was opened to after a prompt of 128 tokens
and 4 tokens more, with room for 2,048.
"""

import resource
import sys

import numpy as np

from airllm import AutoModel


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def main(path):
    import gguf  # noqa: F401

    ids = np.random.default_rng(0).integers(3, 200, 128)
    before = resident()
    model = AutoModel.from_pretrained(path)
    cache = model.new_cache(2048)
    logits = model(ids, cache)
    for _ in range(4):
        logits = model([3], cache, out=logits)
    print(resident() - before)


if __name__ == "__main__":
    main(*sys.argv[1:])
