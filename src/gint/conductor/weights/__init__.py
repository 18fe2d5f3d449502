"""Models' weights in quantised blocks: an operator on a matrix in place of a product with a weight.

matrix.py     a quantised matrix, and where the operators find it
operators.py  products and rows as operators of torch's
rewrite.py    Dynamo's graph with those in place of products with constant weights
modules.py    modules that hold a quantised matrix
model.py      a model's weights ahead of the first call
gguf.py       a transformers model on the blocks of a GGUF file
"""
