"""Few-shot evaluation and generation (sections 3.3, A.2, B.1.4 and B.1.5 of the paper)."""
