"""The settings of the stage "extract"; every step of it takes them whole."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """What is content, which address a picture has, and what a page is refused for."""

    mode: str
    """"main": the main content. "full": everything visible. "obelics": by the DOM rules of OBELICS, to compare."""
    images: str
    """Pictures in a page's content. "required": a page without is refused; "none": a page with any; "optional"."""
    max_images: int
    """Most pictures in a page's content. Four times as many elements may stand for them (lazy twins, copies)."""
    srcset_max_width: int
    """Largest width wanted from a srcset, pixels; if all are larger, the smallest of them is taken."""
    viewport_width: int
    """Width of the window that media queries are asked about, CSS pixels; its density is 1."""
    image_types: tuple[str, ...]
    """Media types that a <source> may have: "image/jpeg", ...; others are passed over."""
    prefer_linked_image: bool
    """Take the image file that the picture links to (thumbnail galleries) instead of the picture itself."""
    page_image: bool
    """On a page without a picture in its content, take the one that stands for it where it is shared (og:image)."""
    posters: bool
    """Take the pictures that stand for videos before they play."""
    backgrounds: bool
    """Take the pictures that inline styles put behind elements."""
    data_images: bool
    """Take pictures that stand in the page itself, as data: addresses; they are not fetched."""
    icon_max_side: int
    """A picture with no declared side longer than this is an icon, pixels; 0: none is."""
    caption_max_chars: int
    """So much text that is not content may stand between a picture and the content: captions, credits; characters."""

    def __post_init__(self) -> None:
        if self.mode not in ("main", "full", "obelics"):
            raise ValueError('mode must be "main", "full" or "obelics"')
        if self.images not in ("required", "optional", "none"):
            raise ValueError('images must be "required", "optional" or "none"')
        for name in ("max_images", "srcset_max_width", "viewport_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1")
        if not self.image_types:
            raise ValueError("image_types must name at least one type")
        for name in ("icon_max_side", "caption_max_chars"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0")
