"""Trains the judge of text blocks (pipelines/extract/text/judge.py) on annotated pages, and measures it."""
