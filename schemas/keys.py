"""Keys and shards of samples: fixed at the source, the same on every machine, run and engine.

A key is 32 lower-case hex digits (128 bits of SHA-256) and holds no dot, as WebDataset wants it.
"""

from hashlib import sha256


def digest(*parts: str | bytes) -> str:
    """32 hex digits of the parts; their boundaries count, so ("a", "bc") differs from ("ab", "c")."""
    state = sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()[:32]


def page_key(url: str, text: str) -> str:
    """Key of a page: its address and its text."""
    return digest("page", url, digest(text))


def pair_key(image_url: str, caption: str) -> str:
    """Key of an image-text pair."""
    return digest("pair", image_url, caption)


def clip_key(url: str, start: float, end: float) -> str:
    """Key of a video clip: the video's address, start and end in seconds (to the millisecond)."""
    return digest("clip", url, f"{start:.3f}", f"{end:.3f}")


def bucket(key: str, count: int) -> int:
    """Which of `count` equal parts a key belongs to: key mod count, 0 <= result < count."""
    return int(key, 16) % count


def split_of(domain: str, dev_share: float) -> str:
    """The split of all pages of a registered domain: "dev" for about `dev_share` (0..1) of them, else "train"."""
    return "dev" if int(digest("split", domain)[:13], 16) < dev_share * 16**13 else "train"
