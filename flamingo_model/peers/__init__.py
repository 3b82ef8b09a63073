"""Weights of other implementations, one module for each: their names to ours, and the knobs that they imply.

What the modules have in common: `tensors` gives a state dict our names, `build` a model from a state dict that the
caller has, `load` one from safetensors files. Where theirs and ours differ in what they compute, the docstring says so.
"""
