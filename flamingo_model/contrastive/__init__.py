"""Contrastive pretraining of the vision encoder on pairs (section B.1.3), `flamingo contrast`."""
