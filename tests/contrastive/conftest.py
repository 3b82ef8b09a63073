"""Models this small are faster in one thread, and leave the machine's other cores alone."""

import torch

torch.set_num_threads(1)
