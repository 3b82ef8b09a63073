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
    max_link_density: float
    """A list or section whose text is links to a larger share than this is navigation, 0..1."""
    navigation_link_density: float
    """A block that is named as navigation or related pages is that if links are a larger share of its text, 0..1."""
    max_boilerplate_share: float
    """A block with more than this share of the page's text is never dropped for its name, 0..1."""
    prose_min_chars: int
    """A block with so many characters of its own, links and white space not counted, is prose."""
    main_share: float
    """The main block is the innermost one that holds at least this share of the page's prose, 0..1."""
    main_min_chars: int
    """On a page with less prose than this, everything but boilerplate is taken, characters."""
    main_min_share: float
    """What the page calls its main part is not believed if it holds a smaller share of the prose, 0..1."""

    comments_share: float
    """Comments are the content (a forum's posts) if they hold more than this share of the text, 0..1, ..."""
    article_min_chars: int
    """... and there is less prose than this beside them, characters."""
    links_share: float
    """Lists of links are the content (an index) if they hold more than this share of the main block's text, 0..1."""

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
        for name in (
            "max_link_density", "max_boilerplate_share", "main_share", "main_min_share", "comments_share",
            "links_share", "navigation_link_density",
        ):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be in 0..1")
        for name in (
            "prose_min_chars",
            "main_min_chars",
            "article_min_chars",
            "icon_max_side",
            "caption_max_chars",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0")
