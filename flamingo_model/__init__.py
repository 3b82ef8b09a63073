"""What learns: the Flamingo model (arXiv 2204.14198). It imports torch and `schemas`, never `pipelines`.

`model.py` says in which order to read; sections and tables in the modules are those of the paper's second version, "v1"
marks what only the first one says. Tensors are named by their shapes, with a legend at the top of each module.
"""
