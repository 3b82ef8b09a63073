"""Captioned pictures as a tar of pairs, which `m3w build` reads as it reads any plain image-text shard."""

import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

CATEGORIES = ("Activities", "Animals & Nature", "Food & Drink", "Objects", "Travel & Places")
"""Of the emoji: things. What a flag, a sign or a face is called cannot be told from others that were seen."""


def write_pictures(stamps: Path, emoji: Path, tar: Path) -> int:
    """Writes KEY.png and KEY.txt for each stamp and emoji; returns how many."""
    count = 0
    with tarfile.open(tar, "w") as archive:
        for key, picture, caption in (*_stamps(stamps), *_emoji(emoji)):
            for name, data in ((f"{key}.png", picture.read_bytes()), (f"{key}.txt", caption.encode())):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, BytesIO(data))
            count += 1
    return count


def _stamps(folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Those drawn as PNG. The first line of a caption is English, the others are translations."""
    for picture in sorted(folder.rglob("*.png")):
        captions = picture.with_suffix(".txt")
        if captions.exists():
            name = "-".join(picture.relative_to(folder).with_suffix("").parts)
            first, _, _ = captions.read_text(encoding="utf-8", errors="replace").partition("\n")
            yield f"stamp-{name.replace('.', '-')}", picture, first.strip()


def _emoji(package: Path) -> Iterator[tuple[str, Path, str]]:
    for entry in json.loads((package / "emoji.json").read_text()):
        picture = package / "img/google/64" / entry["image"]
        if entry["category"] in CATEGORIES and picture.exists():
            yield f"emoji-{entry['unified'].lower()}", picture, entry["name"].lower()
