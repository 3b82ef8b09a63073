"""What moves: the records, the rules of the marks, the shard codec and the manifest.

Imports nothing of the other packages, and no Beam, torch, HTML or image library: whoever reads shards needs this alone.
"""
