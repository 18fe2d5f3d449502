"""Models' weights in quantised blocks.

choice.py     which weight takes which format
matrix.py     a quantised matrix, and where the operators find it
operators.py  products and rows as operators of torch's
rewrite.py    Dynamo's graph with those in place of products with constant weights
"""
