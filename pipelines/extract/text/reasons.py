"""Why the judge left a text out, for a person: what stands against it most plainly, of the many signs it weighs."""

from pipelines.extract.html import tags
from pipelines.extract.text.block_measures import CHARS, LINK_CHARS, MEASURES, Blocks
from pipelines.extract.text.judge import CERTAIN, COPY, KEPT, Judgement
from pipelines.extract.text.vocabulary import NAMES

_TAGS = {
    tags.NAV: "navigation", tags.FOOTER: "footer", tags.ASIDE: "sidebar", tags.FORM: "form", tags.MENU: "menu",
    tags.SEARCH: "search",
}  # fmt: skip
# Groups of names that tell what a part of a page is for, not how it looks.
_TELLING = frozenset({
    "navigation", "breadcrumb", "menu", "pagination", "footer", "sidebar", "consent", "newsletter", "paywall",
    "share", "social", "related", "popular", "comment", "advert", "popup", "form", "account", "search", "byline",
    "date", "tags", "contents", "rating", "cart", "reply", "signature", "user", "category", "legal", "brand", "edit",
    "unseen", "header",
})  # fmt: skip
_GROUPS = [(1 << bit, name) for bit, name in enumerate(NAMES) if name in _TELLING]
_LEVELS = 8
_MOSTLY_LINKS = 0.5


def reasons(judgement: Judgement) -> dict[int, str]:
    """For each text that is left out, by its node."""
    why: dict[int, str] = {}
    for block, verdict in enumerate(judgement.verdicts):
        if verdict != KEPT:
            why |= dict.fromkeys(judgement.blocks.nodes_of(block), _reason(judgement, block, verdict))
    return why


def _reason(judgement: Judgement, block: int, verdict: int) -> str:
    if verdict == CERTAIN:
        return judgement.named[block]
    if verdict == COPY:
        return "copy"
    blocks = judgement.blocks
    row = block * MEASURES
    if reason := _named(blocks, blocks.containers[block]):
        return reason
    if blocks.measures[row + LINK_CHARS] > _MOSTLY_LINKS * blocks.measures[row + CHARS]:
        return "links"
    return f"unlike content: {judgement.scores[block]} of 1000, {judgement.cut} is enough"


def _named(blocks: Blocks, node: int) -> str:
    """What the nearest element around a block that is called something telling is called."""
    tree = blocks.shown.tree
    for _ in range(_LEVELS):
        if node <= 0 or tree.tags[node] in (tags.BODY, tags.MAIN, tags.ARTICLE):
            break
        if reason := _TAGS.get(tree.tags[node]):
            return reason
        for bit, name in _GROUPS:
            if blocks.names[node] & bit:
                return name
        node = tree.parents[node]
    return ""
