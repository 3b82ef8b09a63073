"""What learns: the place of the Flamingo model (arXiv 2204.14198) and its trainer.

Empty so far. It will import torch and `schemas`, never `pipelines`, and reads nothing but finished shards.
"""
