"""Does a Flamingo learn from what the pipelines build? `make learn`; docs/learn.md says how, and what came out."""
