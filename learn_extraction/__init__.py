"""Trains the judge of text blocks (pipelines/extract/judge.py) on annotated pages, and measures it."""
