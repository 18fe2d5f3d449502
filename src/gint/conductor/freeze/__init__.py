"""Constant weights: what depends on them alone is computed once, before the first call.

function.py  the function of a graph whose weights are constants; whether they still are
folding.py   inputs made attributes, and operators on constants alone computed
channels.py  factors and terms per channel made part of a product's weight and bias
fusing.py    products and convolutions by oneDNN, on packed weights, with what follows them
"""
