"""What is the same: when two addresses, texts or images are equal, and which of them is kept.

Pure functions; `transforms` alone knows Apache Beam. Imports `schemas` only.
"""
