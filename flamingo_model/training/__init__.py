"""Training: any number of data sets in one mixture, checkpoints that resume to the bit, `flamingo train`."""
